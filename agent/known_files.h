// The files of a source that are known by content, whatever their names are now.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/file_bytes.h"
#include "agent/tailed_file.h"
#include "core/digest.h"
#include "core/position.h"

namespace runtail {

// Threads: one.
class KnownFiles {
 public:
  // `positions`: durable ones, of any stream.
  KnownFiles(const HashKey& key, std::vector<Position> positions);

  void remember(const Position& position);
  // Some file of that stream was met before.
  bool knows(const std::string& stream) const { return newest_.contains(stream); }

  // When the newest file of that stream was first seen; nothing: it has none.
  std::optional<TimePoint> newest(const std::string& stream) const;
  // What was read as `file` stands there no more; `facts` are those of what stands there now. A copy made before may be
  // shorter than what was read: `checkpoints` tell it from a file that merely begins alike. Kept for an hour.
  void remember_cut(const FileIdentity& file, std::deque<Checkpoint> checkpoints, const FileBytes::Facts& facts);

  struct Identified {
    enum class Answer {
      kKnown,   // `position` says how far it was read
      kNew,     // `position` has the identity it gets
      kNotYet,  // its first line is not whole, or it is a copy in the making: ask again later
      kNever,   // an archive without a byte in it: ask again if it grows
    } answer = Answer::kNotYet;
    Position position = {};
    std::uint64_t read_elsewhere = 0;  // with kNew: it is a copy, and so much of it was read in the original
    std::string fault = {};            // why it cannot be read
  };
  // Looked at when, under which name.
  struct Circumstances {
    bool is_live = true;      // by the name the worker writes to; others may be copies of an open file, and wait for it
    bool is_over = false;     // nobody writes to it any more, so an unfinished first line counts
    bool is_growing = false;  // it was written to within the last seconds
  };
  // The file that is open as that one; null: none.
  using OpenAs = std::function<FileBytes*(const FileIdentity&)>;

  // Which file this is, by its first complete line and the bytes before the ends of those that begin alike.
  Identified identify(FileBytes& bytes, ReadBuffer& buffer, const std::string& stream, std::uint64_t line_bytes_max,
                      Circumstances seen, const OpenAs& open_as);

 private:
  bool was_cut(FileBytes& file, const Position& known, std::size_t head_size, ReadBuffer& buffer) const;
  bool is_copy_of_cut(FileBytes& bytes, const FileIdentity& file, ReadBuffer& buffer) const;
  static bool is_in(FileBytes& copy, FileBytes& original, std::uint64_t offset, ReadBuffer& buffer);

  struct Cut {
    std::deque<Checkpoint> checkpoints;
    std::int64_t born_ns = 0, cut_ns = 0;  // by the clock of the file system
  };

  const HashKey key_;
  std::map<FileIdentity, Cut> cut_;
  std::map<std::pair<std::string, Bytes16>, std::vector<Position>> by_head_;
  std::map<std::string, TimePoint> newest_;  // by stream
};

}  // namespace runtail
