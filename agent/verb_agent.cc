// `runtail agent`: load config, start the engine, serve metrics and health, wait for a signal or for the end of
// standard input, stop in reverse. SIGHUP: another engine with the configuration read anew takes the place of the
// first.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "agent/config_check.h"
#include "agent/control_socket.h"
#include "agent/engine.h"
#include "agent/exec/protocol.h"
#include "agent/health.h"
#include "agent/http_server.h"
#include "agent/local_api.h"
#include "agent/log.h"
#include "agent/look.h"
#include "agent/own_process.h"
#include "agent/preflight.h"
#include "agent/push_gateway.h"
#include "agent/service_notice.h"
#include "agent/verbs.h"
#include "config/quantity.h"
#include "core/build_info.h"
#include "core/exit_code.h"
#include "core/time.h"
#include "sinks/openmetrics.h"
#include "sinks/prometheus.h"

namespace runtail {
namespace {

// From SIGTERM to the end: the delivery's share of the 8 s the design allows.
constexpr std::chrono::milliseconds kStopDeadline{5'000}, kPushDeadline{1'500}, kApiDrain{1'000};
constexpr std::chrono::milliseconds kTick{200}, kStartEvery{1'000}, kListenEvery{5'000};
// A statement on its way ends by itself within postgres.statement_timeout; a reload waits for it, in steps that hear
// SIGTERM.
constexpr std::chrono::milliseconds kReloadStep{1'000}, kReloadDeadline{60'000};
// A job waits for us at the end of its pipe.
constexpr std::chrono::milliseconds kTickOfAJob{20};
// The agent before this one may still be on its way out.
constexpr std::chrono::seconds kHandOver{9};

double seconds(TimePoint time) { return static_cast<double>(to_micros(time)) / 1e6; }

// What is true at the moment, for those who ask from other threads.
template <typename T>
class Current {
 public:
  void set(T value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
  }
  T get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;  // guards value_
  T value_{};
};

class Agent {
 public:
  // `drain`: standard input is read, too; at its end, if there is no other source, the sinks get so long to have all.
  // `load`: the configuration as it stands now, or everything that is wrong with it.
  Agent(Config config, std::optional<std::chrono::milliseconds> drain, std::function<Result<Config>()> load)
      : config_(std::move(config)), load_(std::move(load)), drain_(drain), started_at_(clock_.now()) {
    if (drain_) standard_input_.emplace(STDIN_FILENO, config_.line_bytes_max, started_at_);
  }

  int run() {
    // Signals are waited for in this thread only; every thread made later inherits the mask.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    // Many sources mean many open files; what the system allows is ours to use.
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
      files.rlim_cur = files.rlim_max;
      setrlimit(RLIMIT_NOFILE, &files);
    }

    published_.set(Metric::kRuntailBuildInfo, {build_version(), build_git_sha()}, 1);
    published_.set(Metric::kBuildInfo, {"runtail", build_version(), build_git_sha()}, 1);
    published_.set(Metric::kLedgerImbalance, {}, 0);
    took_configuration(started_at_);
    log_info("runtail " + std::string(build_version()) + " starts as " + config_.name);
    for (const std::string& warning : preflight(config_)) log_warn(warning);
    if (drain_ && isatty(STDIN_FILENO) == 1) log_info("waits for lines on the terminal; Ctrl-D ends them");

    std::unique_ptr<PushGateway> push;
    if (config_.metrics.enabled && !config_.push.url.empty()) {
      auto made = PushGateway::make(
          config_.push, config_.name, [this] { return page(); }, published_, clock_);
      if (!made) {
        log_error(made.error().message);
        return kExitConfig;
      }
      push = std::move(*made);
      push->start();
    }

    if (LocalApi::is_configured(config_)) {
      api_ = std::make_unique<LocalApi>(
          config_.api, [this](const auto& use) { return with_history(use); }, clock_);
    }

    std::stop_source stop;  // of the start that is under way
    std::jthread starter;
    std::unique_ptr<HttpServer> http;
    ControlSocket control(control_socket_path(config_.buffer.directory),
                          [this](const auto& words) { return answer(words); });
    bool control_started = false;
    auto listen_again = std::chrono::steady_clock::now();
    auto serve_again = std::chrono::steady_clock::now();
    auto start_again = std::chrono::steady_clock::now();
    std::optional<Error> start_error;  // these two are the starter's while it runs
    std::string last_error;
    std::atomic<bool> starting{false};
    int exit_code = kExitOk;
    std::optional<std::chrono::steady_clock::time_point> drain_until;  // everything is read
    ServiceNotice notice;
    bool had_engine = false;  // one that is gone: a scrape may hold it, and with it the directory, a moment longer
    bool reload_wanted = false;
    std::optional<Config> before;  // in force until the last reload, whose engine has not started yet

    while (true) {
      if (auto engine = current_.get(); engine && engine->failure()) {
        had_engine = true;
        current_.set(nullptr);
        engine->stop(std::chrono::milliseconds(0));
      }
      if (!current_.get() && !starting && std::chrono::steady_clock::now() >= start_again) {
        start_again = std::chrono::steady_clock::now() + kStartEvery;
        if (start_error && start_error->code == ErrorCode::kInvalidInput) {
          if (!before) {
            exit_code = kExitConfig;
            break;
          }
          refused_configuration(start_error->message);
          config_ = *std::exchange(before, std::nullopt);
          set_log_level(config_.log.level);
        }
        if (start_error && start_error->code == ErrorCode::kInUse && !had_engine &&
            clock_.now() - started_at_ > kHandOver) {
          exit_code = kExitUnreachable;
          break;
        }
        if (start_error && start_error->code != ErrorCode::kInUse) reloading_ = false;  // it shows as what it is
        starting = true;
        start_error.reset();
        stop = std::stop_source();
        starter = std::jthread([&, token = stop.get_token()] {
          auto made = Engine::start(config_, published_, standard_input_ ? &*standard_input_ : nullptr, started_at_,
                                    token, [this](const std::string& reason) {
                                      log_warn(reason);
                                      wait_reason_.set(guarded(reason));
                                    });
          if (made) {
            current_.set(std::shared_ptr<Engine>(std::move(*made)));
            last_error.clear();
          } else {
            if (!token.stop_requested() && std::exchange(last_error, made.error().message) != made.error().message)
              log_error(last_error);
            start_error = made.error();
          }
          wait_reason_.set({});
          starting = false;
        });
      }
      if (!control_started && (current_.get() || !wait_reason_.get().empty())) {
        control_started = true;
        if (const auto listening = control.start(); !listening) log_warn(listening.error().message);
      }
      if (!http && !config_.http.listen.empty() && std::chrono::steady_clock::now() >= listen_again) {
        http = std::make_unique<HttpServer>(config_.http.listen, handlers());
        if (const auto listening = http->start(); listening) {
          log_info("metrics and health on port " + std::to_string(http->port()));
        } else {
          // Reading and delivering go on: telemetry of telemetry must not stop it.
          log_error(listening.error().message + "; trying again every 5 s");
          http.reset();
          listen_again = std::chrono::steady_clock::now() + kListenEvery;
        }
      }
      // With the first engine: an answer before it could only be that there is no history yet.
      if (api_ && !api_->is_listening() && current_.get() && std::chrono::steady_clock::now() >= serve_again) {
        if (const auto listening = api_->start(); listening) {
          log_info("history API on port " + std::to_string(api_->port()));
        } else if (listening.error().code == ErrorCode::kInvalidInput) {
          log_error(listening.error().message);
          exit_code = kExitConfig;
          break;
        } else {
          log_error(listening.error().message + "; trying again every 5 s");
          serve_again = std::chrono::steady_clock::now() + kListenEvery;
        }
      }
      if (const auto engine = current_.get(); drain_ && engine && engine->has_ended()) {
        const auto now = std::chrono::steady_clock::now();
        if (!drain_until) drain_until = now + *drain_;
        if (engine->undelivered().empty() || now >= *drain_until) {
          log_info("stopping at the end of standard input");
          break;
        }
      }
      const auto turned = std::chrono::steady_clock::now();
      if (const auto engine = current_.get()) {
        notice.ready("reads and delivers");
        notice.alive(engine->turned_at(), turned);
      } else {
        // Also while it waits for the database: that is no fault of this process.
        if (const std::string reason = wait_reason_.get(); !reason.empty()) notice.ready(reason);
        notice.alive(turned, turned);
      }
      const timespec tick{0, std::chrono::nanoseconds(drain_ ? kTickOfAJob : kTick).count()};
      if (current_.get() && before) {
        before.reset();
        reloading_ = false;
        forget_absent();
        took_configuration(clock_.now());
      }
      const int signal = sigtimedwait(&signals, nullptr, &tick);
      reload_wanted = reload_wanted || signal == SIGHUP;
      if (signal > 0 && signal != SIGHUP) {
        log_info(std::string("stopping on ") + strsignal(signal));
        break;
      }
      if (!reload_wanted) continue;
      // A start that waits for a database is cut short: the new configuration may name another.
      if (starting) {
        stop.request_stop();
        continue;
      }
      reload_wanted = false;
      auto next = next_configuration();
      if (!next) {
        refused_configuration(next.error().message);
        continue;
      }
      if (const auto engine = current_.get(); engine && !end_engine(*engine, signals, notice)) {
        const timespec now{0, 0};
        if (sigtimedwait(&signals, nullptr, &now) > 0) {
          log_info("stopping during a reload");
        } else {
          // Whoever keeps this process starts it anew, and then the new configuration is in force.
          log_error("a delivery does not come back: the agent ends, to be started with its new configuration");
          exit_code = kExitIncomplete;
        }
        break;
      }
      reloading_ = true;
      current_.set(nullptr);
      had_engine = true;
      if (!before) before = config_;
      config_ = std::move(*next);
      set_log_level(config_.log.level);
      for (const std::string& warning : preflight(config_)) log_warn(warning);
      start_error.reset();
      start_again = std::chrono::steady_clock::now();
    }
    notice.stopping();
    stop.request_stop();
    // A start that waits for the database's answer must not hold the exit: nothing was read yet.
    const auto until = std::chrono::steady_clock::now() + kStopDeadline;
    while (starting && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto farewell = drain_until ? PushGateway::Farewell::kKeep : PushGateway::Farewell::kForget;
    if (starting) {
      if (push) push->end(farewell, kPushDeadline);
      log_info("stopped");
      std::quick_exit(kExitOk);
    }
    if (starter.joinable()) starter.join();
    // Before the engine: what is under way reads its buffer.
    bool came_back = !api_ || api_->stop(kApiDrain);
    if (const auto engine = current_.get()) {
      came_back = engine->stop(kStopDeadline) && came_back;
      if (const std::string left = engine->undelivered(); drain_until && !left.empty()) {
        log_warn("not delivered yet: " + left + "; it is durable in " + config_.buffer.directory.string() +
                 ", and the next start delivers it");
        exit_code = kExitIncomplete;
      }
    }
    if (push && !push->end(farewell, kPushDeadline)) came_back = false;
    if (!came_back) std::quick_exit(exit_code);
    if (http) http->stop();
    control.stop();
    current_.set(nullptr);
    log_info("stopped");
    return exit_code;
  }

 private:
  // The configuration as it stands now, if this process can change to it.
  Result<Config> next_configuration() const {
    auto next = load_();
    if (!next) return next;
    if (const std::string keys = keys_for_a_restart(config_, *next); !keys.empty())
      return Error{ErrorCode::kInvalidInput, keys + " changed: that takes a restart"};
    return next;
  }

  void took_configuration(TimePoint at) {
    published_.set(Metric::kConfigReloadSuccessful, {}, 1);
    published_.set(Metric::kConfigReloadTime, {}, seconds(at));
    configuration_.set("configuration: in force since " + to_rfc3339(at) + "\n");
    if (at != started_at_) log_info("the configuration was read anew and is in force");
  }

  void refused_configuration(const std::string& why) {
    published_.set(Metric::kConfigReloadSuccessful, {}, 0);
    reloading_ = false;
    log_error("the configuration was not reloaded, the one before stays in force: " + why);
    configuration_.set("configuration: refused at " + to_rfc3339(clock_.now()) +
                       ", the one before stays in force: " + guarded(why) + "\n");
  }

  // What was read is durable and no delivery is under way when it returns true. False: one does not come back, or it is
  // time to end.
  static bool end_engine(Engine& engine, const sigset_t& signals, ServiceNotice& notice) {
    const auto until = std::chrono::steady_clock::now() + kReloadDeadline;
    while (!engine.stop(kReloadStep)) {
      const auto now = std::chrono::steady_clock::now();
      notice.alive(now, now);
      sigset_t pending;
      sigpending(&pending);
      for (const int signal : {SIGTERM, SIGINT}) {
        if (sigismember(&signals, signal) == 1 && sigismember(&pending, signal) == 1) return false;
      }
      if (now >= until) return false;
    }
    return true;
  }

  // Gauges of sources and sinks that the configuration names no more: nothing is behind, and up or down is no question.
  void forget_absent() {
    for (const Series& series : published_.snapshot()) {
      const bool of_source = series.metric == Metric::kSourceLagBytes || series.metric == Metric::kSourceOldestUnread ||
                             series.metric == Metric::kSourceOpenFiles;
      const bool of_sink = series.metric == Metric::kSinkUp || series.metric == Metric::kRecordsPending;
      if (!of_source && !of_sink) continue;
      const std::string& name = series.labels.front();
      const bool is_there = of_source ? std::any_of(config_.sources.begin(), config_.sources.end(),
                                                    [&](const SourceConfig& each) { return each.name == name; }) ||
                                            name == "exec"
                            : name == "postgres" ? !config_.postgres.url.empty()
                                                 : !config_.ndjson.path.empty();
      if (is_there) continue;
      const bool is_up = series.metric == Metric::kSinkUp;
      published_.set(series.metric, {name}, is_up ? std::numeric_limits<double>::quiet_NaN() : 0);
    }
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

  // For who is pushed to. While counters are not read back, the page would show them as gone.
  std::optional<std::string> page() {
    if (!current_.get()) return std::nullopt;
    refresh();
    return render(published_);
  }

  std::vector<HealthCheck> checks() const {
    if (const auto engine = current_.get()) return engine->health();
    if (const std::string reason = wait_reason_.get(); !reason.empty()) {
      return {{"buffer", CheckKind::kOwn, CheckStatus::kOk, ""},
              {"postgres", CheckKind::kOutside, CheckStatus::kUnavailable, reason}};
    }
    if (reloading_) return {{"buffer", CheckKind::kOwn, CheckStatus::kOk, "the configuration is reloaded"}};
    return {{"buffer", CheckKind::kOwn, CheckStatus::kUnavailable, "not open yet; see the log"}};
  }

  void refresh() {
    const TimePoint now = clock_.now();
    published_.set(Metric::kUptimeSeconds, {"runtail"}, static_cast<double>((now - started_at_).count()) / 1e6);
    const OwnProcess own = read_own_process(now);
    published_.set(Metric::kOwnCpuTotal, {}, own.cpu_seconds);
    published_.set(Metric::kOwnMemory, {}, static_cast<double>(own.resident_bytes));
    published_.set(Metric::kOwnFds, {}, static_cast<double>(own.open_fds));
    published_.set(Metric::kOwnFdsMax, {}, static_cast<double>(own.max_fds));
    published_.set(Metric::kOwnThreads, {}, static_cast<double>(own.threads));
    published_.set(Metric::kOwnStart, {}, seconds(own.started_at));
    if (api_) api_->publish(published_);
    if (const auto engine = current_.get()) {
      engine->refresh(now);
    } else if (!reloading_) {
      published_.set(Metric::kBufferDegraded, {}, 1);
    }
  }

  // The engine stays as long as the question is under way.
  bool with_history(const std::function<void(HistoryStore&)>& use) {
    const auto engine = current_.get();
    const auto store = engine ? engine->history() : nullptr;
    if (!store) return false;
    use(*store);
    return true;
  }

  Result<std::string> answer(const std::vector<std::string>& words) {
    const auto engine = current_.get();
    if (!engine) {
      const std::string reason = wait_reason_.get();
      if (words.front() == "status" && !reason.empty()) return reason + "\n";
      return Error{ErrorCode::kUnavailable, reason.empty() ? "the agent's buffer is not open; see its log" : reason};
    }
    if (words.front() == "status") {
      refresh();
      return engine->describe(clock_.now()) + configuration_.get();
    }
    if (words.front() == "replay") return engine->answer_replay(words);
    if (words.front() == "drain") {
      // "LAST DELIVERED TEXT": the last chunk there is, the last one every sink has, and what the others lack.
      const Sequence last = engine->buffer().appended().sequence;
      return std::to_string(last) + ' ' + std::to_string(std::min(last, engine->delivered_everywhere())) + ' ' +
             engine->undelivered();
    }
    return look(engine->buffer(), words, engine->redaction_kinds());
  }

  Config config_;  // changed by run() alone, while no start is under way
  const std::function<Result<Config>()> load_;
  const std::optional<std::chrono::milliseconds> drain_;
  SystemClock clock_;
  const TimePoint started_at_;
  std::optional<HeldLines> standard_input_;  // outlives every engine
  PublishedMetrics published_;
  Current<std::shared_ptr<Engine>> current_;
  std::unique_ptr<LocalApi> api_;       // null: PostgreSQL has the history, or nobody may ask for it
  Current<std::string> configuration_;  // its line of `runtail status`
  std::atomic<bool> reloading_{false};  // the new engine is on its way
  Current<std::string> wait_reason_;    // why there is no engine yet, if the start waits for something
};

}  // namespace

void add_agent_verb(CLI::App& app, int& exit_code) {
  struct Options {
    std::string config_path, job, drain = "30s";
    bool reads_stdin = false;
  };
  CLI::App* verb = app.add_subcommand("agent", "Tail, redact, derive runs and metrics, buffer, deliver");
  const auto options = std::make_shared<Options>();
  add_config_option(*verb, options->config_path);
  CLI::Option* reads_stdin = verb->add_flag("--stdin", options->reads_stdin,
                                            "Read lines from standard input, too; without another source, end with it");
  verb->add_option("--job", options->job, "With --stdin: the job of lines that name none. Default: the stream")
      ->type_name("NAME")
      ->needs(reads_stdin)
      ->check([](const std::string& job) {
        return is_job_name(job) ? ""
                                : "1 to 128 letters, digits or any of _ . : / - make a job's name, not \"" + job + "\"";
      });
  verb->add_option("--drain", options->drain,
                   "With --stdin: how long the sinks may take to have everything after its end. Default: 30s")
      ->type_name("DURATION")
      ->needs(reads_stdin)
      ->check([](const std::string& text) { return parse_duration(text) ? "" : "write a duration, as in 30s or 2m"; });
  verb->footer(
      "Examples:\n"
      "  RUNTAIL_SOURCE_INCLUDE='/var/log/etl/*.log' runtail agent\n"
      "  python3 -u worker.py | runtail agent --stdin --job nightly\n"
      "Without a database the history stays in the buffer directory: see `runtail runs`. With api.keys (or\n"
      "api.anonymous) the history API answers from it on api.listen, on 127.0.0.1:9848 if nothing else is said.\n"
      "SIGTERM and SIGINT: what was read is durable and the agent is gone within 8 s.\n"
      "SIGHUP: the configuration is read anew; one that is wrong changes nothing and shows on /metrics.\n"
      "--stdin: a full buffer makes the writer wait. A pipe hides the worker's exit code: `runtail exec` records it.\n"
      "Exit codes: 0 stopped by a signal, or standard input ended and all is delivered; 1 it ended and the sinks lack\n"
      "something, which the next start delivers; 3 configuration; 4 another agent holds the buffer directory.");
  verb->callback([options, &exit_code] {
    auto config = config_or_complain(options->config_path);
    if (!config) {
      exit_code = kExitConfig;
      return;
    }
    const auto with_stdin = [options](Config& each) -> Result<void> {
      if (!options->reads_stdin) return {};
      const auto is_stdin = [](const SourceConfig& source) { return source.name == "stdin"; };
      if (std::any_of(each.sources.begin(), each.sources.end(), is_stdin)) {
        return Error{ErrorCode::kInvalidInput,
                     "--stdin: a source of the configuration is called stdin; give it another name"};
      }
      SourceConfig source;
      source.name = source.type = "stdin";
      source.stream = each.name + "/stdin";
      source.job_id = options->job;
      each.sources.push_back(std::move(source));
      return {};
    };
    if (const auto added = with_stdin(*config); !added) {
      std::cerr << "runtail agent: " << added.error().message << '\n';
      exit_code = kExitConfig;
      return;
    }
    const auto load = [options, with_stdin]() -> Result<Config> {
      CheckedConfig checked = check_config(options->config_path, process_environment());
      std::string problems;
      for (const std::string& problem : checked.problems) problems += (problems.empty() ? "" : "; ") + problem;
      if (!problems.empty()) return Error{ErrorCode::kInvalidInput, problems};
      if (const auto added = with_stdin(checked.file.loaded.config); !added) return added.error();
      return std::move(checked.file.loaded.config);
    };
    const auto drain = options->reads_stdin ? parse_duration(options->drain) : std::nullopt;
    init_log(config->log);
    exit_code = Agent(std::move(*config), drain, load).run();
  });
}

}  // namespace runtail
