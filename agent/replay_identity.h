// Which file of its stream an input of a replay is, whatever its name and packing: one the store knows, a shorter copy
// of one, or a new one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/replay_input.h"
#include "core/digest.h"
#include "sinks/postgres_start.h"

namespace runtail {

// The files of one stream with one first line. Threads: one.
class ReplayIdentity {
 public:
  // `known`: those of that stream and key in the store.
  ReplayIdentity(const HashKey& key, std::vector<StoredPosition> known) : key_(key), known_(std::move(known)) {}

  struct Answer {
    StoredPosition position;  // a new file covers nothing
    bool is_new = false;
  };
  // Whether lines of `input`, read as this file, are in the store. Asked for a file that is shorter than what was read.
  using Holds = std::function<Result<bool>(const FileIdentity&)>;
  // An error is the one of `holds`.
  Result<Answer> identify(const ReplayInput& input, FileBytes& bytes, const FileIdentity& as_new, ReadBuffer& buffer,
                          const Holds& holds);
  // What the store has is another by now.
  void know(std::vector<StoredPosition> known) { known_ = std::move(known); }
  // `input` was read so far as `read` says.
  void remember(const ReplayInput& input, const StoredPosition& read);

 private:
  bool is_beginning_of(FileBytes& bytes, std::uint64_t length, const ReplayInput& longer) const;

  struct Read {
    FileIdentity file;
    ReplayInput input;
  };
  const HashKey key_;
  std::vector<StoredPosition> known_;
  std::vector<Read> read_;  // by this replay
};

// The keyed hash of the first line, as far as a line may be long; nothing: there is none yet. `fault`: why not.
std::optional<Bytes16> head_key(const HashKey& key, FileBytes& bytes, bool may_grow, std::size_t line_bytes_max,
                                ReadBuffer& buffer, std::string& fault);

// What a look at all of a file shows.
struct WholeFile {
  std::uint64_t length = 0;  // unpacked, as far as it can be
  Bytes32 end{};             // keyed hash of its last 1 KiB: with the length an order that hangs on content
  std::string fault;         // why it goes no further; "" for an archive that is merely cut
};
WholeFile look_through(const HashKey& key, FileBytes& bytes, ReadBuffer& buffer);

}  // namespace runtail
