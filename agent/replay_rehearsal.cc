#include "agent/replay_rehearsal.h"

#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "agent/identity_key.h"
#include "agent/kept_history.h"
#include "agent/last_known.h"
#include "agent/old_runs.h"
#include "agent/read_place.h"
#include "agent/replay_embedded.h"
#include "agent/run_book.h"
#include "core/event_codec.h"
#include "core/run_record.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kAtATime = 1000;
constexpr std::uint64_t kLinesAtATime = 5000;
constexpr std::size_t kExamplesMax = 5;
constexpr std::string_view kRuns = "job_runs", kLines = "log_events";

// A kept line: 'e' if it has to be there, else 'm', and its digest. Once it was found: "".
std::string line_key(const Uuid& id) { return "l/" + to_string(id); }

// Whether a line has a row of its own hangs on the level that was asked for.
std::string line_value(RedactedEvent event, std::uint64_t length, bool is_expected) {
  event.stored = true;
  std::string bytes;
  append_event(bytes, event, 0, length);
  return (is_expected ? 'e' : 'm') + std::to_string(std::hash<std::string>()(bytes));
}

template <typename Visit>
void each_entry(const DurableBuffer& buffer, std::string_view prefix, Visit&& visit) {
  for (std::string after;;) {
    const std::vector<StateEntry> entries = buffer.scan(prefix, after, kAtATime);
    for (const StateEntry& entry : entries) visit(entry);
    if (entries.size() < kAtATime) return;
    after = entries.back().key;
  }
}

// Who wrote a run and by which rules, and what counters hold of it, does not count.
RunRecord stripped(const RunRecord& record) {
  RunRecord out;
  out.run = record.run;
  out.attempts = record.attempts;
  out.tasks = record.tasks;
  const auto strip = [](StateGroup& state) { state.agent_id = state.ruleset = ""; };
  strip(out.run.state);
  for (auto& [number, attempt] : out.attempts) {
    strip(attempt.state);
    attempt.agent_id = attempt.ruleset = "";
  }
  for (auto& [id, task] : out.tasks) {
    strip(task.state);
    task.ruleset = "";
  }
  return out;
}

// What of a run differs, with a comma between; "": nothing does.
std::string difference(const RunRecord& one, const RunRecord& other) {
  const RunRecord a = stripped(one), b = stripped(other);
  std::string out;
  const auto add = [&](bool is_same, const char* what) {
    if (!is_same) out += (out.empty() ? "" : ", ") + std::string(what);
  };
  add(a.run.state == b.run.state, "status");
  add(a.run.error == b.run.error, "error");
  if (out.empty()) add(a.run == b.run, "run");
  add(a.attempts == b.attempts, "attempts");
  add(a.tasks == b.tasks, "tasks");
  return out;
}

// Something that is not in the files has told of the run, too.
bool knows_more(const RunRecord& kept, const RunRecord& expected) {
  const RunState &k = kept.run, &e = expected.run;
  const auto has_all = [](const auto& more, const auto& less) {
    return std::all_of(less.begin(), less.end(), [&](const auto& each) { return more.contains(each.first); });
  };
  return k.state.verdict_source != VerdictSource::kLog || k.exit_code != e.exit_code ||
         k.exit_signal != e.exit_signal || k.first_event_at < e.first_event_at || k.last_event_at > e.last_event_at ||
         k.records_loaded_sum > e.records_loaded_sum || k.records_extracted_sum > e.records_extracted_sum ||
         k.tokens_in > e.tokens_in || k.tokens_out > e.tokens_out || k.cost_micros > e.cost_micros ||
         !has_all(expected.attempts, kept.attempts) || !has_all(expected.tasks, kept.tasks) ||
         (!kept.running.job_id.empty() && e.state.status != RunStatus::kRunning);
}

}  // namespace

