// The lines of a pipe or connection, whose bytes nobody can give again: held from the read until they are durable, so
// that a buffer that has to be opened anew (a full disk) costs none.
//
// Memory: about line_bytes_max and 256 KiB of text, and 16 Ki lines; then it reads no more, and the writer waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/time.h"

namespace runtail {

// Threads: one at a time.
class HeldLines {
 public:
  struct Line {
    std::uint64_t offset = 0;  // in the pipe, of its first byte
    std::uint64_t length = 0;  // with the newline, which the last line may lack
    std::string_view bytes;    // without; empty if too_long
    bool too_long = false;
  };

  // Takes `fd` over. Bytes of a line beyond `line_bytes_max` are counted and forgotten.
  HeldLines(int fd, std::uint64_t line_bytes_max, TimePoint now);
  ~HeldLines();
  HeldLines(const HeldLines&) = delete;
  HeldLines& operator=(const HeldLines&) = delete;

  // Reads what is there without waiting.
  void fill();
  // The next line, if a whole one was read; after the end of the pipe also what lacks its newline. `bytes` is valid
  // until fill() or forget_before().
  std::optional<Line> next();
  // What ends at or before `offset` is durable. next() goes on where it was.
  void forget_before(std::uint64_t offset);
  // next() begins again with the oldest line held.
  void rewind() { taken_ = 0; }
  // Offset of that line, or of the one to come.
  std::uint64_t begin() const { return lines_.empty() ? open_ : lines_.front().offset; }

  bool wants_more() const;  // it has room and the pipe has not ended
  bool all_taken() const { return taken_ == lines_.size(); }
  bool has_ended() const { return fd_ < 0; }  // the pipe; lines may still be held
  int fd() const { return fd_; }              // -1 after the end
  std::uint64_t bytes() const { return text_.size(); }
  // The pipe's own: random, the key of its identity.
  const Bytes16& instance() const { return instance_; }
  TimePoint first_seen() const { return first_seen_; }
  // Why reading stopped, if not at a plain end.
  const std::string& fault() const { return fault_; }

 private:
  struct Place {
    std::uint64_t offset, length;
    std::size_t at, size;  // in text_
    bool too_long;
  };
  void cut(std::size_t from);
  void end_line(std::size_t after, std::size_t newline_bytes);
  void end();

  int fd_;
  const std::uint64_t line_bytes_max_;
  const TimePoint first_seen_;
  Bytes16 instance_{};
  std::string fault_;
  std::string text_;  // of lines_, then the bytes of a line that has no end yet
  std::vector<Place> lines_;
  std::size_t taken_ = 0;        // of lines_
  std::size_t open_at_ = 0;      // in text_: where the line without end begins
  std::uint64_t open_ = 0;       // in the pipe
  std::uint64_t forgotten_ = 0;  // bytes of that line beyond what is held: it is too long
  bool skipping_ = false;
};

}  // namespace runtail
