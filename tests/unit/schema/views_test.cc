// What rows and views do by themselves: cascades, generated columns, what views compute.
#include "tests/unit/schema/tables_fixture.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(TablesTest, AnEarlierScheduleMovesTheRunToItsMonth) {
  insert_run(months_from_now(0));
  EXPECT_THAT(rows("SELECT tableoid::regclass::text = 'job_runs_' || to_char(now(), 'YYYY_MM') FROM job_runs"),
              ElementsAre("t"));
  run("UPDATE run_ids SET scheduled_at = " + months_from_now(-1) + ", scheduled_stated = true");
  EXPECT_THAT(
      rows("SELECT tableoid::regclass::text = 'job_runs_' || to_char(scheduled_at, 'YYYY_MM'), scheduled_at = " +
           months_from_now(-1) + ", status FROM job_runs"),
      ElementsAre("t t running"));
  EXPECT_EQ(refusal("UPDATE run_ids SET scheduled_at = now() - interval '3 years'"), "23514");
  run("DELETE FROM run_ids");
  EXPECT_THAT(rows("SELECT 1 FROM job_runs"), IsEmpty());
}

TEST_F(TablesTest, ATotalWinsOverTheSum) {
  insert_run("now()");
  run("UPDATE job_runs SET records_loaded_sum = 600, records_extracted_sum = 5");
  EXPECT_THAT(rows("SELECT records_loaded, records_extracted FROM job_runs"), ElementsAre("600 5"));
  run("UPDATE job_runs SET records_loaded_total = 1500");
  EXPECT_THAT(rows("SELECT records_loaded, records_extracted FROM job_runs"), ElementsAre("1500 5"));
}

TEST_F(TablesTest, ARunIsStalledAfterItsJobsSilence) {
  insert_run("now()");
  const auto stalled = [&] { return rows("SELECT stalled FROM runs").at(0); };
  EXPECT_EQ(stalled(), "f");
  run("UPDATE job_runs SET last_event_at = now() - interval '15 minutes 1 second'");
  EXPECT_EQ(stalled(), "t");
  run("UPDATE etl_jobs SET stall_after = interval '1 hour'");
  EXPECT_EQ(stalled(), "f");
  run("UPDATE etl_jobs SET stall_after = null; UPDATE job_runs SET status = 'success'");
  EXPECT_EQ(stalled(), "f");
}

TEST_F(TablesTest, ARunShowsItsErrorOnlyWhileItIsFailed) {
  insert_run("now()");
  run("UPDATE job_runs SET status = 'failed', error_category = 'DB', error_code = '40001', error_message = 'm', "
      "started_at = now() - interval '2 seconds', finished_at = now()");
  const std::string select = "SELECT status, error_category, error_code, error_message, duration_ms FROM runs";
  EXPECT_THAT(rows(select), ElementsAre("failed DB 40001 m 2000"));
  run("UPDATE job_runs SET status = 'success', duration_ms = 7");
  EXPECT_THAT(rows(select), ElementsAre("success - - - 7"));
}

TEST_F(TablesTest, ARunThatEndedBeforeItStartedHasNoDuration) {
  insert_run("now()");
  run("UPDATE job_runs SET status = 'success', started_at = now(), finished_at = now() - interval '7 seconds'");
  EXPECT_THAT(rows("SELECT duration_ms FROM runs"), ElementsAre("-"));
  run("UPDATE job_runs SET duration_ms = 7");
  EXPECT_THAT(rows("SELECT duration_ms FROM runs"), ElementsAre("7")) << "stated";
}

TEST_F(TablesTest, MonitoringTellsRunsInItsOwnWords) {
  insert_run("now()");
  run("UPDATE job_runs SET environment = 'prod', dataset = 'sales', records_loaded_sum = 9, error_message = 'm'");
  const std::string select =
      "SELECT job_name, job_type, dataset, status, records_processed, error_message, environment FROM "
      "monitoring.job_runs";
  EXPECT_THAT(rows(select), ElementsAre("orders - sales STARTED 9 - prod"));
  run("UPDATE etl_jobs SET name = 'Orders', job_type = 'batch'");
  struct Case {
    const char *status, *shown;
  };
  for (const Case& one : {Case{"queued", "STARTED - "}, Case{"success", "SUCCESS - "}, Case{"failed", "FAILED m "},
                          Case{"cancelled", "FAILED - "}}) {
    run("UPDATE job_runs SET status = '" + std::string(one.status) + "'");
    const std::string shown = one.shown;
    const std::string word = shown.substr(0, shown.find(' '));
    EXPECT_THAT(rows(select),
                ElementsAre("Orders batch sales " + word + " 9 " + shown.substr(word.size() + 1) + "prod"));
  }
  run("UPDATE job_runs SET status = 'skipped'");
  EXPECT_THAT(rows(select), IsEmpty());
}

TEST_F(TablesTest, MonitoringTellsHowFreshADatasetIs) {
  run("INSERT INTO dataset_status (id, environment, dataset, last_success_at, record_count, last_status, "
      "last_event_at) "
      "VALUES (gen_random_uuid(), 'prod', 'sales', now() - interval '90 seconds', 5, 'success', now()), "
      "(gen_random_uuid(), null, 'new', null, null, null, now())");
  EXPECT_THAT(rows("SELECT dataset, environment, record_count, freshness_minutes, last_status "
                   "FROM monitoring.dataset_status ORDER BY dataset"),
              ElementsAre("new - - - -", "sales prod 5 1 success"));
  EXPECT_EQ(refusal("INSERT INTO dataset_status (id, dataset, last_event_at) VALUES (gen_random_uuid(), 'new', now())"),
            "dataset_status_environment_dataset_key");
}

TEST_F(TablesTest, OnlyTheOwnerReadsTheIdentityKey) {
  EXPECT_THAT(rows("SELECT count(*) FROM identity_key"), ElementsAre("1"));
  run("CREATE ROLE somebody; GRANT USAGE ON SCHEMA observability TO somebody; SET LOCAL ROLE somebody");
  EXPECT_EQ(refusal("SELECT * FROM identity_key"), "42501");
}

}  // namespace
}  // namespace runtail::test
