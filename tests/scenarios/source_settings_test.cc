// Two logs of workers that say little: their sources name time zone, job, stream and fields. What a line says itself
// wins.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

AgentSetup two_sources(const TempDir& directory, const std::string& postgres_url) {
  AgentSetup setup;
  setup.directory = directory.path();
  setup.sources = {{"lima", (directory / "lima.log").string()}, {"delhi", (directory / "delhi.log").string()}};
  setup.postgres_url = postgres_url;
  setup.more = "redaction: {allow: [team]}\n";
  setup.environment = {{"RUNTAIL_SOURCES_LIMA_TIMEZONE", "America/Lima"},
                       {"RUNTAIL_SOURCES_LIMA_JOB_ID", "nightly"},
                       {"RUNTAIL_SOURCES_LIMA_STREAM", "warehouse/lima"},
                       {"RUNTAIL_SOURCES_LIMA_FIELDS", "service=orders,team=eu"},
                       {"RUNTAIL_SOURCES_DELHI_TIMEZONE", "Asia/Kolkata"},
                       {"RUNTAIL_SOURCES_DELHI_JOB_ID", "hourly"},
                       {"RUNTAIL_SOURCES_DELHI_FIELDS", "env=staging,org_id=17"}};
  return setup;
}

TEST(SourceSettingsTest, RowsCarryWhatTheirSourceSaysUnlessTheLineSaysIt) {
  TempDir directory;
  PostgresCluster& cluster = PostgresCluster::shared();
  Sql sql(cluster.create_migrated_database("source_settings"));
  LogFile lima(directory / "lima.log"), delhi(directory / "delhi.log");
  // Neither zone changes its clocks, and rows of yesterday have a partition.
  const std::string day = to_rfc3339(SystemClock().now() - std::chrono::hours(24)).substr(0, 10);
  const auto append = [&](LogFile& log, const std::string& time, const std::string& members) {
    log.append_line(R"({"ts":")" + day + time + R"(","level":"INFO",)" + members + "}");
  };
  append(lima, " 07:00:00", R"("msg":"a")");
  append(lima, "T12:00:00Z", R"("msg":"b","service":"own","team":"us","job_id":"weekly")");
  append(lima, "T13:00:00",
         R"("msg":"c","event":"run.finished","status":"success","run_id":"r1","started_at":")" + day + R"( 12:00:00")");
  append(delhi, " 05:30:00", R"("msg":"d")");
  append(delhi, " 05:30:00+00:00", R"("msg":"e","env":"prod")");

  AgentProcess agent(two_sources(directory, cluster.conninfo("source_settings")));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_delivered(sql, agent, 5)) << agent.log();
  EXPECT_THAT(
      sql.rows("SELECT message, to_char(ts AT TIME ZONE 'UTC', 'HH24:MI'), service, environment, org_id, job_id, "
               "stream, context->>'team' FROM observability.log_events ORDER BY message"),
      ElementsAre("a|12:00|orders|||nightly|warehouse/lima|eu", "b|12:00|own|||weekly|warehouse/lima|us",
                  "c|18:00|orders|||nightly|warehouse/lima|eu", "d|00:00||staging|17|hourly|test/delhi|",
                  "e|05:30||prod|17|hourly|test/delhi|"));
  EXPECT_THAT(sql.rows("SELECT job_id, status, to_char(started_at AT TIME ZONE 'UTC', 'HH24:MI'), "
                       "to_char(finished_at AT TIME ZONE 'UTC', 'HH24:MI') FROM observability.job_runs"),
              ElementsAre("nightly|success|17:00|18:00"));
  EXPECT_EQ(agent.terminate().exit_code, 0);
}

TEST(SourceSettingsTest, CheckNamesAWrongSettingAndTheAgentDoesNotStart) {
  TempDir directory;
  AgentSetup setup = two_sources(directory, "");
  setup.environment = {{"RUNTAIL_SOURCES_LIMA_TIMEZONE", "America/Limo"}, {"RUNTAIL_SOURCES_LIMA_FIELDS", "run_id=1"}};
  AgentProcess agent(std::move(setup));
  EXPECT_FALSE(agent.start_healthy());
  EXPECT_THAT(agent.log(),
              HasSubstr("environment RUNTAIL_SOURCES_LIMA_TIMEZONE: sources[0].timezone: \"America/Limo\""));
  EXPECT_THAT(agent.log(), HasSubstr("sources[0].fields.run_id: \"1\": tells of one line"));
}

}  // namespace
}  // namespace runtail::test
