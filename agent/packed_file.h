// Reads compressed files as if they were plain: bytes at offsets of what was packed, unpacked as a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace runtail {

// The last three: an export of the journal (journal_export.h), plain or packed; it is read as lines of JSON.
enum class Packing { kNone, kGzip, kZstd, kExport, kGzipExport, kZstdExport };
// The same bytes, read as an export.
Packing as_export(Packing packing);

// By the end of the name: .gz, .zst.
Packing packing_of(std::string_view file_name);

// What one read gave. `size` is what was asked for with kMore, and may be anything up to that with the others.
struct PackedBytes {
  enum class State {
    kMore,        // all that was asked for is here; more may follow
    kEnd,         // the archive ends cleanly behind these bytes
    kIncomplete,  // the file ends inside the archive: still being written, or cut. Ask again when it has grown
    kDamaged,     // nothing behind these bytes can be unpacked, `message` says why; stays so until read from 0
    kUnreadable,  // reading the file failed, `message` says why; asking again tries again
  };
  std::size_t size = 0;
  State state = State::kMore;
  std::string message;  // "gzip: incorrect data check before compressed byte 4711"; never content
};

class Unpacker;

// Threads: one. Memory: about 200 KiB for gzip; for zstd that and the window the archive asks for, at most 128 MiB
// (larger: kDamaged). Long steps back (below) add their length.
class PackedFile {
 public:
  // `fd` is borrowed and outlives this; its file offset is neither used nor moved. `packing` is not kNone.
  PackedFile(Packing packing, int fd);
  ~PackedFile();
  PackedFile(PackedFile&&) noexcept;
  PackedFile& operator=(PackedFile&&) noexcept;

  // The unpacked bytes from `offset` on. An offset the archive does not reach gives size 0 and kEnd, kIncomplete or
  // kDamaged. Members and frames one behind the other are read as one; so is an archive that others are added to
  // after kEnd. gzip checks its sums only at the end of a member: what came before kDamaged may be wrong.
  // Cost: forward is a stream, skipped bytes are unpacked all the same. A step back is free within the last bytes
  // unpacked (96 KiB; once a step back of up to a read's size and 1 KiB did not find its bytes, that much); any other
  // begins anew from 0.
  PackedBytes read_at(char* into, std::size_t size, std::uint64_t offset);

  // How far it is unpacked; with kEnd, the length of all that was packed.
  std::uint64_t unpacked() const { return end_; }
  // So much of the file was taken in for that.
  std::uint64_t taken_in() const { return read_ - (input_size_ - input_at_); }

 private:
  PackedBytes::State unpack_more();
  void begin_anew(std::uint64_t back);

  const char* name_;  // of the packing, for messages
  int fd_;
  std::unique_ptr<Unpacker> unpacker_;
  std::vector<char> input_;  // compressed; [input_at_, input_size_) is not unpacked yet
  std::size_t input_at_ = 0;
  std::size_t input_size_ = 0;
  std::uint64_t read_ = 0;         // compressed bytes read from the file
  std::vector<char> window_;       // a ring: unpacked byte n is at n % size
  std::uint64_t window_from_ = 0;  // the ring holds [window_from_, end_)
  std::uint64_t end_ = 0;
  std::size_t most_asked_ = 0;  // of one read
  bool held_back_ = false;      // the unpacker may have more without new input
  bool damaged_ = false;
  std::string message_;
};

}  // namespace runtail
