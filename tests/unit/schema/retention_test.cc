#include "schema/retention.h"

#include <atomic>
#include <thread>

#include "tests/support/wait_until.h"
#include "tests/unit/schema/upkeep_fixture.h"

namespace runtail {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using test::PostgresCluster;
using test::wait_until;
using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::Pair;
using testing::StartsWith;
using testing::UnorderedElementsAre;

class RetentionTest : public test::UpkeepTest {
 protected:
  RetentionReport apply(const char* now = kToday, const RetentionConfig& kept = {},
                        milliseconds lock_timeout = std::chrono::seconds(5)) {
    auto report = apply_retention(*connection_, kSchema, at(now), lock_timeout, kept);
    if (!report) throw std::runtime_error(report.error().message);
    return *report;
  }
};

TEST_F(RetentionTest, DropsThePartitionsThatAreOlderThanTheyAreKeptAndNoOther) {
  const RetentionReport report = apply();
  // A month and three days are older than kToday's.
  EXPECT_EQ(report.dropped.size(), 3u * 1 + 2 * 3);
  EXPECT_THAT(report.dropped, IsSupersetOf({"job_runs_2024_10", "log_events_2025_12_22", "log_events_2025_12_24"}));
  EXPECT_THAT(report.undone, IsEmpty());
  EXPECT_THAT(report.strays, IsEmpty());
  const auto bounds = read_partition_bounds(*connection_, kSchema).value();
  for (const PartitionRule& rule : partition_rules()) {
    if (bounds.count(rule.table) == 0) continue;
    const bool grows = rule.back < rule.kept;
    EXPECT_EQ(bounds.at(rule.table).from,
              grows ? at("2025-11-01T00:00:00Z") : partitions_due(rule, at(kToday)).front().bounds.from)
        << rule.table;
  }
  const RetentionReport again = apply();
  EXPECT_THAT(again.dropped, IsEmpty());
  EXPECT_THAT(again.strays, IsEmpty());
  for (const std::string& partition : report.dropped) EXPECT_EQ(one("SELECT to_regclass('" + partition + "')"), "-");
  EXPECT_THAT(maintain_partitions(*connection_, kSchema, at(kToday)).value(),
              Each(AnyOf(HasSubstr("2026"), HasSubstr("2027"))))
      << "what is due is not dropped";
}

TEST(PartitionRuleTest, WhatIsDueIsNeverDroppedAndAllThatIsDroppedIsOldEnough) {
  for (const auto& [runs, lines, messages] :
       {std::tuple(400, 30, 90), std::tuple(1, 1, 1), std::tuple(58, 7, 8), std::tuple(365, 31, 14)}) {
    RetentionConfig kept{hours(24 * runs), hours(24 * lines), hours(24 * messages)};
    for (const PartitionRule& rule : partition_rules(kept)) {
      for (TimePoint now = parse_rfc3339("2027-12-30T23:59:59Z").value();
           now < parse_rfc3339("2028-04-02T00:00:00Z").value(); now += hours(24)) {
        const Partition first = oldest_kept(rule, now);
        EXPECT_LE(first.bounds.from, partitions_due(rule, now).front().bounds.from);
        const hours time = rule.span == PartitionSpan::kDay    ? kept.lines
                           : rule.span == PartitionSpan::kWeek ? kept.messages
                           : rule.back < rule.kept             ? kept.audit
                                                               : kept.runs;
        EXPECT_LE(first.bounds.from, now - time) << rule.table << " at " << to_rfc3339(now);
      }
    }
  }
}

TEST(PartitionRuleTest, AccessAndAuditAreKeptForSixYears) {
  for (const PartitionRule& rule : partition_rules()) {
    if (rule.table != std::string_view("audit_events") && rule.table != std::string_view("access_log")) continue;
    EXPECT_EQ(oldest_kept(rule, parse_rfc3339("2031-12-31T23:59:59Z").value()).name,
              rule.table + std::string("_2025_11"));
    EXPECT_EQ(oldest_kept(rule, parse_rfc3339("2032-01-01T00:00:00Z").value()).name,
              rule.table + std::string("_2025_12"));
  }
}

TEST_F(RetentionTest, FollowsTheSettings) {
  RetentionConfig kept;
  kept.lines = hours(24 * 28);
  kept.runs = hours(24 * 360);
  kept.audit = hours(24 * 30);
  apply(kToday, kept);
  EXPECT_EQ(oldest("log_events"), "2025-12-27");
  EXPECT_EQ(oldest("job_runs"), "2025-01-01");
  EXPECT_EQ(oldest("audit_events"), "2025-11-01");
  // Kept longer again: the past is there again, for rows of old files.
  kept.lines = hours(24 * 32);
  ASSERT_TRUE(maintain_partitions(*connection_, kSchema, at(kToday), std::chrono::seconds(5), kept));
  EXPECT_EQ(oldest("log_events"), "2025-12-23");
}

TEST_F(RetentionTest, ARunGoesWithAllThatBelongsToIt) {
  const std::string old = add_run("orders", "2024-10-15"), kept = add_run("orders", "2024-11-01");
  for (const std::string& id : {old, kept}) {
    // Its data quality was seen later and stays, without it.
    run("INSERT INTO dq_observations VALUES (gen_random_uuid(), '2024-12-03', '" + id +
        "', 'orders', 1, 't', 'row_count', 1, NULL, gen_random_uuid())");
    run("INSERT INTO job_daily_summary (id, job_id, environment, day, computed_at) SELECT gen_random_uuid(), job_id, "
        "'', scheduled_at::date, now() FROM job_runs WHERE run_id = '" +
        id + "'");
    run("INSERT INTO summary_dirty SELECT job_id, '', scheduled_at::date, now() FROM job_runs WHERE run_id = '" + id +
        "'");
  }
  const RetentionReport report = apply();
  EXPECT_THAT(report.deleted,
              UnorderedElementsAre(Pair("run_ids", 1), Pair("summary_dirty", 1), Pair("job_daily_summary", 1)));
  for (const char* table : {"run_ids", "job_runs", "run_attempts", "task_runs", "run_state_changes"}) {
    EXPECT_THAT(rows(std::string("SELECT run_id FROM ") + table), ElementsAre(kept)) << table;
  }
  EXPECT_THAT(rows("SELECT run_id FROM dq_observations ORDER BY run_id NULLS LAST"), ElementsAre(kept, "-"));
  EXPECT_THAT(rows("SELECT day FROM job_daily_summary"), ElementsAre("2024-11-01"));
  EXPECT_THAT(rows("SELECT day FROM summary_dirty"), ElementsAre("2024-11-01"));
  EXPECT_THAT(rows("SELECT job_id FROM etl_jobs"), ElementsAre("orders"));
}

TEST_F(RetentionTest, RunsAreDeletedInSlices) {
  run("INSERT INTO run_ids SELECT gen_random_uuid(), '2024-10-15', true FROM generate_series(1, 1001)");
  EXPECT_THAT(apply().deleted, ElementsAre(Pair("run_ids", 1001)));
}

TEST_F(RetentionTest, AnAlertLosesTheResultThatIsDroppedAndGoesALongTimeAfterItIsResolved) {
  add_job("orders");
  run("INSERT INTO dq_check_definitions (check_id, table_name, check_type, metric, severity, source, updated_at) "
      "VALUES ('11111111-1111-5111-8111-111111111111', 't', 'null_rate', 'm', 'warn', 'yaml', now())");
  run("INSERT INTO dq_check_results (id, created_at, check_id, type, status, metric) SELECT gen_random_uuid(), day, "
      "'11111111-1111-5111-8111-111111111111', 'null_rate', 'warn', 'm' "
      "FROM unnest('{2024-10-31 23:00, 2024-11-01}'::timestamptz[]) AS day");
  run("INSERT INTO alert_rules (id, name, kind, severity, source, updated_at) VALUES "
      "('22222222-2222-5222-8222-222222222222', 'r', 'dq', 'warn', 'yaml', now())");
  run("INSERT INTO alert_channels VALUES ('33333333-3333-5333-8333-333333333333', 'c', 'slack', 'SLACK_URL', true, "
      "true, 'yaml', now())");
  const auto alert = [&](const std::string& name, const std::string& resolved_at, const std::string& result) {
    run("INSERT INTO alert_events (id, rule_id, dedupe_key, status, severity, fired_at, last_seen_at, resolved_at, "
        "count, dq_result_id, dq_result_at) SELECT gen_random_uuid(), '22222222-2222-5222-8222-222222222222', '" +
        name + "', 'resolved', 'warn', now(), now(), " + resolved_at +
        ", 1, r.id, r.created_at FROM (VALUES (1)) AS v " + "LEFT JOIN dq_check_results r ON created_at = " + result);
    run("INSERT INTO alert_deliveries (id, alert_id, channel_id, kind, seq, state, attempts, created_at) SELECT "
        "gen_random_uuid(), id, '33333333-3333-5333-8333-333333333333', 'firing', 1, 'sent', 1, now() "
        "FROM alert_events WHERE dedupe_key = '" +
        name + "'");
  };
  alert("open, old result", "NULL", "'2024-10-31 23:00'");
  alert("open, kept result", "NULL", "'2024-11-01'");
  alert("resolved 399 days ago", "'2024-12-21'", "NULL");
  alert("resolved 401 days ago", "'2024-12-19'", "NULL");
  const RetentionReport report = apply();
  EXPECT_THAT(report.undone, IsEmpty());
  EXPECT_THAT(report.deleted, ElementsAre(Pair("alert_events", 1)));
  EXPECT_EQ(oldest("dq_check_results"), "2024-11-01");
  EXPECT_THAT(
      rows("SELECT dedupe_key, dq_result_at::date, (SELECT count(*) FROM alert_deliveries WHERE alert_id = "
           "e.id) FROM alert_events e"),
      UnorderedElementsAre("open, old result - 1", "open, kept result 2024-11-01 1", "resolved 399 days ago - 1"));
}

TEST_F(RetentionTest, DeadLettersAndSilentServicesGoAfterNinetyDays) {
  for (const char* day : {"2025-10-25", "2025-10-27"}) {
    run(std::string("INSERT INTO dead_letters (id, at, byte_offset, byte_length, reason, agent_id) VALUES "
                    "(gen_random_uuid(), '") +
        day + "', 0, 1, 'bad_value', 'a')");
    run(std::string("INSERT INTO service_heartbeats (id, service, instance, status, last_seen_at) VALUES "
                    "(gen_random_uuid(), 's', '") +
        day + "', 'ok', '" + day + "')");
  }
  EXPECT_THAT(apply().deleted, UnorderedElementsAre(Pair("dead_letters", 1), Pair("service_heartbeats", 1)));
  EXPECT_THAT(rows("SELECT at::date FROM dead_letters"), ElementsAre("2025-10-27"));
  EXPECT_THAT(rows("SELECT instance FROM service_heartbeats"), ElementsAre("2025-10-27"));
}

class PositionsTest : public RetentionTest {
 protected:
  void add_position(const std::string& table, const std::string& stream, const std::string& advanced,
                    const std::string& covers_until) {
    run("INSERT INTO " + table + " VALUES ('" + stream + "', decode(repeat('00', 16), 'hex'), 0, '{[0,1)}', '', '" +
        advanced + "', '" + advanced + "', '" + covers_until + "', 'a')");
  }
  // Quiet for 91 days; its facts are older than the oldest month of runs (2024-11) and than 400 days.
  static constexpr char kQuiet[] = "2025-10-24", kOld[] = "2024-10-31";
};

TEST_F(PositionsTest, GoWhenTheFileIsQuietAndNoFactOfItCanLive) {
  add_position("source_files", "old", kQuiet, kOld);
  add_position("source_files", "advanced 89 days ago", "2025-10-27", kOld);
  add_position("source_files", "fed a run of 399 days ago", kQuiet, "2024-12-21");
  // More than 400 days ago, but the month of the run is there: read again, its sums would count twice.
  add_position("source_files", "fed a run of a month that is there", kQuiet, "2024-11-02");
  EXPECT_THAT(apply().deleted, ElementsAre(Pair("source_files", 1)));
  EXPECT_THAT(rows("SELECT stream FROM source_files"), Not(Contains("old")));
  EXPECT_EQ(one("SELECT count(*) FROM source_files"), "3");
}

TEST_F(PositionsTest, StayAsLongAsSomethingIsInTheWay) {
  add_position("source_files", "old", kQuiet, kOld);
  PgConnection reader = connect(conninfo_);
  ask(reader, "BEGIN; SELECT * FROM observability.job_runs");
  EXPECT_THAT(apply(kToday, {}, milliseconds(200)).undone, Not(IsEmpty()));
  EXPECT_EQ(one("SELECT count(*) FROM source_files"), "1");
  ask(reader, "COMMIT");
  EXPECT_THAT(apply().deleted, ElementsAre(Pair("source_files", 1)));
}

TEST_F(PositionsTest, OfTheTwoLanesOfAFileGoTogether) {
  run("DROP TABLE IF EXISTS source_facts; CREATE TABLE source_facts (LIKE source_files INCLUDING ALL)");
  for (const char* table : {"source_files", "source_facts"}) add_position(table, "both", kQuiet, kOld);
  add_position("source_files", "facts are kept", kQuiet, kOld);
  add_position("source_facts", "facts are kept", kQuiet, "2025-01-01");
  add_position("source_files", "file is kept", kQuiet, "2025-01-01");
  add_position("source_facts", "file is kept", kQuiet, kOld);
  EXPECT_THAT(apply().deleted, ElementsAre(Pair("source_files", 1), Pair("source_facts", 1)));
  for (const char* table : {"source_files", "source_facts"}) {
    EXPECT_THAT(rows(std::string("SELECT stream FROM ") + table),
                UnorderedElementsAre("facts are kept", "file is kept"))
        << table;
  }
}

TEST_F(RetentionTest, SaysWhoIsInTheWayAndGoesOnTheNextTimeWithoutAGap) {
  PgConnection reader = connect(conninfo_ + " application_name=dashboard");
  ask(reader, "BEGIN; SELECT count(*) FROM observability.log_events");
  const std::string pid(ask(reader, "SELECT pg_backend_pid()").text(0, 0));
  const RetentionReport report = apply(kToday, {}, milliseconds(300));
  ASSERT_EQ(report.undone.size(), 1u);
  EXPECT_THAT(report.undone[0], AllOf(HasSubstr("observability.log_events_2025_12_22 is not detached"),
                                      HasSubstr("held by pid " + pid + " (dashboard")));
  EXPECT_THAT(report.dropped, Not(Contains(StartsWith("log_events"))));
  EXPECT_THAT(report.dropped, Contains("metric_snapshots_2025_12_24")) << "the other tables do not wait";
  // Half detached: the oldest is gone for those who begin now, and nobody waits.
  EXPECT_EQ(oldest("log_events"), "2025-12-23");
  run("SET lock_timeout = '1s'");
  run(log_event("2026-01-24 12:00"));
  EXPECT_FALSE(connection_->exec(log_event("2025-12-22")));
  EXPECT_EQ(apply(kToday, {}, milliseconds(300)).undone.size(), 1u);
  ask(reader, "COMMIT");
  const RetentionReport next = apply();
  EXPECT_THAT(next.undone, IsEmpty());
  EXPECT_EQ(next.dropped.size(), 3u);
  EXPECT_THAT(next.dropped, Each(StartsWith("log_events")));
}

TEST_F(RetentionTest, WhatWasDetachedAndNotDroppedIsDroppedButNotWhatOthersDetached) {
  run("COMMENT ON TABLE log_events_2025_12_22 IS 'runtail: to be dropped'");
  for (const char* day : {"2025_12_22", "2025_12_23"}) {
    run(std::string("ALTER TABLE log_events DETACH PARTITION log_events_") + day);
  }
  const RetentionReport report = apply();
  EXPECT_THAT(report.dropped, Contains("log_events_2025_12_22"));
  EXPECT_THAT(report.strays, ElementsAre("observability.log_events_2025_12_23"));
  EXPECT_EQ(one("SELECT to_regclass('log_events_2025_12_23')"), "log_events_2025_12_23");
}

TEST_F(RetentionTest, APartitionThatWasDetachedTooEarlyIsAttachedAgainWithItsRows) {
  run(log_event("2026-01-20 10:00"));
  run("COMMENT ON TABLE log_events_2026_01_20 IS 'runtail: to be dropped'");
  run("ALTER TABLE log_events DETACH PARTITION log_events_2026_01_20 CONCURRENTLY");
  run("ALTER TABLE job_runs DETACH PARTITION job_runs_2026_01");
  EXPECT_EQ(one("SELECT count(*) FROM log_events"), "0");
  EXPECT_THAT(apply().dropped, Not(Contains("log_events_2026_01_20")));
  EXPECT_THAT(maintain_partitions(*connection_, kSchema, at(kToday)).value(),
              IsSupersetOf({"job_runs_2026_01", "log_events_2026_01_20"}));
  EXPECT_EQ(one("SELECT count(*) FROM log_events"), "1");
  EXPECT_EQ(one("SELECT obj_description('log_events_2026_01_20'::regclass)"), "-") << "it is no longer marked";
}

TEST_F(RetentionTest, ATableThatOnlyHasThePartitionsNameIsNamedAndTheOthersAreMade) {
  for (const char* day : {"log_events_2026_01_20", "log_events_2026_01_21", "metric_snapshots_2026_01_21"}) {
    run(std::string("DROP TABLE ") + day);
  }
  run("CREATE TABLE log_events_2026_01_20 (x int)");
  auto made = maintain_partitions(*connection_, kSchema, at(kToday));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(made.error().message, AllOf(HasSubstr("observability.log_events_2026_01_20 stands where a partition"),
                                          HasSubstr("drop or rename it")));
  EXPECT_THAT(rows("SELECT relispartition FROM pg_class WHERE relname IN ('log_events_2026_01_21', "
                   "'metric_snapshots_2026_01_21')"),
              ElementsAre("t", "t"));
}

TEST_F(RetentionTest, ADetachKilledInTheMiddleIsFinished) {
  run(log_event("2026-01-20 10:00"));
  for (const char* day : {"log_events_2025_12_22", "metric_snapshots_2026_01_20"}) {
    PgConnection reader = connect(conninfo_), killed = connect(conninfo_);
    const std::string table = std::string(day).substr(0, std::string_view(day).find("_20"));
    ask(reader, "BEGIN; SELECT count(*) FROM observability." + table);
    const std::string pid(ask(killed, "SELECT pg_backend_pid()").text(0, 0));
    std::thread detaching([&] {
      static_cast<void>(killed.exec("ALTER TABLE observability." + table + " DETACH PARTITION observability." + day +
                                    " CONCURRENTLY"));
    });
    EXPECT_TRUE(wait_until([&] { return one("SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == "1"; }));
    run("SELECT pg_terminate_backend(" + pid + ")");
    detaching.join();
    EXPECT_EQ(one("SELECT count(*) FROM pg_inherits WHERE inhdetachpending"), "1");
    ask(reader, "COMMIT");
    // Within the time it is kept, it comes back; else it goes, marked or not: who began that wanted it gone.
    EXPECT_TRUE(maintain_partitions(*connection_, kSchema, at(kToday)));
    apply();
    EXPECT_EQ(one("SELECT count(*) FROM pg_inherits WHERE inhdetachpending"), "0");
  }
  EXPECT_EQ(one("SELECT relispartition FROM pg_class WHERE relname = 'metric_snapshots_2026_01_20'"), "t");
  EXPECT_EQ(oldest("log_events"), "2025-12-25");
  EXPECT_EQ(one("SELECT to_regclass('log_events_2025_12_22')"), "-");
}

TEST_F(RetentionTest, TwoAtOnceDoItOnce) {
  run("INSERT INTO run_ids SELECT gen_random_uuid(), '2024-10-15', true FROM generate_series(1, 3000)");
  RetentionReport reports[2];
  std::vector<std::thread> threads;
  for (RetentionReport& report : reports) {
    threads.emplace_back([this, &report] {
      PgConnection connection = connect(conninfo_);
      auto done = apply_retention(connection, kSchema, at(kToday));
      EXPECT_TRUE(done) << done.error().message;
      if (done) report = *done;
    });
  }
  for (std::thread& thread : threads) thread.join();
  const RetentionReport rest = apply();
  EXPECT_THAT(rest.dropped, IsEmpty());
  EXPECT_THAT(rest.deleted, IsEmpty());
  std::int64_t deleted = 0;
  for (const RetentionReport& report : reports) {
    EXPECT_THAT(report.undone, IsEmpty());
    for (const auto& [table, rows] : report.deleted) deleted += rows;
  }
  EXPECT_EQ(deleted, 3000);
  EXPECT_EQ(oldest("job_runs"), "2024-11-01");
  EXPECT_EQ(oldest("log_events"), "2025-12-25");
}

// In the order of statements of an agent, without a pause.
TEST_F(RetentionTest, AWriterNeverFailsAndHardlyWaitsWhileAMonthGoes) {
  for (int day = 10; day < 30; ++day) add_run("orders", "2024-10-" + std::to_string(day));
  std::atomic<bool> stop = false;
  std::atomic<int> written = 0;
  std::atomic<std::int64_t> longest_us = 0;
  std::string failure;
  std::thread writing([&] {
    PgConnection writer = connect(conninfo_);
    ask(writer, "SET search_path = observability");
    while (!stop) {
      const auto begin = std::chrono::steady_clock::now();
      auto done = writer.exec(
          "BEGIN; INSERT INTO etl_jobs (id, job_id, source, created_at, updated_at) VALUES (gen_random_uuid(), "
          "'orders', 'line', now(), now()) ON CONFLICT (job_id) DO NOTHING; "
          "INSERT INTO run_ids VALUES (gen_random_uuid(), '2026-01-24 12:00', false); "
          "INSERT INTO job_runs (run_id, scheduled_at, job_id, job_id_rank, status, verdict_source, state_attempt, "
          "state_rank, state_at, state_event, first_event_at, last_event_at, attempt_count, retries_exhausted) SELECT "
          "run_id, scheduled_at, 'orders', 1, 'running', 'log', 1, 1, now(), run_id, now(), now(), 1, false FROM "
          "run_ids r WHERE scheduled_at = '2026-01-24 12:00' AND NOT EXISTS (SELECT FROM job_runs j WHERE j.run_id = "
          "r.run_id AND j.scheduled_at = r.scheduled_at); " +
          log_event("2026-01-24 12:00") + "; COMMIT");
      const auto took = std::chrono::steady_clock::now() - begin;
      longest_us =
          std::max<std::int64_t>(longest_us, std::chrono::microseconds(took / std::chrono::microseconds(1)).count());
      if (!done) {
        failure = done.error().sqlstate + " " + done.error().message;
        break;
      }
      ++written;
    }
  });
  EXPECT_TRUE(wait_until([&] { return written > 20; }));
  const int before = written;
  const RetentionReport report = apply();
  EXPECT_TRUE(wait_until([&] { return written > before + 20 || !failure.empty(); }));
  stop = true;
  writing.join();
  EXPECT_EQ(failure, "");
  EXPECT_THAT(report.undone, IsEmpty());
  EXPECT_THAT(report.deleted, ElementsAre(Pair("run_ids", 20)));
  EXPECT_LT(longest_us, 1'000'000) << "a lock is waited for 0.4 s at most";
  std::printf("%d transactions meanwhile, the longest took %lld us\n", written.load() - before,
              static_cast<long long>(longest_us.load()));
  EXPECT_EQ(one("SELECT count(*) FROM job_runs"), one("SELECT count(*) FROM log_events"));
}

// A writer that has etl_jobs and comes to run_ids must not meet one that has run_ids and waits for etl_jobs.
TEST_F(RetentionTest, WhileItWaitsForOneTableItHoldsNoOther) {
  run("COMMENT ON TABLE job_runs_2024_10 IS 'runtail: to be dropped'; ALTER TABLE job_runs DETACH PARTITION "
      "job_runs_2024_10");
  PgConnection slow = connect(conninfo_), quick = connect(conninfo_);
  ask(slow, "BEGIN; LOCK TABLE observability.etl_jobs IN ROW EXCLUSIVE MODE");
  ask(quick, "SET lock_timeout = '200ms'");
  std::atomic<bool> done = false;
  RetentionReport report;
  std::thread applying([&] {
    report = apply(kToday, {}, milliseconds(1000));
    done = true;
  });
  int written = 0, waited = 0;
  while (!done) {
    auto inserted = quick.exec("INSERT INTO observability.run_ids VALUES (gen_random_uuid(), '2026-01-24', false)");
    ++(inserted ? written : waited);
  }
  applying.join();
  EXPECT_GT(written, 0);
  EXPECT_EQ(waited, 0);
  EXPECT_THAT(report.undone, Contains(HasSubstr("job_runs_2024_10")));
  ask(slow, "COMMIT");
  EXPECT_THAT(apply().dropped, Contains("job_runs_2024_10"));
}

TEST_F(RetentionTest, TheRetentionRoleMayDoAllOfIt) {
  MigrationRequest request;
  request.roles = database_;
  ASSERT_TRUE(migrate_up(*connection_, kSchema, request));
  run("CREATE ROLE " + database_ + "_login LOGIN IN ROLE " + database_ + "_retention");
  add_run("orders", "2024-10-15");
  run("INSERT INTO source_files VALUES ('s', decode(repeat('00', 16), 'hex'), 0, '{[0,1)}', '', '2024-10-01', "
      "'2024-10-01', '2024-10-01', 'a')");
  PgConnection retention = connect(conninfo_ + " user=" + database_ + "_login");
  auto report = apply_retention(retention, kSchema, at(kToday));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->undone, IsEmpty());
  EXPECT_THAT(report->dropped, Contains("job_runs_2024_10"));
  EXPECT_THAT(report->deleted, ElementsAre(Pair("run_ids", 1), Pair("source_files", 1)));
}

TEST_F(RetentionTest, OfASchemaWithoutTheLaterTablesOnlyWhatIsThereIsTouched) {
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 5));
  EXPECT_EQ(apply().dropped.size(), 3u + 3);
}

}  // namespace
}  // namespace runtail
