// The content of one open file, plain or packed, at offsets of what a reader sees: unpacked bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/file_opener.h"
#include "agent/packed_file.h"

namespace runtail {

// Room for one read, shared by the files of all sources of a pipeline.
class ReadBuffer {
 public:
  // For a line of `line_bytes_max`, its newline, and the bytes before it that show the file is still the same.
  explicit ReadBuffer(std::size_t line_bytes_max);
  char* data() { return bytes_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;  // not zeroed: pages that are never read into cost nothing
};

struct BytesRead {
  std::size_t size = 0;
  bool at_end = false;    // of what is there now
  bool is_whole = false;  // a packed file that ends cleanly here: nothing will follow
  bool is_cut = false;    // a packed file that ends inside: it may still be written
  std::string fault;      // why no more could be read; "" if nothing is wrong
};

// Threads: one. Owns the descriptor.
class FileBytes {
 public:
  struct Facts {
    std::uint64_t size = 0;  // on disk
    std::int64_t mtime_ns = 0;
    std::int64_t born_ns = 0;  // 0: this file system does not say
    bool is_deleted = false;   // no name leads to it any more
  };

  FileBytes(OpenedFile file, Packing packing);

  // It holds an export of the journal: from the next read on it is read as lines.
  void read_as_export();
  bool is_packed() const { return packing_ != Packing::kNone; }
  // As the file system has it now; nothing if it does not say.
  std::optional<Facts> facts() const;
  // Up to `size` bytes from `offset` on; fewer only at the end or with a fault.
  BytesRead read_at(char* into, std::size_t size, std::uint64_t offset);
  // How long it is now; of a packed file, how far it was unpacked.
  std::uint64_t length() const;
  // How far a packed file was read on disk; 0 for others.
  std::uint64_t taken_in() const { return packed_ ? packed_->taken_in() : 0; }
  // Frees what unpacking holds; the next read begins anew.
  void let_go_of_memory() { packed_.reset(); }

 private:
  OpenedFile file_;
  Packing packing_;
  std::optional<PackedFile> packed_;  // from the first read on
};

}  // namespace runtail
