#include "server/alerting.h"

#include <algorithm>
#include <utility>

namespace runtail {
namespace {

using Steady = std::chrono::steady_clock;

// Above the time-out of a round's statements.
constexpr std::chrono::seconds kAnswerTimeout{75};
// Long enough for one exchange with a channel that takes its time; what a server that was killed had leased is sent by
// another after it.
constexpr std::chrono::seconds kLease{40};
constexpr int kLeasedAtOnce = 10;

RoundParts parts_of(const Config& config) {
  RoundParts parts;
  parts.quality = config.quality.enabled;
  parts.alerts = config.alerts.enabled && config.alerts.engine == "server";
  parts.policy.max_age = config.alerts.max_age;
  return parts;
}

}  // namespace

Alerting::Alerting(const Config& config, Sender::Environment environment, const Clock& clock, Note note,
                   AlertingTimes times)
    : postgres_(config.postgres),
      alerts_(config.alerts),
      parts_(parts_of(config)),
      clock_(clock),
      note_(std::move(note)),
      times_(times),
      sender_(config.alerts, std::move(environment), clock),
      delivery_([this] { return deliver(); }),
      rounds_([this] { return judge(); }) {}

void Alerting::start() {
  if (parts_.quality || parts_.alerts) rounds_.start();
  if (parts_.alerts) delivery_.start();
}

bool Alerting::stop(std::chrono::milliseconds deadline) {
  const auto until = Steady::now() + deadline;
  rounds_.end();
  delivery_.end();
  sender_.stop();
  const auto left = [&] {
    return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(until - Steady::now()),
                    std::chrono::milliseconds(0));
  };
  const bool judged = rounds_.wait(left());
  return delivery_.wait(left()) && judged;
}

AlertingState Alerting::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Result<void> Alerting::connect(std::optional<PgConnection>& connection) const {
  if (connection && connection->is_alive()) return {};
  PgOptions options;
  options.connect_timeout = postgres_.connect_timeout;
  options.answer_timeout = kAnswerTimeout;
  options.password_file = postgres_.password_file;
  auto made = PgConnection::connect(postgres_.url, options);
  if (!made) return to_error(made.error(), "connect to PostgreSQL");
  connection = std::move(*made);
  return {};
}

void Alerting::say(const std::string& fault) {
  std::string before;
  {
    const std::lock_guard lock(mutex_);
    before = std::exchange(state_.fault, fault);
  }
  if (before != fault) note_(fault.empty() ? "evaluation: goes on" : "evaluation: " + fault, !fault.empty());
}

std::chrono::milliseconds Alerting::judge() {
  const auto begun = Steady::now();
  Result<RoundReport> report = RoundReport{};
  if (auto connected = connect(judging_); !connected) {
    report = connected.error();
  } else {
    report = evaluate_round(*judging_, postgres_.schema, clock_.now(), parts_);
  }
  {
    const std::lock_guard lock(mutex_);
    ++(report ? state_.rounds : state_.failed_rounds);
    state_.seconds = std::chrono::duration<double>(Steady::now() - begun).count();
    if (report) state_.last_success = clock_.now();
  }
  say(report ? "" : report.error().message);
  if (!report) return times_.retry;
  if (report->alerts.queued > 0) delivery_.wake();
  const bool more = report->quality.more || report->alerts.more;
  return more ? std::chrono::milliseconds(0) : times_.round;
}

TimePoint Alerting::free_at(const AlertDelivery& delivery) {
  const TimePoint now = clock_.now();
  Pace& pace = paces_[delivery.channel];
  if (pace.closed_until > now) return pace.closed_until;
  if (delivery.channel_kind == "alertmanager") return now;
  constexpr std::chrono::minutes kWindow{1};
  while (!pace.sent.empty() && pace.sent.front() <= now - kWindow) pace.sent.pop_front();
  return pace.sent.size() < alerts_.messages_per_minute ? now : pace.sent.front() + kWindow;
}

void Alerting::count(const Outcome& outcome) {
  Pace& pace = paces_[outcome.delivery.channel];
  const TimePoint now = clock_.now();
  const bool worked = outcome.error.empty(), changed = worked == (pace.failures > 0);
  pace.failures = worked ? 0 : pace.failures + 1;
  // While a channel is broken one of its deliveries is tried at a time, so that it holds up no other channel.
  pace.closed_until =
      worked ? TimePoint{} : now + std::min(kFirstRetry * (1 << std::min(pace.failures - 1, 10)), kLongestRetry);
  if (worked) pace.sent.push_back(now);
  {
    const std::lock_guard lock(mutex_);
    AlertingState::Channel& channel = state_.channels[outcome.delivery.channel];
    ++(worked ? channel.sent : channel.failed);
    channel.up = worked;
  }
  if (changed || (!worked && pace.failures == 1)) {
    note_("alerts: channel " + outcome.delivery.channel + (worked ? " works again" : ": " + outcome.error), !worked);
  }
}

Result<void> Alerting::handle(const AlertDelivery& delivery, TimePoint leased_until) {
  const TimePoint now = clock_.now(), free = free_at(delivery);
  const bool in_time = now + kExchangePatience < leased_until;
  if (free > now || !in_time || delivery_.is_ending()) {
    return postpone_delivery(*delivering_, postgres_.schema, delivery, std::max(free, now));
  }
  const auto sent = sender_.send(delivery);
  if (!sent && delivery_.is_ending()) return postpone_delivery(*delivering_, postgres_.schema, delivery, now);
  Outcome outcome{delivery, sent ? "" : sent.error().message};
  count(outcome);
  const auto stored = settle_delivery(*delivering_, postgres_.schema, delivery, outcome.error, clock_.now());
  if (!stored) unsettled_.push_back(std::move(outcome));
  return stored;
}

std::chrono::milliseconds Alerting::deliver() {
  if (!connect(delivering_)) return times_.retry;  // the rounds say why
  while (!unsettled_.empty()) {
    const Outcome& last = unsettled_.back();
    if (!settle_delivery(*delivering_, postgres_.schema, last.delivery, last.error, clock_.now())) return times_.retry;
    unsettled_.pop_back();
  }
  const TimePoint leased_at = clock_.now();
  const auto leased = lease_deliveries(*delivering_, postgres_.schema, leased_at, kLease, kLeasedAtOnce);
  if (!leased) {
    note_("alerts: " + leased.error().message, true);
    return times_.retry;
  }
  for (const AlertDelivery& delivery : *leased) {
    if (const auto done = handle(delivery, leased_at + kLease); !done) return times_.retry;
  }
  if (const auto pending = count_pending(*delivering_, postgres_.schema)) {
    const std::lock_guard lock(mutex_);
    state_.pending = *pending;
  }
  return leased->empty() ? times_.delivery : std::chrono::milliseconds(0);
}

}  // namespace runtail
