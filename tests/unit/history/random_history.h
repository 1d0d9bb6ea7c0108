// Random logs of workers over some weeks, and what they mean, known from making them and not from reading them.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/time.h"
#include "core/uuid.h"

namespace runtail::test {

struct TrueRun {
  Uuid id;
  std::string job, environment, project, status;  // environment as its rows have it; "" for no project
  std::optional<std::size_t> parent;              // among the runs
  TimePoint scheduled_at{};
  std::optional<TimePoint> finished_at;
  std::optional<std::int64_t> duration_us, loaded;
  std::string category;   // of its error while it is failed
  std::size_t lines = 0;  // that name it, but for spans
  bool in_order = false;  // its lines stand in the log as it printed them
};

struct LogLine {
  std::size_t file = 0;
  std::string text;
};

class RandomHistory {
 public:
  static constexpr std::size_t kFiles = 3;
  static constexpr int kDays = 24;

  RandomHistory(std::uint64_t seed, std::size_t runs, TimePoint now) : random_(seed), now_(now) {
    std::vector<std::vector<LogLine>> scripts;
    for (std::size_t i = 0; i < runs; ++i) scripts.push_back(script());
    for (std::size_t i = 0; i < runs / 4; ++i) scripts.push_back({{below(kFiles), service_line()}});
    // Lines of all of them, each script's in its order.
    std::vector<std::size_t> turns;
    for (std::size_t i = 0; i < scripts.size(); ++i) turns.insert(turns.end(), scripts[i].size(), i);
    // Near to each other as runs are: a turn moves a little.
    for (std::size_t i = 0; i + 1 < turns.size(); ++i)
      std::swap(turns[i], turns[std::min(turns.size() - 1, i + below(60))]);
    std::vector<std::size_t> said(scripts.size());
    for (const std::size_t turn : turns) lines.push_back(std::move(scripts[turn][said[turn]++]));
  }

  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  std::string pick(std::vector<std::string> from) { return from[below(from.size())]; }

  std::vector<TrueRun> runs;
  std::vector<LogLine> lines;

  // Whether it counts as a run of its job: not inside of another one of it.
  bool counts(const TrueRun& run) const { return !run.parent || runs[*run.parent].job != run.job; }

 private:
  Uuid uuid() {
    Uuid id;
    for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(below(256));
    return id;
  }

  static std::string quoted(const std::string& text) { return '"' + text + '"'; }

