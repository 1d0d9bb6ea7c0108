#include "agent/delivery.h"

#include <algorithm>
#include <limits>
#include <random>

#include "agent/counters.h"
#include "core/words.h"

namespace runtail {
namespace {

constexpr std::chrono::milliseconds kFirstBackoff{50}, kLongestBackoff{5'000}, kOperatorBackoff{30'000};
// SIGTERM has to be out within 8 s, and orchestrators kill after 10: what is durable can wait for the next start.
constexpr std::chrono::seconds kDrainAtStop{3};

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
      metrics_(settings.max_series),
      cursor_(buffer.cursor(sink.name()).value_or(Cursor{})) {
  published_.publish(restore_counters(buffer_, state_prefix_, metrics_));
  mark_ = buffer_.get(mark_key_).value_or("");
  sink_.resume(mark_);
  skip_what_left();
  maybe_delivered_ = cursor_.intent > cursor_.delivered.sequence;
  show();
}

// The sink is new, or was not configured for a while: what it lacks and is kept no longer is lost for it.
void DeliveryLoop::skip_what_left() {
  const Watermark left = buffer_.before_oldest();
  if (left.sequence <= cursor_.delivered.sequence) return;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<Table>(i);
    const std::uint64_t records = left.records[table] - cursor_.delivered.records[table];
    if (records == 0 || (sink_.tables() & set_of(table)) == 0) continue;
    metrics_.add(Metric::kRecordsTotal, {sink_.name(), to_string(table), to_string(RecordOutcome::kExpired)},
                 static_cast<double>(records));
  }
  cursor_.delivered = left;
}

std::vector<StateEntry> DeliveryLoop::marked(const std::string& mark) const {
  if (mark.empty()) return {};
  return {{mark_key_, mark}};
}

void DeliveryLoop::run(std::stop_token stop, const std::function<void(bool, const std::string&)>& log) {
  struct Ended {
    DeliveryLoop& loop;
    ~Ended() {
      const std::lock_guard lock(loop.mutex_);
      loop.ended_ = true;
    }
  } const ended{*this};
  auto last_work = std::chrono::steady_clock::now();
  std::optional<std::chrono::steady_clock::time_point> stop_seen;
  while (true) {
    const bool stopping = stop.stop_requested();
    if (stopping && !stop_seen) stop_seen = std::chrono::steady_clock::now();
    if (stop_seen && std::chrono::steady_clock::now() - *stop_seen > kDrainAtStop) return;
    if (step(log)) {
      last_work = std::chrono::steady_clock::now();
      continue;
    }
    const bool failing = backoff_.count() > 0;
    const bool more_comes = settings_.behind && !settings_.behind->has_ended() && limit() < buffer_.appended().sequence;
    if (stopping && (failing || !more_comes)) return;
    std::unique_lock lock(mutex_);
    // A failure waits its time out; with nothing to do, the next append wakes us.
    const auto ready = [&] { return !failing && work_; };
    if (stopping) {
      woken_.wait_until(lock, *stop_seen + kDrainAtStop, ready);
    } else {
      woken_.wait_for(lock, stop, failing ? backoff_ : settings_.idle_timeout, ready);
    }
    work_ = false;
    lock.unlock();
    if (!failing && std::chrono::steady_clock::now() - last_work >= settings_.idle_timeout) sink_.idle();
  }
}

Sequence DeliveryLoop::limit() const {
  return settings_.behind ? settings_.behind->delivered() : std::numeric_limits<Sequence>::max();
}

bool DeliveryLoop::step(const std::function<void(bool, const std::string&)>& log) {
  const auto fail = [&](const std::string& reason, std::chrono::milliseconds wait, bool is_error) {
    // Jitter keeps a fleet from knocking at the same moment.
    static thread_local std::minstd_rand random(std::random_device{}());
    backoff_ = std::chrono::milliseconds(wait.count() / 2 +
                                         static_cast<std::int64_t>(random() % static_cast<unsigned>(wait.count() + 1)));
    bool is_news = false;
    {
      const std::lock_guard lock(mutex_);
      is_news = status_.reason != reason;
      status_.up = false;
      status_.reason = reason;
    }
    if (is_news) log(is_error, "sink " + std::string(sink_.name()) + ": " + reason);
    return false;
  };

  Result<std::vector<SequencedChunk>> chunks{};
  const Sequence last = limit();
  if (last > cursor_.delivered.sequence) {
    chunks = buffer_.read_after(cursor_.delivered.sequence, settings_.batch_lines_max);
    const Sequence whole = maybe_delivered_ && last < cursor_.intent ? 0 : last;
    if (chunks) std::erase_if(*chunks, [&](const SequencedChunk& each) { return each.sequence > whole; });
  }
  if (!chunks) {
    if (chunks.error().code != ErrorCode::kCorrupt) return fail(chunks.error().message, kLongestBackoff, true);
    // A damaged chunk cannot be delivered by anyone. Its range stays open in source_files: a replay of the file fills
    // it. Said once: every sink meets it, one of them takes its lines.
    if (sink_.tables() & set_of(Table::kLogEvents)) {
      log(true, chunks.error().message +
                    "; it is skipped and counted in runtail_dead_letters_total{reason=\"corrupt_chunk\"}");
      metrics_.add(Metric::kDeadLettersTotal, {"corrupt_chunk"}, 1);
    }
    ++cursor_.delivered.sequence;
    return true;
  }
  if (maybe_delivered_) {
    // The delivery whose answer is missing is repeated alone, as it was.
    std::erase_if(*chunks, [&](const SequencedChunk& each) { return each.sequence > cursor_.intent; });
    if (chunks->empty() && last >= cursor_.intent) {
      maybe_delivered_ = false;
      return true;
    }
  }
  if (chunks->empty()) {
    backoff_ = std::chrono::milliseconds(0);
    show();
    return false;
  }
  std::string mark = sink_.mark();
  if (cursor_.intent != chunks->back().sequence || mark != mark_) {
    cursor_.intent = chunks->back().sequence;
    if (const auto kept = buffer_.put_cursor(sink_.name(), cursor_, marked(mark), !mark.empty()); !kept)
      return fail(kept.error().message, kLongestBackoff, true);
    mark_ = std::move(mark);
  }
  const Delivery answer = sink_.deliver(*chunks, maybe_delivered_);
  switch (answer.status) {
    case Delivery::Status::kDelivered:
      settle(*chunks, answer);
      return true;
    case Delivery::Status::kRetry:
      maybe_delivered_ = maybe_delivered_ || answer.unknown;
      return fail(answer.reason, std::clamp(backoff_ * 2, kFirstBackoff, kLongestBackoff), false);
    case Delivery::Status::kOperator:
      return fail(answer.reason, kOperatorBackoff, true);
  }
  return false;
}

void DeliveryLoop::settle(const std::vector<SequencedChunk>& chunks, const Delivery& delivered) {
  const RecordOutcomes& outcomes = delivered.outcomes;
  maybe_delivered_ = false;
  backoff_ = std::chrono::milliseconds(0);
  cursor_.delivered.sequence = chunks.back().sequence;
  for (const SequencedChunk& each : chunks) cursor_.delivered.records += each.chunk.records;
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
  for (const auto& [reason, letters] : delivered.set_aside)
    metrics_.add(Metric::kDeadLettersTotal, {reason}, static_cast<double>(letters));
  std::vector<Series> changed = metrics_.take_changed();
  mark_ = sink_.mark();
  std::vector<StateEntry> entries = marked(mark_);
  for (const Series& series : changed) entries.push_back({state_prefix_ + series_key(series), encode_series(series)});
  // Losing this write only repeats the delivery, which finds its ranges covered.
  (void)buffer_.put_cursor(sink_.name(), cursor_, entries);
  const TimePoint now = clock_.now();
  {
    const std::lock_guard lock(mutex_);
    status_.up = true;
    status_.reason.clear();
    status_.last_success_at = now;
  }
  published_.publish(std::move(changed));
  published_.set(Metric::kSinkLastSuccess, {sink_.name()}, static_cast<double>(to_micros(now)) / 1e6);
  show();
  on_delivered_();
}

// The balance: running totals of delivered chunks on one side, outcomes on the other.
void DeliveryLoop::show() {
  std::uint64_t imbalance = 0;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    double outcomes = 0;
    for (const RecordOutcome outcome :
         {RecordOutcome::kApplied, RecordOutcome::kDuplicate, RecordOutcome::kExpired, RecordOutcome::kDeadLettered}) {
      outcomes +=
          metrics_.value(Metric::kRecordsTotal, {sink_.name(), to_string(static_cast<Table>(i)), to_string(outcome)});
    }
    const auto settled = static_cast<std::uint64_t>(outcomes);
    const std::uint64_t delivered = cursor_.delivered.records.of(sink_.tables()).by_table[i];
    imbalance += settled > delivered ? settled - delivered : delivered - settled;
  }
  const std::lock_guard lock(mutex_);
  delivered_records_ = cursor_.delivered.records;
  delivered_ = cursor_.delivered.sequence;
  imbalance_ = imbalance;
}

void DeliveryLoop::wake() {
  {
    const std::lock_guard lock(mutex_);
    work_ = true;
  }
  woken_.notify_one();
}

DeliveryStatus DeliveryLoop::status() const {
  const RecordCounts appended = buffer_.appended().records;
  const DeliveryStatus ahead = settings_.behind ? settings_.behind->status() : DeliveryStatus{};
  const std::lock_guard lock(mutex_);
  DeliveryStatus now = status_;
  if (!ahead.reason.empty()) {
    now.up = false;
    now.reason = ahead.reason;
  }
  RecordCounts pending = appended;
  pending -= delivered_records_;
  pending = pending.of(sink_.tables());
  for (const std::uint64_t records : pending.by_table) now.records_pending += records;
  return now;
}

bool DeliveryLoop::has_ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

Sequence DeliveryLoop::delivered() const {
  const std::lock_guard lock(mutex_);
  return delivered_;
}

std::uint64_t DeliveryLoop::imbalance() const {
  const std::lock_guard lock(mutex_);
  return imbalance_;
}

}  // namespace runtail
