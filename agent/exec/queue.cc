#include "agent/exec/queue.h"

#include <algorithm>
#include <cstring>

namespace runtail {
namespace {

constexpr std::size_t kSegmentBytes = 64 << 10;
constexpr std::size_t kFrameOverhead = 32;  // more than any frame has beside a line's bytes; notes fit in it whole

}  // namespace

std::string* ExecQueue::room_for(std::size_t frame_bytes, bool must_fit) {
  if (!segments_.empty() && segments_.back().bytes.size() + frame_bytes <= segments_.back().bytes.capacity()) {
    return &segments_.back().bytes;
  }
  const std::size_t capacity = std::max(kSegmentBytes, frame_bytes);
  if (!must_fit && held_ + capacity > bytes_max_) return nullptr;
  Segment segment;
  segment.bytes.reserve(capacity);
  held_ += segment.bytes.capacity();
  segments_.push_back(std::move(segment));
  return &segments_.back().bytes;
}

// False: the line is dropped, and counted.
bool ExecQueue::make_room(std::size_t frame_bytes, std::uint64_t span) {
  lines_total_ += span;
  if (is_dropping_ && held_ <= bytes_max_ / 4 * 3) {
    is_dropping_ = false;
    tell_lost();
  }
  if (!is_dropping_ && room_for(frame_bytes, false)) return true;
  is_dropping_ = true;
  lost_ += span;
  lost_total_ += span;
  return false;
}

void ExecQueue::take_span(std::uint64_t span) { segments_.back().to = end_ += span; }

void ExecQueue::tell_lost() {
  if (lost_ == 0) return;
  append_lost(*room_for(kFrameOverhead, true), end_, lost_);
  take_span(kExecNoteSpan);
  lost_ = 0;
}

void ExecQueue::line(TimePoint at, ExecOutput output, std::string_view bytes) {
  if (!make_room(bytes.size() + kFrameOverhead, bytes.size() + 1)) return;
  append_line(segments_.back().bytes, end_, at, output, bytes);
  take_span(bytes.size() + 1);
}

void ExecQueue::too_long(TimePoint at, ExecOutput output, std::uint64_t length) {
  if (!make_room(kFrameOverhead, length + 1)) return;
  append_too_long(segments_.back().bytes, end_, at, output, length);
  take_span(length + 1);
}

void ExecQueue::alive(TimePoint at) {
  append_alive(*room_for(kFrameOverhead, true), end_, at);
  take_span(kExecNoteSpan);
}

void ExecQueue::exit(TimePoint at, const WorkerExit& exit) {
  tell_lost();
  append_exit(*room_for(2 * kFrameOverhead, true), end_, at, exit);
  take_span(kExecNoteSpan);
}

std::string_view ExecQueue::unsent() {
  while (at_ < segments_.size() && position_ == segments_[at_].bytes.size() && at_ + 1 < segments_.size()) {
    ++at_;
    position_ = 0;
  }
  return at_ < segments_.size() ? std::string_view(segments_[at_].bytes).substr(position_) : std::string_view{};
}

void ExecQueue::sent(std::size_t bytes) { position_ += bytes; }

void ExecQueue::drop_front() {
  held_ -= segments_.front().bytes.capacity();
  segments_.pop_front();
}

void ExecQueue::resume(std::uint64_t emitted) {
  at_ = position_ = 0;
  acked_ = std::max(acked_, std::min(emitted, end_));
  while (!segments_.empty() && segments_.front().to <= acked_) drop_front();
}

void ExecQueue::ack(std::uint64_t emitted) {
  acked_ = std::max(acked_, std::min(emitted, end_));
  // Only what this connection has sent whole: a frame cut in the middle would break it.
  while (!segments_.empty() && segments_.front().to <= acked_ &&
         (at_ > 0 || position_ == segments_.front().bytes.size())) {
    drop_front();
    if (at_ > 0) {
      --at_;
    } else {
      position_ = 0;
    }
  }
}

void ExecQueue::delivered(std::uint64_t emitted) { delivered_ = std::max(delivered_, std::min(emitted, end_)); }

void LineCutter::feed(std::string_view bytes, TimePoint at, ExecQueue& queue) {
  while (!bytes.empty()) {
    const void* newline = std::memchr(bytes.data(), '\n', bytes.size());
    if (!newline) {
      add(bytes);
      return;
    }
    const auto size = static_cast<std::size_t>(static_cast<const char*>(newline) - bytes.data());
    const std::string_view rest = bytes.substr(0, size);
    if (length_ == 0) {
      queue.line(at, output_, rest);  // the usual case: whole within what was read, no copy
    } else {
      add(rest);
      finish(at, queue);
    }
    bytes.remove_prefix(size + 1);
  }
}

void LineCutter::add(std::string_view bytes) {
  length_ += bytes.size();
  if (length_ <= kExecLineBytesMax) {
    partial_ += bytes;
  } else {
    partial_.clear();
  }
}

void LineCutter::finish(TimePoint at, ExecQueue& queue) {
  if (length_ > kExecLineBytesMax) {
    queue.too_long(at, output_, length_);
  } else if (length_ > 0) {
    queue.line(at, output_, partial_);
  }
  partial_.clear();
  length_ = 0;
}

}  // namespace runtail
