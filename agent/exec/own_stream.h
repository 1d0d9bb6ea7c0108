// Our own stdout or stderr: others may share it, so it is never made non-blocking, and yet never waited for.
#pragma once

#include <sys/types.h>

#include <climits>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace runtail {

class OwnStream {
 public:
  explicit OwnStream(int fd);

  int fd() const { return fd_; }
  // Writes as much of `bytes` as goes without blocking, in whole lines where it can: another stream may go to the same
  // pipe. How many bytes are done; -1, with errno: nothing can be written any more.
  ssize_t write(std::string_view bytes) const;

 private:
  const int fd_;
  std::size_t piece_max_ = PIPE_BUF;  // written at once: what a pipe that is ready takes without blocking
};

// Redacted lines on their way to one of our own streams.
// Bound: kBytesMax of them wait; further ones are dropped.
class RedactedOutput {
 public:
  static constexpr std::size_t kBytesMax = 2 << 20;

  explicit RedactedOutput(int fd) : stream_(fd) {}

  // `span`: bytes of the worker's line.
  void add(std::string_view json, std::uint64_t span);
  void write();

  int fd() const { return stream_.fd(); }
  bool is_waiting() const { return !waiting_.empty(); }
  std::uint64_t bytes_done() const { return done_; }  // of the worker's lines, those written whole

 private:
  struct Line {
    std::size_t size;  // of its JSON, newline included
    std::uint64_t span;
  };
  const OwnStream stream_;
  std::string waiting_;
  std::deque<Line> lines_;   // in waiting_
  std::size_t written_ = 0;  // of the first of them
  std::uint64_t done_ = 0;
  bool is_closed_ = false;  // whoever read us has left
};

}  // namespace runtail
