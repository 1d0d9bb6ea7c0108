#include "agent/pipeline.h"

#include <algorithm>
#include <set>
#include <utility>

#include "agent/counters.h"
#include "agent/line_defaults.h"
#include "agent/line_events.h"
#include "core/event_codec.h"
#include "core/event_json.h"
#include "core/json_text.h"

namespace runtail {
namespace {

constexpr std::string_view kCountersPrefix = "c/pipeline/";
// Of runtail itself nobody asks a year later.
constexpr std::string_view kSnapshotPrefix = "trialsync_";
constexpr std::string_view kTooLongJson = R"({"redacted":true,"state":"failed_closed","counts":{}})";

std::string followed_key(const std::string& source) { return "w/source/" + source; }

std::string wrapped_key(const FileIdentity& pipe) { return "w/" + to_hex(pipe.file_key); }
std::string task_key(const FileIdentity& pipe) { return wrapped_key(pipe) + "/task"; }

// Whose wrapper it is that speaks, or is spoken of.
const FileIdentity& pipe_of(const LineBlock& block) {
  return block.wrapper_pipe ? *block.wrapper_pipe : block.position.file;
}

}  // namespace

Pipeline::Pipeline(DurableBuffer& buffer, Parser parser, Redactor redactor, Deriver deriver, const Clock& clock,
                   PublishedMetrics& published, std::uint32_t max_series, bool history_is_local)
    : buffer_(buffer),
      parser_(std::move(parser)),
      redactor_(std::move(redactor)),
      deriver_(std::move(deriver)),
      clock_(clock),
      published_(published),
      history_is_local_(history_is_local),
      metrics_(max_series),
      known_(buffer),
      runs_(buffer, metrics_, known_, history_is_local),
      kept_(buffer),
      line_counts_(metrics_, known_),
      snapshots_(buffer.get(SnapshotMemory::kStateKey)),
      silent_runs_(buffer),
      old_runs_(buffer),
      redactions_(redactor_.kinds().size()) {
  if (history_is_local) history_.emplace(kept_, deriver_.settings());
  published_.publish(restore_counters(buffer_, kCountersPrefix, metrics_));
}

void Pipeline::follow_runs_of(const std::string& source) {
  followed_.emplace(source, OpenRuns::decode(buffer_.get(followed_key(source))));
}

// One block is one chunk. Its lines become events in order; what they say of runs and counters is folded on the way.
void Pipeline::add(const LineBlock& block) {
  ids_.emplace(block.position.file);
  const auto followed = followed_.find(block.position.source);
  open_runs_ = followed == followed_.end() ? nullptr : &followed->second;
  time_.begin(block, parser_);
  worker_ids_ = block.wrapper_run.is_nil() ? nullptr : &worker_ids(block);

  Chunk chunk;
  chunk.file = block.position.file;
  chunk.covers = block.covers;
  chunk.confirm = block.position.confirm;
  chunk.read_at = clock_.now();
  chunk.default_job_id = block.default_job_id;
  chunk.default_job_rank = block.default_job_rank;
  for (const Line& line : block.lines) chunk.lines += line.lines;
  pending_lines_ += chunk.lines;

  // A private key may go on from the block before, written line by line.
  const std::string& stream = block.position.file.stream;
  const auto open_key = open_keys_.find(stream);
  memory_ = open_key == open_keys_.end() ? StreamMemory{} : open_key->second;

  auto note = block.notes.begin();
  for (const Line& line : block.lines) {
    for (; note != block.notes.end() && note->offset < line.offset; ++note) add_note(block, *note, chunk);
    add_line(block, line, chunk);
  }
  for (; note != block.notes.end(); ++note) add_note(block, *note, chunk);
  if (block.agent_note) add_agent_note(block, *block.agent_note, chunk);
  if (memory_.key_lines_left > 0) {
    open_keys_[stream] = memory_;
  } else if (open_key != open_keys_.end()) {
    open_keys_.erase(open_key);
  }

  if (history_is_local_) {
    for (std::size_t i = 0; i < kTableCount; ++i) {
      const auto table = static_cast<Table>(i);
      if (chunk.records[table] == 0) continue;
      metrics_.add(Metric::kRecordsTotal, {"local", to_string(table), to_string(RecordOutcome::kApplied)},
                   static_cast<double>(chunk.records[table]));
    }
  }
  flush_counts(block, chunk.lines);
  for (const StateEntry& entry : block.state) commit_.state.push_back(entry);
  for (const std::string& key : block.forget) commit_.forget.push_back(key);
  Position position = block.position;
  position.last_ts = *block.last_ts = time_.last();
  commit_.positions.push_back(std::move(position));
  // Of a journal a range counts entries, not bytes.
  pending_bytes_ += std::max<std::uint64_t>(block.covers.to - block.covers.from, chunk.events.size());
  // A source that only learned something about itself has nothing to deliver.
  if (chunk.covers.from < chunk.covers.to || !chunk.events.empty() || !chunk.dead_letters.empty()) {
    commit_.chunks.push_back(std::move(chunk));
  }
}

Pipeline::Past Pipeline::add_past(const std::vector<Chunk>& chunks, const ReadPlace& place) {
  std::set<Uuid> runs;
  Past past;
  const TimePoint now = clock_.now();
  for (const Chunk& each : chunks) {
    const EventIds ids(each.file);
    Origin origin{&ids, 0, each.default_job_id, each.default_job_rank};
    for (EventReader events(each.events); events.next();) {
      origin.offset = events.offset_in(each.covers.from);
      deriver_.derive(events.event(), origin, derived_, &id_memory_);
      if (derived_.run && is_too_old(derived_.run->at, now)) {
        add_run_records(derived_.tables, past.expired);
        continue;
      }
      const StateGroup before = state_of(derived_);
      if (derived_.run) {
        runs.insert(derived_.run->run_id);
        runs_.apply_past(*derived_.run, events.event());
      }
      keep(events.event(), origin, before);
    }
    commit_.chunks.push_back(each);
    commit_.chunks.back().read_at = now;  // history is let go by the time it was read
  }
  // One that was waited for may have ended there.
  for (const Uuid& run : runs) {
    if (const RunRecord* record = runs_.find(run); record && is_terminal(record->run.state.status)) {
      silent_runs_.take(record->run);
    }
  }
  put_place(place, commit_);
  past.runs.assign(runs.begin(), runs.end());
  return past;
}

bool Pipeline::let_go_of_old_runs(TimePoint now) {
  const std::vector<std::string> keys = old_runs_.look(now);
  commit_.forget.insert(commit_.forget.end(), keys.begin(), keys.end());
  return !keys.empty();
}

void Pipeline::add_line(const LineBlock& block, const Line& line, Chunk& chunk) {
  if (line.too_long) {
    set_aside(block, line, "too_long", chunk);
    if (block.on_redacted) (*block.on_redacted)(line, kTooLongJson);
    return;
  }
  if (line.orphan) {
    outcomes_[static_cast<int>(LineOutcome::kDropped)] += line.lines;
    orphans_ += line.lines;
    return;
  }
  // Never fails: unknown text is an event, too.
  const LogEvent& first = parser_.parse(line.bytes, zone_of(block), dialect_of(block));
  if (first.shape == LineShape::kEmpty) {
    outcomes_[static_cast<int>(LineOutcome::kDropped)] += line.lines;
    if (block.on_redacted) (*block.on_redacted)(line, {});
    return;
  }
  if (!first.drop.empty()) {
    outcomes_[static_cast<int>(LineOutcome::kDropped)] += line.lines;
    bodies_[std::string(first.drop)] += line.lines;
    if (block.on_redacted) (*block.on_redacted)(line, {});
  }
  for_each_event(
      parser_, redactor_, memory_, first, line.length,
      [&](const LogEvent& event, RedactedEvent& safe) {
        time_.put(line, safe);
        if (block.defaults) put_defaults(*block.defaults, line.output, safe, context_);
        if (worker_ids_) worker_ids_->put_into(safe.fields);
        if (event.run_is_process) put_process_run(block, safe, process_run_);
      },
      [&](const LogEvent& event, const RedactedEvent& safe) {
        if (block.on_redacted) {
          json_.clear();
          append_event_json(json_, safe, redactor_.kinds());
          (*block.on_redacted)(line, json_);
        }
        count_line(event, safe);
        const LineOutcome outcome = filter_.outcome(safe, *ids_, line.offset);
        outcomes_[static_cast<int>(outcome)] += line.lines;
        return outcome;
      },
      [&](const RedactedEvent& safe, std::uint64_t part) {
        take(safe, block, line.offset + part, line.length - part, chunk);
      });
}

void Pipeline::take(const RedactedEvent& event, const LineBlock& block, std::uint64_t offset, std::uint64_t length,
                    Chunk& chunk) {
  const Origin origin{&*ids_, offset, block.default_job_id, block.default_job_rank};
  deriver_.derive(event, origin, derived_, &id_memory_);  // same event, same facts: the sink derives again
  const StateGroup before = state_of(derived_);
  runs_.apply(derived_, event);
  keep(event, origin, before);
  if (derived_.run) silent_runs_.take(runs_.find(derived_.run->run_id)->run);
  line_counts_.count(event, derived_, deriver_.settings().service);
  for (std::size_t i = 0; i < kTableCount; ++i) chunk.records.by_table[i] += derived_.tables >> i & 1;
  chunk.covers_until = std::max(chunk.covers_until, event.ts);
  if (derived_.run && derived_.run->scheduled_at) {
    chunk.covers_until = std::max(chunk.covers_until, *derived_.run->scheduled_at);
  }
  // What gives no row and no fact has been counted, and that is all.
  if (derived_.tables != 0) {
    append_event(chunk.events, event, static_cast<std::int64_t>(offset - chunk.covers.from), length);
  }

  if (open_runs_ && derived_.run) open_runs_->take(*derived_.run);
  if (!block.wrapper_run.is_nil() && derived_.run) wrapped_runs(pipe_of(block)).runs.take(*derived_.run);
}

StateGroup Pipeline::state_of(const Derived& derived) {
  const RunRecord* known = history_ && derived.run ? runs_.find(derived.run->run_id) : nullptr;
  return known ? known->run.state : StateGroup{};
}

void Pipeline::keep(const RedactedEvent& event, const Origin& origin, const StateGroup& before) {
  if (!history_) return;
  // Chunks of this commit get the numbers after the last one.
  history_->add(event, origin, derived_, buffer_.appended().sequence + commit_.chunks.size() + 1);
  if (derived_.run) history_->add_change(before, runs_.find(derived_.run->run_id)->run);
}

// A wrapper's worker lives on or ended. The wrapper's own run is opened only if the worker has named none by then, so
// that a worker with runs of its own is not counted twice.
void Pipeline::add_note(const LineBlock& block, const WorkerNote& note, Chunk& chunk) {
  if (note.kind == WorkerNote::Kind::kGone) {
    return block.wrapper_pipe ? end_held_runs(block, note, chunk) : end_lost_runs(block, note, chunk);
  }
  WrappedRuns& wrapped = wrapped_runs(block.position.file);
  const WorkerIds& ids = wrapped.ids;
  const bool ended = note.kind == WorkerNote::Kind::kEnded;
  const TimePoint started = ended ? note.at - std::chrono::milliseconds(note.exit.duration_ms) : note.started_at;
  std::uint64_t place = note.offset;
  if (block.wrapper_is_task && !ids.run.is_nil()) {
    start_task(wrapped, block, started, place++, chunk);
    if (!ended) return;
    take(own_facts_.task_ended(note.exit, ids, note.at), block, place, 1, chunk);
  } else {
    const Uuid& own_run = ids.run.is_nil() ? block.wrapper_run : ids.run;
    if (!wrapped.runs.has_named_any()) {
      take(own_facts_.run_started(own_run, block.wrapper_job, ids, started), block, place, 1, chunk);
    }
    if (!ended) return;
    const std::map<Uuid, int> open = wrapped.runs.runs();
    for (const auto& [run_id, attempt] : open) {
      const std::string_view job = run_id == own_run ? std::string_view(block.wrapper_job) : std::string_view{};
      take(own_facts_.run_ended(run_id, job, attempt, note.exit, ids, note.at), block, ++place, 1, chunk);
    }
  }
  worker_ids_ = nullptr;
  wrapped_.erase(block.position.file);
  commit_.forget.insert(commit_.forget.end(), {wrapped_key(block.position.file), task_key(block.position.file)});
}

// First that it lives, which moves metrics of its own; then these with all others.
void Pipeline::add_agent_note(const LineBlock& block, const AgentNote& note, Chunk& chunk) {
  std::uint64_t place = block.covers.from;
  silent_runs_.show(note.beat.at, metrics_);
  take(own_facts_.heartbeat(note.beat), block, place++, 1, chunk);
  if (!note.with_snapshot) return;
  snapshots_.begin();
  metrics_.for_each([&](const Series& series) {
    if (!spec_of(series.metric).name.starts_with(kSnapshotPrefix) || !snapshots_.take(series)) return;
    take(own_facts_.snapshot(series, note.beat.at), block, place++, 1, chunk);
  });
  commit_.state.push_back({std::string(SnapshotMemory::kStateKey), snapshots_.end()});
}

void Pipeline::start_task(WrappedRuns& wrapped, const LineBlock& block, TimePoint at, std::uint64_t place,
                          Chunk& chunk) {
  if (std::exchange(wrapped.is_task_told, true)) return;
  wrapped.is_changed = true;
  take(own_facts_.task_started(wrapped.ids, at), block, place, 1, chunk);
}

// The holder of a wrapped worker is gone, and with it the word of how the worker ended. One that only stood still may
// come back: its word counts more, so what this agent knows of the worker stays.
void Pipeline::end_held_runs(const LineBlock& block, const WorkerNote& note, Chunk& chunk) {
  WrappedRuns& wrapped = wrapped_runs(pipe_of(block));
  const WorkerIds& ids = wrapped.ids;
  std::uint64_t place = note.offset;
  if (wrapped.is_task_told || (block.wrapper_is_task && !ids.run.is_nil())) {
    start_task(wrapped, block, note.started_at, place++, chunk);
    const RunRecord* known = runs_.find(ids.run);
    take(own_facts_.task_lost(ids, known ? known->run.last_event_at : std::nullopt, note.gone), block, place, 1, chunk);
  } else {
    const Uuid& own_run = ids.run.is_nil() ? block.wrapper_run : ids.run;
    if (!wrapped.runs.has_named_any() && !own_run.is_nil()) {
      take(own_facts_.run_started(own_run, block.wrapper_job, ids, note.started_at), block, place++, 1, chunk);
    }
    const OpenRuns open = wrapped.runs;
    for (const auto& [run_id, attempt] : open.runs()) {
      const RunRecord* known = runs_.find(run_id);
      if (!known || is_terminal(known->run.state.status)) continue;
      take(own_facts_.run_lost(known->run, note.gone), block, place++, 1, chunk);
    }
    wrapped.runs = open;
  }
  // It is told once.
  wrapped.runs.take_changed();
  wrapped.is_changed = false;
  commit_.forget.insert(commit_.forget.end(), {wrapped_key(pipe_of(block)), task_key(pipe_of(block))});
}

// The worker of a followed source is gone. Runs with a line since the next worker started are that one's.
void Pipeline::end_lost_runs(const LineBlock& block, const WorkerNote& note, Chunk& chunk) {
  if (!open_runs_) return;
  std::uint64_t place = note.offset;
  const std::map<Uuid, int> open = open_runs_->runs();
  for (const auto& [run_id, attempt] : open) {
    const RunRecord* known = runs_.find(run_id);
    if (!known || is_terminal(known->run.state.status)) {
      open_runs_->forget(run_id);  // another source told of its end
    } else if (!note.gone.next_at || known->run.last_event_at < note.gone.next_at) {
      take(own_facts_.run_lost(known->run, note.gone), block, place++, 1, chunk);
    }
  }
}

// Redacted as if a line had stated them: they come from the worker's surroundings.
const WorkerIds& Pipeline::worker_ids(const LineBlock& block) {
  WrappedRuns& wrapped = wrapped_runs(pipe_of(block));
  if (std::exchange(wrapped.has_ids, true) || !block.wrapper_ids || block.wrapper_ids->empty()) return wrapped.ids;
  std::string line;
  for (const auto& [field, text] : *block.wrapper_ids) {
    line += line.empty() ? '{' : ',';
    append_json_string(line, spec_of(field).name);
    line += ':';
    append_json_string(line, text);
  }
  line += '}';
  const DeriverSettings& settings = deriver_.settings();
  wrapped.ids =
      worker_ids_of(redactor_.redact(parser_.parse(line)).fields, [&](std::string_view job, std::string_view text) {
        return run_id_of(settings.run_namespace, settings.environment,
                         job.empty() ? std::string_view(block.default_job_id) : job, text);
      });
  return wrapped.ids;
}

Pipeline::WrappedRuns& Pipeline::wrapped_runs(const FileIdentity& pipe) {
  auto [at, is_new] = wrapped_.try_emplace(pipe);
  // An agent that came back finds what the one before it knew.
  if (!is_new) return at->second;
  at->second.runs = OpenRuns::decode(buffer_.get(wrapped_key(pipe)));
  if (const auto bytes = buffer_.get(task_key(pipe))) {
    if (auto ids = decode_worker_ids(*bytes)) {
      at->second.ids = std::move(*ids);
      at->second.is_task_told = true;
    }
  }
  return at->second;
}

bool Pipeline::has_open_worker(const DurableBuffer& buffer, const FileIdentity& pipe) {
  return buffer.get(wrapped_key(pipe)).has_value();
}

void Pipeline::set_aside(const LineBlock& block, const Line& line, std::string_view reason, Chunk& chunk) {
  DeadLetter letter;
  letter.id = ids_->at(line.offset);
  letter.at = time_.about_now();
  letter.file = block.position.file;
  letter.bytes = {line.offset, line.offset + line.length};
  letter.reason = reason;
  chunk.dead_letters.push_back(std::move(letter));
  chunk.covers_until = std::max(chunk.covers_until, time_.about_now());
  metrics_.add(Metric::kDeadLettersTotal, {reason}, 1);
  outcomes_[static_cast<int>(LineOutcome::kDeadLettered)] += line.lines;
}

void Pipeline::count_line(const LogEvent& event, const RedactedEvent& safe) {
  const std::string_view stated = safe.fields.text(Field::kService);
  const std::string_view service = stated.empty() ? std::string_view(deriver_.settings().service) : stated;
  const auto same = [&](const ServiceLevel& each) { return each.level == safe.level && each.service == service; };
  if (const auto found = std::find_if(by_level_.begin(), by_level_.end(), same); found != by_level_.end()) {
    ++found->lines;
  } else {
    by_level_.push_back({std::string(service), safe.level, 1});
  }
  for (std::size_t i = 0; i < kContractViolationCount; ++i) violations_[i] += event.violations >> i & 1;
  if (event.violations >> static_cast<unsigned>(ContractViolation::kUnknownStatus) & 1) {
    metrics_.add(Metric::kUnknownStatusTotal, {event.dialect}, 1);
  }
  for (const RedactionCount& count : safe.counts) redactions_[count.kind] += count.count;
  // An error leaves no counts.
  if (safe.redaction_state == RedactionState::kFailedClosed) ++(safe.counts.empty() ? failed_closed_ : over_budget_);
}

// Counts gathered over a block go into the table once.
void Pipeline::flush_counts(const LineBlock& block, std::uint64_t lines) {
  const std::string& source = block.position.source;
  if (!block.agent_note) metrics_.add(Metric::kLinesReadTotal, {source}, static_cast<double>(lines));
  for (int i = 0; i < 6; ++i) {
    if (outcomes_[i] == 0) continue;
    metrics_.add(Metric::kLinesTotal, {source, to_string(static_cast<LineOutcome>(i))},
                 static_cast<double>(outcomes_[i]));
  }
  const std::uint64_t orphans = std::exchange(orphans_, 0);
  std::uint64_t empty = outcomes_[static_cast<int>(LineOutcome::kDropped)] - orphans;
  for (const auto& [rule, dropped] : bodies_) {
    metrics_.add(Metric::kLinesDroppedTotal, {rule}, static_cast<double>(dropped));
    empty -= dropped;
  }
  bodies_.clear();
  if (empty > 0) metrics_.add(Metric::kLinesDroppedTotal, {"empty"}, static_cast<double>(empty));
  if (orphans > 0) metrics_.add(Metric::kLinesDroppedTotal, {"orphan_piece"}, static_cast<double>(orphans));
  std::fill(std::begin(outcomes_), std::end(outcomes_), 0);
  for (const ServiceLevel& each : by_level_) {
    metrics_.add(Metric::kLogEventsTotal, {each.service, to_string(each.level)}, static_cast<double>(each.lines));
  }
  by_level_.clear();
  for (std::size_t i = 0; i < kContractViolationCount; ++i) {
    if (violations_[i] == 0) continue;
    metrics_.add(Metric::kContractViolationsTotal, {to_string(static_cast<ContractViolation>(i))},
                 static_cast<double>(violations_[i]));
    violations_[i] = 0;
  }
  for (std::size_t i = 0; i < redactions_.size(); ++i) {
    if (redactions_[i] == 0) continue;
    metrics_.add(Metric::kRedactionsTotal, {redactor_.kinds()[i], redactor_.action_of(i)},
                 static_cast<double>(redactions_[i]));
    redactions_[i] = 0;
  }
  if (const std::uint64_t unlisted = redactor_.totals().unlisted_fields; unlisted != unlisted_) {
    metrics_.add(Metric::kUnlistedFieldsTotal, {}, static_cast<double>(unlisted - unlisted_));
    unlisted_ = unlisted;
  }
  for (const auto& [reason, lines_failed] : {std::pair("error", &failed_closed_), {"budget", &over_budget_}}) {
    if (*lines_failed == 0) continue;
    metrics_.add(Metric::kRedactionFailedClosedTotal, {reason}, static_cast<double>(*lines_failed));
    *lines_failed = 0;
  }
}

Result<Sequence> Pipeline::commit() {
  for (auto& [pipe, wrapped] : wrapped_) {
    if (auto bytes = wrapped.runs.take_changed()) commit_.state.push_back({wrapped_key(pipe), std::move(*bytes)});
    if (std::exchange(wrapped.is_changed, false)) {
      commit_.state.push_back({task_key(pipe), encode_worker_ids(wrapped.ids)});
    }
  }
  for (auto& [source, open] : followed_) {
    if (auto bytes = open.take_changed()) commit_.state.push_back({followed_key(source), std::move(*bytes)});
  }
  for (StateEntry& entry : runs_.take_changed()) commit_.state.push_back(std::move(entry));
  for (std::string& key : runs_.take_replaced()) commit_.forget.push_back(std::move(key));
  if (history_) {
    for (auto& [key, value] : history_->take_changed()) commit_.state.push_back({key, std::move(value)});
  }
  known_.take_changed(commit_.state);
  silent_runs_.take_changed(commit_);
  std::vector<Series> changed = metrics_.take_changed();
  for (const Series& series : changed) {
    commit_.state.push_back({std::string(kCountersPrefix) + series_key(series), encode_series(series)});
  }
  const auto sequence = buffer_.append(commit_);  // one synced write: all of it, or none
  if (!sequence) return sequence.error();
  published_.publish(std::move(changed));  // a scrape shows only what is durable
  commit_ = {};
  pending_lines_ = pending_bytes_ = 0;
  return sequence;
}

}  // namespace runtail
