// What a delivery leaves in the database, and that it leaves it once.
#include <thread>

#include "tests/unit/sinks/postgres_fixture.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// The worked example of the data page: one run, eight lines, two attempts, a late stated schedule.
LogFile example() {
  const std::string common = R"("service":"etl","env":"prod","job_id":"orders","run_id":"nightly__2026-03-01",)"
                             R"("correlation_id":"c7","level":"INFO","msg":"m",)";
  LogFile file;
  const auto line = [&](const std::string& time, const std::string& rest) {
    file.add(common + "\"ts\":\"" + time + "\"," + rest);
  };
  line("2026-03-01T00:00:02Z", R"("event":"run.started","attempt":1)");
  line("2026-02-28T23:30:00Z", R"("event":"run.queued","scheduled_at":"2026-02-28T23:30:00Z","max_attempts":2)");
  line("2026-03-01T00:00:03Z", R"("event":"task.started","task":"load_orders","phase":"load")");
  line("2026-03-01T00:01:00Z", R"("task":"load_orders","records_loaded":600)");
  line("2026-03-01T00:02:00Z",
       R"("event":"attempt.finished","attempt":1,"status":"failed","error_category":"db","error_code":"40001")");
  line("2026-03-01T00:03:00Z", R"("event":"attempt.started","attempt":2)");
  line("2026-03-01T00:05:00Z", R"("event":"dq","attempt":2,"table":"stg.orders","null_rates":{"email":0.12})");
  line("2026-03-01T00:06:00Z", R"("event":"run.finished","attempt":2,"status":"success","records_loaded":1500,)"
                               R"("duration_ms":358000,"dataset":"orders_daily")");
  return file;
}

TEST_F(PostgresSinkTest, OneRunInEightLinesGivesTheRowsOfTheDataPage) {
  const LogFile file = example();
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 1}));
  EXPECT_EQ(one("SELECT scheduled_at, scheduled_stated FROM run_ids"), "2026-03-01 00:00:02+00|f");
  EXPECT_EQ(one("SELECT tableoid::regclass FROM job_runs"), "job_runs_2026_03");
  deliver(sink, chunks_of(file, {1, 5}));
  EXPECT_EQ(one("SELECT scheduled_at, scheduled_stated FROM run_ids"), "2026-02-28 23:30:00+00|t");
  EXPECT_EQ(one("SELECT tableoid::regclass FROM job_runs"), "job_runs_2026_02");
  deliver(sink, chunks_of(file, {5, 8}));

  EXPECT_EQ(one("SELECT stream, generation, covered FROM source_files"),
            "agent-1/etl|0|{[0," + std::to_string(file.offset(8)) + ")}");
  EXPECT_EQ(one("SELECT external_run_id, scheduled_at, queued_at, started_at, finished_at, status, end_reason, "
                "verdict_source, attempt_count, max_attempts FROM job_runs"),
            "nightly__2026-03-01|2026-02-28 23:30:00+00|2026-02-28 23:30:00+00|2026-03-01 00:00:02+00|"
            "2026-03-01 00:06:00+00|success|completed|log|2|2");
  EXPECT_EQ(one("SELECT records_loaded_sum, records_loaded_total, records_loaded, duration_ms, correlation_id, dataset "
                "FROM job_runs"),
            "600|1500|1500|358000|c7|orders_daily");
  EXPECT_THAT(rows("SELECT attempt_no, status, error_category, error_code, records_loaded_sum, records_loaded_total "
                   "FROM run_attempts ORDER BY attempt_no"),
              ElementsAre("1|failed|DB|40001|600|-", "2|success|-|-|-|1500"));
  EXPECT_EQ(one("SELECT name, phase, status, records_loaded FROM task_runs"), "load_orders|load|running|600");
  EXPECT_THAT(rows("SELECT field, old, new, at FROM run_state_changes ORDER BY at"),
              ElementsAre("status|-|running|2026-03-01 00:00:02+00", "attempt|1|2|2026-03-01 00:03:00+00",
                          "status|running|success|2026-03-01 00:06:00+00"));
  EXPECT_EQ(one("SELECT count(*) FROM log_events"), "8");
  EXPECT_EQ(one("SELECT table_name, kind, data->>'email' FROM dq_observations"), "stg.orders|null_rates|0.12");
  EXPECT_EQ(one("SELECT environment, dataset, job_id, last_success_at, last_status FROM dataset_status"),
            "prod|orders_daily|orders|2026-03-01 00:06:00+00|success");
  EXPECT_THAT(rows("SELECT job_id, environment, day FROM summary_dirty ORDER BY day"),
              ElementsAre("orders|prod|2026-02-28", "orders|prod|2026-03-01"));
  EXPECT_EQ(one("SELECT job_id, source FROM etl_jobs"), "orders|line");
}

