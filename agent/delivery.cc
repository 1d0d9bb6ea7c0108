#include "agent/delivery.h"

#include <algorithm>
#include <limits>
#include <random>
#include <thread>
#include <tuple>

#include "agent/counters.h"
#include "core/words.h"

namespace runtail {
namespace {

constexpr std::chrono::milliseconds kFirstBackoff{50}, kLongestBackoff{5'000};
// Where a person must act: soon again, as it may be a deployment still under way, then seldom.
constexpr std::chrono::milliseconds kFirstOperatorBackoff{1'000}, kOperatorBackoff{30'000};
// SIGTERM has to be out within 8 s, and orchestrators kill after 10: what is durable can wait for the next start.
constexpr std::chrono::seconds kDrainAtStop{3};
// What goes ahead begins with a part of a batch, as the lines behind wait for it, and doubles.
constexpr std::uint64_t kFirstAhead = 8;

}  // namespace

DeliveryLoop::DeliveryLoop(DurableBuffer& buffer, Sink& sink, PublishedMetrics& published, const Clock& clock,
                           DeliverySettings settings, std::function<void()> on_delivered)
    : buffer_(buffer),
      sink_(sink),
      published_(published),
      clock_(clock),
      settings_(settings),
      on_delivered_(std::move(on_delivered)),
      state_prefix_("c/" + std::string(sink.name()) + "/"),
      mark_key_("n/" + std::string(sink.name())),
      metrics_(settings.max_series) {
  main_.cursor_name = sink.name();
  ahead_.cursor_name = std::string(sink.name()) + std::string(kAheadSuffix);
  main_.cursor = buffer.cursor(main_.cursor_name).value_or(Cursor{});
  ahead_.cursor = buffer.cursor(ahead_.cursor_name).value_or(Cursor{});
  published_.publish(restore_counters(buffer_, state_prefix_, metrics_));
  main_.mark = buffer_.get(mark_key_).value_or("");
  sink_.resume(main_.mark);
  skip_what_left();
  main_.maybe_delivered = main_.cursor.intent > main_.cursor.delivered.sequence;
  if (sink_.ahead_tables() != 0) {
    if (ahead_.cursor.delivered.sequence < main_.cursor.delivered.sequence)
      ahead_.cursor.delivered = main_.cursor.delivered;
    // A main delivery without an answer that reaches beyond what went ahead had all tables in it, and began only when
    // nothing ahead was open: what the other cursor still intends was refused, and main repeats all of its own.
    const bool has_all = main_.maybe_delivered && ahead_.cursor.delivered.sequence <= main_.cursor.delivered.sequence;
    ahead_.maybe_delivered = !has_all && ahead_.cursor.intent > ahead_.cursor.delivered.sequence;
    ahead_lines_ = settings_.batch_lines_max;
    ahead_runs_ = ahead_.maybe_delivered || ahead_.cursor.delivered.sequence > main_.cursor.delivered.sequence;
  }
  check_balance();
}

// The sink is new, or was not configured for a while: what it lacks and is kept no longer is lost for it.
void DeliveryLoop::skip_what_left() {
  const Watermark left = buffer_.before_oldest();
  if (left.sequence <= main_.cursor.delivered.sequence) return;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<Table>(i);
    const Stream& had =
        sink_.ahead_tables() & set_of(table) && ahead_.cursor.delivered.sequence > main_.cursor.delivered.sequence
            ? ahead_
            : main_;
    if (had.cursor.delivered.sequence >= left.sequence) continue;
    const std::uint64_t records = left.records[table] - had.cursor.delivered.records[table];
    if (records == 0) continue;
    metrics_.add(Metric::kRecordsTotal, {sink_.name(), to_string(table), to_string(RecordOutcome::kExpired)},
                 static_cast<double>(records));
  }
  main_.cursor.delivered = left;
}

std::vector<StateEntry> DeliveryLoop::marked(const std::string& mark) const {
  if (mark.empty()) return {};
  return {{mark_key_, mark}};
}

void DeliveryLoop::run(std::stop_token stop, const Log& log) {
  std::jthread ahead;
  if (sink_.ahead_tables() != 0) ahead = std::jthread([&] { run_ahead(stop, log); });
  auto last_work = std::chrono::steady_clock::now();
  std::optional<std::chrono::steady_clock::time_point> stop_seen;
  while (true) {
    const bool stopping = stop.stop_requested();
    if (stopping && !stop_seen) stop_seen = std::chrono::steady_clock::now();
    if (stop_seen && std::chrono::steady_clock::now() - *stop_seen > kDrainAtStop) return;
    const Step step = step_main(log);
    if (step == Step::kDelivered) {
      last_work = std::chrono::steady_clock::now();
      continue;
    }
    const bool failed = step == Step::kFailed;
    std::unique_lock lock(mutex_);
    // A failure waits its time out; with nothing to do, the next append or delivery ahead wakes us.
    const auto ready = [&] { return !failed && (work_ || (stopping && !ahead_runs_)); };
    if (stopping) {
      if (failed || !ahead_runs_) return;
      woken_.wait_until(lock, *stop_seen + kDrainAtStop, ready);
    } else {
      woken_.wait_for(lock, stop, failed ? main_.backoff : settings_.idle_timeout, ready);
    }
    work_ = false;
    const bool idle = !failed && !ahead_runs_ && std::chrono::steady_clock::now() - last_work >= settings_.idle_timeout;
    lock.unlock();
    // Only this thread sets the other one going, so nobody else is in the sink.
    if (idle) sink_.idle();
  }
}

void DeliveryLoop::run_ahead(std::stop_token stop, const Log& log) {
  std::optional<std::chrono::steady_clock::time_point> stop_seen;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (!woken_.wait(lock, stop, [&] { return ahead_runs_; })) {
        ahead_gone_ = true;
        return;
      }
    }
    if (stop.stop_requested() && !stop_seen) stop_seen = std::chrono::steady_clock::now();
    const bool late = stop_seen && std::chrono::steady_clock::now() - *stop_seen > kDrainAtStop;
    const Step step = late ? Step::kFailed : step_ahead(log);
    std::unique_lock lock(mutex_);
    work_ = true;
    if (step == Step::kFailed && stop_seen) ahead_runs_ = false;
    woken_.notify_all();
    if (step == Step::kFailed && !stop_seen) woken_.wait_for(lock, stop, ahead_.backoff, [] { return false; });
  }
}

