#include "server/upkeep.h"

#include <algorithm>
#include <utility>

#include "core/build_info.h"
#include "core/identity.h"
#include "schema/partitions.h"
#include "schema/retention.h"
#include "schema/row.h"
#include "schema/rows/service.h"
#include "schema/summaries.h"

namespace runtail {
namespace {

constexpr std::string_view kService = "runtail-server";
// Retention and summaries work in slices, each far below it.
constexpr std::chrono::minutes kAnswerTimeout{10};
constexpr std::chrono::seconds kLockTimeout{5};
// Of pg_advisory locks: "runtail upkeep" in this database, for this schema.
constexpr char kTryLock[] = "SELECT pg_try_advisory_lock(hashtextextended('runtail upkeep ' || $1, 0))";
constexpr char kUnlock[] = "SELECT pg_advisory_unlock(hashtextextended('runtail upkeep ' || $1, 0))";

}  // namespace

Upkeep::Upkeep(const Config& config, std::string config_digest, const Clock& clock, Note note, UpkeepTimes times)
    : postgres_(config.postgres),
      retention_(config.retention),
      name_(config.name),
      environment_(config.environment),
      config_digest_(std::move(config_digest)),
      clock_(clock),
      note_(std::move(note)),
      times_(times),
      started_at_(clock.now()) {}

Upkeep::~Upkeep() {
  static_cast<void>(stop(std::chrono::milliseconds(0)));
  if (thread_.joinable()) thread_.join();
}

void Upkeep::start() {
  thread_ = std::thread([this] { work(); });
}

std::string Upkeep::fault() const {
  const std::lock_guard lock(mutex_);
  return fault_;
}

std::vector<FleetTotal> Upkeep::fleet_totals() const {
  const std::lock_guard lock(mutex_);
  return fleet_totals_;
}

bool Upkeep::stop(std::chrono::milliseconds deadline) {
  if (!thread_.joinable()) return true;
  std::unique_lock lock(mutex_);
  is_stopping_ = true;
  changed_.notify_all();
  return changed_.wait_for(lock, deadline, [this] { return has_ended_; });
}

void Upkeep::say(const std::string& fault) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(fault_, fault) != fault)
    note_(fault.empty() ? "upkeep: all is done" : "upkeep: " + fault, !fault.empty());
}

Result<void> Upkeep::connect() {
  if (connection_ && connection_->is_alive()) return {};
  PgOptions options;
  options.connect_timeout = postgres_.connect_timeout;
  options.answer_timeout = kAnswerTimeout;
  options.password_file = postgres_.password_file;
  auto connection = PgConnection::connect(postgres_.url, options);
  if (!connection) return to_error(connection.error(), "connect to PostgreSQL");
  connection_ = std::move(*connection);
  return {};
}

Result<void> Upkeep::beat(std::string_view status) {
  ServiceHeartbeatRow row;
  row.id = heartbeat_id_of(kService, name_);
  row.service = kService;
  row.instance = name_;
  if (!environment_.empty()) row.environment = environment_;
  row.version = std::string(build_version());
  row.git_sha = std::string(build_git_sha());
  row.status = status;
  row.started_at = started_at_;
  row.last_seen_at = clock_.now();
  row.uptime_seconds = static_cast<double>((row.last_seen_at - started_at_).count()) / 1e6;
  row.config_digest = config_digest_;
  row_visitors::Write write;
  ServiceHeartbeatRow::columns(row, write);
  std::string names, values, set;
  for (std::size_t at = 0; at < write.names.size(); ++at) {
    const std::string& name = write.names[at];
    names += (at ? ", " : "") + name;
    values += (at ? ", $" : "$") + std::to_string(at + 1);
    if (at > 0) set += (set.empty() ? "" : ", ") + name + " = excluded." + name;
  }
  const auto done = connection_->query("INSERT INTO " + quote_identifier(postgres_.schema) + ".service_heartbeats (" +
                                           names + ") VALUES (" + values + ") ON CONFLICT (id) DO UPDATE SET " + set,
                                       write.params);
  if (!done) return to_error(done.error(), "heartbeat");
  return {};
}