TEST_F(PostgresSinkTest, ACorrectedVerdictIsRecordedAlsoWhereTheStatusStays) {
  const auto by_exit = [](RedactedEvent& event) { event.verdict_source = VerdictSource::kExit; };
  const std::string sql = "SELECT field, old, new, verdict_source, at FROM run_state_changes ORDER BY at, field DESC";
  const auto changes = ElementsAre(
      "status|-|running|log|2026-03-01 00:00:01+00", "status|running|failed|exit|2026-03-01 00:00:09+00",
      "verdict_source|exit|log|log|2026-03-01 00:00:10+00", "end_reason|exit_code|oom|log|2026-03-01 00:00:10+00",
      "end_reason|oom|timeout|log|2026-03-01 00:00:11+00", "status|failed|success|log|2026-03-01 00:00:12+00");
  for (const std::size_t cut : {0u, 1u, 2u, 3u, 4u, 5u}) {
    rows("TRUNCATE source_files, source_facts, run_ids, job_runs, run_attempts, run_state_changes, log_events CASCADE");
    LogFile file;
    file.add(run_line("2026-03-01T00:00:01Z", R"("event":"run.started")"));
    file.add(run_line("2026-03-01T00:00:09Z", R"("event":"run.finished","status":"failed","exit_code":1)"), by_exit);
    file.add(run_line("2026-03-01T00:00:10Z", R"("event":"run.finished","status":"OOMKilled")"));
    file.add(run_line("2026-03-01T00:00:11Z", R"("event":"run.finished","status":"timeout")"));
    file.add(run_line("2026-03-01T00:00:12Z", R"("event":"run.finished","status":"success")"));
    DrivenSink sink = make_sink(config());
    if (cut > 0) deliver(sink, chunks_of(file, {0, cut}));
    if (cut < 5) deliver(sink, chunks_of(file, {cut, 5}));
    EXPECT_THAT(rows(sql), changes) << "cut after line " << cut;
  }
}

TEST_F(PostgresSinkTest, CostsBeyondTheColumnStayAtItsBound) {
  LogFile file;
  for (int i = 0; i < 6; ++i) {
    file.add(run_line("2026-03-01T00:00:01Z",
                      R"("cost_usd":3333.333333,"records_loaded":)" + std::to_string(1'000'000'000'000'000 - i)));
  }
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 2}));
  deliver(sink, chunks_of(file, {2, 5}));
  EXPECT_EQ(one("SELECT cost_usd, records_loaded_sum FROM job_runs"), "9999.999999|4999999999999990");
  rows("UPDATE job_runs SET records_loaded_sum = 3999999999999999990");
  deliver(sink, chunks_of(file, {5, 6}));
  EXPECT_EQ(one("SELECT cost_usd, records_loaded_sum FROM job_runs"), "9999.999999|4000000000000000000");
  EXPECT_EQ(one("SELECT count(*) FROM dead_letters"), "0");
}

TEST_F(PostgresSinkTest, TheSameChunksAgainChangeNothing) {
  const auto chunks = chunks_of(example(), {0, 3, 8});
  DrivenSink sink = make_sink(config());
  EXPECT_EQ(deliver(sink, chunks).applied, records_of(chunks));
  const auto before = everything();
  EXPECT_EQ(deliver(sink, chunks).duplicate, records_of(chunks));
  EXPECT_EQ(everything(), before);
  EXPECT_EQ(sink->position_conflicts(), 4u);  // of lines and of facts
}

TEST_F(PostgresSinkTest, AfterALostAnswerWhatIsCoveredCountsAsApplied) {
  const auto chunks = chunks_of(example(), {0, 8});
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks);
  EXPECT_EQ(deliver(sink, chunks, true).applied, records_of(chunks));
}

