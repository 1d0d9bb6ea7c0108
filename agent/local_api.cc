#include "agent/local_api.h"

#include <utility>

#include "agent/log.h"

namespace runtail {

bool LocalApi::is_configured(const Config& config) {
  return config.postgres.url.empty() && !config.api.listen.empty() &&
         (config.api.anonymous || !config.api.keys.empty());
}

LocalApi::LocalApi(const ApiConfig& config, StoreThread::WithStore with_store, const Clock& clock)
    : config_(config), clock_(clock), store_(std::move(with_store)) {
  store_.start();
}

Result<void> LocalApi::start() {
  std::optional<TokenVerifier> verifier;
  if (!config_.anonymous) {
    auto made = TokenVerifier::make(config_);
    if (!made) return made.error();
    verifier = std::move(*made);
  }
  server_ = std::make_unique<ApiServer>(
      config_, std::move(verifier),
      [this](const std::string&, StoreTask task) { return store_.submit(std::move(task)); }, clock_,
      [this](const ApiRecord& record) { note(record); });
  if (auto started = server_->start(); !started) return started.error();
  is_listening_ = true;
  return {};
}

bool LocalApi::stop(std::chrono::milliseconds drain) {
  if (std::exchange(has_stopped_, true)) return true;
  if (server_ && !server_->stop(drain)) return false;
  store_.stop();
  return true;
}

void LocalApi::note(const ApiRecord& record) {
  if (!record.fault.empty()) {
    log_warn("api: " + std::string(record.route) + " answered " + std::to_string(record.status) + " (correlation id " +
             record.correlation_id + "): " + record.fault);
  }
  const std::string_view route = record.route.empty() ? "none" : record.route;
  const std::lock_guard lock(mutex_);
  table_.add(Metric::kApiRequestsTotal, {route, record.method, std::to_string(record.status)}, 1);
  table_.observe(Metric::kApiRequestDuration, {route, record.method},
                 static_cast<double>(record.duration.count()) / 1e6);
}

void LocalApi::publish(PublishedMetrics& published) {
  const std::lock_guard lock(mutex_);
  published.publish(table_.take_changed());
}

}  // namespace runtail
