// Batches that are open at the same time, and what one leaves behind in its transaction before it is committed.
#include <future>

#include "sinks/postgres_delivery.h"
#include "tests/support/wait_until.h"
#include "tests/unit/sinks/postgres_fixture.h"

namespace runtail::test {
namespace {

using testing::UnorderedElementsAre;

// A delivery whose transaction the test ends.
class OpenBatch {
 public:
  explicit OpenBatch(const std::string& url)
      : connection_(connect(url)), sql_("observability"), deriver_(settings()), memory_(settings()) {
    auto bounds = read_partition_bounds(connection_, "observability");
    if (!bounds) throw std::runtime_error(bounds.error().message);
    const auto horizon = [&](const char* table) { return Horizon{bounds->at(table).from, bounds->at(table).to}; };
    horizons_ = {.job_runs = horizon("job_runs"),
                 .log_events = horizon("log_events"),
                 .dq_observations = horizon("dq_observations"),
                 .dq_check_results = horizon("dq_check_results")};
  }

  // BEGIN, and everything before COMMIT. "" or what went wrong.
  std::string write_facts(const std::vector<SequencedChunk>& chunks) {
    if (auto begun = connection_.exec("BEGIN"); !begun) return begun.error().message;
    const PostgresTarget target{PostgresLane::kRunFacts, sql_, deriver_, kinds_, horizons_, kNow};
    StoredLines stored;
    PostgresDelivery delivery(connection_, target, chunks, false, memory_, stored);
    auto written = delivery.write();
    return written ? "" : written.error().message;
  }
  PgConnection& connection() { return connection_; }
  bool commit() { return connection_.exec("COMMIT").has_value(); }

 private:
  PgConnection connection_;
  const PostgresStatements sql_;
  const Deriver deriver_;
  const std::vector<std::string> kinds_;
  Horizons horizons_;
  PostgresMemory memory_;
};

std::string started(const std::string& run, int attempt, const std::string& correlation = "c") {
  return R"("ts":"2026-03-01T00:00:0)" + std::to_string(attempt) + R"(Z","job_id":"orders","correlation_id":")" +
         correlation + R"(","event":"run.started","run_id":")" + run + R"(","attempt":)" + std::to_string(attempt);
}

class OpenBatches : public PostgresSinkTest {
 protected:
  // So that no two batches wait for each other at the row of the job.
  void know_the_job() {
    LogFile file("agent-1/before");
    file.add(started("before", 1, "another"));
    DrivenSink sink = make_sink(config());
    deliver(sink, chunks_of(file, {0, 1}));
  }
};

TEST_F(OpenBatches, ARetryAndItsPredecessorWrittenAtTheSameTimeFindEachOther) {
  know_the_job();
  LogFile earlier("agent-1/first", 1), later("agent-2/second", 2);
  earlier.add(started("first", 1));
  later.add(started("second", 2));
  for (const bool retry_first : {false, true}) {
    OpenBatch leading(url_), following(url_);
    const auto ahead = chunks_of(retry_first ? later : earlier, {0, 1});
    const auto behind = chunks_of(retry_first ? earlier : later, {0, 1});
    ASSERT_EQ(leading.write_facts(ahead), "");
    auto other = std::async(std::launch::async, [&] { return following.write_facts(behind); });
    EXPECT_TRUE(wait_until([&] {
      return other.wait_for(std::chrono::seconds(0)) == std::future_status::ready ||
             one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                 "AND datname = current_database()") == "1";
    }));
    EXPECT_TRUE(leading.commit());
    EXPECT_EQ(other.get(), "");
    EXPECT_TRUE(following.commit());
    EXPECT_THAT(rows("SELECT r.external_run_id, p.external_run_id FROM job_runs r LEFT JOIN job_runs p "
                     "ON p.run_id = r.retry_of WHERE r.correlation_id = 'c'"),
                UnorderedElementsAre("second|first", "first|-"));
    rows("DELETE FROM run_ids; DELETE FROM source_facts");
  }
}

