#include "agent/held_lines.h"

#include <poll.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace runtail {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;
// Beyond one line: what a round of the intake can commit at once, for a quick pipe.
constexpr std::size_t kAheadBytes = 256 << 10;
constexpr std::size_t kLinesMax = 16 << 10;

}  // namespace

HeldLines::HeldLines(int fd, std::uint64_t line_bytes_max, TimePoint now)
    : fd_(fd), line_bytes_max_(line_bytes_max), first_seen_(now) {
  if (getrandom(instance_.data(), instance_.size(), 0) != static_cast<ssize_t>(instance_.size())) {
    // Never seen on Linux. The clock and the process keep pipes apart, too.
    const std::int64_t micros = to_micros(now);
    const pid_t pid = getpid();
    std::memcpy(instance_.data(), &micros, sizeof micros);
    std::memcpy(instance_.data() + sizeof micros, &pid, sizeof pid);
    std::memcpy(instance_.data() + sizeof micros + sizeof pid, &fd_, sizeof fd_);
  }
}

HeldLines::~HeldLines() {
  if (fd_ >= 0) close(fd_);
}

bool HeldLines::wants_more() const {
  return fd_ >= 0 && text_.size() < line_bytes_max_ + kAheadBytes && lines_.size() < kLinesMax;
}

void HeldLines::fill() {
  while (wants_more()) {
    // Not by O_NONBLOCK: standard input may be shared, and the mode is that of the open file.
    pollfd ready{fd_, POLLIN, 0};
    if (poll(&ready, 1, 0) <= 0) return;
    const std::size_t have = text_.size();
    text_.resize(have + kReadBytes);
    const ssize_t got = ::read(fd_, text_.data() + have, kReadBytes);
    text_.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got > 0) {
      cut(have);
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    // A peer that died takes its connection along; what came is there.
    if (got < 0 && errno != ECONNRESET) fault_ = std::strerror(errno);
    end();
    return;
  }
}

// Finds the ends of lines in what was read last.
void HeldLines::cut(std::size_t from) {
  while (true) {
    const void* newline = std::memchr(text_.data() + from, '\n', text_.size() - from);
    if (!newline) break;
    const auto at = static_cast<std::size_t>(static_cast<const char*>(newline) - text_.data());
    end_line(at, 1);
    from = open_at_;
  }
  if (text_.size() - open_at_ <= line_bytes_max_ && !skipping_) return;
  skipping_ = true;
  forgotten_ += text_.size() - open_at_;
  text_.resize(open_at_);
}

// The open line ends before `at` in text_.
void HeldLines::end_line(std::size_t at, std::size_t newline_bytes) {
  const std::size_t size = at - open_at_;
  Place line{open_, forgotten_ + size + newline_bytes, open_at_, size, false};
  if (skipping_ || size > line_bytes_max_) {
    line.too_long = true;
    line.size = 0;
  }
  lines_.push_back(line);
  open_ += line.length;
  open_at_ = at + newline_bytes;
  forgotten_ = 0;
  skipping_ = false;
}

void HeldLines::end() {
  close(std::exchange(fd_, -1));
  if (skipping_ || text_.size() > open_at_) end_line(text_.size(), 0);
}

std::optional<HeldLines::Line> HeldLines::next() {
  if (taken_ == lines_.size()) return std::nullopt;
  const Place& line = lines_[taken_++];
  return Line{line.offset, line.length, std::string_view(text_).substr(line.at, line.size), line.too_long};
}

void HeldLines::forget_before(std::uint64_t offset) {
  const auto is_durable = [&](const Place& line) { return line.offset + line.length <= offset; };
  const auto first = std::find_if_not(lines_.begin(), lines_.end(), is_durable);
  if (first == lines_.begin()) return;
  const std::size_t bytes = first == lines_.end() ? open_at_ : first->at;
  taken_ -= std::min(taken_, static_cast<std::size_t>(first - lines_.begin()));
  lines_.erase(lines_.begin(), first);
  text_.erase(0, bytes);
  open_at_ -= bytes;
  for (Place& line : lines_) line.at -= bytes;
  // Many idle connections must not each keep what a busy moment took.
  if (text_.size() < kReadBytes && text_.capacity() > 4 * kReadBytes) text_.shrink_to_fit();
}

}  // namespace runtail
