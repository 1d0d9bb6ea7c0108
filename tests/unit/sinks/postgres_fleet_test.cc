// What a writer counts for the fleet, in the transaction of the rows.
#include "tests/unit/sinks/postgres_fixture.h"

namespace runtail::test {
namespace {

class PostgresFleetTest : public PostgresSinkTest {
 protected:
  std::vector<std::string> counts() {
    return rows("SELECT counter, label_1, label_2, sum(amount) FROM fleet_counts GROUP BY 1, 2, 3 ORDER BY 1, 2, 3");
  }
};

std::string run_line(const std::string& at, const std::string& event, const std::string& more = "") {
  return "\"ts\":\"2026-03-02T" + at + "Z\",\"level\":\"INFO\",\"job_id\":\"orders\",\"run_id\":\"r1\",\"event\":\"" +
         event + "\"" + more;
}

TEST_F(PostgresFleetTest, EachVerdictOfAnAttemptCountsOnceHoweverItIsDelivered) {
  LogFile file;
  file.add(run_line("10:00:00", "run.started"));
  file.add(run_line("10:01:00", "run.finished", R"(,"status":"failed","error_category":"DB","error_message":"gone")"));
  file.add(run_line("10:02:00", "run.started", R"(,"attempt":2)"));
  file.add(run_line("10:03:00", "run.finished", R"(,"attempt":2)"));
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 1, 2}));
  EXPECT_THAT(counts(), testing::ElementsAre("failures|orders|DB|1", "jobs|orders|failed|1"));
  deliver(sink, chunks_of(file, {0, 1, 2}), true);
  deliver(sink, chunks_of(file, {0, 4}), true);
  EXPECT_THAT(counts(), testing::ElementsAre("failures|orders|DB|1", "jobs|orders|failed|1", "jobs|orders|success|1"));
}

TEST_F(PostgresFleetTest, AVerdictThatIsCorrectedIsTakenOffByACorrection) {
  LogFile file;
  file.add(run_line("10:00:00", "run.started"));
  file.add(run_line("10:01:00", "run.finished", R"(,"status":"failed")"));
  file.add(run_line("10:02:00", "run.finished"));
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 2, 3}));
  EXPECT_THAT(counts(), testing::ElementsAre("corrections|failed|success|1", "failures|orders|System|1",
                                             "jobs|orders|failed|1", "jobs|orders|success|1"));
}

TEST_F(PostgresFleetTest, AReplayCountsNothing) {
  LogFile file;
  file.add(run_line("10:00:00", "run.started"));
  file.add(run_line("10:01:00", "run.finished"));
  PostgresSink sink(config(), settings(), {}, clock_);
  sink.write_history();
  const auto chunks = chunks_of(file, {0, 2});
  ASSERT_EQ(sink.deliver(chunks, false, kAllTables).status, Delivery::Status::kDelivered);
  EXPECT_EQ(one("SELECT status FROM job_runs"), "success");
  EXPECT_THAT(counts(), testing::IsEmpty());
}

}  // namespace
}  // namespace runtail::test
