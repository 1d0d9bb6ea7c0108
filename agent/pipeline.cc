#include "agent/pipeline.h"

#include <algorithm>
#include <utility>

#include "agent/counters.h"
#include "core/bytes.h"
#include "core/event_codec.h"

namespace runtail {
namespace {

constexpr std::string_view kCountersPrefix = "c/pipeline/";

std::string wrapped_key(const FileIdentity& pipe) { return "w/" + to_hex(pipe.file_key); }

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
      runs_(buffer, metrics_),
      redactions_(redactor_.kinds().size()) {
  published_.publish(restore_counters(buffer_, kCountersPrefix, metrics_));
}

// One block is one chunk. Its lines become events in order; what they say of runs and counters is folded on the way.
void Pipeline::add(const LineBlock& block) {
  ids_.emplace(block.position.file);
  last_ts_ = *block.last_ts;
  first_seen_ = block.position.first_seen;
  next_ts_.reset();

  Chunk chunk;
  chunk.file = block.position.file;
  chunk.covers = block.covers;
  chunk.confirm = block.position.confirm;
  chunk.read_at = clock_.now();
  chunk.default_job_id = block.default_job_id;
  chunk.default_job_rank = block.default_job_rank;
  chunk.lines = static_cast<std::uint32_t>(block.lines.size());
  if (!last_ts_) {
    // Only at the head of a file: its first untimed lines take the time of the first timed one after them.
    for (const Line& line : block.lines) {
      if ((next_ts_ = parser_.parse(line.bytes).ts)) break;
    }
  }

  auto note = block.notes.begin();
  for (const Line& line : block.lines) {
    for (; note != block.notes.end() && note->offset < line.offset; ++note) add_note(block, *note, chunk);
    add_line(block, line, chunk);
  }
  for (; note != block.notes.end(); ++note) add_note(block, *note, chunk);

  if (history_is_local_) {
    for (std::size_t i = 0; i < kTableCount; ++i) {
      const auto table = static_cast<Table>(i);
      if (chunk.records[table] == 0) continue;
      metrics_.add(Metric::kRecordsTotal, {"local", to_string(table), to_string(RecordOutcome::kApplied)},
                   static_cast<double>(chunk.records[table]));
    }
  }
  flush_counts(block);
  Position position = block.position;
  position.last_ts = *block.last_ts = last_ts_;
  commit_.positions.push_back(std::move(position));
  pending_lines_ += block.lines.size();
  pending_bytes_ += block.covers.to - block.covers.from;
  commit_.chunks.push_back(std::move(chunk));
}

void Pipeline::add_line(const LineBlock& block, const Line& line, Chunk& chunk) {
  if (line.too_long) {
    set_aside(block, line, "too_long", chunk);
    return;
  }
  const LogEvent& event = parser_.parse(line.bytes);  // never fails: unknown text is an event too
  if (event.shape == LineShape::kEmpty) {
    ++outcomes_[static_cast<int>(LineOutcome::kDropped)];
    return;
  }
  RedactedEvent& safe = redactor_.redact(event);  // the only way to make one from a line
  set_time(line, safe);
  count_line(event, safe);
  take(safe, block, line.offset, line.length, chunk);
  ++outcomes_[static_cast<int>(LineOutcome::kStored)];
}

// From here on nothing has ever seen an unmasked value.
void Pipeline::take(const RedactedEvent& event, const LineBlock& block, std::uint64_t offset, std::uint64_t length,
                    Chunk& chunk) {
  const Origin origin{&*ids_, offset, block.default_job_id, block.default_job_rank};
  deriver_.derive(event, origin, derived_);  // same event, same facts: the sink derives again
  runs_.apply(derived_, event);
  for (std::size_t i = 0; i < kTableCount; ++i) chunk.records.by_table[i] += derived_.tables >> i & 1;
  chunk.covers_until = std::max(chunk.covers_until, event.ts);
  if (derived_.run && derived_.run->scheduled_at) {
    chunk.covers_until = std::max(chunk.covers_until, *derived_.run->scheduled_at);
  }
  append_event(chunk.events, event, offset - chunk.covers.from, static_cast<std::uint32_t>(length));

  if (block.wrapper_run.is_nil() || !derived_.run) return;
  WrappedRuns& wrapped = wrapped_runs(block.position.file);
  wrapped.named_any = true;
  if (derived_.run->status && is_terminal(*derived_.run->status)) {
    wrapped.open.erase(derived_.run->run_id);
  } else {
    int& attempt = wrapped.open[derived_.run->run_id];
    attempt = std::max(attempt, static_cast<int>(derived_.run->attempt));
  }
}

// The line's own time, else the envelope's, else the last timed line before it in the file, else the first after it,
// else first sight of the file.
void Pipeline::set_time(const Line& line, RedactedEvent& event) {
  if (event.ts_source == TsSource::kLine && event.ts != TimePoint{}) {
    last_ts_ = event.ts;
  } else if (line.envelope_time) {
    event.ts = *line.envelope_time;
    event.ts_source = TsSource::kEnvelope;
  } else if (last_ts_) {
    event.ts = *last_ts_;
    event.ts_source = TsSource::kPrevious;
  } else if (next_ts_) {
    event.ts = *next_ts_;
    event.ts_source = TsSource::kNext;
  } else {
    event.ts = first_seen_;
    event.ts_source = TsSource::kSeen;
  }
}

// A wrapper's worker lives on or ended. The wrapper's own run is opened only if the worker has named none by then, so
// that a worker with runs of its own is not counted twice.
void Pipeline::add_note(const LineBlock& block, const WorkerNote& note, Chunk& chunk) {
  WrappedRuns& wrapped = wrapped_runs(block.position.file);
  if (wrapped.open.empty() && !wrapped.named_any) {
    const bool ended = note.kind == WorkerNote::Kind::kEnded;
    const TimePoint started = ended ? note.at - std::chrono::milliseconds(note.exit.duration_ms) : note.started_at;
    take(own_facts_.run_started(block.wrapper_run, block.wrapper_job, started), block, note.offset, 1, chunk);
  }
  if (note.kind != WorkerNote::Kind::kEnded) return;
  const std::map<Uuid, int> open = wrapped.open;
  std::uint64_t place = note.offset + 1;
  for (const auto& [run_id, attempt] : open) {
    const std::string_view job = run_id == block.wrapper_run ? std::string_view(block.wrapper_job) : std::string_view{};
    take(own_facts_.run_ended(run_id, job, attempt, note.exit, note.at), block, place++, 1, chunk);
  }
  wrapped_.erase(block.position.file);
  commit_.forget.push_back(wrapped_key(block.position.file));
}

Pipeline::WrappedRuns& Pipeline::wrapped_runs(const FileIdentity& pipe) {
  auto [at, is_new] = wrapped_.try_emplace(pipe);
  WrappedRuns& wrapped = at->second;
  if (is_new) {
    // An agent that came back finds what the one before it knew.
    const std::optional<std::string> bytes = buffer_.get(wrapped_key(pipe));
    wrapped.named_any = bytes.has_value();
    ByteReader reader(bytes ? std::string_view(*bytes) : std::string_view());
    while (!reader.at_end() && !reader.failed()) {
      Uuid run_id;
      reader.raw(run_id.bytes.data(), run_id.bytes.size());
      wrapped.open[run_id] = static_cast<int>(reader.varint());
    }
  }
  wrapped.changed = true;
  return wrapped;
}

void Pipeline::set_aside(const LineBlock& block, const Line& line, std::string_view reason, Chunk& chunk) {
  DeadLetter letter;
  letter.id = ids_->at(line.offset);
  letter.at = last_ts_.value_or(first_seen_);
  letter.file = block.position.file;
  letter.bytes = {line.offset, line.offset + line.length};
  letter.reason = reason;
  chunk.dead_letters.push_back(std::move(letter));
  chunk.covers_until = std::max(chunk.covers_until, last_ts_.value_or(first_seen_));
  metrics_.add(Metric::kDeadLettersTotal, {reason}, 1);
  ++outcomes_[static_cast<int>(LineOutcome::kDeadLettered)];
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
  for (const RedactionCount& count : safe.counts) redactions_[count.kind] += count.count;
  failed_closed_ += safe.redaction_state == RedactionState::kFailedClosed;

  if (safe.kind == EventKind::kHttp) {
    const std::string_view route = safe.fields.text(Field::kRoute), method = safe.fields.text(Field::kMethod);
    const auto status = safe.fields.integer(Field::kHttpStatus);
    metrics_.add(Metric::kApiRequestsTotal, {route, method, status ? std::to_string(*status) : std::string()}, 1);
    if (const auto ms = safe.fields.integer(Field::kDurationMs)) {
      metrics_.observe(Metric::kApiRequestDuration, {route, method}, static_cast<double>(*ms) / 1e3);
    }
  } else if (safe.kind == EventKind::kPool) {
    const std::string_view component = safe.fields.text(Field::kComponent);
    for (const auto& [field, metric] :
         {std::pair(Field::kInUse, Metric::kDbPoolInUse), std::pair(Field::kSize, Metric::kDbPoolSize),
          std::pair(Field::kWaiters, Metric::kDbPoolWaiters)}) {
      if (const auto value = safe.fields.integer(field)) metrics_.set(metric, {component}, static_cast<double>(*value));
    }
  }
}

// Counts gathered over a block go into the table once.
void Pipeline::flush_counts(const LineBlock& block) {
  const std::string& source = block.position.source;
  metrics_.add(Metric::kLinesReadTotal, {source}, static_cast<double>(block.lines.size()));
  for (int i = 0; i < 6; ++i) {
    if (outcomes_[i] == 0) continue;
    metrics_.add(Metric::kLinesTotal, {source, to_string(static_cast<LineOutcome>(i))},
                 static_cast<double>(outcomes_[i]));
  }
  if (const std::uint64_t empty = outcomes_[static_cast<int>(LineOutcome::kDropped)]; empty > 0) {
    metrics_.add(Metric::kLinesDroppedTotal, {"empty"}, static_cast<double>(empty));
  }
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
    metrics_.add(Metric::kRedactionsTotal, {redactor_.kinds()[i], "masked"}, static_cast<double>(redactions_[i]));
    redactions_[i] = 0;
  }
  if (failed_closed_ > 0) {
    metrics_.add(Metric::kRedactionFailedClosedTotal, {"error"}, static_cast<double>(failed_closed_));
    failed_closed_ = 0;
  }
}

Result<Sequence> Pipeline::commit() {
  for (auto& [pipe, wrapped] : wrapped_) {
    if (!std::exchange(wrapped.changed, false)) continue;
    StateEntry entry{wrapped_key(pipe), {}};
    ByteWriter writer(entry.value);
    for (const auto& [run_id, attempt] : wrapped.open) {
      writer.raw(run_id.bytes.data(), run_id.bytes.size());
      writer.varint(static_cast<std::uint64_t>(attempt));
    }
    commit_.state.push_back(std::move(entry));
  }
  for (StateEntry& entry : runs_.take_changed()) commit_.state.push_back(std::move(entry));
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
