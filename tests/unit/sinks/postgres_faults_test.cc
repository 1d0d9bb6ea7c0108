// What the sink says and does when the database does not go along.
#include <fstream>

#include "sinks/postgres_start.h"
#include "tests/support/commit_proxy.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"
#include "tests/unit/sinks/postgres_fixture.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

LogFile three_lines() {
  LogFile file;
  for (int i = 1; i <= 3; ++i)
    file.add(run_line("2026-03-01T00:00:0" + std::to_string(i) + "Z", R"("records_loaded":1)"));
  return file;
}

class PostgresFaults : public PostgresSinkTest {
 protected:
  const std::vector<SequencedChunk> chunks_ = chunks_of(three_lines(), {0, 3});
};

TEST_F(PostgresFaults, AMissingDayAheadIsTheOperatorsAndNothingIsSetAside) {
  LogFile file = three_lines();
  file.add(run_line("2026-03-06T00:00:00Z", R"("msg":"ahead of the last day")"));
  clock_.at = *parse_rfc3339("2026-03-05T12:00:00Z");
  const auto chunks = chunks_of(file, {0, 4});
  DrivenSink sink = make_sink(config());
  const Delivery refused = sink.deliver(chunks, false);
  EXPECT_EQ(refused.status, Delivery::Status::kOperator);
  EXPECT_THAT(refused.reason, HasSubstr("log_events"));
  EXPECT_THAT(refused.reason, HasSubstr("runtail migrate --maintain"));
  EXPECT_THAT(
      rows("SELECT 1 FROM log_events UNION ALL SELECT 1 FROM dead_letters UNION ALL SELECT 1 FROM source_files"),
      IsEmpty());
  ASSERT_TRUE(maintain_partitions(look_, "observability", clock_.now()));
  deliver(sink, chunks);
  EXPECT_EQ(one("SELECT count(*) FROM log_events"), "4");
}

TEST_F(PostgresFaults, APartitionDroppedUnderTheSinkMakesItsRowsExpired) {
  DrivenSink sink = make_sink(config());
  LogFile first("agent-1/first");
  first.add(run_line("2026-03-01T00:00:00Z", R"("msg":"m")"));
  deliver(sink, chunks_of(first, {0, 1}));  // the sink knows the bounds now
  rows("DROP TABLE log_events_2026_01_31");
  LogFile file;
  file.add(run_line("2026-01-31T10:00:00Z", R"("msg":"old")"));
  file.add(run_line("2026-02-01T10:00:00Z", R"("msg":"kept")"));
  const RecordOutcomes outcomes = deliver(sink, chunks_of(file, {0, 2}));
  EXPECT_EQ(outcomes.expired[Table::kLogEvents], 1u);
  EXPECT_THAT(rows("SELECT message FROM log_events ORDER BY ts"), ElementsAre("kept", "m"));
}

