// What lines say for the history that the agent keeps itself, beside runs: jobs, datasets, results of checks, changes
// of runs, heartbeats, and in which chunk a run's lines are. Leaves with the commit of the chunk that says it. Every
// rule is one of the database's (sinks/postgres_fold.h), and none depends on the order of lines but that of changes,
// which tells what was known when.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/run_state.h"
#include "derive/deriver.h"
#include "history/kept_state.h"

namespace runtail {

// Threads: the pipeline's only.
class HistoryFold {
 public:
  // Both outlive this.
  HistoryFold(const KeptState& kept, const DeriverSettings& settings) : kept_(kept), settings_(settings) {}

  // What one line says; `sequence` is that of its chunk.
  void add(const RedactedEvent& event, const Origin& origin, const Derived& derived, Sequence sequence);
  // The run's state before and after that line. A stamp of attempt 0: nothing was said of it before.
  void add_change(const StateGroup& before, const RunState& now);

  // Entries changed since the last call, for the commit.
  std::vector<std::pair<std::string, std::string>> take_changed();

 private:
  void add_places(const Derived& derived, Sequence sequence);
  void add_job(std::string_view job_id, TimePoint at);
  void add_dataset(const RedactedEvent& event, const Origin& origin, const Derived& derived);
  void add_results(const RedactedEvent& event, const Origin& origin, const Derived& derived);
  void add_heartbeat(const HeartbeatFact& fact);
  // As it is now: changed and not taken, else as it is kept. "" if there is none.
  std::string current(const std::string& key) const;
  void put(std::string key, std::string value) { changed_[std::move(key)] = std::move(value); }

  const KeptState& kept_;
  const DeriverSettings& settings_;
  std::map<std::string, std::string> changed_;
  std::map<std::string, std::chrono::sys_days, std::less<>> jobs_;  // days that are kept, of jobs seen since the start
  Sequence sequence_ = 0;                                           // of the line before
  std::set<Uuid> placed_;                                           // runs of that chunk
};

}  // namespace runtail