DeliveryLoop::Step DeliveryLoop::step_main(const Log& log) {
  TableSet tables = kAllTables;
  Sequence limit = std::numeric_limits<Sequence>::max();
  const Sequence delivered = main_.cursor.delivered.sequence;
  if (const TableSet ahead_tables = sink_.ahead_tables(); ahead_tables != 0) {
    const Watermark appended = buffer_.appended();
    const std::lock_guard lock(mutex_);
    const std::uint64_t lines = appended.records[Table::kLogEvents] - main_.cursor.delivered.records[Table::kLogEvents];
    if (!ahead_runs_ && !ahead_gone_ && !main_.maybe_delivered && lines > settings_.batch_lines_max) {
      if (ahead_.cursor.delivered.sequence < delivered) ahead_.cursor.delivered = main_.cursor.delivered;
      if (main_.cursor.intent > delivered) {
        // It was refused. The next life must not take it for one without an answer, which holds what goes ahead now.
        main_.cursor.intent = delivered;
        (void)buffer_.put_cursor(main_.cursor_name, main_.cursor, marked(main_.mark));
      }
      ahead_runs_ = ahead_.cursor.delivered.sequence < appended.sequence;
      ahead_lines_ = std::max<std::uint64_t>(settings_.batch_lines_max / kFirstAhead, 1);
      if (ahead_runs_) woken_.notify_all();
    }
    if (ahead_runs_ || ahead_.maybe_delivered || ahead_.cursor.delivered.sequence > delivered) {
      tables &= ~ahead_tables;
      limit = ahead_.cursor.delivered.sequence;
    }
  }
  if (limit <= delivered || (main_.maybe_delivered && limit < main_.cursor.intent)) return Step::kNothing;

  auto chunks = buffer_.read_after(delivered, settings_.batch_lines_max);
  if (!chunks) {
    if (chunks.error().code != ErrorCode::kCorrupt)
      return fail(main_, chunks.error().message, kLongestBackoff, true, log);
    // A damaged chunk cannot be delivered by anyone. Its range stays open in source_files: a replay of the file fills
    // it.
    log(true,
        chunks.error().message + "; it is skipped and counted in runtail_dead_letters_total{reason=\"corrupt_chunk\"}");
    const std::lock_guard lock(mutex_);
    metrics_.add(Metric::kDeadLettersTotal, {"corrupt_chunk"}, 1);
    ++main_.cursor.delivered.sequence;
    return Step::kDelivered;
  }
  std::erase_if(*chunks, [&](const SequencedChunk& each) { return each.sequence > limit; });
  const Step step = deliver(main_, std::move(*chunks), tables, log);
  if (step == Step::kDelivered) on_delivered_();
  return step;
}

