// Lines as an ETL fleet writes them, and what they mean: the same options give the same bytes.
// About 430 bytes a line; interleaved runs of 60 jobs, each queued -> started -> tasks -> succeeded or failed, a failed
// one often tried again; 5 % of the task lines carry a secret; 1 % are stack traces, not JSON; 25 % carry members no
// allowlist names. Every line says its own number once, as "seq=N" (0, 1, 2, ...).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/service_lines.h"

namespace runtail::test {

struct WorkloadOptions {
  std::uint64_t seed = 1;
  std::uint64_t lines = 1000;
  // Time of the first line; lines follow each other by about 11 ms.
  std::chrono::sys_time<std::chrono::milliseconds> start =
      std::chrono::floor<std::chrono::hours>(std::chrono::system_clock::now()) - std::chrono::hours(6);
  // Share of the runs told by `event` lines (run.queued, task.started, attempt.finished, ...), with several attempts in
  // one run and ids that are no UUIDs. The others are told by `phase`, and a retry is a new run.
  double event_runs = 0;
  std::uint32_t active_runs = 40;
  // Share of the lines that are of services beside the runs (tests/support/service_lines.h).
  double service_lines = 0;
};

// What must come out. Folded while the lines are made, from what the log contract says; shares nothing with the
// product.
struct ExpectedTask {
  std::string status;
  int attempt = 1;
  std::optional<std::int64_t> records_loaded;
  bool operator==(const ExpectedTask&) const = default;
};

struct ExpectedRun {
  std::string id;  // as the lines spell it
  std::string job_id, correlation_id;
  std::string retry_of;  // id of the run it repeats, or ""
  std::string status = "queued";
  int attempt_count = 1;
  std::int64_t scheduled_ms = 0, queued_ms = 0, last_ms = 0;  // since 1970
  std::optional<std::int64_t> started_ms, finished_ms, duration_ms, loaded_sum, loaded_total;
  std::string error_category, error_code;     // of a failed run
  std::map<int, std::string> attempts;        // number -> status
  std::map<std::string, ExpectedTask> tasks;  // by name
  std::optional<std::int64_t> records_loaded() const { return loaded_total ? loaded_total : loaded_sum; }
};

struct Expected {
  std::uint64_t lines = 0, text_lines = 0, secret_lines = 0, bytes = 0;  // bytes with newlines
  std::vector<ExpectedRun> runs;
  // trialsync_*: value by "job|status", "job|category", "job", "job|table", "level". Series at 0 are absent.
  std::map<std::string, double> jobs_total, job_failures_total, job_retries_total, records_loaded_total;
  std::map<std::string, double> json_lines_by_level;
  ServiceCounts services;  // with queue_jobs_total of the runs told by `event`
};

class Workload {
 public:
  explicit Workload(const WorkloadOptions& options);

  // Replaces `line` with the next one, without newline. false: all were given.
  bool next(std::string& line);

  // Of the lines given so far.
  Expected expected() const;
  // Every text planted in a line that must not be found in anything runtail writes.
  const std::vector<std::string>& secrets() const { return secrets_; }

 private:
  struct Slot {           // one run on its way
    std::size_t run = 0;  // index into expected_.runs
    std::uint32_t job = 0;
    bool by_event = false;
    enum class Stage : std::uint8_t { kQueue, kStart, kWork, kEnd, kNextAttempt } stage = Stage::kQueue;
    std::uint32_t work_left = 0;
    bool will_fail = false;
    int attempt = 1;
    unsigned task = 0;  // index of the task worked on
    bool task_open = false;
  };
  struct JobCounts {
    std::array<double, 4> ended{};     // success, failed, cancelled, skipped
    std::array<double, 4> failures{};  // API, DB, Data, System
    double retries = 0, records_loaded = 0;
  };

  std::uint64_t random();
  std::uint64_t below(std::uint64_t bound) { return (random() >> 8) % bound; }  // the low bits are the weak ones
  bool chance(double probability) { return static_cast<double>(random() >> 11) * 0x1p-53 < probability; }
  template <std::size_t N>
  std::string_view pick(const std::array<std::string_view, N>& of) {
    return of[below(N)];
  }

  void start_run(Slot& slot, const Slot* failed);
  void lifecycle_line(std::string& line);
  void queue(Slot& slot);
  void begin(Slot& slot);
  void work(Slot& slot);
  void touch_task(const Slot& slot, std::string_view name, std::string_view status, std::optional<std::int64_t> loaded);
  bool end(Slot& slot);
  void finish_well(Slot& slot);
  void close_run(const Slot& slot, unsigned ended);
  void next_attempt(Slot& slot);
  void traceback(std::string& line);
  void compose(const Slot& slot, std::string& line);
  void append_unlisted();
  void append_secret(std::string& text);
  void append_token(std::string& text, unsigned length);
  void append_digits(std::string& text, std::uint64_t value, unsigned width);
  void append_uuid(std::string& text);
  void append_time(std::string& text, std::int64_t ms);
  void append_number(std::string& text, std::int64_t value);
  void append_phrase(std::string& text, unsigned from, unsigned to);

  const WorkloadOptions options_;
  std::array<std::uint64_t, 2> state_{};
  std::int64_t now_us_ = 0;
  std::int64_t second_shown_ = -1;
  std::string second_text_;  // "2026-03-01T00:00:02."
  std::vector<Slot> slots_;
  unsigned traceback_left_ = 0;
  ServiceLines service_lines_;
  std::array<double, 4> queue_events_{};  // enqueued, retry, success, failure
  std::vector<JobCounts> jobs_;
  std::array<std::uint64_t, 4> levels_{};  // DEBUG, INFO, WARN, ERROR
  Expected expected_;
  std::vector<std::string> secrets_;
  // Of the line being made:
  std::string_view phase_, event_;
  unsigned level_ = 0;
  std::string msg_, extra_;
  std::int64_t ms_ = 0, duration_ms_ = 0;
};

}  // namespace runtail::test