TEST_F(OpenBatches, ManyCorrelationIdsTakeABoundedNumberOfLocks) {
  LogFile file;
  for (int i = 0; i < 1500; ++i) file.add(started("r" + std::to_string(i), 1, "c" + std::to_string(i)));
  OpenBatch batch(url_);
  ASSERT_EQ(batch.write_facts(chunks_of(file, {0, file.lines()})), "");
  const int locks = std::stoi(one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"));
  EXPECT_GT(locks, 0);
  EXPECT_LE(locks, 256);
}

// A worker may put the same id on everything it ever logs.
TEST_F(OpenBatches, ACorrelationIdOfThirtyThousandRunsDoesNotHoldABatchUp) {
  know_the_job();
  rows(
      "SET session_replication_role = replica;"  // no foreign keys meanwhile
      "CREATE TEMP TABLE filled AS SELECT gen_random_uuid() AS id, timestamptz '2026-03-01' + n * interval '1 second' "
      "AS at, 1 + (n % 10 = 0)::int AS attempt FROM generate_series(1, 30000) AS n;"
      "INSERT INTO run_ids SELECT id, at, false FROM filled;"
      "INSERT INTO job_runs (run_id, scheduled_at, correlation_id, job_id, job_id_rank, status, verdict_source, "
      "state_attempt, state_rank, state_at, state_event, first_event_at, last_event_at, attempt_count, "
      "retries_exhausted) SELECT id, at, 'c', 'orders', 1, 'success', 'log', attempt, 3, at, id, at, at, attempt, "
      "false FROM filled;"
      "INSERT INTO run_attempts (id, run_id, attempt_no, status, verdict_source, state_rank, state_at, state_event) "
      "SELECT gen_random_uuid(), id, attempt, 'success', 'log', 3, at, id FROM filled;"
      "SET session_replication_role = origin; ANALYZE job_runs; ANALYZE run_attempts");
  LogFile file;
  file.add(started("mine", 3));
  PostgresConfig hurried = config();
  hurried.statement_timeout = std::chrono::seconds(3);
  DrivenSink sink = make_sink(hurried);
  deliver(sink, chunks_of(file, {0, 1}));
  EXPECT_EQ(one("SELECT count(*), count(DISTINCT retry_of) FROM job_runs WHERE attempt_count = 2 AND retry_of IN "
                "(SELECT min(run_id::text)::uuid FROM job_runs WHERE attempt_count = 1 AND correlation_id = 'c')"),
            "3000|1");
  EXPECT_EQ(one("SELECT p.attempt_count FROM job_runs r JOIN job_runs p ON p.run_id = r.retry_of "
                "WHERE r.external_run_id = 'mine'"),
            "2");
}

TEST_F(OpenBatches, RowsSetAsideLeaveNoSavepointsOpen) {
  LogFile file;
  for (int i = 0; i < 8; ++i) {
    file.add(run_line("2026-03-01T00:00:00Z", R"("msg":"m")"),
             [](RedactedEvent& event) { event.fields.put_int(Field::kAttempt, 0); });
  }
  OpenBatch batch(url_);
  ASSERT_EQ(batch.write_facts(chunks_of(file, {0, file.lines()})), "");
  EXPECT_EQ(batch.connection().exec("SELECT count(*) FROM observability.dead_letters")->integer(0, 0), 8);
  auto left = batch.connection().exec("ROLLBACK TO SAVEPOINT rows");
  ASSERT_FALSE(left);
  EXPECT_EQ(left.error().sqlstate, "3B001") << "a savepoint is open still";
}

// A stricter default would have a batch not see what it waited for.
TEST_F(PostgresSinkTest, BatchesReadWhatIsCommittedWhateverTheDatabasesDefaultIs) {
  rows("ALTER DATABASE " + one("SELECT current_database()") + " SET default_transaction_isolation = 'serializable'");
  rows(
      "CREATE TABLE seen (level text, jit text); CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "INSERT INTO observability.seen VALUES (current_setting('transaction_isolation'), current_setting('jit')); "
      "RETURN NEW; END $$; "
      "CREATE TRIGGER see BEFORE INSERT ON log_events FOR EACH ROW EXECUTE FUNCTION see()");
  LogFile file;
  file.add(run_line("2026-03-01T00:00:00Z", R"("msg":"m")"));
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 1}));
  EXPECT_EQ(one("SELECT level, jit FROM seen"), "read committed|off");
}

}  // namespace
}  // namespace runtail::test
