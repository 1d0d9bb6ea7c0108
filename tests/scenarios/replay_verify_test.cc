// Is the stored history what these files say? Nothing is changed by asking.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/replay_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ReplayVerify : public testing::Test {
 protected:
  ReplayVerify() {
    WorkloadOptions options;
    options.seed = seed();
    options.lines = 3000;
    options.event_runs = 0.5;
    Workload workload(options);
    write_file(scene.logs / "etl.log", workload_text(workload));
  }
  // "table what rows", in order.
  std::vector<std::string> differences(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"--verify", scene.logs};
    arguments.insert(arguments.end(), more.begin(), more.end());
    done = scene.replay(arguments);
    const auto found = scene.sql.rows(
        "SELECT d->>'table' || ' ' || (d->>'what') || ' ' || (d->>'rows') FROM json_array_elements(($receipt$" +
        done.receipt + "$receipt$::json)->'differences') d");
    EXPECT_EQ(done.exit_code, found.empty() ? 0 : 5) << done.errors << done.receipt;
    return found;
  }
  // Gives the first column of what it changed.
  std::string by_hand(const std::string& statement) {
    const auto rows = scene.sql.rows(statement);
    return rows.empty() ? "" : rows[0];
  }
  ReplayScene scene;
  ReplayScene::Done done;
};

TEST_F(ReplayVerify, OfAReplayedHistoryFindsNothing) {
  ASSERT_EQ(scene.replay({scene.logs}).exit_code, 0);
  const auto before = table_digests(scene.sql);
  EXPECT_THAT(differences(), IsEmpty());
  EXPECT_EQ(table_digests(scene.sql), before);
  EXPECT_THAT(differences({"--full"}), testing::Contains(HasSubstr("log_events missing")));
  ASSERT_EQ(scene.replay({"--full", scene.logs}).exit_code, 0);
  EXPECT_THAT(differences(), IsEmpty());
  EXPECT_THAT(differences({"--full"}), IsEmpty());
}

TEST_F(ReplayVerify, OfATailedHistoryFindsNothing) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, 3000)) << scene.agent.log();
  scene.agent.terminate();
  EXPECT_THAT(differences({"--full"}), IsEmpty()) << done.receipt;
}

TEST_F(ReplayVerify, FindsARowThatWasChangedRemovedOrAddedByHand) {
  ASSERT_EQ(scene.replay({"--full", scene.logs}).exit_code, 0);
  const std::string changed = by_hand(
      "UPDATE observability.job_runs SET status = 'cancelled' WHERE run_id = (SELECT min(run_id::text)::uuid FROM "
      "observability.job_runs WHERE status = 'success') RETURNING run_id");
  ASSERT_NE(changed, "");
  EXPECT_THAT(differences(), ElementsAre("job_runs changed 1")) << done.receipt;
  EXPECT_THAT(done.receipt, HasSubstr(changed + " (status)"));
  by_hand("UPDATE observability.job_runs SET status = 'success' WHERE run_id = '" + changed + "'");
  EXPECT_THAT(differences(), IsEmpty());

  const std::string line = by_hand(
      "DELETE FROM observability.log_events WHERE event_id = (SELECT min(event_id::text)::uuid FROM "
      "observability.log_events WHERE level = 'WARN') RETURNING event_id");
  ASSERT_NE(line, "");
  EXPECT_THAT(differences(), ElementsAre("log_events missing 1")) << done.receipt;
  EXPECT_THAT(done.receipt, HasSubstr(line));
  by_hand(
      "INSERT INTO observability.log_events SELECT (jsonb_populate_record(l, jsonb_build_object('event_id', "
      "gen_random_uuid()))).* FROM observability.log_events l WHERE level = 'WARN' LIMIT 1");
  EXPECT_THAT(differences(), ElementsAre("log_events extra 1", "log_events missing 1")) << done.receipt;
  by_hand(
      "DELETE FROM observability.task_runs WHERE task_run_id = (SELECT min(task_run_id::text)::uuid FROM "
      "observability.task_runs)");
  by_hand(
      "INSERT INTO observability.task_runs SELECT (jsonb_populate_record(t, jsonb_build_object('task_run_id', "
      "gen_random_uuid()))).* FROM observability.task_runs t LIMIT 1");
  EXPECT_THAT(differences(),
              ElementsAre("task_runs extra 1", "task_runs missing 1", "log_events extra 1", "log_events missing 1"));
  // Of a run nothing is left.
  by_hand("DELETE FROM observability.run_ids WHERE run_id = '" + changed + "'");
  const auto all = differences();
  EXPECT_THAT(all, testing::Contains("job_runs missing 1"));
  EXPECT_THAT(all, testing::Contains(testing::StartsWith("run_attempts missing")));
}