struct ReplayRehearsal::State {
  State(fs::path temporary, std::unique_ptr<DurableBuffer> store, std::unique_ptr<DurableBuffer> opened,
        const HashKey& identity, const Config& config, bool all_lines)
      : directory(std::move(temporary)),
        kept(std::move(store)),
        scratch(std::move(opened)),
        key(identity),
        is_full(all_lines),
        counters(config.metrics.max_series),
        known(*scratch),
        book(*scratch, counters, known) {}
  ~State() {
    scratch.reset();
    std::error_code ignored;
    fs::remove_all(directory, ignored);
  }

  const fs::path directory;
  const std::unique_ptr<DurableBuffer> kept;  // to look at; written to only to make runs anew
  std::unique_ptr<DurableBuffer> scratch;
  const HashKey key;
  const bool is_full;
  MetricTable counters;
  LastKnown known;
  RunBook book;
  std::map<FileIdentity, CoveredRanges> lines;  // of which the store keeps the lines
};

namespace {

class RehearsalStore final : public ReplayStore {
 public:
  RehearsalStore(ReplayRehearsal::State& state, DeriverSettings settings)
      : state_(state), deriver_(std::move(settings)) {}

  Result<Delivery> put(std::span<const SequencedChunk> chunks, const ReplayStep& step, std::span<const Uuid>) override {
    Delivery delivery;
    delivery.status = Delivery::Status::kDelivered;
    Commit commit;
    std::vector<const Chunk*> covering;
    for (const SequencedChunk& each : chunks) {
      delivery.outcomes.applied += each.chunk.records;
      covering.push_back(&each.chunk);
      fold(each.chunk, commit);
    }
    ReadPlace place = read_place(*state_.scratch, step.after.file);
    move_on(place, covering, step.after);
    put_place(place, commit);
    streams_.insert(step.after.file.stream);
    for (StateEntry& entry : state_.book.take_changed()) commit.state.push_back(std::move(entry));
    if (const auto kept = state_.scratch->append(commit, DurableBuffer::Sync::kLater); !kept) return kept.error();
    return delivery;
  }

  Result<std::uint64_t> stored(const FileIdentity& file, std::span<const LineTrace> lines) override {
    const auto held = holds_any(*state_.kept, file, lines);
    if (!held) return held.error();
    return std::uint64_t{*held};
  }

  Result<RunChanges> runs() override { return RunChanges{}; }

  Result<std::vector<RowDifference>> differences() override {
    compare_runs();
    if (const auto compared = compare_lines(); !compared) return compared.error();
    std::vector<RowDifference> out;
    for (auto& [what, difference] : differences_) out.push_back(std::move(difference));
    return out;
  }

  Result<void> rebuild(Rebuild& done) override {
    for (const Position& each : state_.scratch->positions()) {
      const CoveredRanges kept = read_place(*state_.kept, each.file).covered;
      const ReadPlace rehearsed = read_place(*state_.scratch, each.file);
      for (const ByteRange& range : rehearsed.covered.ranges()) {
        if (kept.missing_of(range).empty()) continue;
        return Error{ErrorCode::kInvalidInput, "not all of these files is in the store yet: replay them first"};
      }
    }
    // What is written here is not in it; the next start makes it anew.
    forget_index(*state_.kept);
    std::optional<Error> fault;
    each_entry(*state_.scratch, "r/", [&](const StateEntry& entry) {
      const auto expected = decode_run_record(entry.value);
      if (!expected || is_gone(*expected) || fault) return;
      const auto kept = kept_run(entry.key);
      if (kept && difference(*kept, *expected).empty()) return;
      const std::string id = to_string(expected->run.run_id);
      if (kept && knows_more(*kept, *expected)) return done.left.push_back(id);
      RunRecord anew = *expected;
      if (kept) {
        // What counters hold they go on holding.
        for (const auto& [number, counted] : kept->counted) anew.counted[number] = counted;
        anew.loaded_counted = std::max(anew.loaded_counted, kept->loaded_counted);
        anew.enqueued = anew.enqueued || kept->enqueued;
        anew.running = kept->running;
      }
      if (const auto written = state_.kept->put(entry.key, encode_run_record(anew)); !written) {
        fault = written.error();
        return;
      }
      done.runs.push_back({id, kept ? std::string(to_string(kept->run.state.status)) : "",
                           std::string(to_string(anew.run.state.status))});
    });
    if (fault) return *fault;
    return {};
  }

