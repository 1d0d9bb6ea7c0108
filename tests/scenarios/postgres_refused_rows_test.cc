// The real agent meets rows PostgreSQL refuses, for every SQLSTATE that speaks of one row: each line and each fact is
// in the dead letters once, and the neighbours arrive. What a server refuses by itself is in
// tests/unit/sinks/postgres_refused_rows_test.cc; here rules of the operator's own do, so that every state comes up.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

constexpr const char* kStates[] = {"22000", "22001", "22002", "22003", "22004", "22005", "22007",
                                   "22008", "22009", "2200B", "2200F", "22012", "22019", "2201B",
                                   "22021", "22023", "22025", "22026", "22030", "22032", "22P02",
                                   "22P04", "22P05", "23502", "23514", "54000", "54001", "54011"};

class RefusedByTheServer : public testing::TestWithParam<bool> {};

TEST_P(RefusedByTheServer, IsSetAsideOnceWithItsNeighboursStored) {
  const bool facts_ahead = GetParam();
  const int rounds = by_scale(2, 20);
  const std::string name = facts_ahead ? "refused_apart" : "refused";
  Scene scene(name, PostgresCluster::shared(), "", {{"RUNTAIL_POSTGRES_BATCH_ROWS_MAX", facts_ahead ? "50" : "50000"}});
  // The state stands in the row: in the message of a line, in the project of a run.
  scene.sql.rows(
      "CREATE FUNCTION refuse(state text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
      "RAISE EXCEPTION 'refused' USING ERRCODE = state, CONSTRAINT = 'operators_own'; END $$;"
      "CREATE FUNCTION refuse_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF NEW.message LIKE 'poison line %' THEN PERFORM public.refuse(right(NEW.message, 5)); END IF; "
      "RETURN NEW; END $$;"
      "CREATE FUNCTION refuse_run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF NEW.project_id LIKE 'poison-%' THEN PERFORM public.refuse(right(NEW.project_id, 5)); END IF; "
      "RETURN NEW; END $$;"
      "CREATE TRIGGER operators_own BEFORE INSERT ON observability.log_events "
      "FOR EACH ROW EXECUTE FUNCTION refuse_line();"
      "CREATE TRIGGER operators_own BEFORE INSERT OR UPDATE ON observability.job_runs "
      "FOR EACH ROW EXECUTE FUNCTION refuse_run()");
  LogFile log(scene.log);
  std::string text;
  int lines = 0, neighbours = 0;
  const auto add = [&](const std::string& members) {
    text += R"({"level":"INFO","job_id":"orders",)" + members + "}\n";
    ++lines;
  };
  for (int round = 0; round < rounds; ++round) {
    for (const std::string state : kStates) {
      const std::string run = std::to_string(round) + ' ' + state;
      for (int i = 0; i < 5; ++i, ++neighbours) add(R"("run_id":"good","records_loaded":1,"msg":"neighbour")");
      add(R"("run_id":"line )" + run + R"(","msg":"poison line )" + state + '"');
      add(R"("run_id":"fact )" + run + R"(","msg":"of a poison fact","project_id":"poison-)" + state + '"');
    }
  }
  log.append(text);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  const int poison = rounds * static_cast<int>(std::size(kStates));
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, static_cast<std::uint64_t>(lines - poison))) << scene.agent.log();

  std::vector<std::string> want;
  for (const std::string state : kStates) {
    const std::string reason = state.starts_with("23")   ? "constraint"
                               : state.starts_with("54") ? "too_large"
                                                         : "bad_value";
    for (const char* what : {"poison line ", "of a poison fact"}) {
      want.push_back(reason + '|' + state + '|' + (*what == 'p' ? what + state : what) + '|' + std::to_string(rounds));
    }
  }
  auto got = scene.sql.rows(
      "SELECT reason, sqlstate, body, count(*) FROM observability.dead_letters GROUP BY 1, 2, 3 ORDER BY 1, 2, 3");
  std::sort(want.begin(), want.end());
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, want);
  EXPECT_EQ(scene.sql.rows("SELECT records_loaded FROM observability.job_runs WHERE external_run_id = 'good'"),
            std::vector<std::string>{std::to_string(neighbours)});
  // Each line is stored but the poison ones; each run is there but those of poison facts.
  EXPECT_EQ(scene.sql.log_events(), lines - poison);
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.job_runs"), 1 + poison);
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  EXPECT_EQ(scene.agent.metric("runtail_dead_letters_total"), 2 * poison);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, RefusedByTheServer, testing::Bool(),
                         [](const auto& given) { return given.param ? "FactsAhead" : "Whole"; });

}  // namespace
}  // namespace runtail::test