DeliveryLoop::Step DeliveryLoop::step_ahead(const Log& log) {
  auto chunks = buffer_.read_after(ahead_.cursor.delivered.sequence, ahead_lines_);
  if (!chunks) {
    if (chunks.error().code != ErrorCode::kCorrupt)
      return fail(ahead_, chunks.error().message, kLongestBackoff, true, log);
    const std::lock_guard lock(mutex_);
    ++ahead_.cursor.delivered.sequence;  // the main stream says so
    return Step::kDelivered;
  }
  const Step step = deliver(ahead_, std::move(*chunks), sink_.ahead_tables(), log);
  if (step == Step::kDelivered) ahead_lines_ = std::min(2 * ahead_lines_, settings_.batch_lines_max);
  if (step != Step::kNothing) return step;
  const std::lock_guard lock(mutex_);
  ahead_runs_ = false;
  return step;
}

DeliveryLoop::Step DeliveryLoop::deliver(Stream& stream, std::vector<SequencedChunk> chunks, TableSet tables,
                                         const Log& log) {
  if (stream.maybe_delivered) {
    // The delivery whose answer is missing is repeated alone.
    std::erase_if(chunks, [&](const SequencedChunk& each) { return each.sequence > stream.cursor.intent; });
    if (chunks.empty()) {
      const std::lock_guard lock(mutex_);
      stream.maybe_delivered = false;
      return Step::kDelivered;
    }
  }
  if (chunks.empty()) {
    stream.backoff = std::chrono::milliseconds(0);
    return Step::kNothing;
  }
  std::string mark = &stream == &main_ ? sink_.mark() : "";
  const Sequence last = chunks.back().sequence;
  const Sequence intent = stream.maybe_delivered ? std::max(stream.cursor.intent, last) : last;
  if (stream.cursor.intent != intent || mark != stream.mark) {
    stream.cursor.intent = intent;
    if (const auto kept = buffer_.put_cursor(stream.cursor_name, stream.cursor, marked(mark), !mark.empty()); !kept)
      return fail(stream, kept.error().message, kLongestBackoff, true, log);
    stream.mark = std::move(mark);
  }
  const Delivery answer = sink_.deliver(chunks, stream.maybe_delivered, tables);
  switch (answer.status) {
    case Delivery::Status::kDelivered:
      settle(stream, chunks, answer, log);
      return Step::kDelivered;
    case Delivery::Status::kRetry:
      if (answer.unknown) {
        const std::lock_guard lock(mutex_);
        stream.maybe_delivered = true;
      }
      return fail(stream, answer.reason, std::clamp(stream.backoff * 2, kFirstBackoff, kLongestBackoff), false, log);
    case Delivery::Status::kOperator:
      return fail(stream, answer.reason, std::clamp(stream.backoff * 2, kFirstOperatorBackoff, kOperatorBackoff), true,
                  log);
  }
  return Step::kFailed;
}

DeliveryLoop::Step DeliveryLoop::fail(Stream& stream, const std::string& reason, std::chrono::milliseconds wait,
                                      bool is_error, const Log& log) {
  // Jitter keeps a fleet from knocking at the same moment.
  static thread_local std::minstd_rand random(std::random_device{}());
  stream.backoff = std::chrono::milliseconds(
      wait.count() / 2 + static_cast<std::int64_t>(random() % static_cast<unsigned>(wait.count() + 1)));
  bool is_news = false;
  {
    const std::lock_guard lock(mutex_);
    is_news = main_.reason != reason && ahead_.reason != reason;
    stream.reason = reason;
    ahead_failed_last_ = &stream == &ahead_;
  }
  if (is_news) log(is_error, "sink " + std::string(sink_.name()) + ": " + reason);
  return Step::kFailed;
}