void Upkeep::maintain(bool with_partitions) {
  const std::optional<std::string> schema[] = {postgres_.schema};
  const auto taken = connection_->query(kTryLock, schema);
  if (!taken) {
    undone_ = to_error(taken.error(), "take the lock of upkeep").message;
    return;
  }
  if (!taken->boolean(0, 0)) return;  // another server is at it
  const auto note = [this](const Error& error) { undone_ += (undone_.empty() ? "" : "; ") + error.message; };
  // One that fails does not keep the others from their work.
  const TimePoint now = clock_.now();
  if (with_partitions) {
    const auto made = maintain_partitions(*connection_, postgres_.schema, now, kLockTimeout, retention_);
    if (!made) note(made.error());
    if (made && !made->empty()) note_("upkeep: partitions made: " + std::to_string(made->size()), false);
    if (connection_->is_alive()) {
      const auto removed = apply_retention(*connection_, postgres_.schema, now, kLockTimeout, retention_);
      if (!removed) note(removed.error());
      if (removed && !removed->dropped.empty()) {
        note_("upkeep: partitions dropped: " + std::to_string(removed->dropped.size()), false);
      }
      for (const std::string& left : removed ? removed->undone : std::vector<std::string>()) {
        note({ErrorCode::kUnavailable, left});
      }
    }
  }
  if (connection_->is_alive()) {
    if (const auto days = refresh_summaries(*connection_, postgres_.schema, now, kLockTimeout); !days)
      note(days.error());
  }
  if (!connection_->is_alive()) return;
  const auto freed = connection_->query(kUnlock, schema);
  if (freed && freed->boolean(0, 0)) return;
  // Closing unlocks, too, unless the lock is held by a connection that a pooler gave to somebody else.
  if (freed) {
    note({ErrorCode::kInvalidInput,
          "the lock of upkeep was not ours at its end: postgres.url leads through a pooler in transaction mode; let "
          "runtail server connect straight to PostgreSQL"});
  }
  connection_->close();
}

Result<void> Upkeep::count_fleet() {
  if (const auto added = add_up_fleet_counts(*connection_, postgres_.schema); !added) return added.error();
  auto totals = read_fleet_totals(*connection_, postgres_.schema);
  if (!totals) return totals.error();
  const std::lock_guard lock(mutex_);
  fleet_totals_ = std::move(*totals);
  return {};
}

bool Upkeep::round() {
  undone_.clear();
  const auto now = Steady::now();
  if (const auto connected = connect(); !connected) {
    say(connected.error().message);
    return false;
  }
  bool has_news = false;
  if (now >= beat_due_) {
    beat_due_ = now + times_.heartbeat;
    if (const auto done = beat("ok"); !done) undone_ = done.error().message;
    if (connection_->is_alive()) {
      if (const auto done = count_fleet(); !done) undone_ += (undone_.empty() ? "" : "; ") + done.error().message;
    }
    has_news = !undone_.empty();
  }
  if (connection_->is_alive() && now >= summaries_due_) {
    const bool with_partitions = now >= partitions_due_;
    maintain(with_partitions);
    summaries_due_ = Steady::now() + times_.summaries;
    if (with_partitions) partitions_due_ = Steady::now() + (undone_.empty() ? times_.partitions : times_.summaries);
    has_news = true;
  }
  if (has_news) say(undone_);
  return connection_->is_alive();
}

void Upkeep::work() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    lock.unlock();
    const bool went_well = round();
    const auto pause = went_well ? std::min(beat_due_, summaries_due_) - Steady::now() : Steady::duration(times_.retry);
    lock.lock();
    changed_.wait_for(lock, std::max(pause, Steady::duration(1)), [this] { return is_stopping_; });
  }
  lock.unlock();
  if (connection_ && connection_->is_alive()) static_cast<void>(beat("stopping"));
  lock.lock();
  has_ended_ = true;
  changed_.notify_all();
}

}  // namespace runtail
