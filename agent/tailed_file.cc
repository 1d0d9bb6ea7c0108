#include "agent/tailed_file.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "agent/cover.h"

namespace runtail {
namespace {

// A line without end is looked through in pieces of this many reads, so that others get their turn.
constexpr int kLongLineReads = 64;

}  // namespace

TailedFile::TailedFile(FileBytes bytes, const TailSettings& settings, ReadBuffer& buffer)
    : bytes_(std::move(bytes)), settings_(settings), buffer_(buffer), framing_(settings.framing) {
  if (const auto facts = bytes_.facts()) size_seen_ = facts->size;
}

void TailedFile::begin(Position position, bool in_the_dark) {
  position_ = std::move(position);
  is_known_ = true;
  next_ = position_.resume;
  tail_ = bytes_before(next_);
  has_begun_ = is_drained_ = false;
  framing_ = Framing(settings_.framing);
  if (in_the_dark) framing_.begin_in_the_dark();
  settled_at_ = 0;
  if (position_.resume == position_.emitted) return;
  // While a unit was open, the last line's newline was left out of `emitted`: the byte more. Without it, what is open
  // there when it is read again was given away by time.
  framing_.skip_to(position_.emitted + 1);
  settled_at_ = position_.emitted;
}

void TailedFile::forget() {
  is_known_ = is_done_ = false;
  position_ = {};
  checkpoints_.clear();
  next_ = long_line_ = 0;
  tail_.clear();
  framing_ = Framing(settings_.framing);
  if (const auto facts = bytes_.facts()) size_seen_ = facts->size;
}

std::uint64_t TailedFile::cut_before_known() {
  const auto facts = bytes_.facts();
  if (!facts || is_known_ || bytes_.is_packed() || facts->size >= size_seen_) return 0;
  return std::exchange(size_seen_, facts->size);
}

std::uint64_t TailedFile::unread() const { return !bytes_.is_packed() && size_seen_ > next_ ? size_seen_ - next_ : 0; }

std::uint64_t TailedFile::at_stake() const {
  const std::uint64_t seen = std::max(size_seen_, long_line_);
  return !bytes_.is_packed() && seen > position_.emitted ? seen - position_.emitted : 0;
}

bool TailedFile::is_read() const {
  if (size_seen_ == 0) return true;
  return bytes_.is_packed() ? is_done_ : is_known_ && next_ >= size_seen_;
}

void TailedFile::saw_size(std::uint64_t size) {
  if (size == size_seen_) return;
  is_drained_ = false;
  if (size > size_seen_ && (bytes_.is_packed() || is_unchanged())) size_seen_ = size;
}

TailStep TailedFile::cut() {
  TailStep step;
  // Traces were read before: they go first, as they stand. Pieces may go on in a copy, unless they began elsewhere.
  if (framing_.has_open()) {
    begin_block();
    framing_.has_carried() ? framing_.finish(units_) : framing_.finish_traces(units_);
    give(step);
    if (step.block) return step;
  }
  step.was_cut = true;
  step.unread = at_stake();
  return step;
}

TailStep TailedFile::read(TimePoint now, bool is_over, bool goes_on) {
  TailStep step;
  const auto facts = bytes_.facts();
  if (!facts || is_done_) return step;
  if (!bytes_.is_packed()) {
    if (facts->size < std::max(next_, long_line_)) return cut();
    if (next_ == facts->size && size_seen_ <= next_ && !is_over && !framing_.has_open()) {
      is_drained_ = true;
      // Nothing new, unless it was rewritten to the same length.
      const bool is_same = std::exchange(mtime_ns_, facts->mtime_ns) == facts->mtime_ns || is_unchanged();
      return is_same ? step : cut();
    }
  }
  if (long_line_ > 0) {
    if (!is_unchanged()) return cut();
    begin_block();
    if (skip_long_line(now, is_over, step)) give(step);
    return step;
  }
  return read_lines(now, is_over, goes_on, facts->size);
}

void TailedFile::begin_block() {
  framing_.begin_block();
  units_.clear();
  ends_.clear();
}

TailStep TailedFile::finish_traces() {
  TailStep step;
  begin_block();
  framing_.finish_traces(units_);
  give(step);
  return step;
}

TailStep TailedFile::read_lines(TimePoint now, bool is_over, bool goes_on, std::uint64_t size) {
  TailStep step;
  // The bytes before come along: they show whether this is still what was read before.
  const BytesRead got = bytes_.read_at(buffer_.data(), buffer_.size(), next_ - tail_.size());
  const std::string_view all(buffer_.data(), got.size);
  if (all.substr(0, tail_.size()) != tail_) {
    // Cut and already longer again: how much was written in between, nobody knows.
    if (got.fault.empty()) return cut();
    step.fault = got.fault;
    is_drained_ = true;
    return step;
  }
  is_drained_ = got.at_end;
  if (size < size_seen_ && !bytes_.is_packed()) step.shorter_by = size_seen_ - size;
  size_seen_ = size;
  const bool nothing_follows = is_at_end(got, is_over, step);
  const std::string_view fresh = all.substr(tail_.size());
  std::size_t end = fresh.rfind('\n');
  end = end == std::string_view::npos ? 0 : end + 1;
  begin_block();
  if (end == 0 && fresh.size() > settings_.line_bytes_max) {
    if (skip_long_line(now, is_over, step)) give(step);
    return step;
  }
  if (nothing_follows) end = fresh.size();

  for (std::size_t at = 0; at < end;) {
    const char* newline = static_cast<const char*>(std::memchr(fresh.data() + at, '\n', end - at));
    const std::size_t stop = newline ? static_cast<std::size_t>(newline - fresh.data()) : end;
    const std::size_t after = newline ? stop + 1 : stop;
    const std::size_t had = units_.size();
    if (stop - at > settings_.line_bytes_max) {
      framing_.add_too_long(next_ + at, after - at, now, units_);
    } else {
      framing_.add(next_ + at, after - at, fresh.substr(at, stop - at), now, units_);
    }
    for (std::size_t i = had; i < units_.size(); ++i) {
      // A unit begun in the file before has its place here: that of the line that made it whole.
      if (units_[i].carried) units_[i].offset = next_ + at;
      ends_.push_back(next_ + after);
    }
    if (next_ + after == settled_at_) framing_.finish(units_);
    at = after;
  }
  const std::string_view read = all.substr(0, tail_.size() + end);
  next_ += end;
  has_begun_ = has_begun_ || end > 0;
  if (end > 0) tail_ = std::string(read.substr(read.size() - std::min(read.size(), kTailBytes)));
  if (nothing_follows) {
    framing_.finish(units_);
    is_done_ = bytes_.is_packed();
  } else if (!goes_on) {
    framing_.flush_due(now, units_);
  }
  give(step);
  return step;
}

// Nothing will come behind what was read.
bool TailedFile::is_at_end(const BytesRead& got, bool is_over, TailStep& step) const {
  step.fault = got.fault;
  if (!got.at_end) return false;
  if (got.is_cut && is_over) {
    step.fault =
        "it ends inside of the archive, and what there is of it was taken; see whether packing it was cut short";
  }
  const bool is_damaged = !got.fault.empty() && bytes_.is_packed();
  return is_over || got.is_whole || (is_damaged && settings_.ends_at_damage);
}

// A line longer than we hold: its end is looked for in pieces, its bytes are counted and forgotten.
bool TailedFile::skip_long_line(TimePoint now, bool is_over, TailStep& step) {
  std::uint64_t have = std::max(long_line_, next_);
  for (int reads = 0; reads < kLongLineReads; ++reads) {
    const BytesRead got = bytes_.read_at(buffer_.data(), buffer_.size(), have);
    const void* newline = std::memchr(buffer_.data(), '\n', got.size);
    const bool nothing_follows = is_at_end(got, is_over, step);
    if (!newline && !nothing_follows) {
      have += got.size;
      is_drained_ = got.at_end;
      if (got.at_end) break;
      continue;
    }
    const std::uint64_t end =
        newline ? have + static_cast<std::uint64_t>(static_cast<const char*>(newline) - buffer_.data()) + 1
                : have + got.size;
    framing_.add_too_long(next_, end - next_, now, units_);
    long_line_ = 0;
    next_ = end;
    tail_ = bytes_before(end);
    return true;
  }
  long_line_ = have;
  return false;
}

// Units become a block that covers all up to the end of the last of them, or all that was looked at if none is open.
void TailedFile::give(TailStep& step) {
  for (std::size_t i = ends_.size(); i < units_.size(); ++i) {
    // Begun in the file before, and given away by time.
    if (units_[i].carried) units_[i].offset = std::max<std::uint64_t>(next_, 1) - 1;
  }
  ends_.resize(units_.size(), next_);
  const std::uint64_t before = position_.emitted;
  LineBlock block;
  if (!cover(units_, ends_, framing_.has_open() ? 0 : next_, framing_, position_, block)) return;
  if (position_.emitted != before) {
    if (before > 0) checkpoints_.push_back({before, position_.confirm});
    // The older, the sparser; the first one stays.
    if (checkpoints_.size() > kCheckpointsMax) {
      for (std::size_t at = 1; at < kCheckpointsMax / 4; ++at) {
        checkpoints_.erase(checkpoints_.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    position_.confirm = confirm(position_.emitted);
  }
  block.position = position_;
  block.last_ts = &position_.last_ts;
  step.block = std::move(block);
}

LineBlock TailedFile::finish_for_successor() {
  LineBlock block;
  block.covers = {position_.emitted, next_};
  position_.emitted = position_.resume = next_;
  position_.confirm = confirm(next_);
  block.position = position_;
  block.last_ts = &position_.last_ts;
  block.with_next = true;
  return block;
}

LineBlock TailedFile::pass_over(std::uint64_t length) {
  LineBlock block;
  block.covers = {position_.emitted, length};
  next_ = position_.emitted = position_.resume = length;
  tail_ = bytes_before(length);
  position_.confirm = confirm(length);
  has_begun_ = true;
  is_done_ = bytes_.is_packed();
  block.position = position_;
  block.last_ts = &position_.last_ts;
  return block;
}

// The bytes before the next are still those that were read.
bool TailedFile::is_unchanged() { return bytes_before(next_) == tail_; }

// For where reading stands and the byte before, of what was read, whatever the file holds by now.
Bytes32 TailedFile::confirm(std::uint64_t offset) {
  std::string bytes = next_ - offset <= 1 ? tail_.substr(0, tail_.size() - (next_ - offset)) : bytes_before(offset);
  if (bytes.size() > kConfirmBytes) bytes.erase(0, bytes.size() - kConfirmBytes);
  return hmac_sha256(settings_.key, bytes);
}

std::string TailedFile::bytes_before(std::uint64_t offset) {
  if (offset == 0) return {};
  std::string bytes(std::min<std::uint64_t>(kTailBytes, offset), '\0');
  bytes.resize(bytes_.read_at(bytes.data(), bytes.size(), offset - bytes.size()).size);
  return bytes;
}

}  // namespace runtail
