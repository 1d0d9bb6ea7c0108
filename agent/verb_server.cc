// runtail server: the history API on PostgreSQL, and the upkeep of its tables.
#include <pthread.h>
#include <signal.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "agent/config_file.h"
#include "agent/health.h"
#include "agent/http_server.h"
#include "agent/log.h"
#include "agent/own_process.h"
#include "agent/verbs.h"
#include "config/load.h"
#include "core/build_info.h"
#include "core/digest.h"
#include "core/exit_code.h"
#include "server/access_log.h"
#include "server/alerting.h"
#include "server/api_server.h"
#include "server/store_pool.h"
#include "server/upkeep.h"
#include "sinks/openmetrics.h"
#include "sinks/prometheus.h"

namespace runtail {
namespace {

constexpr std::string_view kService = "runtail-server", kPoolName = "api";
// Of the 8 s from SIGTERM to the end.
constexpr std::chrono::milliseconds kDrain{5'000}, kLastAll{2'500}, kLastRows{1'500};

constexpr char kFooter[] =
    "Examples:\n"
    "  RUNTAIL_POSTGRES_URL=postgresql://runtail_server@db.internal/etl runtail server --config server.yaml\n"
    "  curl -H \"Authorization: Bearer $(runtail token)\" http://127.0.0.1:9848/v1/obs/jobs\n"
    "Its user is a member of runtail_reader, runtail_writer (heartbeat, access_log) and runtail_retention (upkeep).\n"
    "Several may run on one database; one at a time does the upkeep. While the database is away the API answers 503\n"
    "and /readyz says so; no restart is needed. SIGTERM and SIGINT: what is under way is answered, gone within 8 s.\n"
    "Exit codes: 0 stopped by a signal; 3 configuration; 4 somebody else listens on an address of ours.";

class Server {
 public:
  Server(Config config, std::optional<TokenVerifier> verifier)
      : config_(std::move(config)),
        started_at_(clock_.now()),
        pool_(config_.postgres, config_.api.database_connections_max, config_.api.statement_timeout,
              [](const std::string& note) { log_warn(note); }),
        access_log_(config_.postgres, [](const std::string& note) { log_warn(note); }),
        upkeep_(config_, to_hex(sha256(print_effective(config_))).substr(0, 32), clock_,
                [](const std::string& note, bool is_fault) { is_fault ? log_warn(note) : log_info(note); }),
        alerting_(config_, process_environment(), clock_,
                  [](const std::string& note, bool is_fault) { is_fault ? log_warn(note) : log_info(note); }),
        api_(config_.api, std::move(verifier), pool_, clock_, [this](const ApiRecord& record) { note(record); }) {}

  int run() {
    // Signals are waited for in this thread only; every thread made later inherits the mask.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    log_info("runtail server " + std::string(build_version()) + " starts as " + config_.name);
    if (config_.api.keys.empty() && !config_.api.anonymous) {
      log_warn("api.keys is empty: every question to the history answers 401");
    }

    HttpServer pages(config_.http.listen, handlers());
    if (!config_.http.listen.empty()) {
      if (const auto started = pages.start(); !started) return complain(started.error());
      log_info("metrics and health on port " + std::to_string(pages.port()));
    }
    pool_.start();
    if (!config_.api.listen.empty()) {
      if (const auto started = api_.start(); !started) return complain(started.error());
      log_info("history API on port " + std::to_string(api_.port()));
    }
    access_log_.start();
    upkeep_.start();
    alerting_.start();

    int signal = 0;
    while ((signal = sigwaitinfo(&signals, nullptr)) < 0) {
    }
    log_info(std::string("stopping on ") + strsignal(signal));
    // Together within the 8 s: what one takes longer the next have less.
    const auto until = std::chrono::steady_clock::now() + kDrain + kLastAll;
    const auto left = [&until](std::chrono::milliseconds most) {
      const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      return std::clamp(rest, std::chrono::milliseconds(0), most);
    };
    static_cast<void>(alerting_.stop(std::chrono::milliseconds(0)));  // told now, waited for below
    bool came_back = api_.stop(kDrain);
    came_back = access_log_.stop(left(kLastRows)) && came_back;
    came_back = alerting_.stop(left(kLastRows)) && came_back;
    came_back = upkeep_.stop(left(kLastRows)) && came_back;
    came_back = pool_.stop(left(kLastRows)) && came_back;
    log_info("stopped");
    if (!came_back) std::quick_exit(kExitOk);
    pages.stop();
    return kExitOk;
  }

 private:
  static int complain(const Error& error) {
    log_error(error.message);
    return error.code == ErrorCode::kUnavailable ? kExitUnreachable : kExitConfig;
  }

  std::map<std::string, HttpHandler, std::less<>> handlers() {
    std::map<std::string, HttpHandler, std::less<>> out;
    const HttpHandler live = [this](const HttpRequest&) { return liveness(clock_.now()); };
    const HttpHandler ready = [this](const HttpRequest& request) {
      return readiness(checks(), clock_.now(), request.query);
    };
    for (const char* path : {"/healthz", "/health/live"}) out[path] = live;
    for (const char* path : {"/readyz", "/health/ready", "/api/v1/health"}) out[path] = ready;
    if (config_.metrics.enabled) {
      out["/metrics"] = [this](const HttpRequest& request) {
        refresh();
        if (prefers_openmetrics(request.accept)) {
          return HttpResponse{200, std::string(kOpenMetricsContentType), render_openmetrics(published_)};
        }
        return HttpResponse{200, std::string(kMetricsContentType), render(published_)};
      };
    }
    return out;
  }

  std::vector<HealthCheck> checks() const {
    const std::string away = pool_.state().fault, undone = upkeep_.fault();
    const AlertingState alerting = alerting_.state();
    const bool on_time = undone.empty() && alerting.fault.empty();
    const bool all_up = std::ranges::all_of(alerting.channels, [](const auto& each) { return each.second.up; });
    const auto reason = [](const std::string& fault) { return fault.empty() ? "" : "see the log"; };
    return {{"database", CheckKind::kOwn, away.empty() ? CheckStatus::kOk : CheckStatus::kUnavailable, reason(away)},
            {"scheduler", CheckKind::kOutside, on_time ? CheckStatus::kOk : CheckStatus::kDegraded,
             on_time ? "" : "see the log"},
            {"outbound network", CheckKind::kOutside, all_up ? CheckStatus::kOk : CheckStatus::kDegraded,
             all_up ? "" : "alerts do not get through to a channel"}};
  }

  void note(const ApiRecord& record) {
    access_log_.add(record);
    if (!record.fault.empty()) {
      log_warn("api: " + std::string(record.route) + " answered " + std::to_string(record.status) +
               " (correlation id " + record.correlation_id + "): " + record.fault);
    }
    const std::string_view route = record.route.empty() ? "none" : record.route;
    const std::lock_guard lock(mutex_);
    table_.add(Metric::kApiRequestsTotal, {route, record.method, std::to_string(record.status)}, 1);
    table_.observe(Metric::kApiRequestDuration, {route, record.method},
                   static_cast<double>(record.duration.count()) / 1e6);
  }

  void refresh() {
    const TimePoint now = clock_.now();
    const StorePoolState pool = pool_.state();
    const OwnProcess own = read_own_process(now);
    {
      const std::lock_guard lock(mutex_);
      published_.publish(table_.take_changed());
    }
    const auto set = [this](Metric metric, std::initializer_list<std::string_view> labels, auto value) {
      published_.set(metric, labels, static_cast<double>(value));
    };
    set(Metric::kDbPoolInUse, {kPoolName}, pool.in_use);
    set(Metric::kDbPoolSize, {kPoolName}, pool.size);
    set(Metric::kDbPoolWaiters, {kPoolName}, pool.waiters);
    set(Metric::kDbPoolWait, {kPoolName}, pool.wait_seconds);
    MetricTable fleet(config_.metrics.max_series);
    for (const FleetTotal& total : upkeep_.fleet_totals()) {
      const Metric metric = total.counter == "jobs"       ? Metric::kFleetJobsTotal
                            : total.counter == "failures" ? Metric::kFleetFailuresTotal
                                                          : Metric::kFleetCorrectionsTotal;
      fleet.add(metric, {total.label_1, total.label_2}, static_cast<double>(total.amount));
    }
    published_.publish(fleet.take_changed());
    set(Metric::kHttpRequestsActive, {kService}, api_.active());
    set(Metric::kAccessLogLostTotal, {}, access_log_.lost());
    const AlertingState alerting = alerting_.state();
    set(Metric::kEvaluationRoundsTotal, {"ok"}, alerting.rounds);
    set(Metric::kEvaluationRoundsTotal, {"failed"}, alerting.failed_rounds);
    set(Metric::kEvaluationSeconds, {}, alerting.seconds);
    if (alerting.last_success) {
      set(Metric::kEvaluationLastSuccess, {}, static_cast<double>(to_micros(*alerting.last_success)) / 1e6);
    }
    set(Metric::kAlertDeliveriesPending, {}, alerting.pending);
    for (const auto& [name, channel] : alerting.channels) {
      set(Metric::kAlertDeliveriesTotal, {name, "sent"}, channel.sent);
      set(Metric::kAlertDeliveriesTotal, {name, "failed"}, channel.failed);
      set(Metric::kAlertChannelUp, {name}, channel.up ? 1 : 0);
    }
    set(Metric::kUptimeSeconds, {kService}, static_cast<double>((now - started_at_).count()) / 1e6);
    set(Metric::kBuildInfo, {kService, build_version(), build_git_sha()}, 1);
    set(Metric::kRuntailBuildInfo, {build_version(), build_git_sha()}, 1);
    set(Metric::kOwnCpuTotal, {}, own.cpu_seconds);
    set(Metric::kOwnMemory, {}, own.resident_bytes);
    set(Metric::kOwnFds, {}, own.open_fds);
    set(Metric::kOwnFdsMax, {}, own.max_fds);
    set(Metric::kOwnThreads, {}, own.threads);
    set(Metric::kOwnStart, {}, static_cast<double>(to_micros(own.started_at)) / 1e6);
  }

  const Config config_;
  SystemClock clock_;
  const TimePoint started_at_;
  PublishedMetrics published_;
  std::mutex mutex_;  // guards table_
  MetricTable table_{10'000};
  StorePool pool_;
  AccessLog access_log_;
  Upkeep upkeep_;
  Alerting alerting_;
  ApiServer api_;  // ends before what it asks and tells
};

}  // namespace

void add_server_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("server", "Answer the history API from PostgreSQL, and keep its tables up");
  const auto config_path = std::make_shared<std::string>();
  add_config_option(*verb, *config_path);
  verb->footer(kFooter);
  verb->callback([config_path, &exit_code] {
    exit_code = kExitConfig;
    auto config = config_or_complain(*config_path);
    if (!config) return;
    const auto complain = [](const std::string& what) { std::fprintf(stderr, "runtail server: %s\n", what.c_str()); };
    if (config->postgres.url.empty()) return complain("no database: set postgres.url (RUNTAIL_POSTGRES_URL)");
    std::optional<TokenVerifier> verifier;
    if (!config->api.anonymous) {
      auto made = TokenVerifier::make(config->api);
      if (!made) return complain(made.error().message);
      verifier = std::move(*made);
    }
    init_log(config->log);
    exit_code = Server(std::move(*config), std::move(verifier)).run();
  });
}

}  // namespace runtail
