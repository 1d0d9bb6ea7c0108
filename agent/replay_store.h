// Where a replay puts what it reads: PostgreSQL, or the agent's own store.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/replay_reader.h"
#include "config/config.h"
#include "core/position.h"
#include "core/result.h"
#include "core/sink.h"
#include "sinks/postgres_questions.h"
#include "sinks/postgres_rebuild.h"
#include "sinks/postgres_rehearsal.h"
#include "sinks/postgres_start.h"

namespace runtail {

// What a replay did to a run; of several the greatest holds.
enum class RunChange { kUnchanged, kUpdated, kCreated };
using RunChanges = std::map<Uuid, RunChange>;

// What the store knew before the first line.
struct ReplayStart {
  HashKey key;
  std::vector<StoredPosition> positions;
};

// How far a replay gets with some chunks of one file.
struct ReplayStep {
  CoveredRanges before;  // of the file, as far as the replay knows
  Position after;        // behind the chunks, for a file that is read without gaps
};

// Threads: one.
class ReplayStore {
 public:
  virtual ~ReplayStore() = default;
  // Durable when it returns. Passing faults are waited out, for as long as the settings allow.
  // The chunks are of one file. `runs`: what they touch. kInUse: by now the store has something else of the file that
  // this replay takes for that one; positions() say what.
  virtual Result<Delivery> put(std::span<const SequencedChunk> chunks, const ReplayStep& step,
                               std::span<const Uuid> runs) = 0;
  // Of files of now, of those who give kInUse.
  virtual Result<std::vector<StoredPosition>> positions() { return std::vector<StoredPosition>{}; }
  // How many of these lines of `file` left something behind; any number above 0 where that is enough.
  virtual Result<std::uint64_t> stored(const FileIdentity& file, std::span<const LineTrace> lines) = 0;
  // What became of the runs of all that was put, once no worker puts any more. Those that are too old to be kept are
  // left out.
  virtual Result<RunChanges> runs() = 0;
  // Of a verification: how what is stored differs from all that was put.
  virtual Result<std::vector<RowDifference>> differences() = 0;
  // After that: makes runs anew that differ. `done`: what became of each, also of those before an error.
  virtual Result<void> rebuild(Rebuild& done) = 0;
};

// Told of a wait for the store, once each; true: wait no longer.
using OnReplayWait = std::function<bool(const std::string& reason)>;

// How long a fault that passes by itself is waited out.
inline constexpr std::chrono::seconds kReplayPatience{60};

std::unique_ptr<ReplayStore> make_postgres_store(const Config& config, const DeriverSettings& settings,
                                                 const std::vector<std::string>& kinds, const ReplayWish& wish,
                                                 OnReplayWait on_wait);

}  // namespace runtail
