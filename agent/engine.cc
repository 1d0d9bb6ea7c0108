#include "agent/engine.h"

#include <algorithm>
#include <limits>

#include "agent/deriver_settings.h"
#include "agent/identity_key.h"
#include "agent/kept_history.h"
#include "agent/log.h"
#include "agent/read_place.h"
#include "agent/replay_embedded.h"
#include "agent/self_source.h"
#include "agent/sources.h"
#include "agent/worker_watch.h"
#include "config/dialect_files.h"
#include "config/load.h"
#include "history/local_store.h"
#include "sinks/ndjson.h"

namespace runtail {
namespace {

constexpr std::chrono::seconds kStalledAfter{60};

// A corrupt buffer is set aside and named; the sources are read again where they still are.
Result<std::unique_ptr<DurableBuffer>> open_buffer(const Config& config, bool& lost) {
  auto buffer = DurableBuffer::open(config.buffer);
  if (buffer || buffer.error().code != ErrorCode::kCorrupt) return buffer;
  const auto aside = DurableBuffer::set_aside(config.buffer);
  if (!aside) return aside.error();
  log_error(buffer.error().message + "; set aside as " + *aside + ", starting with an empty buffer");
  lost = true;
  return DurableBuffer::open(config.buffer);
}

}  // namespace

Engine::Engine(const Config& config, PublishedMetrics& published) : config_(config), published_(published) {}

Result<std::unique_ptr<Engine>> Engine::start(const Config& config, PublishedMetrics& published,
                                              HeldLines* standard_input, TimePoint started_at, std::stop_token stop,
                                              const std::function<void(const std::string&)>& waits) {
  auto redactor = Redactor::make(config.redaction);
  if (!redactor) return redactor.error();
  guard_log(redactor->clone());
  std::unique_ptr<Engine> engine(new Engine(config, published));
  bool lost = false;
  auto buffer = open_buffer(config, lost);
  if (!buffer) return buffer.error();
  engine->buffer_ = std::move(*buffer);

  std::string waiting;
  auto identity = settle_identity(config, *engine->buffer_);
  while (!identity) {
    if (identity.error().code != ErrorCode::kUnavailable) return identity.error();
    if (identity.error().message != waiting) {
      waiting = identity.error().message;
      waits("files wait, their identity needs the database's key: " + waiting);
    }
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any().wait_for(lock, stop, std::chrono::milliseconds(500), [] { return false; });
    if (stop.stop_requested())
      return Error{ErrorCode::kUnavailable, "stopped while waiting for the database's identity key"};
    identity = settle_identity(config, *engine->buffer_);
  }
  if (!identity->known.empty()) {
    Commit known;
    known.positions = identity->known;
    if (const auto kept = engine->buffer_->append(known); !kept) return kept.error();
    log_warn("the database knows " + std::to_string(known.positions.size()) +
             " files of these sources that the buffer does not: reading goes on where it ends there");
    lost = lost || engine->buffer_->created();
  }

  const bool local = config.postgres.url.empty();
  if (const std::string_view with = local ? "local" : "postgres";
      identity->is_settled && engine->buffer_->get(kIdentityStateKey) != with) {
    if (const auto kept = engine->buffer_->put(kIdentityStateKey, with); !kept) return kept.error();
  }

  if (!local) forget_index(*engine->buffer_);
  engine->kept_.emplace(*engine->buffer_);
  if (local) {
    if (const auto indexed = index_kept_runs(*engine->buffer_); !indexed) return indexed.error();
  }

  engine->kinds_ = redactor->kinds();
  engine->key_ = identity->key;
  engine->ruleset_ = redactor->ruleset();
  const DeriverSettings deriver = deriver_settings(config, redactor->ruleset());
  engine->pipeline_ =
      std::make_unique<Pipeline>(*engine->buffer_, Parser(dialects_of(config.dialects)), std::move(*redactor),
                                 Deriver(deriver), engine->clock_, published, config.metrics.max_series, local);
  engine->pipeline_->filter_lines(LineFilter(config.lines, config.environment));
  for (const SourceConfig& source : config.sources) {
    if (names_worker(source.worker)) engine->pipeline_->follow_runs_of(source.name);
  }
  if (lost) engine->pipeline_->metrics().add(Metric::kBufferLostTotal, {}, 1);
  if (!local) {
    auto postgres = std::make_unique<PostgresSink>(config.postgres, deriver, engine->kinds_, engine->clock_);
    engine->postgres_ = postgres.get();
    engine->add_destination(std::move(postgres),
                            {config.postgres.batch_rows_max, config.metrics.max_series, config.postgres.idle_timeout});
  }
  if (!config.ndjson.path.empty()) {
    DeliverySettings settings;
    settings.max_series = config.metrics.max_series;
    engine->add_destination(std::make_unique<NdjsonSink>(config.ndjson.path, engine->kinds_), settings);
  }
  engine->log_absent_sinks();
  Engine* self = engine.get();
  auto sources = make_sources(
      config, identity->key, *engine->buffer_, engine->pipeline_->metrics(),
      [self] { return self->delivered_everywhere(); }, standard_input);
  if (!sources) return sources.error();
  const Bytes32 digest = sha256(print_effective(config));
  SelfSettings own{config.name, config.environment, to_hex(std::span(digest).first(16)), config.metrics.snapshots,
                   started_at};
  sources->push_back(std::make_unique<SelfSource>(std::move(own), engine->buffer_->positions(),
                                                  engine->buffer_->get(SelfSource::kStateKey),
                                                  [self] { return self->condition(); }));
  engine->intake_ = std::make_unique<Intake>(
      config, std::move(*sources), *engine->buffer_, *engine->pipeline_, engine->clock_, published,
      [self] {
        for (const auto& each : self->destinations_) each->loop->wake();
      },
      [self] { return self->delivered_everywhere(); });
  for (const auto& each : engine->destinations_) {
    each->thread = std::jthread([destination = each.get()](std::stop_token token) {
      destination->loop->run(
          token, [](bool is_error, const std::string& message) { is_error ? log_error(message) : log_warn(message); });
      destination->ended = true;
    });
  }
  engine->intake_thread_ = std::jthread([self](std::stop_token token) {
    const auto ended = self->intake_->run(token);
    if (ended) return;
    log_error(ended.error().message + "; the buffer is opened again and sources are read on from what is durable");
    const std::lock_guard lock(self->mutex_);
    self->failure_ = ended.error().message;
  });
  return engine;
}

Result<std::string> Engine::answer_replay(const std::vector<std::string>& words) {
  if (postgres_) {
    return Error{ErrorCode::kInvalidInput,
                 "the agent that holds this directory keeps no history there: it has a database, and this "
                 "configuration has none"};
  }
  const std::string_view what = words.size() == 3 ? std::string_view(words[1]) : std::string_view();
  if (what == "begin") {
    if (words[2] == ruleset_) return encode_start({key_, stored_positions(*buffer_)});
    return Error{ErrorCode::kInvalidInput,
                 "the agent that runs goes by other rules of redaction than this configuration says; restart it"};
  }
  if (what == "put") {
    const auto batch = decode_past_batch(words[2]);
    if (!batch) return batch.error();
    return encode_past_answer(intake_->take_past(*batch));
  }
  if (what == "stored") {
    const auto asked = decode_file(words[2]);
    if (!asked) return asked.error();
    const auto held = holds_any(*buffer_, asked->first, asked->second);
    if (!held) return held.error();
    return std::string(*held ? "1" : "0");
  }
  return Error{ErrorCode::kInvalidInput, "\"replay\" with these words is not understood"};
}

std::unique_ptr<HistoryStore> Engine::history() const {
  if (postgres_) return nullptr;
  return std::make_unique<LocalStore>(*kept_, deriver_settings(config_, ruleset_), kinds_, clock_,
                                      config_.api.statement_timeout);
}

Engine::~Engine() { stop(std::chrono::milliseconds(0)); }

void Engine::add_destination(std::unique_ptr<Sink> sink, const DeliverySettings& settings) {
  auto destination = std::make_unique<Destination>();
  destination->sink = std::move(sink);
  destination->loop =
      std::make_unique<DeliveryLoop>(*buffer_, *destination->sink, published_, clock_, settings, [this] {
        // The local history is let go by size and age instead.
        if (postgres_) buffer_->release(delivered_everywhere());
      });
  destinations_.push_back(std::move(destination));
}

// Its cursor stays, for the day it is configured again.
void Engine::log_absent_sinks() const {
  for (const StateEntry& entry : buffer_->scan("s/")) {
    const std::string_view name = std::string_view(entry.key).substr(2);
    const auto is_it = [&](const auto& each) {
      return name.starts_with(each->sink->name()) &&
             (name.size() == each->sink->name().size() || name.ends_with(kAheadSuffix));
    };
    if (std::any_of(destinations_.begin(), destinations_.end(), is_it)) continue;
    log_warn("sink " + std::string(name) + " is not configured any more: the buffer keeps nothing for it");
  }
}

Sequence Engine::delivered_everywhere() const {
  Sequence least = std::numeric_limits<Sequence>::max();
  for (const auto& each : destinations_) least = std::min(least, each->loop->delivered());
  return least;
}

std::string Engine::undelivered() const {
  std::string out;
  const Sequence last = buffer_->appended().sequence;
  for (const auto& each : destinations_) {
    if (each->loop->delivered() >= last) continue;
    out += (out.empty() ? "" : ", ") + std::to_string(each->loop->status().records_pending) + " records for " +
           std::string(each->sink->name());
  }
  return out;
}

bool Engine::stop(std::chrono::milliseconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  if (intake_thread_.joinable()) {
    intake_thread_.request_stop();
    intake_thread_.join();
  }
  for (const auto& each : destinations_) each->thread.request_stop();
  const auto has_ended = [](const auto& each) { return each->ended || !each->thread.joinable(); };
  const auto all_ended = [&] { return std::all_of(destinations_.begin(), destinations_.end(), has_ended); };
  while (!all_ended() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  // A statement that does not come back must not hold the exit: it is repeated after the next start.
  if (!all_ended() && deadline.count() > 0) {
    log_warn("a delivery is still on its way; it is repeated at the next start");
    return false;
  }
  for (const auto& each : destinations_) {
    if (each->thread.joinable()) each->thread.join();
  }
  return true;
}

std::optional<std::string> Engine::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

std::vector<HealthCheck> Engine::health() const {
  std::vector<HealthCheck> checks;
  const auto failed = failure();
  const bool room = buffer_->has_room();
  checks.push_back({"buffer", CheckKind::kOwn,
                    failed ? CheckStatus::kUnavailable
                    : room ? CheckStatus::kOk
                           : CheckStatus::kDegraded,
                    failed ? guarded(*failed)
                    : room ? ""
                           : "full: sources wait; see runtail_buffer_size_bytes and the sinks"});
  HealthCheck inputs{"inputs", CheckKind::kOwn, CheckStatus::kOk, ""};
  for (const SourceStatus& source : intake_->status()) {
    if (source.faults.empty()) continue;
    inputs.status = CheckStatus::kUnavailable;
    inputs.reason += (inputs.reason.empty() ? "" : "; ") + source.name + ": " + guarded(source.faults.front());
  }
  checks.push_back(std::move(inputs));
  checks.push_back({"redactor", CheckKind::kOwn, CheckStatus::kOk, ""});
  for (const auto& each : destinations_) {
    const DeliveryStatus status = each->loop->status();
    const bool ok = status.up || status.reason.empty();
    checks.push_back({std::string(each->sink->name()), CheckKind::kOutside,
                      ok ? CheckStatus::kOk : CheckStatus::kUnavailable, guarded(status.reason)});
  }
  return checks;
}

AgentCondition Engine::condition() const {
  AgentCondition condition;
  for (const SourceStatus& source : intake_->status()) {
    condition.lag_bytes += source.lag_bytes;
    if (source.oldest_unread && (!condition.oldest_unread || *source.oldest_unread < *condition.oldest_unread)) {
      condition.oldest_unread = source.oldest_unread;
    }
  }
  condition.buffer_bytes = buffer_->bytes_on_disk();
  published_.for_each([&condition](const Series& series) {
    if (series.metric == Metric::kLostBytesTotal) condition.lost_bytes += static_cast<std::uint64_t>(series.value);
  });
  const auto checks = health();
  condition.degraded = std::any_of(checks.begin(), checks.end(),
                                   [](const HealthCheck& each) { return each.status != CheckStatus::kOk; });
  return condition;
}

// Of the first chunk that some sink lacks: when it was read. It is looked up once for each chunk that gets there.
double Engine::oldest_undelivered() {
  const Sequence delivered = delivered_everywhere();
  if (destinations_.empty() || delivered >= buffer_->appended().sequence) return 0;
  const std::lock_guard lock(oldest_mutex_);
  if (oldest_.first != delivered + 1) {
    const auto chunks = buffer_->read_after(delivered, 1);
    // A damaged chunk says nothing; what is known of the one before it stands.
    if (chunks && !chunks->empty()) {
      oldest_ = {delivered + 1, static_cast<double>(to_micros(chunks->front().chunk.read_at)) / 1e6};
    }
  }
  return oldest_.second;
}

void Engine::refresh(TimePoint now) {
  published_.set(Metric::kBufferSize, {}, static_cast<double>(buffer_->bytes_on_disk()));
  published_.set(Metric::kBufferLimit, {}, static_cast<double>(buffer_->bytes_max()));
  published_.set(Metric::kBufferDegraded, {}, failure() ? 1 : 0);
  published_.set(Metric::kBufferOldest, {}, oldest_undelivered());
  double lines = 0;
  published_.for_each([&lines](const Series& series) {
    if (series.metric == Metric::kLinesReadTotal) lines += series.value;
    if (series.metric == Metric::kLinesTotal) lines -= series.value;
  });
  std::uint64_t records = 0;
  for (const auto& each : destinations_) records += each->loop->imbalance();
  published_.set(Metric::kLedgerImbalance, {}, std::abs(lines) + static_cast<double>(records));
  bool waiting = false;
  for (const SourceStatus& source : intake_->status()) waiting = waiting || source.lag_bytes > 0;
  bool stalled = waiting && now - intake_->progress_at() > kStalledAfter;
  for (const auto& each : destinations_) {
    const DeliveryStatus status = each->loop->status();
    const TimePoint last = std::max(status.last_success_at.value_or(TimePoint{}), intake_->progress_at());
    stalled = stalled || (status.records_pending > 0 && !status.up && now - last > kStalledAfter);
    published_.set(Metric::kSinkUp, {each->sink->name()}, status.up ? 1 : 0);
    published_.set(Metric::kRecordsPending, {each->sink->name()}, static_cast<double>(status.records_pending));
  }
  if (postgres_) {
    published_.set(Metric::kPositionConflictsTotal, {}, static_cast<double>(postgres_->position_conflicts()));
  }
  published_.set(Metric::kStalled, {}, stalled ? 1 : 0);
}

std::string Engine::describe(TimePoint now) const {
  std::string out;
  for (const SourceStatus& source : intake_->status()) {
    out += "source " + source.name + ": " + std::to_string(source.lag_bytes) + " bytes behind";
    for (const std::string& fault : source.faults) out += "; " + guarded(fault);
    out += '\n';
  }
  for (const auto& each : destinations_) {
    const DeliveryStatus status = each->loop->status();
    out += "sink " + std::string(each->sink->name()) + ": " +
           std::string(status.up               ? "up"
                       : status.reason.empty() ? "not used yet"
                                               : "degraded") +
           ", " + std::to_string(status.records_pending) + " records pending";
    if (!status.reason.empty()) out += "; " + guarded(status.reason);
    if (status.last_success_at) {
      out += "; last success " +
             std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now - *status.last_success_at).count()) +
             " s ago";
    }
    out += '\n';
  }
  if (!postgres_) out += "history is kept in the buffer directory\n";
  out += "buffer: " + std::to_string(buffer_->bytes_on_disk() >> 10) + " of " +
         std::to_string(buffer_->bytes_max() >> 10) + " KiB" + (buffer_->has_room() ? "" : "; full: sources wait") +
         '\n';
  std::map<std::string, double> lines;
  double read = 0, imbalance = 0;
  std::map<std::string, double> records;
  published_.for_each([&](const Series& series) {
    if (series.metric == Metric::kLinesReadTotal) read += series.value;
    if (series.metric == Metric::kLinesTotal) lines[series.labels[1]] += series.value;
    if (series.metric == Metric::kRecordsTotal) records[series.labels[2]] += series.value;
    if (series.metric == Metric::kLedgerImbalance) imbalance = series.value;
  });
  const auto list = [](const std::map<std::string, double>& counts) {
    std::string text;
    for (const auto& [name, count] : counts)
      text += (text.empty() ? "" : " + ") + std::to_string(static_cast<std::uint64_t>(count)) + " " + name;
    return text.empty() ? std::string("none") : text;
  };
  out += "lines: " + std::to_string(static_cast<std::uint64_t>(read)) + " read = " + list(lines) + '\n';
  out += "records: " + list(records) + '\n';
  out += "ledger imbalance: " + std::to_string(static_cast<std::uint64_t>(imbalance)) + '\n';
  return out;
}

}  // namespace runtail