TEST_F(PostgresSinkTest, OtherChunkBordersGiveTheSameRows) {
  LogFile file = example();
  // Without a log_events row only the position can tell that it is there already.
  file.add(run_line("2026-03-01T00:07:00Z", R"("records_loaded":5)"),
           [](RedactedEvent& event) { event.stored = false; });
  file.add(run_line("2026-03-01T00:08:00Z", R"("records_loaded":7)"));
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 3, 5}));
  deliver(sink, chunks_of(file, {2, 4, 9}));
  deliver(sink, chunks_of(file, {0, 10}));
  const auto overlapped = everything();
  look_ = connect(new_database());
  PostgresConfig other = config();
  other.url = PostgresCluster::shared().conninfo(one("SELECT current_database()"));
  DrivenSink fresh = make_sink(other);
  deliver(fresh, chunks_of(file, {0, 10}));
  EXPECT_EQ(everything(), overlapped);
}

TEST_F(PostgresSinkTest, AHoleIsFilledAndTheEndKeepsItsConfirmation) {
  const LogFile file = example();
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 1}));
  deliver(sink, chunks_of(file, {5, 8}));
  EXPECT_EQ(one("SELECT covered, get_byte(confirm, 0) FROM source_files"),
            "{[0," + std::to_string(file.offset(1)) + "),[" + std::to_string(file.offset(5)) + "," +
                std::to_string(file.offset(8)) + ")}|8");
  deliver(sink, chunks_of(file, {1, 5}));
  EXPECT_EQ(one("SELECT covered, get_byte(confirm, 0) FROM source_files"),
            "{[0," + std::to_string(file.offset(8)) + ")}|8");
  EXPECT_EQ(one("SELECT status, records_loaded_sum, count(*) OVER () FROM job_runs"), "success|600|1");
}

TEST_F(PostgresSinkTest, TwoSinksRacingOnTheSameChunksWriteThemOnce) {
  LogFile file;
  for (int i = 0; i < 300; ++i) {
    file.add("\"ts\":\"2026-03-01T00:00:02Z\",\"msg\":\"m\",\"job_id\":\"j" + std::to_string(i % 7) +
             "\",\"run_id\":\"r" + std::to_string(i % 20) + "\",\"records_loaded\":1");
  }
  std::vector<std::vector<SequencedChunk>> batches;
  for (std::size_t i = 0; i < 300; i += 30) batches.push_back(chunks_of(file, {i, i + 10, i + 20, i + 30}));
  RecordOutcomes outcomes[2];
  const auto race = [&](RecordOutcomes& sum) {
    DrivenSink sink(config(), settings(), {}, clock_);
    for (const auto& batch : batches) {
      Delivery delivery;
      // A deadlock or a conflict is a retry, not a failure.
      do delivery = sink.deliver(batch, false);
      while (delivery.status == Delivery::Status::kRetry);
      EXPECT_EQ(delivery.status, Delivery::Status::kDelivered) << delivery.reason;
      sum += delivery.outcomes;
    }
  };
  std::thread other(race, std::ref(outcomes[1]));
  race(outcomes[0]);
  other.join();
  EXPECT_EQ(one("SELECT count(*) FROM log_events"), "300");
  EXPECT_EQ(one("SELECT sum(records_loaded_sum) FROM job_runs"), "300");
  EXPECT_EQ(one("SELECT sum(records_loaded_sum) FROM run_attempts"), "300");
  EXPECT_EQ(outcomes[0].applied[Table::kLogEvents] + outcomes[1].applied[Table::kLogEvents], 300u);
  EXPECT_EQ(outcomes[0].duplicate[Table::kLogEvents] + outcomes[1].duplicate[Table::kLogEvents], 300u);
}

TEST_F(PostgresSinkTest, WhatIsOlderThanTheTablesHorizonCreatesNothing) {
  LogFile file;
  file.add(run_line("2024-12-31T23:59:59Z", R"("event":"run.started")"));  // before the oldest month
  file.add(run_line("2025-06-01T00:00:00Z", R"("event":"run.started")"));  // a month, but no day any more
  file.add(run_line("2026-03-01T00:00:00Z", R"("event":"run.finished","status":"success")"));
  const auto chunks = chunks_of(file, {0, 3});
  DrivenSink sink = make_sink(config());
  const RecordOutcomes outcomes = deliver(sink, chunks);
  EXPECT_EQ(outcomes.expired[Table::kLogEvents], 2u);
  EXPECT_EQ(outcomes.expired[Table::kJobRuns], 1u);
  EXPECT_EQ(outcomes.expired[Table::kRunAttempts], 1u);
  EXPECT_EQ(one("SELECT started_at, status FROM job_runs"), "2025-06-01 00:00:00+00|success");
  EXPECT_EQ(one("SELECT count(*) FROM log_events"), "1");
}

