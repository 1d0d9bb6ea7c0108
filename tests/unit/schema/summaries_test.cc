#include "schema/summaries.h"

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "core/metric.h"
#include "tests/support/scale.h"
#include "tests/support/wait_until.h"
#include "tests/unit/schema/upkeep_fixture.h"

namespace runtail {
namespace {

using std::chrono::milliseconds;
using test::wait_until;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// One database for all: each test begins without rows.
class SummariesTest : public test::UpkeepTest {
 protected:
  void SetUp() override {
    static std::string database, conninfo;
    if (database.empty()) {
      use_new_database();
      database = database_;
      conninfo = conninfo_;
    } else {
      database_ = database;
      conninfo_ = conninfo;
      open();
    }
    for (const char* table : {"run_ids", "job_daily_summary", "summary_dirty", "etl_jobs"}) {
      run(std::string("DELETE FROM ") + table);
    }
  }
  std::int64_t refresh(const std::string& now = kToday) {
    auto days = refresh_summaries(*connection_, kSchema, at(now.c_str()));
    if (!days) throw std::runtime_error(days.error().message);
    return *days;
  }
  // Marks its day, as the writer does.
  static std::string mark(const std::string& job, const std::string& environment, const std::string& day) {
    return "INSERT INTO observability.summary_dirty VALUES ('" + job + "', '" + environment + "', '" + day +
           "', clock_timestamp()) ON CONFLICT DO NOTHING";
  }
  std::string add_ended(const std::string& day, const std::string& status, const std::string& more) {
    const std::string id = add_run("orders", day + " 10:00");
    run("UPDATE job_runs SET status = '" + status + "'" + (more.empty() ? "" : ", ") + more + " WHERE run_id = '" + id +
        "'");
    return id;
  }
  static constexpr char kColumns[] =
      "SELECT job_id, environment, day, runs, succeeded, failed, cancelled, skipped, success_rate, p95_duration_ms, "
      "duration_buckets, records_loaded, dq_warn, dq_fail FROM job_daily_summary ORDER BY 1, 2, 3";
};

TEST_F(SummariesTest, SayWhatBecameOfADay) {
  for (int i = 1; i <= 19; ++i) add_ended("2026-01-20", "success", "duration_ms = " + std::to_string(i * 1000));
  // Without a duration of its own, but with start and end.
  add_ended("2026-01-20", "failed",
            "started_at = '2026-01-20 10:00', finished_at = '2026-01-22 10:00', dq_status = 'fail'");
  add_ended("2026-01-20", "cancelled", "records_loaded_total = 7, records_loaded_sum = 5");
  add_ended("2026-01-20", "skipped", "duration_ms = 1000000000, dq_status = 'warn'");
  add_ended("2026-01-20", "running", "records_loaded_sum = 3, dq_status = 'warn'");
  add_ended("2026-01-19", "success", "duration_ms = 5");
  add_ended("2026-01-21", "success", "duration_ms = 5");
  run(mark("orders", "", "2026-01-20"));
  EXPECT_EQ(refresh(), 1);
  // 20 durations: the 19th is the first that 95 % do not exceed. One second is in the first bucket.
  EXPECT_THAT(rows(kColumns), ElementsAre("orders  2026-01-20 23 19 1 1 1 0.9047619047619048 19000 "
                                          "{1,4,10,4,0,0,0,0,0,0,0,0,0,0,1} 10 2 1"));
  EXPECT_EQ(buckets_of(Metric::kJobDuration).size(), 14u);
  EXPECT_EQ(one("SELECT computed_at FROM job_daily_summary"), "2026-01-24 12:00:00+00");
}

TEST_F(SummariesTest, ARunInsideOfOneOfTheSameJobCountsOnceAndLoadsWhatItLoads) {
  const std::string outer = add_ended("2026-01-20", "failed", "duration_ms = 9000, records_loaded_sum = 2");
  const auto inside = [](const std::string& parent, const std::string& more) {
    return "parent_run_id = '" + parent + "', duration_ms = 1000" + more;
  };
  const std::string inner = add_ended("2026-01-20", "success", inside(outer, ", records_loaded_sum = 5"));
  add_ended("2026-01-20", "success", inside(inner, ", records_loaded_sum = 1"));
  // Nobody knows its parent.
  add_ended("2026-01-20", "success", inside("00000000-0000-4000-8000-000000000009", ""));
  const std::string itself = add_ended("2026-01-20", "success", "duration_ms = 1000");
  run("UPDATE job_runs SET parent_run_id = run_id WHERE run_id = '" + itself + "'");
  // Each in the other.
  const std::string one_side = add_ended("2026-01-20", "cancelled", "");
  const std::string other = add_ended("2026-01-20", "cancelled", "parent_run_id = '" + one_side + "'");
  run("UPDATE job_runs SET parent_run_id = '" + other + "' WHERE run_id = '" + one_side + "'");
  run(mark("orders", "", "2026-01-20"));
  refresh();
  EXPECT_THAT(rows("SELECT runs, succeeded, failed, cancelled, success_rate, p95_duration_ms, records_loaded "
                   "FROM job_daily_summary"),
              ElementsAre("5 2 1 2 0.4 9000 8"));

  // Of another job it is a run of its own; on another day than its parent it leaves what it loaded.
  const std::string elsewhere = add_run("flows", "2026-01-20 09:00");
  run("UPDATE job_runs SET parent_run_id = '" + elsewhere + "' WHERE run_id = '" + inner + "'");
  add_ended("2026-01-21", "success", inside(outer, ", records_loaded_sum = 4"));
  for (const char* day : {"2026-01-20", "2026-01-21"}) run(mark("orders", "", day));
  refresh();
  EXPECT_THAT(rows("SELECT day, runs, succeeded, success_rate, records_loaded FROM job_daily_summary ORDER BY day"),
              ElementsAre("2026-01-20 6 3 0.5 8", "2026-01-21 0 0 - 4"));
}

TEST_F(SummariesTest, ARunThatEndedBeforeItStartedHasNoDuration) {
  add_ended("2026-01-20", "success", "started_at = '2026-01-20 10:00:07', finished_at = '2026-01-20 10:00'");
  add_ended("2026-01-20", "success", "started_at = '2026-01-20 10:00', finished_at = '2026-01-20 10:00:02'");
  run(mark("orders", "", "2026-01-20"));
  refresh();
  EXPECT_THAT(rows("SELECT runs, p95_duration_ms, duration_buckets FROM job_daily_summary"),
              ElementsAre("2 2000 {0,1,0,0,0,0,0,0,0,0,0,0,0,0,0}"));
}

TEST_F(SummariesTest, ADayOfWhichNothingEndedHasNoRateAndNoDuration) {
  add_ended("2026-01-20", "running", "");
  run(mark("orders", "", "2026-01-20"));
  refresh();
  EXPECT_THAT(rows(kColumns), ElementsAre("orders  2026-01-20 1 0 0 0 0 - - {0,0,0,0,0,0,0,0,0,0,0,0,0,0,0} - 0 0"));
}

TEST_F(SummariesTest, ADayWhoseRunsMovedAwayLosesItsRow) {
  const std::string id = add_ended("2026-01-20", "success", "environment = 'prod'");
  run(mark("orders", "prod", "2026-01-20"));
  EXPECT_EQ(refresh(), 1);
  run("UPDATE run_ids SET scheduled_at = '2026-01-18 23:59:59.999999' WHERE run_id = '" + id + "'");
  for (const char* day : {"2026-01-20", "2026-01-18"}) run(mark("orders", "prod", day));
  EXPECT_EQ(refresh(), 2);
  EXPECT_THAT(rows("SELECT environment, day, runs FROM job_daily_summary"), ElementsAre("prod 2026-01-18 1"));
  EXPECT_EQ(refresh(), 0);
}

TEST_F(SummariesTest, KeepTheirIdWhenComputedAgain) {
  add_ended("2026-01-20", "success", "");
  run(mark("orders", "", "2026-01-20"));
  refresh();
  const std::string before = one("SELECT id FROM job_daily_summary");
  run(mark("orders", "", "2026-01-20"));
  EXPECT_EQ(refresh("2026-01-25T00:00:00Z"), 1);
  EXPECT_EQ(one("SELECT id, computed_at FROM job_daily_summary"), before + " 2026-01-25 00:00:00+00");
}

// What a writer has changed and marked, but not committed, is not lost, although the mark was there before.
TEST_F(SummariesTest, AMarkOutlivesAWriterThatHasNotCommitted) {
  const std::string id = add_ended("2026-01-20", "running", "");
  run(mark("orders", "", "2026-01-20"));
  PgConnection writer = connect(conninfo_ + " application_name=agent");
  ask(writer, "BEGIN; UPDATE observability.job_runs SET status = 'success' WHERE run_id = '" + id + "'; " +
                  mark("orders", "", "2026-01-20"));
  auto refused = refresh_summaries(*connection_, kSchema, at(kToday), milliseconds(200));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("a lock is held by pid"), HasSubstr("(agent")));
  ask(writer, "COMMIT");
  EXPECT_EQ(refresh(), 1);
  EXPECT_THAT(rows("SELECT succeeded FROM job_daily_summary"), ElementsAre("1"));
}

