#include "tests/support/workload.h"

#include <charconv>
#include <chrono>

namespace runtail::test {
namespace {

constexpr std::uint32_t kJobs = 60;
constexpr std::array<std::string_view, 5> kServices = {"pay-ingest", "pay-settle", "crm-sync", "stock-feed",
                                                       "web-click"};
constexpr std::array<std::string_view, 7> kDatasets = {"orders", "invoices", "refunds", "people",
                                                       "stock",  "visits",   "ledger"};
constexpr std::array<std::string_view, 7> kTables = {"public.orders", "stg.invoices", "stg.refunds", "dim.person",
                                                     "fact.stock",    "fact.visit",   "fact.ledger"};
constexpr std::array<std::string_view, 5> kTasks = {"fetch", "check", "reshape", "load", "publish"};
constexpr std::array<std::string_view, 5> kTaskPhases = {"extract", "dq", "transform", "load", "load"};
constexpr std::array<std::string_view, 16> kWords = {"batch",  "page",  "shard",  "cursor", "window", "bucket",
                                                     "source", "merge", "upsert", "lookup", "commit", "stage",
                                                     "slice",  "queue", "mirror", "backlog"};
enum LevelIndex : unsigned { kDebug, kInfo, kWarn, kError };
constexpr std::array<std::string_view, 4> kLevels = {"DEBUG", "INFO", "WARN", "ERROR"};
constexpr std::array<std::string_view, 4> kEnded = {"success", "failed", "cancelled", "skipped"};
constexpr std::array<std::string_view, 4> kCategories = {"API", "DB", "Data", "System"};
constexpr std::array<std::string_view, 4> kMailNames = {"ines", "ops.desk", "m.okoro", "feeds+raw"};
constexpr std::array<std::string_view, 3> kMailEnds = {".com", ".org", ".co.uk"};

struct KnownError {
  std::string_view word, code;
  unsigned http_status;
  unsigned category;  // index into kCategories
};
constexpr std::array<KnownError, 6> kErrors = {{{"timeout", "ETIMEDOUT", 504, 0},
                                                {"auth", "E401", 401, 0},
                                                {"ratelimit", "E429", 429, 0},
                                                {"db", "40001", 500, 1},
                                                {"schema", "SCHEMA_DRIFT", 422, 2},
                                                {"memory", "ENOMEM", 500, 3}}};

std::string job_name(std::uint32_t job) {
  std::string name = "job-" + std::string(kDatasets[job % kDatasets.size()]) + '-';
  if (job < 10) name += '0';
  return name + std::to_string(job);
}

// The last digit that makes `digits` pass the Luhn check once appended.
char luhn_digit(std::string_view digits) {
  unsigned sum = 0;
  bool twice = true;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
    if (*digit == ' ') continue;
    const unsigned value = static_cast<unsigned>(*digit - '0') * (twice ? 2 : 1);
    sum += value > 9 ? value - 9 : value;
    twice = !twice;
  }
  return static_cast<char>('0' + (10 - sum % 10) % 10);
}

}  // namespace

Workload::Workload(const WorkloadOptions& options) : options_(options), jobs_(kJobs) {
  state_ = {options.seed * 0x9E3779B97F4A7C15ull + 1, options.seed ^ 0xD1B54A32D192ED03ull};
  for (int i = 0; i < 16; ++i) random();
  now_us_ = std::chrono::microseconds(options.start.time_since_epoch()).count();
  slots_.resize(options.active_runs);
  for (Slot& slot : slots_) start_run(slot, nullptr);
}

// xoroshiro128+
std::uint64_t Workload::random() {
  const auto rotate = [](std::uint64_t value, int by) { return value << by | value >> (64 - by); };
  const std::uint64_t result = state_[0] + state_[1];
  const std::uint64_t mixed = state_[0] ^ state_[1];
  state_[0] = rotate(state_[0], 24) ^ mixed ^ mixed << 16;
  state_[1] = rotate(mixed, 37);
  return result;
}