TEST_F(PostgresSinkTest, AStatedScheduleOutsideTheMonthsCountsAsNotStated) {
  LogFile file;
  file.add(run_line("2026-03-01T00:00:00Z", R"("event":"run.started","scheduled_at":"2019-01-01T00:00:00Z")"));
  file.add(run_line("2026-03-01T00:00:01Z", R"("event":"run.queued","scheduled_at":"2040-01-01T00:00:00Z")"));
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 2}));
  EXPECT_EQ(one("SELECT scheduled_at, scheduled_stated FROM run_ids"), "2026-03-01 00:00:00+00|f");
}

TEST_F(PostgresSinkTest, AnEventFarAheadOfNowIsSetAside) {
  LogFile file;
  file.add(run_line("2026-03-04T12:00:01Z", R"("msg":"two days and a second ahead")"));
  file.add(run_line("2026-03-04T11:59:59Z", R"("msg":"just not")"));
  DrivenSink sink = make_sink(config());
  const RecordOutcomes outcomes = deliver(sink, chunks_of(file, {0, 2}));
  EXPECT_EQ(outcomes.dead_lettered[Table::kLogEvents], 1u);
  EXPECT_EQ(outcomes.dead_lettered[Table::kJobRuns], 1u);
  EXPECT_EQ(one("SELECT reason, byte_offset, body FROM dead_letters"), "future_time|0|two days and a second ahead");
  EXPECT_EQ(one("SELECT message FROM log_events"), "just not");
}

class TogetherAndApart : public PostgresSinkTest, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Facts, TogetherAndApart, testing::Bool());

TEST_P(TogetherAndApart, PoisonRowsAreSetAsideAndTheirNeighboursStay) {
  std::string wide_job;  // beyond what an index takes, and not to be compressed
  std::uint32_t random = 1;
  for (int i = 0; i < 12000; ++i) {
    random = random * 1664525 + 1013904223;
    wide_job += static_cast<char>('a' + (random >> 24) % 26);
  }
  LogFile file;
  for (int i = 0; i < 40; ++i) {
    const std::string time = "2026-03-01T00:00:" + std::to_string(10 + i) + "Z";
    if (i == 7) {
      file.add(run_line(time, R"("msg":"m")"),
               [](RedactedEvent& event) { event.fields.put_int(Field::kExitCode, 1'099'511'627'776); });
    } else if (i == 8) {
      file.add(run_line(time, R"("msg":"m")"), [](RedactedEvent& event) { event.fields.put_int(Field::kAttempt, 0); });
    } else if (i == 23) {
      file.add(run_line(time, R"("msg":"m")"),
               [](RedactedEvent& event) { event.fields.put_text(Field::kMsg, "\xC3("); });
    } else if (i == 39) {
      file.add(run_line(time, R"("msg":"m")"),
               [&](RedactedEvent& event) { event.fields.put_text(Field::kJobId, wide_job); });
    } else {
      file.add(run_line(time, R"("msg":"m","records_loaded":1)"));
    }
  }
  const auto chunks = chunks_of(file, {0, 10, 40});
  DrivenSink sink = make_sink(config());
  sink.apart = GetParam();
  const RecordOutcomes outcomes = deliver(sink, chunks);
  // A bad fact does not take its line along, nor a bad line its fact.
  EXPECT_EQ(outcomes.applied[Table::kLogEvents], 39u);
  EXPECT_EQ(outcomes.dead_lettered[Table::kLogEvents], 1u);
  EXPECT_EQ(outcomes.applied[Table::kJobRuns], 37u);
  EXPECT_EQ(outcomes.dead_lettered[Table::kJobRuns], 3u);
  EXPECT_THAT(rows("SELECT reason, sqlstate FROM dead_letters ORDER BY byte_offset"),
              ElementsAre("bad_value|22003", "constraint|23514", "bad_value|22021", "too_large|54000"));
  EXPECT_EQ(one("SELECT count(*) FROM log_events"), "39");
  EXPECT_EQ(one("SELECT records_loaded_sum FROM job_runs"), "36");
  EXPECT_EQ(one("SELECT covered FROM source_files"), "{[0," + std::to_string(file.offset(40)) + ")}");
}