  // The story of one run, as lines.
  std::vector<LogLine> script() {
    TrueRun run;
    run.id = uuid();
    run.job = "Job_" + std::to_string(below(6));
    run.project = pick({"", "sponsor_a", "sponsor_b", "sponsor_c"});
    const bool has_environment = !one_in(3);
    run.environment = has_environment ? pick({"prod", "dev"}) : "prod";
    TimePoint at = now_ - std::chrono::hours(3) -
                   std::chrono::microseconds(static_cast<std::int64_t>(below(std::size_t{kDays} * 86'400'000'000)));
    run.scheduled_at = at;
    if (!runs.empty() && one_in(4)) {
      run.parent = runs.size() - 1 - below(std::min<std::size_t>(runs.size(), 8));
      if (one_in(2)) run.job = runs[*run.parent].job;
    }
    if (!runs.empty() && one_in(6)) {
      // Of one moment with another; of one job they would be, and which of two is the last one is nobody's to say.
      const TimePoint same = runs.back().scheduled_at;
      const auto is_taken = [&](const TrueRun& each) { return each.job == run.job && each.scheduled_at == same; };
      if (std::none_of(runs.begin(), runs.end(), is_taken)) run.scheduled_at = at = same;
    }
    const std::string correlation = one_in(2) ? "c" + std::to_string(below(5)) : "";
    std::string head = ",\"job_id\":" + quoted(run.job) + ",\"run_id\":" + quoted(to_string(run.id));
    if (has_environment) head += ",\"env\":" + quoted(run.environment);
    if (!run.project.empty()) head += ",\"project_id\":" + quoted(run.project);
    if (!correlation.empty()) head += ",\"correlation_id\":" + quoted(correlation);
    if (run.parent) head += ",\"parent_run_id\":" + quoted(to_string(runs[*run.parent].id));
    std::vector<std::string> script;
    const auto say = [&](const std::string& members) {
      script.push_back("{\"ts\":" + quoted(to_rfc3339(at)) + ",\"level\":\"" + pick({"INFO", "WARN"}) + "\"" + head +
                       members + "}");
      ++run.lines;
      at += std::chrono::microseconds(1 + static_cast<std::int64_t>(below(200'000'000)));
    };
    const bool stated = one_in(2);
    const std::string scheduled = stated ? ",\"scheduled_at\":" + quoted(to_rfc3339(run.scheduled_at)) : "";
    if (stated) at += std::chrono::microseconds(1 + static_cast<std::int64_t>(below(5'000'000)));
    int attempt = one_in(5) ? 2 : 1;
    run.status = "queued";
    if (one_in(3)) say(scheduled + ",\"event\":\"run.queued\",\"attempt\":" + std::to_string(attempt));
    if (run.lines == 0 || !one_in(12)) {
      const TimePoint started = at;
      run.status = "running";
      say(scheduled + ",\"event\":\"run.started\",\"attempt\":" + std::to_string(attempt) +
          ",\"service\":" + quoted(pick({"etl", "api"})));
      std::optional<std::int64_t> sum;
      for (std::size_t more = below(6); more > 0; --more) middle(say, attempt, sum);
      if (one_in(3)) {
        say(",\"event\":\"attempt.finished\",\"status\":\"failed\",\"attempt\":" + std::to_string(attempt) +
            ",\"error_message\":\"upstream away\"");
        ++attempt;
        say(",\"event\":\"attempt.started\",\"attempt\":" + std::to_string(attempt));
        for (std::size_t more = below(4); more > 0; --more) middle(say, attempt, sum);
      }
      run.loaded = sum;
      if (!one_in(8)) end(run, say, at, started, attempt);
    }
    if (run.status == "success" && one_in(3)) {
      say(",\"event\":\"dq\",\"table\":\"t\",\"check\":\"rows\",\"status\":\"pass\",\"attempt\":" +
          std::to_string(attempt));
    }
    run.in_order = one_in(2);
    if (!run.in_order) std::shuffle(script.begin(), script.end(), random_);
    const std::size_t file = below(kFiles);
    std::vector<LogLine> out;
    for (std::string& text : script) out.push_back({file, std::move(text)});
    runs.push_back(std::move(run));
    return out;
  }

  // What a run says while it goes on.
  void middle(const auto& say, int attempt, std::optional<std::int64_t>& sum) {
    const std::string number = ",\"attempt\":" + std::to_string(attempt);
    switch (below(7)) {
      case 0:
        return say(number + ",\"event\":\"task.started\",\"task\":\"t" + std::to_string(below(3)) + "\",\"phase\":\"" +
                   pick({"extract", "load"}) + '"');
      case 1: {
        const std::int64_t rows = static_cast<std::int64_t>(below(1000));
        sum = sum.value_or(0) + rows;
        return say(number + ",\"msg\":\"loaded\",\"table\":\"stg.orders\",\"records_loaded\":" + std::to_string(rows));
      }
      case 2:
        return say(number + ",\"event\":\"dq\",\"table\":\"stg." + pick({"orders", "items"}) + "\",\"column\":\"" +
                   pick({"a", "b"}) + "\",\"check\":\"" + pick({"nulls", "range"}) +
                   "\",\"metric\":\"rate\",\"value\":0." + std::to_string(below(100)) +
                   ",\"threshold\":0.5,\"status\":\"" + pick({"pass", "warn", "fail"}) + '"');
      case 3:
        return say(number + ",\"event\":\"dataset\",\"dataset\":\"" + pick({"orders", "items", "people"}) +
                   "\",\"status\":\"" + pick({"success", "failed"}) +
                   "\",\"record_count\":" + std::to_string(below(1000)));
      case 4:
        return say(number + ",\"event\":\"span\",\"trace_id\":\"" + hex(32) + "\",\"span_id\":\"" + hex(16) +
                   "\",\"name\":\"step\",\"span_type\":\"retrieval\",\"duration_ms\":" + std::to_string(below(900)) +
                   ".5,\"status\":\"ok\"");
      case 5:
        return say(number + ",\"event\":\"task.finished\",\"task\":\"t" + std::to_string(below(3)) +
                   "\",\"status\":\"" + pick({"success", "failed"}) + '"');
      default:
        return say(number + ",\"msg\":\"still at it\",\"user_note\":\"mail to jane.doe@example.com\",\"step\":" +
                   std::to_string(below(9)));
    }
  }

  void end(TrueRun& run, const auto& say, TimePoint at, TimePoint started, int attempt) {
    run.status = pick({"success", "success", "success", "failed", "failed", "cancelled", "skipped"});
    std::string members =
        ",\"event\":\"run.finished\",\"status\":\"" + run.status + "\",\"attempt\":" + std::to_string(attempt);
    run.finished_at = at;
    if (one_in(2)) {
      const auto ms = static_cast<std::int64_t>(below(5'000'000));
      run.duration_us = ms * 1000;
      members += ",\"duration_ms\":" + std::to_string(ms);
    } else {
      run.duration_us = (at - started).count();
    }
    if (one_in(2)) {
      run.loaded = static_cast<std::int64_t>(below(100'000));
      members += ",\"records_loaded\":" + std::to_string(*run.loaded);
    }
    if (run.status == "failed") {
      run.category = pick({"API", "DB", "Data", "System"});
      members += ",\"error_category\":\"" + run.category +
                 "\",\"error_code\":\"E1\",\"error_message\":\"gave up\",\"exit_code\":3";
    }
    if (one_in(3)) members += R"(,"metrics":{"cpu_seconds":1.5,"peak":7})";
    say(members);
  }

  std::string service_line() {
    const TimePoint at = now_ - std::chrono::microseconds(1 + static_cast<std::int64_t>(below(86'400'000'000)));
    return "{\"ts\":" + quoted(to_rfc3339(at)) + ",\"level\":\"INFO\",\"event\":\"heartbeat\",\"service\":\"" +
           pick({"api", "web"}) + "\",\"instance\":\"i" + std::to_string(below(5)) + "\",\"version\":\"" +
           pick({"1.0", "1.0", "1.1"}) + "\",\"status\":\"ok\",\"uptime_seconds\":" + std::to_string(below(9000)) +
           ".25,\"rss_bytes\":" + std::to_string(below(1 << 30)) + "}";
  }

  std::string hex(std::size_t digits) {
    std::string out = "ab";
    while (out.size() < digits) out += "0123456789abcdef"[below(16)];
    return out;
  }

  std::mt19937_64 random_;
  const TimePoint now_;
};

}  // namespace runtail::test
