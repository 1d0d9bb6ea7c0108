// Our own stdout or stderr: others may share it, so it is never made non-blocking, and yet never waited for. A pipe or
// terminal is opened once more, without blocking for us alone; where that is not allowed, and another process fills
// what poll() found free, a write may wait after all. A file is written as the disk takes it.
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
  ~OwnStream();
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;

  int fd() const { return own_ >= 0 ? own_ : fd_; }
  // Writes as much of `bytes` as goes without blocking, in whole lines where it can: another stream may go to the same
  // pipe. How many bytes are done; -1, with errno: nothing can be written any more.
  ssize_t write(std::string_view bytes) const;

 private:
  ssize_t write_piece(std::string_view piece) const;

  const int fd_;
  int own_ = -1;  // the same, non-blocking; -1: none
  bool is_socket_ = false;
  std::size_t piece_max_ = PIPE_BUF;  // written at once: what a pipe that is ready takes without blocking
};

// Redacted lines on their way to one of our own streams.
// Bound: kBytesMax of them wait; further ones are dropped.
class RedactedOutput {
 public:
  static constexpr std::size_t kBytesMax = 2 << 20;

  explicit RedactedOutput(const OwnStream& stream) : stream_(stream) {}

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
  const OwnStream& stream_;  // not owned, outlives this
  std::string waiting_;
  std::deque<Line> lines_;   // in waiting_
  std::size_t written_ = 0;  // of the first of them
  std::uint64_t done_ = 0;
  bool is_closed_ = false;  // whoever read us has left
};

}  // namespace runtail