void Workload::start_run(Slot& slot, const Slot* failed) {
  const Slot previous = failed ? *failed : Slot{};
  slot = Slot{};
  slot.work_left = 20 + static_cast<std::uint32_t>(below(100));
  ExpectedRun run;
  if (failed) {
    const ExpectedRun& before = expected_.runs[previous.run];
    slot.job = previous.job;
    slot.attempt = previous.attempt + 1;
    slot.will_fail = chance(0.25);
    run.correlation_id = before.correlation_id;
    run.retry_of = before.id;
  } else {
    slot.job = static_cast<std::uint32_t>(below(kJobs));
    slot.by_event = chance(options_.event_runs);
    slot.will_fail = chance(0.12);
    append_uuid(run.correlation_id);
  }
  run.job_id = job_name(slot.job);
  if (slot.by_event) {
    run.id = "scheduled__" + std::to_string(expected_.runs.size());
  } else {
    append_uuid(run.id);
  }
  run.attempt_count = slot.attempt;
  slot.run = expected_.runs.size();
  expected_.runs.push_back(std::move(run));
}

bool Workload::next(std::string& line) {
  if (expected_.lines == options_.lines) return false;
  line.clear();
  if (traceback_left_ > 0) {
    traceback(line);
  } else if (options_.service_lines > 0 && chance(options_.service_lines)) {
    now_us_ += 1000 + static_cast<std::int64_t>(below(20'000));
    std::string time;
    append_time(time, now_us_ / 1000);
    service_lines_.next(line, time, expected_.lines, [this](std::uint64_t bound) { return below(bound); });
    ++levels_[kInfo];
  } else {
    lifecycle_line(line);
  }
  ++expected_.lines;
  expected_.bytes += line.size() + 1;
  return true;
}

void Workload::lifecycle_line(std::string& line) {
  now_us_ += 1000 + static_cast<std::int64_t>(below(20'000));
  ms_ = now_us_ / 1000;
  phase_ = "task";
  event_ = {};
  level_ = kInfo;
  msg_.clear();
  extra_.clear();
  duration_ms_ = 1 + static_cast<std::int64_t>(below(60'000));
  Slot& slot = slots_[below(slots_.size())];
  bool over = false;
  switch (slot.stage) {
    case Slot::Stage::kQueue:
      queue(slot);
      break;
    case Slot::Stage::kStart:
      begin(slot);
      break;
    case Slot::Stage::kWork:
      work(slot);
      break;
    case Slot::Stage::kNextAttempt:
      next_attempt(slot);
      break;
    case Slot::Stage::kEnd:
      over = end(slot);
      break;
  }
  expected_.runs[slot.run].last_ms = ms_;
  ++levels_[level_];
  compose(slot, line);
  if (over) {
    const bool again = expected_.runs[slot.run].status == "failed" && !slot.by_event && slot.attempt < 3;
    const Slot failed = slot;
    start_run(slot, again ? &failed : nullptr);
  }
}

void Workload::queue(Slot& slot) {
  ExpectedRun& run = expected_.runs[slot.run];
  run.queued_ms = run.scheduled_ms = ms_;
  run.attempts[slot.attempt] = "queued";
  phase_ = "queued";
  msg_ = "job queued";
  if (slot.by_event) {
    event_ = "run.queued";
    ++queue_events_[0];
    extra_ = ",\"max_attempts\":3,\"queue\":\"nightly\"";
    if (chance(0.5)) {
      run.scheduled_ms = ms_ - 5000;
      extra_ += ",\"scheduled_at\":\"";
      append_time(extra_, run.scheduled_ms);
      extra_ += '"';
    }
  }
  slot.stage = Slot::Stage::kStart;
}

void Workload::begin(Slot& slot) {
  ExpectedRun& run = expected_.runs[slot.run];
  run.started_ms = ms_;
  run.status = "running";
  run.attempts[slot.attempt] = "running";
  if (slot.attempt > 1) ++jobs_[slot.job].retries;
  phase_ = "started";
  msg_ = "job started";
  if (slot.by_event) event_ = "run.started";
  slot.stage = Slot::Stage::kWork;
}

void Workload::work(Slot& slot) {
  if (--slot.work_left == 0) slot.stage = Slot::Stage::kEnd;
  const std::string_view task = kTasks[slot.task % kTasks.size()];
  const double x = static_cast<double>(below(1000)) / 1000;
  if (x > 0.96) {
    level_ = kWarn;
  } else if (x > 0.6) {
    level_ = kDebug;
  }
  std::optional<std::int64_t> loaded = static_cast<std::int64_t>(below(20'000));
  std::string_view status = "running";
  msg_ = "task ";
  msg_ += task;
  if (slot.by_event && !slot.task_open) {
    event_ = "task.started";
    slot.task_open = true;
    loaded.reset();
    msg_ += " started ";
  } else if (slot.by_event && x < 0.1) {
    event_ = "task.finished";
    status = "success";
    slot.task_open = false;
    msg_ += " finished ";
  } else {
    msg_ += " progress ";
  }
  append_phrase(msg_, 2, 8);
  if (chance(0.053)) {
    msg_ += "; ";
    append_secret(msg_);
    ++expected_.secret_lines;
  }
  extra_ = ",\"task\":\"";
  extra_ += task;
  extra_ += '"';
  if (event_ == "task.finished") extra_ += ",\"status\":\"success\"";
  if (loaded) {
    extra_ += ",\"records_loaded\":";
    append_number(extra_, *loaded);
    ExpectedRun& run = expected_.runs[slot.run];
    run.loaded_sum = run.loaded_sum.value_or(0) + *loaded;
    jobs_[slot.job].records_loaded += static_cast<double>(*loaded);
  }
  if (slot.by_event) phase_ = kTaskPhases[slot.task % kTasks.size()];
  touch_task(slot, task, status, loaded);
  if (event_ == "task.finished" || (!slot.by_event && x < 0.05)) ++slot.task;
}

void Workload::touch_task(const Slot& slot, std::string_view name, std::string_view status,
                          std::optional<std::int64_t> loaded) {
  ExpectedTask& task = expected_.runs[slot.run].tasks.try_emplace(std::string(name)).first->second;
  // A task of the same name in a later attempt opens the row again; within an attempt its end stays.
  if (task.status.empty() || slot.attempt > task.attempt || task.status == "running") task.status = status;
  task.attempt = slot.attempt;
  if (loaded) task.records_loaded = task.records_loaded.value_or(0) + *loaded;
}

// Ends the attempt; true: the run with it.
bool Workload::end(Slot& slot) {
  ExpectedRun& run = expected_.runs[slot.run];
  traceback_left_ = slot.will_fail ? 5 + static_cast<unsigned>(below(5)) : 0;
  if (!slot.will_fail) {
    finish_well(slot);
    return true;
  }
  const KnownError& error = kErrors[below(kErrors.size())];
  level_ = kError;
  phase_ = "failed";
  msg_ = "job failed: ";
  append_phrase(msg_, 5, 12);
  extra_ = ",\"error_category\":\"";
  extra_ += error.word;
  extra_ += "\",\"error_code\":\"";
  extra_ += error.code;
  extra_ += "\",\"http_status\":";
  append_number(extra_, error.http_status);
  run.attempts[slot.attempt] = "failed";
  if (slot.by_event) {
    extra_ += ",\"status\":\"failed\"";
    phase_ = {};
    event_ = "attempt.finished";
    ++queue_events_[3];
    if (slot.attempt < 3) {
      slot.stage = Slot::Stage::kNextAttempt;
      return false;
    }
    event_ = "run.finished";
    extra_ += ",\"retries_exhausted\":true";
  }
  run.error_category = kCategories[error.category];
  run.error_code = error.code;
  ++jobs_[slot.job].failures[error.category];
  close_run(slot, 1);
  return true;
}

void Workload::finish_well(Slot& slot) {
  ExpectedRun& run = expected_.runs[slot.run];
  unsigned ended = 0;
  phase_ = "succeeded";
  msg_ = "job finished";
  if (slot.by_event) {
    phase_ = {};
    event_ = "run.finished";
    const std::uint64_t kind = below(20);
    ended = kind == 0 ? 2 : kind == 1 ? 3 : 0;
    if (ended == 0) ++queue_events_[2];
    // Some of the spellings of one word.
    static constexpr std::array<std::string_view, 3> kSuccess = {"success", "Succeeded", "COMPLETED"};
    extra_ = ",\"status\":\"";
    extra_ += ended == 0 ? pick(kSuccess) : kEnded[ended];
    extra_ += '"';
    if (chance(0.7)) {
      run.loaded_total = run.loaded_sum.value_or(0) + static_cast<std::int64_t>(below(3) * 500);
      extra_ += ",\"records_loaded\":";
      append_number(extra_, *run.loaded_total);
      jobs_[slot.job].records_loaded += static_cast<double>(*run.loaded_total - run.loaded_sum.value_or(0));
    }
  }
  run.attempts[slot.attempt] = kEnded[ended];
  close_run(slot, ended);
}

void Workload::close_run(const Slot& slot, unsigned ended) {
  ExpectedRun& run = expected_.runs[slot.run];
  run.status = kEnded[ended];
  run.finished_ms = ms_;
  run.duration_ms = duration_ms_;
  ++jobs_[slot.job].ended[ended];
}

void Workload::next_attempt(Slot& slot) {
  ExpectedRun& run = expected_.runs[slot.run];
  ++slot.attempt;
  run.attempt_count = slot.attempt;
  run.attempts[slot.attempt] = "running";
  ++jobs_[slot.job].retries;
  slot.stage = Slot::Stage::kWork;
  slot.work_left = 20 + static_cast<std::uint32_t>(below(100));
  slot.will_fail = chance(0.4);
  slot.task = 0;
  slot.task_open = false;
  phase_ = {};
  event_ = "attempt.started";
  ++queue_events_[1];
  msg_ = "attempt started";
}

void Workload::traceback(std::string& line) {
  ++expected_.text_lines;
  --traceback_left_;
  line = "  File \"/srv/jobs/";
  line += pick(kTasks);
  line += ".py\", line ";
  append_number(line, static_cast<std::int64_t>(below(900)));
  line += ", in ";
  line += pick(kWords);
  line += "  # seq=";
  append_number(line, static_cast<std::int64_t>(expected_.lines));
}

void Workload::compose(const Slot& slot, std::string& line) {
  const ExpectedRun& run = expected_.runs[slot.run];
  const std::size_t data = slot.job % kDatasets.size();
  if (event_.empty() && phase_ != "task" && chance(0.5)) extra_ += ",\"http_status\":200";
  if (chance(0.25)) append_unlisted();
  line = "{\"ts\":\"";
  append_time(line, ms_);
  line += "\",\"level\":\"";
  line += kLevels[level_];
  line += "\",\"msg\":\"seq=";
  append_number(line, static_cast<std::int64_t>(expected_.lines));
  line += ' ';
  line += msg_;
  line += "\",\"service\":\"";
  line += kServices[slot.job % kServices.size()];
  line += "\",\"env\":\"prod\",\"correlation_id\":\"";
  line += run.correlation_id;
  line += "\",\"job_id\":\"";
  line += run.job_id;
  line += "\",\"run_id\":\"";
  line += run.id;
  line += "\",\"attempt\":";
  append_number(line, slot.attempt);
  if (!event_.empty()) {
    line += ",\"event\":\"";
    line += event_;
    line += '"';
  }
  if (!phase_.empty()) {
    line += ",\"phase\":\"";
    line += phase_;
    line += '"';
  }
  line += ",\"dataset\":\"";
  line += kDatasets[data];
  line += "\",\"table\":\"";
  line += kTables[data];
  line += "\",\"duration_ms\":";
  append_number(line, duration_ms_);
  line += extra_;
  line += '}';
}

// Members outside the contract: their values must be nowhere afterwards, secret or not.
void Workload::append_unlisted() {
  extra_ += ",\"user\":\"svc_";
  append_number(extra_, static_cast<std::int64_t>(below(40)));
  extra_ += "\",\"host_ip\":\"10.";
  append_number(extra_, static_cast<std::int64_t>(below(256)));
  extra_ += '.';
  append_number(extra_, static_cast<std::int64_t>(below(256)));
  extra_ += ".7\",\"debug\":{\"q\":\"";
  append_phrase(extra_, 1, 4);
  if (chance(0.05)) {
    std::string value = "unlisted-";
    append_token(value, 16);
    extra_ += ' ';
    extra_ += value;
    secrets_.push_back(std::move(value));
  }
  extra_ += "\",\"n\":[1,2,";
  append_number(extra_, static_cast<std::int64_t>(below(100)));
  extra_ += "]}";
}

void Workload::append_secret(std::string& text) {
  std::string secret;
  switch (below(8)) {
    case 0:
      secret = pick(kMailNames);
      append_digits(secret, below(100'000), 5);
      secret += "@example";
      secret += pick(kMailEnds);
      text += "notify " + secret;
      break;
    case 1:
      append_token(secret, 40);
      text += "upstream said Authorization: Bearer " + secret;
      break;
    case 2:
      secret = "eyJhbGciOiJIUzI1NiJ9.eyJ";
      append_token(secret, 30);
      secret += '.';
      append_token(secret, 43);
      text += "session " + secret;
      break;
    case 3:
      append_digits(secret, 1 + below(665), 3);
      secret += '-';
      append_digits(secret, 1 + below(99), 2);
      secret += '-';
      append_digits(secret, 1 + below(9999), 4);
      text += "bad row ssn " + secret;
      break;
    case 4:
      append_token(secret, 14);
      text += "connecting postgres://loader:" + secret + "@db-7.internal:5432/warehouse";
      break;
    case 5:
      secret = "AKIA";
      for (int i = 0; i < 16; ++i) secret += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[below(32)];
      text += "storage key " + secret + " expired";
      break;
    case 6:
      secret = "4242 ";
      append_digits(secret, below(10'000), 4);
      secret += ' ';
      append_digits(secret, below(10'000), 4);
      secret += ' ';
      append_digits(secret, below(1000), 3);
      secret += luhn_digit(secret);
      text += "payment row pan " + secret;
      break;
    default:
      append_token(secret, 14);
      text += "dsn host=db user=loader password=" + secret + " sslmode=require";
  }
  secrets_.push_back(std::move(secret));
}

void Workload::append_token(std::string& text, unsigned length) {
  static constexpr std::string_view kSigns = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  for (unsigned i = 0; i < length; ++i) text += kSigns[below(kSigns.size())];
}

void Workload::append_uuid(std::string& text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  const std::array<std::uint64_t, 3> bits = {random(), random(), random()};
  for (unsigned i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) text += '-';
    const auto nibble = bits[i / 12] >> (4 * (i % 12)) & 15;
    text += i == 12 ? '4' : i == 16 ? 'a' : kHex[nibble];
  }
}

void Workload::append_digits(std::string& text, std::uint64_t value, unsigned width) {
  std::string digits = std::to_string(value);
  text.append(width - digits.size(), '0');
  text += digits;
}

void Workload::append_number(std::string& text, std::int64_t value) {
  char digits[24];
  text.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

void Workload::append_time(std::string& text, std::int64_t ms) {
  using namespace std::chrono;
  const std::int64_t second = ms / 1000;
  if (second != second_shown_) {
    const sys_seconds time{seconds(second)};
    const sys_days day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss clock(time - day);
    second_shown_ = second;
    second_text_.clear();
    append_digits(second_text_, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
    second_text_ += '-';
    append_digits(second_text_, static_cast<unsigned>(date.month()), 2);
    second_text_ += '-';
    append_digits(second_text_, static_cast<unsigned>(date.day()), 2);
    second_text_ += 'T';
    append_digits(second_text_, static_cast<std::uint64_t>(clock.hours().count()), 2);
    second_text_ += ':';
    append_digits(second_text_, static_cast<std::uint64_t>(clock.minutes().count()), 2);
    second_text_ += ':';
    append_digits(second_text_, static_cast<std::uint64_t>(clock.seconds().count()), 2);
    second_text_ += '.';
  }
  text += second_text_;
  append_digits(text, static_cast<std::uint64_t>(ms % 1000), 3);
  text += 'Z';
}

void Workload::append_phrase(std::string& text, unsigned from, unsigned to) {
  const std::uint64_t count = from + below(to - from);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (i > 0) text += ' ';
    text += pick(kWords);
  }
}

Expected Workload::expected() const {
  Expected out = expected_;
  // The last runs of the slots may not have said a word yet.
  std::erase_if(out.runs, [](const ExpectedRun& run) { return run.queued_ms == 0; });
  for (std::uint32_t job = 0; job < kJobs; ++job) {
    const JobCounts& counts = jobs_[job];
    const std::string name = job_name(job);
    for (std::size_t i = 0; i < kEnded.size(); ++i) {
      if (counts.ended[i] > 0) out.jobs_total[name + '|' + std::string(kEnded[i])] = counts.ended[i];
      if (counts.failures[i] > 0) out.job_failures_total[name + '|' + std::string(kCategories[i])] = counts.failures[i];
    }
    if (counts.retries > 0) out.job_retries_total[name] = counts.retries;
    if (counts.records_loaded > 0) {
      out.records_loaded_total[name + '|' + std::string(kTables[job % kTables.size()])] = counts.records_loaded;
    }
  }
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (levels_[i] > 0) out.json_lines_by_level[std::string(kLevels[i])] = static_cast<double>(levels_[i]);
  }
  out.services = service_lines_.counts();
  constexpr std::array<std::string_view, 4> kQueueEvents = {"enqueued", "retry", "success", "failure"};
  for (std::size_t i = 0; i < kQueueEvents.size(); ++i) {
    if (queue_events_[i] == 0) continue;
    out.services
        .samples["trialsync_queue_jobs_total{event=" + std::string(kQueueEvents[i]) + ",job_type=none,queue=nightly}"] =
        queue_events_[i];
  }
  return out;
}

}  // namespace runtail::test