TEST_F(PostgresFaults, AMissingSchemaNamesTheRemedy) {
  PostgresConfig other = config();
  other.schema = "elsewhere";
  DrivenSink sink = make_sink(other);
  const Delivery refused = sink.deliver(chunks_, false);
  EXPECT_EQ(refused.status, Delivery::Status::kOperator);
  EXPECT_THAT(refused.reason, HasSubstr("runtail migrate"));
  const auto start = read_start(other, "a", {});
  ASSERT_FALSE(start);
  EXPECT_EQ(start.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(start.error().message, HasSubstr("runtail migrate"));
}

TEST_F(PostgresFaults, AMissingDatabaseOrRoleIsTheOperators) {
  PostgresConfig other = config();
  other.url = PostgresCluster::shared().conninfo("nowhere");
  DrivenSink sink = make_sink(other);
  const Delivery refused = sink.deliver(chunks_, false);
  EXPECT_EQ(refused.status, Delivery::Status::kOperator);
  EXPECT_THAT(refused.reason, HasSubstr("3D000"));
  other.url = url_ + " user=nobody_of_that_name";
  DrivenSink stranger = make_sink(other);
  const Delivery second = stranger.deliver(chunks_, false);
  EXPECT_EQ(second.status, Delivery::Status::kOperator);
  EXPECT_THAT(second.reason, HasSubstr("postgres.url"));
}

TEST_F(PostgresFaults, AWrongPasswordIsTheOperatorsAndIsNeverShown) {
  rows("DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'right'");
  const std::string hba = one("SHOW hba_file");
  std::string before;
  {
    std::ifstream in(hba);
    before.assign(std::istreambuf_iterator<char>(in), {});
  }
  std::ofstream(hba) << "local all locked scram-sha-256\n" << before;
  rows("SELECT pg_reload_conf()");
  TempDir directory;
  PostgresConfig other = config();
  other.password_file = directory.path() / "password";
  std::ofstream(other.password_file) << "hunter2\n";
  other.url = url_ + " user=locked";
  Delivery refused;
  // The server reads its rules when it comes to it.
  EXPECT_TRUE(wait_until([&] {
    DrivenSink sink = make_sink(other);
    refused = sink.deliver(chunks_, false);
    return refused.reason.find("28P01") != std::string::npos;
  })) << refused.reason;
  EXPECT_EQ(refused.status, Delivery::Status::kOperator);
  EXPECT_THAT(refused.reason, HasSubstr("postgres.password_file"));
  EXPECT_THAT(refused.reason, testing::Not(HasSubstr("hunter2")));
  // The right one, but no rights: told apart.
  std::ofstream(other.password_file) << "right";
  DrivenSink sink = make_sink(other);
  const Delivery unable = sink.deliver(chunks_, false);
  EXPECT_EQ(unable.status, Delivery::Status::kOperator);
  EXPECT_THAT(unable.reason, HasSubstr("grant"));
  std::ofstream(hba) << before;
  rows("SELECT pg_reload_conf()");
}

TEST_F(PostgresFaults, AKilledConnectionIsARetryAndThenFine) {
  DrivenSink sink = make_sink(config());
  LogFile first("agent-1/first");
  first.add(run_line("2026-03-01T00:00:00Z", R"("msg":"m")"));
  deliver(sink, chunks_of(first, {0, 1}));
  EXPECT_EQ(one("SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"),
            "1");
  const Delivery refused = sink.deliver(chunks_, false);
  EXPECT_EQ(refused.status, Delivery::Status::kRetry);
  EXPECT_FALSE(refused.unknown);
  EXPECT_EQ(deliver(sink, chunks_).applied, records_of(chunks_));
}

TEST_F(PostgresFaults, ACommitWhoseAnswerIsCutOffIsUnknownAndThenAppliedOnce) {
  TempDir directory;
  CommitProxy proxy(directory.path(), PostgresCluster::shared().socket_directory() / ".s.PGSQL.5432");
  PostgresConfig other = config();
  other.url = url_ + " host=" + directory.path().string();
  DrivenSink sink = make_sink(other);
  for (const auto cut : {CommitProxy::Cut::kAfterServer, CommitProxy::Cut::kBeforeServer}) {
    LogFile again(cut == CommitProxy::Cut::kAfterServer ? "agent-1/after" : "agent-1/before");
    for (int i = 0; i < 3; ++i) again.add(run_line("2026-03-01T00:00:01Z", R"("records_loaded":1)"));
    const auto chunks = chunks_of(again, {0, 1, 3});
    proxy.cut_next(cut);
    const Delivery lost = sink.deliver(chunks, false);
    EXPECT_EQ(lost.status, Delivery::Status::kRetry);
    EXPECT_TRUE(lost.unknown);
    EXPECT_EQ(deliver(sink, chunks, lost.unknown).applied, records_of(chunks));
  }
  EXPECT_EQ(proxy.cuts(), 2);
  EXPECT_EQ(one("SELECT records_loaded FROM job_runs"), "6");
  EXPECT_EQ(one("SELECT count(*) FROM log_events"), "6");
}

TEST_F(PostgresFaults, ASessionEndedInCommitIsUnknownAndThenAppliedOnce) {
  // The server ends the session while it commits: a deferred trigger is the last thing it runs.
  rows(
      "CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); RETURN NULL; END $$; "
      "CREATE CONSTRAINT TRIGGER last AFTER INSERT ON run_ids DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION end_session()");
  DrivenSink sink = make_sink(config());
  const Delivery lost = sink.deliver(chunks_, false);
  EXPECT_EQ(lost.status, Delivery::Status::kRetry);
  EXPECT_TRUE(lost.unknown);
  rows("DROP TRIGGER last ON run_ids");
  EXPECT_EQ(deliver(sink, chunks_, lost.unknown).applied, records_of(chunks_));
  EXPECT_EQ(one("SELECT records_loaded FROM job_runs"), "3");
}

TEST_F(PostgresFaults, ALockHeldTooLongIsARetry) {
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_);
  rows("BEGIN; SELECT 1 FROM run_ids FOR UPDATE");
  PostgresConfig hasty = config();
  hasty.lock_timeout = std::chrono::milliseconds(50);
  DrivenSink other = make_sink(hasty);
  LogFile second("agent-1/second");
  second.add(run_line("2026-03-01T00:00:09Z", R"("records_loaded":4)"));
  const auto chunks = chunks_of(second, {0, 1});
  const Delivery refused = other.deliver(chunks, false);
  EXPECT_EQ(refused.status, Delivery::Status::kRetry);
  EXPECT_THAT(refused.reason, HasSubstr("55P03"));
  rows("COMMIT");
  deliver(other, chunks);
  EXPECT_EQ(one("SELECT records_loaded FROM job_runs"), "7");
}