TEST_F(SummariesTest, NeitherWaitForReadersNorMakeThemWait) {
  add_ended("2026-01-20", "success", "");
  run(mark("orders", "", "2026-01-20"));
  PgConnection reader = connect(conninfo_);
  ask(reader,
      "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM observability.job_daily_summary; SELECT * FROM "
      "observability.summary_dirty; SELECT * FROM observability.job_runs");
  EXPECT_EQ(refresh(), 1);
  ask(reader, "SET LOCAL lock_timeout = '1s'; SELECT * FROM observability.job_daily_summary");
}

TEST_F(SummariesTest, ReadOnlyTheMonthAndTheJobOfADay) {
  run("INSERT INTO etl_jobs (id, job_id, source, created_at, updated_at) SELECT gen_random_uuid(), 'job' || n, 'line', "
      "now(), now() FROM generate_series(1, 50) n");
  run("INSERT INTO run_ids SELECT gen_random_uuid(), '2026-01-01'::timestamptz + n * interval '1 min', true FROM "
      "generate_series(1, 5000) n");
  run("INSERT INTO job_runs (run_id, scheduled_at, job_id, job_id_rank, status, verdict_source, state_attempt, "
      "state_rank, state_at, state_event, first_event_at, last_event_at, attempt_count, retries_exhausted) SELECT "
      "run_id, scheduled_at, 'job' || (1 + extract(minute FROM scheduled_at)::int % 50), 1, 'success', 'log', 1, 3, "
      "now(), run_id, now(), now(), 1, false FROM run_ids");
  run("ANALYZE job_runs");
  for (int job = 1; job <= 50; ++job) run(mark("job" + std::to_string(job), "", "2026-01-02"));
  run("SELECT pg_stat_force_next_flush()");
  const std::string scans = "SELECT coalesce(sum(seq_scan), 0) FROM pg_stat_user_tables WHERE relname LIKE 'job_runs%'";
  const std::string before = one(scans);
  EXPECT_EQ(refresh(), 50);
  run("SELECT pg_stat_force_next_flush()");
  EXPECT_EQ(one(scans), before);
}

