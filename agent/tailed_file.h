// One open file of a source: read forward from its position, physical lines to units to blocks.
//
//     resume          emitted        next            size
//   ....[piece][line][piece][line][open trace...][unread....]
//   Reading after a restart begins at `resume`, the first byte of the oldest open unit; units that were whole at
//   `emitted` are skipped then. `next` is the next byte to be looked at. While a unit is open, `emitted` stays behind
//   `next`: a unit that time makes whole, without a further byte, ends there.
//
// Before each read the bytes before `next` are compared with those that were read: a file that was cut or rewritten is
// noticed even if it is longer again.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/file_bytes.h"
#include "agent/line_block.h"
#include "core/digest.h"
#include "parsers/framing.h"

namespace runtail {

struct TailSettings {
  HashKey key;
  std::uint64_t line_bytes_max = 1 << 20;
  FramingSettings framing;
  // Behind a damaged place of an archive nothing will ever come, so the half line before it is a line. Not for those
  // who may meet the archive again, mended.
  bool ends_at_damage = true;
};

// Where an earlier block ended, and the HMAC of the <= 1 KiB before.
struct Checkpoint {
  std::uint64_t offset = 0;
  Bytes32 confirm{};
};

// What one read came to.
struct TailStep {
  std::optional<LineBlock> block;
  bool was_cut = false;          // the file holds something else now; forget() and find out what
  std::uint64_t unread = 0;      // with was_cut: bytes seen by size that were never read
  std::uint64_t shorter_by = 0;  // it was cut behind what was read: so many bytes were seen by size and are gone
  std::string fault;
};

// Threads: one.
class TailedFile {
 public:
  static constexpr std::size_t kConfirmBytes = 1024;  // HMAC of the <= 1 KiB before the emitted end
  static constexpr std::size_t kCheckpointsMax = 32;

  // `settings` and `buffer` outlive this.
  TailedFile(FileBytes bytes, const TailSettings& settings, ReadBuffer& buffer);

  FileBytes& bytes() { return bytes_; }
  bool is_known() const { return is_known_; }
  // Goes on where `position` says; its bytes before emitted are known to be in the file. `in_the_dark`: nothing is
  // known of the lines before its first.
  void begin(Position position, bool in_the_dark);
  // What it holds is another file from here on.
  void forget();
  // Not known yet, and shorter than it was seen to be: so many bytes were there that nobody read. It begins anew.
  std::uint64_t cut_before_known();

  // The next block, at most one read's worth. `is_over`: nobody writes to it any more, so what has no newline is a line
  // and what is open is whole.
  // `goes_on`: another file waits to take over what is open, so none of it is given up.
  TailStep read(TimePoint now, bool is_over, bool goes_on);

  const Position& position() const { return position_; }
  // Of blocks before the position, oldest first and the last of them all: by them a copy is known that was made when it
  // stood there.
  const std::deque<Checkpoint>& checkpoints() const { return checkpoints_; }
  bool has_open() const { return framing_.has_open(); }
  std::optional<TimePoint> due() const { return framing_.due(); }
  void clock_stepped(std::chrono::microseconds by) { framing_.clock_stepped(by); }
  std::uint64_t size_seen() const { return size_seen_; }
  // On disk and not read; 0 for packed files, whose unpacked size nobody knows.
  std::uint64_t unread() const;
  // The same, and what was read and is still open.
  std::uint64_t at_stake() const;
  // Everything that is there has been looked at.
  bool is_read() const;
  // Every whole line that is there has been looked at, or nothing can be read.
  bool is_drained() const { return is_drained_; }
  // A packed file that can give nothing more.
  bool is_done() const { return is_done_; }
  // Of a file that shrank or holds something else the size is kept: the next read counts by it what is lost.
  void saw_size(std::uint64_t size);

  // Pieces of a unit may go on in the next file of the log. First the traces of this one, read to its end, are whole;
  // then the next one takes over what is left. Until that is whole, this one may not move on: its last block comes from
  // finish_for_successor(), in one commit with the block of the successor that closed the last of it.
  TailStep finish_traces();
  bool may_carry_over() const { return is_known_ && !has_begun_ && position_.resume == 0; }
  void carry_over(TailedFile& before) { carry_over(before.framing_); }
  void carry_over(Framing& before) { framing_.carry_over(before); }
  bool has_carried() const { return framing_.has_carried(); }
  LineBlock finish_for_successor();
  // All of its first `length` bytes were read elsewhere: they are covered without a line.
  LineBlock pass_over(std::uint64_t length);

 private:
  static constexpr std::size_t kTailBytes = kConfirmBytes + 1;

  TailStep read_lines(TimePoint now, bool is_over, bool goes_on, std::uint64_t size);
  void begin_block();
  // False: its end is not there yet.
  bool skip_long_line(TimePoint now, bool is_over, TailStep& step);
  bool is_at_end(const BytesRead& got, bool is_over, TailStep& step) const;
  void give(TailStep& step);
  bool is_unchanged();
  std::string bytes_before(std::uint64_t offset);
  Bytes32 confirm(std::uint64_t offset);
  TailStep cut();

  FileBytes bytes_;
  const TailSettings& settings_;
  ReadBuffer& buffer_;
  Framing framing_;
  Position position_;
  std::deque<Checkpoint> checkpoints_;
  bool is_known_ = false;
  bool is_done_ = false;
  bool has_begun_ = false;  // read anything since begin()
  bool is_drained_ = false;
  std::uint64_t next_ = 0;
  std::string tail_;              // the kTailBytes before next_
  std::uint64_t size_seen_ = 0;   // on disk
  std::uint64_t settled_at_ = 0;  // a line that ends there left nothing open; 0: not known
  std::uint64_t long_line_ = 0;   // in a line that is too long: looked through up to here; 0: not in one
  std::int64_t mtime_ns_ = 0;     // when it was last found read to its end
  std::vector<Unit> units_;
  std::vector<std::uint64_t> ends_;  // of the lines that made them whole
};

}  // namespace runtail