 private:
  void fold(const Chunk& chunk, Commit& commit) {
    const auto lines = state_.lines.find(chunk.file);
    const EventIds ids(chunk.file);
    Origin origin{&ids, 0, chunk.default_job_id, chunk.default_job_rank};
    for (EventReader events(chunk.events); events.next();) {
      const RedactedEvent& event = events.event();
      origin.offset = events.offset_in(chunk.covers.from);
      deriver_.derive(event, origin, derived_, &ids_);
      if (derived_.run) state_.book.apply_past(*derived_.run, event);
      if (lines == state_.lines.end() || !lines->second.contains(events.ends_in(chunk.covers.from))) continue;
      const bool is_expected = derived_.has(Table::kLogEvents) && (state_.is_full || event.level >= Level::kWarn);
      commit.state.push_back({line_key(ids.at(origin.offset)), line_value(event, events.length(), is_expected)});
    }
  }

  bool is_gone(const RunRecord& expected) const {
    return !expected.run.last_event_at || is_too_old(*expected.run.last_event_at, clock_.now());
  }

  std::optional<RunRecord> kept_run(const std::string& key) const {
    const auto bytes = state_.kept->get(key);
    return bytes ? decode_run_record(*bytes) : std::nullopt;
  }

  void add(std::string_view table, const char* what, const std::string& example) {
    RowDifference& difference = differences_[{std::string(table), what}];
    difference.table = table;
    difference.what = what;
    if (++difference.rows <= kExamplesMax) difference.examples.push_back(example);
  }

  void compare_runs() {
    std::set<std::string> jobs;
    std::optional<TimePoint> first, last;
    each_entry(*state_.scratch, "r/", [&](const StateEntry& entry) {
      const auto expected = decode_run_record(entry.value);
      if (!expected || is_gone(*expected)) return;
      jobs.insert(expected->run.job_id);
      first = std::min(first.value_or(*expected->run.first_event_at), *expected->run.first_event_at);
      last = std::max(last.value_or(*expected->run.last_event_at), *expected->run.last_event_at);
      const std::string id = to_string(expected->run.run_id);
      const auto kept = kept_run(entry.key);
      if (!kept) return add(kRuns, "missing", id);
      if (const std::string what = difference(*kept, *expected); !what.empty()) {
        add(kRuns, "changed", id + " (" + what + ')');
      }
    });
    // Of the agent itself there is a stream, too, which speaks of no runs.
    const std::vector<Position> positions = state_.kept->positions();
    const bool is_all = std::all_of(positions.begin(), positions.end(), [&](const Position& each) {
      return each.source.empty() || streams_.contains(each.file.stream);
    });
    if (!first || !is_all) return;
    each_entry(*state_.kept, "r/", [&](const StateEntry& entry) {
      const auto record = decode_run_record(entry.value);
      if (!record || !record->run.first_event_at || !jobs.contains(record->run.job_id)) return;
      if (*record->run.first_event_at < *first || *record->run.first_event_at > *last) return;
      if (!state_.scratch->get(entry.key)) add(kRuns, "extra", to_string(record->run.run_id));
    });
  }