TEST_F(SummariesTest, SeveralAtOnceComputeEachDayOnce) {
  add_job("orders");
  run("INSERT INTO summary_dirty SELECT 'orders', '', '2025-06-01'::date + n, now() FROM generate_series(1, 200) n");
  for (const char* day : {"2025-06-02", "2025-08-01"}) add_ended(day, "success", "");
  std::int64_t days[3] = {};
  std::vector<std::thread> threads;
  for (std::int64_t& computed : days) {
    threads.emplace_back([this, &computed] {
      PgConnection connection = connect(conninfo_);
      auto done = refresh_summaries(connection, kSchema, at(kToday));
      EXPECT_TRUE(done) << done.error().message;
      computed = done ? *done : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(days[0] + days[1] + days[2], 200);
  EXPECT_EQ(refresh(), 0);
  EXPECT_THAT(rows("SELECT day FROM job_daily_summary ORDER BY 1"), ElementsAre("2025-06-02", "2025-08-01"));
}

TEST_F(SummariesTest, OfASchemaThatHasNoneAreNotMissed) {
  use_new_database();
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 11));
  EXPECT_EQ(refresh(), 0);
}

TEST_F(SummariesTest, TheRetentionRoleComputesThem) {
  MigrationRequest request;
  request.roles = database_;
  ASSERT_TRUE(migrate_up(*connection_, kSchema, request));
  run("CREATE ROLE " + database_ + "_login LOGIN IN ROLE " + database_ + "_retention");
  add_ended("2026-01-20", "success", "");
  for (const char* day : {"2026-01-20", "2026-01-19"}) run(mark("orders", "", day));
  PgConnection retention = connect(conninfo_ + " user=" + database_ + "_login");
  auto days = refresh_summaries(retention, kSchema, at(kToday));
  ASSERT_TRUE(days) << days.error().message;
  EXPECT_EQ(*days, 2);
}

// A run as a test's own memory of it.
struct Remembered {
  std::string id, job, environment, status, dq_status;
  TimePoint scheduled_at;
  std::optional<std::int64_t> duration_ms, records_loaded;
};

std::string day_of(TimePoint time) { return to_rfc3339(time).substr(0, 10); }

std::string expected_row(const std::vector<const Remembered*>& runs) {
  std::map<std::string, int> by_status, by_dq;
  std::vector<std::int64_t> durations;
  std::vector<int> buckets(buckets_of(Metric::kJobDuration).size() + 1);
  std::optional<std::int64_t> loaded;
  for (const Remembered* run : runs) {
    ++by_status[run->status];
    ++by_dq[run->dq_status];
    if (run->records_loaded) loaded = loaded.value_or(0) + *run->records_loaded;
    if (!run->duration_ms || (run->status != "success" && run->status != "failed" && run->status != "cancelled")) {
      continue;
    }
    durations.push_back(*run->duration_ms);
    std::size_t bucket = 0;
    for (const double bound : buckets_of(Metric::kJobDuration)) {
      if (static_cast<double>(*run->duration_ms) <= bound * 1000) break;
      ++bucket;
    }
    ++buckets[bucket];
  }
  std::sort(durations.begin(), durations.end());
  const int ended = by_status["success"] + by_status["failed"] + by_status["cancelled"];
  char rate[40] = "-";
  if (ended > 0) std::snprintf(rate, sizeof rate, "%.6f", static_cast<double>(by_status["success"]) / ended);
  std::string row = std::to_string(runs.size());
  for (const char* status : {"success", "failed", "cancelled", "skipped"})
    row += " " + std::to_string(by_status[status]);
  row += std::string(" ") + rate;
  // The smallest that at least 95 % do not exceed: place ceil(0.95 n), counted from 1.
  row += " " + (durations.empty() ? "-" : std::to_string(durations[(durations.size() * 95 + 99) / 100 - 1])) + " {";
  for (const int count : buckets) row += (row.back() == '{' ? "" : ",") + std::to_string(count);
  return row + "} " + (loaded ? std::to_string(*loaded) : "-") + " " + std::to_string(by_dq["warn"]) + " " +
         std::to_string(by_dq["fail"]);
}

// Runs come, are corrected, move to another day, another job; some marks are set in the middle of a refresh.
TEST_F(SummariesTest, EqualWhatIsCountedByHandWhateverTheOrder) {
  std::mt19937_64 random(test::seed());
  const auto pick = [&](std::uint64_t below) { return random() % below; };
  const std::vector<std::string> jobs = {"orders", "bills", "ünits"}, environments = {"", "prod", "dev"},
                                 statuses = {"queued",  "running", "success",   "success",
                                             "success", "failed",  "cancelled", "skipped"},
                                 qualities = {"", "pass", "warn", "fail"};
  for (const std::string& job : jobs) add_job(job);
  std::vector<Remembered> runs;
  const auto null_or = [](const auto& value) { return value ? std::to_string(*value) : std::string("NULL"); };
  const auto text_or_null = [](const std::string& text) { return text.empty() ? "NULL" : "'" + text + "'"; };
  const auto mark_of = [&](const Remembered& one) { return mark(one.job, one.environment, day_of(one.scheduled_at)); };
  const auto vary = [&](Remembered& one) {
    one.job = jobs[pick(jobs.size())];
    one.environment = environments[pick(environments.size())];
    one.status = statuses[pick(statuses.size())];
    one.dq_status = qualities[pick(qualities.size())];
    // Borders of days and of buckets among them.
    one.scheduled_at = at("2026-01-10T00:00:00Z") + std::chrono::hours(24 * pick(4)) +
                       std::chrono::microseconds(pick(3) == 0 ? 0 : pick(86'400'000'000));
    one.duration_ms.reset();
    if (pick(4) > 0) one.duration_ms = pick(2) == 0 ? pick(100'000'000) : 1000 * (1 + pick(61));
    one.records_loaded.reset();
    if (pick(2) > 0) one.records_loaded = pick(1000);
  };
  const auto write = [&](PgConnection& writer, const Remembered& one) {
    ask(writer, "UPDATE observability.run_ids SET scheduled_at = '" + to_rfc3339(one.scheduled_at) +
                    "' WHERE run_id = '" + one.id + "'; UPDATE observability.job_runs SET job_id = '" + one.job +
                    "', environment = " + text_or_null(one.environment) + ", status = '" + one.status +
                    "', dq_status = " + text_or_null(one.dq_status) + ", duration_ms = " + null_or(one.duration_ms) +
                    ", records_loaded_total = " + null_or(one.records_loaded) + " WHERE run_id = '" + one.id + "'");
  };
  PgConnection writer = connect(conninfo_);
  const int rounds = test::by_scale(12, 200);
  for (int round = 0; round < rounds; ++round) {
    ask(writer, "BEGIN");
    for (int change = 0; change < 10; ++change) {
      if (runs.empty() || pick(2) == 0) {
        Remembered one;
        vary(one);
        one.id = add_run(one.job, to_rfc3339(one.scheduled_at));
        write(writer, one);
        ask(writer, mark_of(one));
        runs.push_back(one);
      } else {
        Remembered& one = runs[pick(runs.size())];
        const std::string before = mark_of(one);
        vary(one);
        write(writer, one);
        ask(writer, before + "; " + mark_of(one));
      }
    }
    // Refreshed in another session while the writer commits.
    std::thread refreshing([this] {
      PgConnection connection = connect(conninfo_);
      EXPECT_TRUE(refresh_summaries(connection, kSchema, at(kToday)));
    });
    ask(writer, "COMMIT");
    refreshing.join();
    refresh();

    std::map<std::string, std::vector<const Remembered*>> by_day;
    for (const Remembered& one : runs) {
      by_day[one.job + " " + one.environment + " " + day_of(one.scheduled_at)].push_back(&one);
    }
    std::vector<std::string> expected;
    for (const auto& [key, of_day] : by_day) expected.push_back(key + " " + expected_row(of_day));
    ASSERT_THAT(rows("SELECT job_id, environment, day, runs, succeeded, failed, cancelled, skipped, "
                     "to_char(success_rate, 'FM0.000000'), p95_duration_ms, duration_buckets, records_loaded, dq_warn, "
                     "dq_fail FROM job_daily_summary"),
                testing::UnorderedElementsAreArray(expected))
        << "round " << round;
    ASSERT_EQ(one("SELECT count(*) FROM summary_dirty"), "0");
  }
}

}  // namespace
}  // namespace runtail
