// What a replay did, file by file: for scripts as JSON, and for the exit code.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/replay_reader.h"
#include "agent/replay_store.h"
#include "core/sink.h"

namespace runtail {

struct ReplayFile {
  enum class State {
    kRead,         // to its end
    kGrowing,      // to its end but for a last line that is still being written
    kEmpty,        // nothing in it yet
    kIncomplete,   // as far as it can be read: it is damaged, cut, or was changed meanwhile
    kUnreadable,   // not opened, or nobody knows whose log it is
    kInterrupted,  // somebody stopped the replay, or the store did
    kNotBegun,     // the same, before its turn
  };
  std::string path;
  State state = State::kNotBegun;
  std::string fault;  // what is wrong and what to do; "" if nothing is
  std::optional<FileIdentity> file;
  bool is_new = false;                   // the store did not know it
  std::uint64_t bytes = 0;               // unpacked, up to the last whole unit
  std::uint64_t untaken = 0;             // behind it
  std::uint64_t covered_before = 0;      // of `bytes`
  std::optional<TimePoint> first, last;  // event times
  ReplayLines lines;
  RecordOutcomes records;
};
std::string_view to_string(ReplayFile::State state);  // "read"
// Nothing of such a file is left undone.
bool is_whole(ReplayFile::State state);

struct ReplayReceipt {
  bool is_dry = false, is_full = false, is_verify = false;
  std::string store;                               // "postgres", "embedded"
  std::string fault;                               // why the store took no more
  ErrorCode fault_code = ErrorCode::kUnavailable;  // of that
  bool is_interrupted = false;
  double seconds = 0;
  std::vector<ReplayFile> files;  // in the order they were read
  std::uint64_t runs_found = 0;   // runs the lines name
  std::uint64_t created = 0, updated = 0, unchanged = 0;
  std::vector<RowDifference> differences;  // of a verification
  std::optional<Rebuild> rebuild;          // what was done about them
  // Nothing is left undone.
  bool is_complete() const;
};

std::string to_json(const ReplayReceipt& receipt);

}  // namespace runtail