  Result<void> compare_lines() {
    const Sequence oldest = state_.kept->oldest();
    for (Sequence at = oldest > 0 ? oldest - 1 : 0;;) {
      auto chunks = state_.kept->read_after(at, kLinesAtATime);
      if (!chunks) return chunks.error();
      if (chunks->empty()) break;
      Commit found;
      for (const SequencedChunk& each : *chunks) {
        const Chunk& chunk = each.chunk;
        if (!state_.lines.contains(chunk.file) || !streams_.contains(chunk.file.stream)) continue;
        const CoveredRanges rehearsed = read_place(*state_.scratch, chunk.file).covered;
        const EventIds ids(chunk.file);
        Origin origin{&ids, 0, chunk.default_job_id, chunk.default_job_rank};
        for (EventReader events(chunk.events); events.next();) {
          if (!rehearsed.contains(events.ends_in(chunk.covers.from))) continue;
          origin.offset = events.offset_in(chunk.covers.from);
          const Uuid id = ids.at(origin.offset);
          const auto expected = state_.scratch->get(line_key(id));
          if (!expected) {
            deriver_.derive(events.event(), origin, derived_, &ids_);
            // What the agent concludes no line says.
            if (!derived_.run || derived_.run->verdict_source == VerdictSource::kLog) {
              add(kLines, "extra", to_string(id));
            }
          } else if (!expected->empty()) {
            const std::string value = line_value(events.event(), events.length(), expected->front() == 'e');
            if (value != *expected) add(kLines, "changed", to_string(id));
            found.state.push_back({line_key(id), ""});
          }
        }
      }
      if (const auto kept = state_.scratch->append(found, DurableBuffer::Sync::kLater); !kept) return kept.error();
      at = chunks->back().sequence;
    }
    each_entry(*state_.scratch, "l/", [&](const StateEntry& entry) {
      if (entry.value.starts_with('e')) add(kLines, "missing", entry.key.substr(2));
    });
    return {};
  }

  ReplayRehearsal::State& state_;
  const Deriver deriver_;
  const SystemClock clock_;
  Derived derived_;
  IdMemory ids_;
  std::set<std::string> streams_;  // of the files
  std::map<std::pair<std::string, std::string>, RowDifference> differences_;
};

}  // namespace

ReplayRehearsal::ReplayRehearsal(std::unique_ptr<State> state) : state_(std::move(state)) {}
ReplayRehearsal::~ReplayRehearsal() = default;

Result<std::unique_ptr<ReplayRehearsal>> ReplayRehearsal::open(const Config& config, const ReplayWish& wish) {
  if (!fs::exists(config.buffer.directory / "identity.key") && config.identity.key_file.empty()) {
    return Error{ErrorCode::kNotFound, "nothing is stored in " + config.buffer.directory.string() + " yet"};
  }
  auto kept = wish.is_rebuild ? DurableBuffer::open(config.buffer) : DurableBuffer::open_read_only(config.buffer);
  if (!kept) return kept.error();
  const auto identity = settle_identity(config, **kept);
  if (!identity) return identity.error();
  std::string temporary = fs::temp_directory_path() / "runtail-verify.XXXXXX";
  if (!mkdtemp(temporary.data())) {
    return Error{ErrorCode::kUnavailable, "make a directory like " + temporary + ": " + std::strerror(errno)};
  }
  BufferConfig settings;
  settings.directory = temporary;
  auto scratch = DurableBuffer::open(settings);
  if (!scratch) return scratch.error();
  auto state =
      std::make_unique<State>(temporary, std::move(*kept), std::move(*scratch), identity->key, config, wish.is_full);
  const Sequence oldest = state->kept->oldest();
  for (Sequence at = oldest > 0 ? oldest - 1 : 0;;) {
    const auto chunks = state->kept->read_after(at, kLinesAtATime);
    if (!chunks) return chunks.error();
    if (chunks->empty()) break;
    for (const SequencedChunk& each : *chunks) state->lines[each.chunk.file].add(each.chunk.covers);
    at = chunks->back().sequence;
  }
  return std::unique_ptr<ReplayRehearsal>(new ReplayRehearsal(std::move(state)));
}

ReplayStart ReplayRehearsal::start() const { return {state_->key, stored_positions(*state_->kept)}; }

std::unique_ptr<ReplayStore> ReplayRehearsal::store(const DeriverSettings& settings) {
  return std::make_unique<RehearsalStore>(*state_, settings);
}

}  // namespace runtail