void DeliveryLoop::settle(Stream& stream, const std::vector<SequencedChunk>& chunks, const Delivery& delivered,
                          const Log& log) {
  const RecordOutcomes& outcomes = delivered.outcomes;
  stream.backoff = std::chrono::milliseconds(0);
  const std::lock_guard lock(mutex_);
  stream.cursor.delivered.sequence = chunks.back().sequence;
  // It may have been repeated in smaller parts.
  stream.maybe_delivered = stream.maybe_delivered && chunks.back().sequence < stream.cursor.intent;
  for (const SequencedChunk& each : chunks) stream.cursor.delivered.records += each.chunk.records;
  const std::pair<const RecordCounts*, RecordOutcome> parts[] = {
      {&outcomes.applied, RecordOutcome::kApplied},
      {&outcomes.duplicate, RecordOutcome::kDuplicate},
      {&outcomes.expired, RecordOutcome::kExpired},
      {&outcomes.dead_lettered, RecordOutcome::kDeadLettered}};
  for (const auto& [counts, outcome] : parts) {
    for (std::size_t i = 0; i < kTableCount; ++i) {
      const auto table = static_cast<Table>(i);
      if ((*counts)[table] == 0) continue;
      metrics_.add(Metric::kRecordsTotal, {sink_.name(), to_string(table), to_string(outcome)},
                   static_cast<double>((*counts)[table]));
    }
  }
  metrics_.add(Metric::kInternalErrorsTotal, {}, static_cast<double>(delivered.internal_errors));
  for (const auto& [reason, letters] : delivered.set_aside)
    metrics_.add(Metric::kDeadLettersTotal, {reason}, static_cast<double>(letters));
  std::vector<Series> changed = metrics_.take_changed();
  if (&stream == &main_) stream.mark = sink_.mark();
  std::vector<StateEntry> entries = marked(stream.mark);
  for (const Series& series : changed) entries.push_back({state_prefix_ + series_key(series), encode_series(series)});
  // Losing this write only repeats the delivery, which finds its ranges covered.
  (void)buffer_.put_cursor(stream.cursor_name, stream.cursor, entries);
  const bool was_down = !stream.reason.empty();
  stream.reason.clear();
  if (was_down && main_.reason.empty() && ahead_.reason.empty())
    log(false, "sink " + std::string(sink_.name()) + " delivers again");
  up_ = true;
  last_success_at_ = clock_.now();
  published_.publish(std::move(changed));
  published_.set(Metric::kSinkLastSuccess, {sink_.name()}, static_cast<double>(to_micros(*last_success_at_)) / 1e6);
  check_balance();
}

RecordCounts DeliveryLoop::delivered_records() const {
  RecordCounts out = main_.cursor.delivered.records;
  if (ahead_.cursor.delivered.sequence <= main_.cursor.delivered.sequence) return out;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    if (sink_.ahead_tables() >> i & 1) out.by_table[i] = ahead_.cursor.delivered.records.by_table[i];
  }
  return out;
}

// The balance: running totals of delivered chunks on one side, outcomes on the other.
void DeliveryLoop::check_balance() {
  imbalance_ = 0;
  const RecordCounts records = delivered_records();
  for (std::size_t i = 0; i < kTableCount; ++i) {
    double outcomes = 0;
    for (const RecordOutcome outcome :
         {RecordOutcome::kApplied, RecordOutcome::kDuplicate, RecordOutcome::kExpired, RecordOutcome::kDeadLettered}) {
      outcomes +=
          metrics_.value(Metric::kRecordsTotal, {sink_.name(), to_string(static_cast<Table>(i)), to_string(outcome)});
    }
    const auto settled = static_cast<std::uint64_t>(outcomes);
    const std::uint64_t delivered = records.by_table[i];
    imbalance_ += settled > delivered ? settled - delivered : delivered - settled;
  }
}

void DeliveryLoop::wake() {
  {
    const std::lock_guard lock(mutex_);
    work_ = true;
  }
  woken_.notify_all();
}

DeliveryStatus DeliveryLoop::status() const {
  RecordCounts pending = buffer_.appended().records;
  const std::lock_guard lock(mutex_);
  DeliveryStatus now;
  const auto& [news, older] = ahead_failed_last_ ? std::tie(ahead_, main_) : std::tie(main_, ahead_);
  now.reason = news.reason.empty() ? older.reason : news.reason;
  now.up = up_ && now.reason.empty();
  now.last_success_at = last_success_at_;
  pending -= delivered_records();
  for (const std::uint64_t records : pending.by_table) now.records_pending += records;
  return now;
}

Sequence DeliveryLoop::delivered() const {
  const std::lock_guard lock(mutex_);
  return main_.cursor.delivered.sequence;
}

std::uint64_t DeliveryLoop::imbalance() const {
  const std::lock_guard lock(mutex_);
  return imbalance_;
}

}  // namespace runtail