TEST_P(TogetherAndApart, RowsWhosePositionWasLostAreDuplicates) {
  const auto chunks = chunks_of(example(), {0, 5});
  DrivenSink sink = make_sink(config());
  sink.apart = GetParam();
  deliver(sink, chunks);
  rows("DELETE FROM source_files; DELETE FROM source_facts");
  RecordOutcomes outcomes;
  for (const auto& [from, to] : {std::pair(0U, 3U), {3U, 8U}})
    outcomes += deliver(sink, chunks_of(example(), {from, to}));
  EXPECT_EQ(outcomes.duplicate, records_of(chunks));
  EXPECT_EQ(outcomes.applied[Table::kLogEvents], 3u);
  EXPECT_EQ(one("SELECT records_loaded_sum, status FROM job_runs"), "600|success");
}

// Of a bad row the halves are written one after the other; the second one meets a row that is there, and what is looked
// for then are also the rows of the first, which nobody has committed.
TEST_P(TogetherAndApart, WhatAFailedTransactionSawIsNotBelievedByTheNext) {
  LogFile file;
  for (int i = 0; i < 10; ++i) {
    LogFile::Change spoil;
    if (i == 1) spoil = [](RedactedEvent& event) { event.fields.put_text(Field::kMsg, "\xC3("); };
    file.add(R"("ts":"2026-03-01T00:00:1)" + std::to_string(i) + R"(Z","msg":"m")", spoil);
  }
  DrivenSink sink = make_sink(config());
  sink.apart = GetParam();
  deliver(sink, chunks_of(file, {7, 8}));
  rows(
      "DELETE FROM source_files; DELETE FROM source_facts; "
      "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END $$; "
      "CREATE CONSTRAINT TRIGGER last AFTER INSERT ON source_files DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION fail()");
  auto chunks = chunks_of(file, {0, 10});
  chunks[0].sequence = 2;
  const Delivery lost = sink.deliver(chunks, false);
  ASSERT_EQ(lost.status, Delivery::Status::kRetry);
  rows("DROP TRIGGER last ON source_files; DROP FUNCTION fail");
  const RecordOutcomes outcomes = deliver(sink, chunks, lost.unknown);
  EXPECT_EQ(one("SELECT count(*) FROM log_events"), "9");
  EXPECT_EQ(outcomes.applied[Table::kLogEvents], 8u);
  EXPECT_EQ(outcomes.duplicate[Table::kLogEvents], 1u);
  EXPECT_EQ(outcomes.dead_lettered[Table::kLogEvents], 1u);
}

TEST_F(PostgresSinkTest, LettersOfTheChunkItselfAreStoredOnce) {
  auto chunks = chunks_of(example(), {0, 2});
  DeadLetter letter;
  letter.id = *parse_uuid("00000000-0000-5000-8000-000000000001");
  letter.at = kNow;
  letter.file = chunks[0].chunk.file;
  letter.bytes = {0, 10};
  letter.reason = "too_long";
  letter.body = std::string("a\0b\xFF", 4);
  chunks[0].chunk.dead_letters.push_back(letter);
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks);
  deliver(sink, chunks);
  EXPECT_EQ(one("SELECT reason, byte_length, body, agent_id FROM dead_letters"),
            "too_long|10|a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD|agent-1");
}

TEST_F(PostgresSinkTest, ARetryFindsItsPredecessorInEitherOrder) {
  const auto line = [](const std::string& run, int attempt) {
    return "\"ts\":\"2026-03-01T00:00:0" + std::to_string(attempt) +
           "Z\",\"job_id\":\"orders\",\"correlation_id\":\"c\"," + "\"event\":\"run.started\",\"run_id\":\"" + run +
           "\",\"attempt\":" + std::to_string(attempt);
  };
  LogFile file;
  file.add(line("third", 3)).add(line("first", 1)).add(line("second", 2)).add(line("third", 1));
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 1}));
  deliver(sink, chunks_of(file, {1, 2}));
  const std::string sql =
      "SELECT r.external_run_id, p.external_run_id FROM job_runs r LEFT JOIN job_runs p ON p.run_id = r.retry_of";
  EXPECT_THAT(rows(sql), UnorderedElementsAre("third|first", "first|-"));
  deliver(sink, chunks_of(file, {2, 3}));
  EXPECT_THAT(rows(sql), UnorderedElementsAre("third|second", "second|first", "first|-"));
  // It turns out to have begun with attempt 1: no retry of another run.
  deliver(sink, chunks_of(file, {3, 4}));
  EXPECT_THAT(rows(sql), UnorderedElementsAre("third|-", "second|first", "first|-"));
}

