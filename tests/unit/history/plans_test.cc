// No question of history/ reads a big table from end to end, as PostgreSQL plans and runs it on a filled database.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "tests/support/history_samples.h"
#include "tests/unit/history/history_fixture.h"

namespace runtail::test {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;

const std::set<std::string> kBig = {
    "chat_messages", "document_events",  "dq_check_results", "dq_observations", "job_daily_summary", "job_runs",
    "log_events",    "metric_snapshots", "run_attempts",     "run_ids",         "run_state_changes", "spans",
    "task_runs",     "traces",           "access_log",       "audit_events",
};
// A partition of fewer rows is a few pages, which are best read whole.
constexpr double kFewRows = 700;
// Rows read and thrown away: those between the few of a rare status, never a table.
constexpr std::int64_t kMostRemoved = 2000;

// What is wrong with the plan; "" if nothing is.
std::string fault_of(const QueryPlan& plan) {
  std::int64_t removed = 0;
  for (const PlanNode& node : plan.nodes) {
    if (!kBig.contains(node.table) || node.estimated_table_rows < kFewRows) continue;
    removed += node.removed;
    if (node.type == "Seq Scan") return "reads all of " + node.relation;
  }
  return removed > kMostRemoved ? "throws away " + std::to_string(removed) + " rows" : "";
}

using PlansTest = HistoryTest;

TEST_F(PlansTest, NoQueryReadsABigTableFromEndToEnd) {
  auto set = connection_.exec("SET jit = off; SET search_path = observability");
  ASSERT_TRUE(set);
  for (const HistorySample& sample : history_samples(connection_, now())) {
    const QueryPlan plan = explain(connection_, sample.sql, sample.params);
    EXPECT_EQ(fault_of(plan), "") << sample.name << " (" << sample.what << ")\n" << sample.sql << "\n" << plan.text;
  }
}

// Of tables that are small here, too.
TEST_F(PlansTest, EveryQueryHasAnIndexForEachBigTable) {
  auto set = connection_.exec("SET jit = off; SET search_path = observability; SET enable_seqscan = off");
  ASSERT_TRUE(set);
  for (const HistorySample& sample : history_samples(connection_, now())) {
    const QueryPlan plan = explain(connection_, sample.sql, sample.params);
    for (const PlanNode& node : plan.nodes) {
      EXPECT_FALSE(kBig.contains(node.table) && node.type == "Seq Scan")
          << sample.name << " (" << sample.what << ") reads all of " << node.relation << "\n"
          << sample.sql << "\n"
          << plan.text;
    }
  }
}

TEST_F(PlansTest, EveryQueryIsAmongTheSamplesAndGivesRows) {
  static const std::regex kQuery(R"(\nQuery<\w+> (\w+)\()");
  std::set<std::string> declared, asked;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(RUNTAIL_SOURCE_DIR) / "history")) {
    if (!entry.path().string().ends_with("_queries.h")) continue;
    std::ifstream in(entry.path());
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    for (std::sregex_iterator match(text.begin(), text.end(), kQuery), end; match != end; ++match) {
      declared.insert((*match)[1]);
    }
  }
  for (const HistorySample& sample : history_samples(connection_, now())) {
    const auto rows = sample.ask(history_);
    ASSERT_TRUE(rows) << sample.name << ": " << rows.error().message;
    if (*rows > 0) asked.insert(sample.name);
  }
  EXPECT_THAT(asked, ElementsAreArray(declared));
}

// The judge sees what it is for.
TEST_F(PlansTest, AReadOfAllIsFound) {
  EXPECT_THAT(fault_of(explain(connection_, "SELECT * FROM observability.task_runs WHERE name = 'x'", {})),
              HasSubstr("reads all of task_runs"));
  EXPECT_THAT(fault_of(explain(connection_, "SELECT * FROM observability.log_events WHERE message = 'x'", {})),
              HasSubstr("reads all of log_events_"));
  auto set = connection_.exec("SET enable_seqscan = off; SET enable_bitmapscan = off");
  ASSERT_TRUE(set);
  EXPECT_THAT(
      fault_of(explain(connection_, "SELECT * FROM observability.task_runs WHERE name = 'x' ORDER BY task_run_id", {})),
      HasSubstr("throws away"));
  EXPECT_EQ(fault_of(explain(connection_, "SELECT * FROM observability.etl_jobs WHERE name = 'x'", {})), "");
}

}  // namespace
}  // namespace runtail::test
