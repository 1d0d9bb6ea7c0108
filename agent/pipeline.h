// The way of a line: parse -> redact -> derive -> one synced write. Read pipeline.cc top to bottom.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/kept_history.h"
#include "agent/last_known.h"
#include "agent/line_block.h"
#include "agent/line_counts.h"
#include "agent/line_time.h"
#include "agent/old_runs.h"
#include "agent/open_runs.h"
#include "agent/read_place.h"
#include "agent/run_book.h"
#include "agent/silent_runs.h"
#include "agent/snapshot_memory.h"
#include "buffer/durable_buffer.h"
#include "core/metric.h"
#include "derive/deriver.h"
#include "derive/line_filter.h"
#include "history/history_fold.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"

namespace runtail {

// Threads: one. A Pipeline whose commit() failed is done for: make a new one from what is durable.
class Pipeline {
 public:
  // `history_is_local`: no other sink; records count as applied with the synced batch.
  Pipeline(DurableBuffer& buffer, Parser parser, Redactor redactor, Deriver deriver, const Clock& clock,
           PublishedMetrics& published, std::uint32_t max_series, bool history_is_local);

  // Runs that lines of this source name are remembered until they end, for a note that its worker is gone. Before the
  // first add().
  void follow_runs_of(const std::string& source);
  // Of lines this leaves out there are no rows. Before the first add().
  void filter_lines(LineFilter filter) { filter_ = std::move(filter); }
  // Takes one block into the commit being built. Nothing of it is visible before commit().
  void add(const LineBlock& block);
  // Everything added so far, durable in one write; then counters are shown. Returns the last sequence.
  Result<Sequence> commit();
  // Chunks of a file that a replay read, and the place after them, into the commit being built: what they say of runs
  // is folded, and nothing is counted.
  struct Past {
    std::vector<Uuid> runs;  // that they speak of
    RecordCounts expired;    // of runs that are too old to be kept
  };
  Past add_past(const std::vector<Chunk>& chunks, const ReadPlace& place);
  // While nothing is left to read: runs that ended long ago go with the next commit. False: there is none.
  bool let_go_of_old_runs(TimePoint now);
  // Lines and bytes added since the last commit.
  std::uint64_t pending_lines() const { return pending_lines_; }
  std::uint64_t pending_bytes() const { return pending_bytes_; }

  // Whether a wrapped worker has begun something that its end would end, as far as is durable.
  static bool has_open_worker(const DurableBuffer& buffer, const FileIdentity& pipe);
  // For counters of the agent itself (lost bytes and the like); durable with the next commit.
  MetricTable& metrics() { return metrics_; }
  bool has_counted() const { return metrics_.has_changed(); }

 private:
  // Runs a wrapper's pipe has named, so that its exit can end them.
  struct WrappedRuns {
    OpenRuns runs;
    WorkerIds ids;
    bool has_ids = false;       // they were looked for
    bool is_task_told = false;  // its start is stated: the worker is the task that `ids` name
    bool is_changed = false;    // the latter is not durable
  };

  void add_line(const LineBlock& block, const Line& line, Chunk& chunk);
  void add_note(const LineBlock& block, const WorkerNote& note, Chunk& chunk);
  void add_agent_note(const LineBlock& block, const AgentNote& note, Chunk& chunk);
  void start_task(WrappedRuns& wrapped, const LineBlock& block, TimePoint at, std::uint64_t place, Chunk& chunk);
  void end_held_runs(const LineBlock& block, const WorkerNote& note, Chunk& chunk);
  void end_lost_runs(const LineBlock& block, const WorkerNote& note, Chunk& chunk);
  WrappedRuns& wrapped_runs(const FileIdentity& pipe);
  const WorkerIds& worker_ids(const LineBlock& block);
  void take(const RedactedEvent& event, const LineBlock& block, std::uint64_t offset, std::uint64_t length,
            Chunk& chunk);
  // Into the history of an agent that has no other: what the line says, before and after its run is folded.
  StateGroup state_of(const Derived& derived);
  void keep(const RedactedEvent& event, const Origin& origin, const StateGroup& before);
  void set_aside(const LineBlock& block, const Line& line, std::string_view reason, Chunk& chunk);
  void count_line(const LogEvent& event, const RedactedEvent& safe);
  void flush_counts(const LineBlock& block, std::uint64_t lines);

  DurableBuffer& buffer_;  // not owned, outlives this
  Parser parser_;
  Redactor redactor_;
  const Deriver deriver_;
  IdMemory id_memory_;
  LineFilter filter_;
  const Clock& clock_;           // for read_at only
  PublishedMetrics& published_;  // not owned, outlives this
  const bool history_is_local_;
  MetricTable metrics_;
  LastKnown known_;
  RunBook runs_;
  const KeptHistory kept_;
  std::optional<HistoryFold> history_;  // nothing: PostgreSQL has it
  LineCounts line_counts_;
  SnapshotMemory snapshots_;
  SilentRuns silent_runs_;
  OldRuns old_runs_;

  Commit commit_;
  std::uint64_t pending_lines_ = 0, pending_bytes_ = 0;
  std::map<FileIdentity, WrappedRuns> wrapped_;
  std::map<std::string, OpenRuns> followed_;  // by source

  std::map<std::string, StreamMemory> open_keys_;  // by stream; those inside a private key only

  // Of the block being added.
  StreamMemory memory_;
  OpenRuns* open_runs_ = nullptr;  // null: its source is not followed
  std::optional<EventIds> ids_;
  LineTime time_;
  const WorkerIds* worker_ids_ = nullptr;  // null: no wrapper
  std::string json_;                       // of the line being taken, if somebody asked for it
  std::string context_;                    // of the event being taken, if the source adds to it
  Derived derived_;
  OwnFacts own_facts_;
  struct ServiceLevel {
    std::string service;
    Level level;
    std::uint64_t lines;
  };
  std::vector<ServiceLevel> by_level_;
  std::uint64_t outcomes_[6] = {};  // by LineOutcome
  std::uint64_t violations_[kContractViolationCount] = {};
  std::vector<std::uint64_t> redactions_;  // by kind
  std::uint64_t unlisted_ = 0;             // of the redactor's totals: what is in the metric already
  std::uint64_t failed_closed_ = 0;        // lines that redaction failed on
  std::uint64_t over_budget_ = 0;          // lines with a text that was too much work
  std::uint64_t orphans_ = 0;
  std::string process_run_;                      // of the event being taken
  std::map<std::string, std::uint64_t> bodies_;  // lines dropped for what they hold, by rule
};

}  // namespace runtail