TEST_F(PostgresSinkTest, AReportedCheckGivesDefinitionResultAndTheRunsVerdict) {
  LogFile file;
  const auto check = [](const std::string& name, const std::string& status) {
    return R"("event":"dq","table":"t","column":"c","check":")" + name + R"(","status":")" + status +
           R"(","metric":"null_rate","value":0.2,"threshold":0.1)";
  };
  file.add(run_line("2026-03-01T00:00:01Z", check("not_null", "pass")));
  file.add(run_line("2026-03-01T00:00:02Z", check("unique", "warn")));
  DrivenSink sink = make_sink(config());
  const RecordOutcomes outcomes = deliver(sink, chunks_of(file, {0, 2}));
  EXPECT_EQ(outcomes.applied[Table::kDqCheckResults], 2u);
  EXPECT_THAT(rows("SELECT type, status, metric, value, threshold, table_name, column_name FROM dq_check_results "
                   "ORDER BY created_at"),
              ElementsAre("not_null|pass|null_rate|0.2|0.1|t|c", "unique|warn|null_rate|0.2|0.1|t|c"));
  EXPECT_EQ(one("SELECT count(*), min(check_type), min(source) FROM dq_check_definitions"), "2|reported|line");
  EXPECT_EQ(one("SELECT dq_status, jsonb_array_length(dq_findings), dq_findings->0->>'check' FROM job_runs"),
            "warn|1|unique");
}

TEST_F(PostgresSinkTest, ALineKeepsItsFieldsAndJsonThatTheServerWouldRefuseIsNeutralised) {
  LogFile file;
  file.add(R"("ts":"2026-03-01T00:00:01.123456Z","level":"ERROR","msg":"failed","job_id":"orders",)"
           R"("run_id":"6F1F0B5E-0000-4000-8000-00000000000a","attempt":3,"task":"load",)"
           R"("source":"worker","http_status":503,"error_message":"upstream away","duration_ms":12)",
           [](RedactedEvent& event) {
             event.fields.put_text(Field::kOutcome, "exploded");
             event.context = R"({"nul":"a\u0000b","lone":"\ud800","bomb":1e131071,"ok":1.50})";
             event.counts = {{0, 2}};
             event.redaction_state = RedactionState::kMasked;
           });
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 1}));
  EXPECT_EQ(
      one("SELECT ts, level, message, service, environment, job_id, run_id, attempt, outcome, source, http_status "
          "FROM log_events"),
      "2026-03-01 00:00:01.123456+00|ERROR|failed|etl|prod|orders|6f1f0b5e-0000-4000-8000-00000000000a|3|-|worker|"
      "503");
  EXPECT_EQ(one("SELECT error_category, error_message, duration_ms, redacted, redaction_counts, redaction_state, "
                "ruleset, stream, agent_id FROM log_events"),
            "API|upstream away|12|t|{\"email\": 2}|masked|rules-1|agent-1/etl|agent-1");
  EXPECT_EQ(one("SELECT context->>'nul', context->>'lone', context->>'bomb', context->>'ok' FROM log_events"),
            "a\\u0000b|\xEF\xBF\xBD|1e131071|1.50");
  EXPECT_EQ(one("SELECT count(*) FROM log_events l JOIN task_runs t USING (task_run_id)"), "1");
}

TEST_F(PostgresSinkTest, ASampledLineGivesFactsAndNoLogRow) {
  LogFile file;
  file.add(run_line("2026-03-01T00:00:01Z", R"("msg":"m","records_loaded":5)"),
           [](RedactedEvent& event) { event.stored = false; });
  DrivenSink sink = make_sink(config());
  const RecordOutcomes outcomes = deliver(sink, chunks_of(file, {0, 1}));
  EXPECT_EQ(outcomes.applied[Table::kLogEvents], 0u);
  EXPECT_THAT(rows("SELECT 1 FROM log_events"), IsEmpty());
  EXPECT_EQ(one("SELECT records_loaded FROM job_runs"), "5");
}

}  // namespace
}  // namespace runtail::test
