#include "tests/support/delivered.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "schema/pg.h"

namespace runtail::test {
namespace {

template <typename T>
std::string shown(const std::optional<T>& value) {
  return value ? std::to_string(*value) : "";
}

// The first few differences of two sets of rows; thousands of lines would tell no more.
void expect_same_rows(std::vector<std::string> got, std::vector<std::string> want, const std::string& what) {
  std::sort(got.begin(), got.end());
  std::sort(want.begin(), want.end());
  std::vector<std::string> missing, surplus;
  std::set_difference(want.begin(), want.end(), got.begin(), got.end(), std::back_inserter(missing));
  std::set_difference(got.begin(), got.end(), want.begin(), want.end(), std::back_inserter(surplus));
  if (missing.empty() && surplus.empty()) return;
  std::string text =
      what + ": " + std::to_string(want.size()) + " rows expected, " + std::to_string(got.size()) + " there";
  for (std::size_t i = 0; i < std::min<std::size_t>(missing.size(), 5); ++i) text += "\n  missing " + missing[i];
  for (std::size_t i = 0; i < std::min<std::size_t>(surplus.size(), 5); ++i) text += "\n  surplus " + surplus[i];
  ADD_FAILURE() << text;
}

void expect_same_values(const std::map<std::string, double>& got, const std::map<std::string, double>& want,
                        const std::string& what) {
  std::vector<std::string> got_rows, want_rows;
  for (const auto& [key, value] : got) got_rows.push_back(key + ' ' + std::to_string(value));
  for (const auto& [key, value] : want) want_rows.push_back(key + ' ' + std::to_string(value));
  expect_same_rows(std::move(got_rows), std::move(want_rows), what);
}

std::string ms_of(const std::string& column) { return "(extract(epoch FROM " + column + ") * 1000)::bigint"; }

// Every series of the families that services move.
void expect_services(const Scrape& page, const ServiceCounts& expected) {
  std::map<std::string, double> found;
  for (const Sample& sample : page.samples) {
    if (sample.value == 0) continue;
    std::string key = sample.name + '{';
    for (const auto& [name, value] : sample.labels) key += (key.ends_with('{') ? "" : ",") + name + '=' + value;
    key += '}';
    const auto is_family = [&](const auto& each) { return each.first.starts_with(sample.name + '{'); };
    if (std::any_of(expected.samples.begin(), expected.samples.end(), is_family)) found[key] = sample.value;
  }
  std::map<std::string, double> wanted = expected.samples;
  std::erase_if(wanted, [](const auto& each) { return each.second == 0; });
  expect_same_values(found, wanted, "what services say");
}

}  // namespace

std::vector<std::string> Sql::rows(const std::string& query) const {
  PgOptions options;
  options.answer_timeout = std::chrono::minutes(10);  // ten million rows are counted
  auto connection = PgConnection::connect(conninfo_, options);
  if (!connection) throw std::runtime_error("connect: " + connection.error().message);
  const auto result = connection->exec(query);
  if (!result) throw std::runtime_error(query + ": " + result.error().message);
  std::vector<std::string> rows;
  for (int row = 0; row < result->rows(); ++row) {
    std::string& out = rows.emplace_back();
    for (int column = 0; column < result->columns(); ++column) {
      if (column > 0) out += '|';
      out += result->text(row, column);
    }
  }
  return rows;
}

std::int64_t Sql::number(const std::string& query) const { return std::stoll(rows(query).at(0)); }

bool wait_delivered(const Sql& sql, const AgentProcess& agent, std::uint64_t lines, Deadline deadline) {
  // Counting rows is work for the server under test: only when the agent has nothing left. A slow machine delivers
  // 5,000 lines a second.
  return wait_until(
      [&] {
        return agent.metric("runtail_records_pending", {{"sink", "postgres"}}) == 0 &&
               sql.log_events() >= static_cast<std::int64_t>(lines);
      },
      deadline + Deadline(lines / 5), Deadline(20));
}

void expect_every_line_once(const Sql& sql, std::uint64_t lines) {
  const std::string count = std::to_string(lines);
  const std::string last = lines == 0 ? "" : std::to_string(lines - 1);
  EXPECT_THAT(
      sql.rows("SELECT count(*), count(DISTINCT event_id), count(DISTINCT number), min(number), max(number) "
               "FROM (SELECT event_id, substring(concat_ws(' ', message, raw_text) FROM 'seq=([0-9]+)')::bigint "
               "AS number FROM observability.log_events) AS lines"),
      testing::ElementsAre(count + '|' + count + '|' + count + "|0|" + last))
      << "rows, distinct ids, distinct line numbers, first, last";
}

void expect_runs(const Sql& sql, const Expected& expected) {
  const std::string schema = "observability.";
  const std::string run_name = "coalesce(r.external_run_id, r.run_id::text)";
  std::vector<std::string> runs, attempts, tasks;
  for (const ExpectedRun& run : expected.runs) {
    runs.push_back(run.id + '|' + run.job_id + '|' + run.correlation_id + '|' + run.retry_of + '|' + run.status + '|' +
                   std::to_string(run.attempt_count) + '|' + std::to_string(run.scheduled_ms) + '|' +
                   std::to_string(run.queued_ms) + '|' + shown(run.started_ms) + '|' + shown(run.finished_ms) + '|' +
                   std::to_string(run.last_ms) + '|' + shown(run.duration_ms) + '|' + shown(run.loaded_sum) + '|' +
                   shown(run.loaded_total) + '|' + shown(run.records_loaded()) + '|' + run.error_category + '|' +
                   run.error_code);
    for (const auto& [number, status] : run.attempts) {
      attempts.push_back(run.id + '|' + std::to_string(number) + '|' + status);
    }
    for (const auto& [name, task] : run.tasks) {
      tasks.push_back(run.id + '|' + name + '|' + task.status + '|' + std::to_string(task.attempt) + '|' +
                      shown(task.records_loaded));
    }
  }
  expect_same_rows(
      sql.rows("SELECT " + run_name +
               ", r.job_id, r.correlation_id, coalesce(before.external_run_id, before.run_id::text), "
               "r.status, r.attempt_count, " +
               ms_of("r.scheduled_at") + ", " + ms_of("r.queued_at") + ", " + ms_of("r.started_at") + ", " +
               ms_of("r.finished_at") + ", " + ms_of("r.last_event_at") +
               ", r.duration_ms, r.records_loaded_sum, r.records_loaded_total, r.records_loaded, "
               "CASE WHEN r.status = 'failed' THEN r.error_category END, CASE WHEN r.status = 'failed' THEN "
               "r.error_code END "
               "FROM " +
               schema + "job_runs r LEFT JOIN " + schema + "job_runs before ON before.run_id = r.retry_of"),
      runs,
      "job_runs (run, job, correlation, retry of, status, attempts, scheduled, queued, started, finished, last, "
      "duration, loaded sum, total, loaded, category, code)");
  expect_same_rows(sql.rows("SELECT " + run_name + ", a.attempt_no, a.status FROM " + schema + "run_attempts a JOIN " +
                            schema + "job_runs r USING (run_id)"),
                   attempts, "run_attempts (run, attempt, status)");
  expect_same_rows(sql.rows("SELECT " + run_name + ", t.name, t.status, t.attempt_no, t.records_loaded FROM " + schema +
                            "task_runs t JOIN " + schema + "job_runs r USING (run_id)"),
                   tasks, "task_runs (run, task, status, attempt, loaded)");
}

void expect_counters(const AgentProcess& agent, const Expected& expected) {
  const std::optional<Scrape> page = agent.scrape();
  ASSERT_TRUE(page) << "no answer from /metrics; the agent's log:\n" << agent.log();
  const double lines = static_cast<double>(expected.lines);
  EXPECT_EQ(page->sum("runtail_lines_read_total"), lines);
  EXPECT_EQ(page->sum("runtail_lines_total"), lines);
  EXPECT_EQ(page->sum("runtail_lines_total", {{"outcome", "stored"}}), lines);
  EXPECT_EQ(page->sum("runtail_ledger_imbalance"), 0);
  EXPECT_EQ(page->sum("runtail_records_pending"), 0);
  EXPECT_EQ(page->sum("runtail_lost_bytes_total"), 0);
  EXPECT_EQ(page->sum("runtail_verdict_corrections_total"), 0);
  EXPECT_EQ(page->sum("trialsync_log_events_total"), lines);
  for (const std::string level : {"DEBUG", "WARN"}) {
    EXPECT_EQ(page->sum("trialsync_log_events_total", {{"level", level}}), expected.json_lines_by_level.at(level))
        << level;
  }
  expect_same_values(page->by("trialsync_jobs_total", "job_id", "status"), expected.jobs_total, "jobs_total");
  expect_same_values(page->by("trialsync_job_duration_seconds_count", "job_id", "status"), expected.jobs_total,
                     "job_duration_seconds_count");
  expect_same_values(page->by("trialsync_job_failures_total", "job_id", "error_category"), expected.job_failures_total,
                     "job_failures_total");
  expect_same_values(page->by("trialsync_job_retries_total", "job_id"), expected.job_retries_total,
                     "job_retries_total");
  expect_same_values(page->by("trialsync_records_loaded_total", "job_id", "table"), expected.records_loaded_total,
                     "records_loaded_total");
  double runs = 0, failures = 0, running = 0;
  for (const auto& [key, count] : expected.jobs_total) runs += count;
  for (const auto& [key, count] : expected.job_failures_total) failures += count;
  for (const ExpectedRun& run : expected.runs) running += run.status == "running";
  EXPECT_EQ(page->sum("trialsync_job_runs_total"), runs);
  EXPECT_EQ(page->sum("trialsync_job_run_failures_total"), failures);
  EXPECT_EQ(page->sum("trialsync_jobs_running"), running);
  expect_services(*page, expected.services);
}

void expect_delivered(const Sql& sql, const AgentProcess& agent, const Expected& expected) {
  expect_every_line_once(sql, expected.lines);
  expect_runs(sql, expected);
  expect_counters(agent, expected);
  for (const auto& [table, rows] : {std::pair("spans", expected.services.spans),
                                    {"chat_messages", expected.services.chats},
                                    {"document_events", expected.services.documents}}) {
    EXPECT_EQ(sql.number(std::string("SELECT count(*) FROM observability.") + table), rows) << table;
  }
}

void expect_local_runs(const AgentProcess& agent, const Expected& expected) {
  std::vector<std::string> got, want;
  for (JsonRow& row : agent.runs()) {
    const std::string id = row["external_run_id"].empty() ? row["run_id"] : row["external_run_id"];
    got.push_back(id + '|' + row["job_id"] + '|' + row["status"] + '|' + row["attempt_count"] + '|' +
                  row["records_loaded"] + '|' + (row["finished_at"].empty() ? "" : row["duration_ms"]) + '|' +
                  (row["status"] == "failed" ? row["error_category"] : ""));
  }
  for (const ExpectedRun& run : expected.runs) {
    want.push_back(run.id + '|' + run.job_id + '|' + run.status + '|' + std::to_string(run.attempt_count) + '|' +
                   shown(run.records_loaded()) + '|' + shown(run.duration_ms) + '|' + run.error_category);
  }
  expect_same_rows(std::move(got), std::move(want),
                   "runtail runs (run, job, status, attempts, loaded, duration, category)");
}

}  // namespace runtail::test