TEST_F(PostgresFaults, AReadOnlyServerIsARetry) {
  PostgresConfig other = config();
  other.url = url_ + " options='-c default_transaction_read_only=on'";
  DrivenSink sink = make_sink(other);
  const Delivery refused = sink.deliver(chunks_, false);
  EXPECT_EQ(refused.status, Delivery::Status::kRetry);
  EXPECT_THAT(refused.reason, HasSubstr("25006"));
}

TEST_F(PostgresFaults, TheConnectionIsGivenBackWhenIdle) {
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_);
  clock_.at += std::chrono::seconds(29);
  sink->idle();
  EXPECT_TRUE(sink->connected());
  clock_.at += std::chrono::seconds(1);
  sink->idle();
  EXPECT_FALSE(sink->connected());
  deliver(sink, chunks_);
}

TEST_F(PostgresFaults, TheStartReadsKeyAndPositionsOfTheStreamsAskedFor) {
  DrivenSink sink = make_sink(config());
  const LogFile file = three_lines();
  LogFile other("agent-1/other", 9);
  other.add(R"("msg":"m")");
  deliver(sink, chunks_of(file, {0, 2}));
  deliver(sink, chunks_of(other, {0, 1}));
  const std::vector<std::string> streams = {"agent-1/etl", "agent-1/none"};
  const auto start = read_start(config(), "nobody", streams);
  ASSERT_TRUE(start) << start.error().message;
  EXPECT_EQ(to_hex(start->identity_key.bytes), one("SELECT encode(key, 'hex') FROM identity_key"));
  ASSERT_EQ(start->positions.size(), 1u);
  EXPECT_EQ(start->positions[0].file, file.identity());
  EXPECT_EQ(start->positions[0].covered.to_text(), "{[0," + std::to_string(file.offset(2)) + ")}");
  EXPECT_EQ(start->positions[0].confirm[31], 2);
  // Streams of pods and pipes have names nobody knows beforehand: those this agent wrote come too.
  const auto own = read_start(config(), settings().agent_id, {});
  ASSERT_TRUE(own) << own.error().message;
  EXPECT_EQ(own->positions.size(), 2u);
}

TEST_F(PostgresFaults, TheStartSaysWhatIsInTheWay) {
  PostgresConfig away = config();
  away.url = "host=/nowhere/at/all user=x dbname=y";
  const auto unreachable = read_start(away, "a", {});
  ASSERT_FALSE(unreachable);
  EXPECT_EQ(unreachable.error().code, ErrorCode::kUnavailable);

  rows("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA observability TO plain");
  PostgresConfig plain = config();
  plain.url = url_ + " user=plain";
  const auto unreadable = read_start(plain, "a", {});
  ASSERT_FALSE(unreadable);
  EXPECT_EQ(unreadable.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(unreadable.error().message, HasSubstr("identity_key"));
  EXPECT_THAT(unreadable.error().message, HasSubstr("grant"));

  rows("DELETE FROM identity_key");
  const auto keyless = read_start(config(), "a", {});
  ASSERT_FALSE(keyless);
  EXPECT_EQ(keyless.error().code, ErrorCode::kNotFound);
  rows("REVOKE ALL ON SCHEMA observability FROM plain");
}

}  // namespace
}  // namespace runtail::test