TEST_F(ReplayVerify, RebuildMakesTheRunsAnewThatDiffer) {
  auto rebuilt = scene.replay({"--rebuild", scene.logs});
  EXPECT_EQ(rebuilt.exit_code, 3);
  EXPECT_THAT(rebuilt.errors, HasSubstr("replay them first"));
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.job_runs"), 0);
  ASSERT_EQ(scene.replay({scene.logs}).exit_code, 0);
  const auto before = table_digests(scene.sql);
  // What another stream tells of too is not for these files to say.
  const std::string shared = by_hand(
      "UPDATE observability.job_runs SET status = 'cancelled' WHERE run_id = (SELECT min(l.run_id::text)::uuid FROM "
      "observability.log_events l JOIN observability.job_runs r USING (run_id) WHERE r.status = 'success') "
      "RETURNING run_id");
  ASSERT_NE(shared, "");
  const std::string changed = by_hand(
      "UPDATE observability.job_runs SET status = 'cancelled', records_loaded_sum = 7 WHERE run_id = (SELECT "
      "min(run_id::text)::uuid FROM observability.job_runs WHERE status = 'success') RETURNING run_id");
  by_hand(
      "DELETE FROM observability.task_runs WHERE task_run_id = (SELECT max(task_run_id::text)::uuid FROM "
      "observability.task_runs WHERE run_id <> '" +
      shared + "')");
  by_hand(
      "UPDATE observability.run_ids SET scheduled_at = scheduled_at - interval '40 days' WHERE run_id = (SELECT "
      "max(run_id::text)::uuid FROM observability.run_ids WHERE run_id <> '" +
      shared + "')");
  by_hand(
      "INSERT INTO observability.log_events SELECT (jsonb_populate_record(l, jsonb_build_object('event_id', "
      "gen_random_uuid(), 'stream', 'another'))).* FROM observability.log_events l WHERE run_id = '" +
      shared + "' LIMIT 1");
  rebuilt = scene.replay({"--rebuild", scene.logs});
  EXPECT_EQ(rebuilt.exit_code, 5) << rebuilt.errors << rebuilt.receipt;
  EXPECT_EQ(scene.text(rebuilt, "left"), "[\"" + shared + "\"]");
  EXPECT_THAT(rebuilt.receipt, HasSubstr("{\"run_id\":\"" + changed + R"(","before":"cancelled","after":"success"})"));
  EXPECT_EQ(scene.sql.rows("SELECT old || ' ' || new FROM observability.run_state_changes WHERE field = 'rebuild' AND "
                           "run_id = '" +
                           changed + "'"),
            std::vector<std::string>{"cancelled success"});
  by_hand("UPDATE observability.job_runs SET status = 'success' WHERE run_id = '" + shared + "'");
  by_hand("DELETE FROM observability.log_events WHERE stream = 'another'");
  EXPECT_EQ(table_digests(scene.sql), before);
  rebuilt = scene.replay({"--rebuild", scene.logs});
  EXPECT_EQ(rebuilt.exit_code, 0) << rebuilt.errors << rebuilt.receipt;
  EXPECT_EQ(scene.text(rebuilt, "rebuilt"), "[]");
}

// Of lines below the level the database has no row, and still what they said of their runs.
TEST_F(ReplayVerify, RebuildLeavesRunsOfWhichTheFilesAreOnlyTheBeginning) {
  ASSERT_EQ(scene.replay({"--level", "FATAL", scene.logs}).exit_code, 0);
  const auto before = table_digests(scene.sql);
  const std::string whole = read_file(scene.logs / "etl.log");
  write_file(scene.logs / "etl.log", whole.substr(0, whole.find('\n', whole.size() / 2) + 1));
  const auto rebuilt = scene.replay({"--rebuild", scene.logs});
  EXPECT_EQ(rebuilt.exit_code, 5) << rebuilt.errors << rebuilt.receipt;
  EXPECT_NE(scene.text(rebuilt, "left"), "[]");
  EXPECT_EQ(scene.text(rebuilt, "rebuilt"), "[]");
  EXPECT_EQ(table_digests(scene.sql), before);
}

TEST_F(ReplayVerify, ARebuildThatIsCutShortSaysWhatItMade) {
  ASSERT_EQ(scene.replay({scene.logs}).exit_code, 0);
  const auto before = table_digests(scene.sql);
  const auto changed = scene.sql.rows(
      "UPDATE observability.job_runs SET status = 'cancelled' WHERE run_id IN (SELECT run_id FROM "
      "observability.job_runs WHERE status = 'success' ORDER BY run_id LIMIT 2) RETURNING run_id");
  ASSERT_EQ(changed.size(), 2u);
  const std::string first = std::min(changed[0], changed[1]), second = std::max(changed[0], changed[1]);
  by_hand("CREATE FUNCTION pg_temp_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.run_id = '" + second +
          "' THEN RAISE 'not this one'; END IF; RETURN NEW; END $$");
  by_hand(
      "CREATE TRIGGER refuse BEFORE INSERT ON observability.job_runs FOR EACH ROW EXECUTE FUNCTION pg_temp_refuse()");
  auto rebuilt = scene.replay({"--rebuild", scene.logs});
  EXPECT_EQ(rebuilt.exit_code, 3) << rebuilt.errors << rebuilt.receipt;
  EXPECT_THAT(rebuilt.errors, HasSubstr("a trigger or function raised an error"));
  EXPECT_EQ(scene.text(rebuilt, "complete"), "false");
  EXPECT_EQ(scene.text(rebuilt, "rebuilt,0,run_id"), first);
  EXPECT_EQ(scene.text(rebuilt, "rebuilt,1"), "") << rebuilt.receipt;
  by_hand("DROP TRIGGER refuse ON observability.job_runs");
  rebuilt = scene.replay({"--rebuild", scene.logs});
  EXPECT_EQ(rebuilt.exit_code, 0) << rebuilt.errors << rebuilt.receipt;
  EXPECT_EQ(scene.text(rebuilt, "rebuilt,0,run_id"), second);
  EXPECT_EQ(table_digests(scene.sql), before);
}

}  // namespace
}  // namespace runtail::test
