// The dashboards we ship: every query of theirs is asked of a real Prometheus that scrapes a real agent, or of a real
// PostgreSQL with a history in it, and answers something.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/support/filled_history.h"
#include "tests/support/log_writer.h"
#include "tests/support/prometheus_server.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;

namespace dom = simdjson::dom;

const std::filesystem::path kFolder = std::filesystem::path(RUNTAIL_SOURCE_DIR) / "packaging/grafana";

struct Panel {
  std::string title;
  std::vector<std::string> queries;
};

class Dashboard {
 public:
  explicit Dashboard(const std::string& uid) : document_(parser_.load((kFolder / (uid + ".json")).string())) {}

  std::string text(std::string_view key) { return std::string(std::string_view(document_[key])); }
  std::vector<Panel> panels(std::string_view query_key) {
    std::vector<Panel> panels;
    for (const dom::element each : document_["panels"].get_array()) {
      Panel& panel = panels.emplace_back();
      panel.title = std::string(std::string_view(each["title"]));
      EXPECT_EQ(std::string_view(each["datasource"]["uid"]), "${datasource}") << panel.title;
      for (const dom::element target : each["targets"].get_array())
        panel.queries.emplace_back(std::string_view(target[query_key]));
    }
    return panels;
  }
  std::vector<std::string> variables() {
    std::vector<std::string> names;
    for (const dom::element each : document_["templating"]["list"].get_array())
      names.emplace_back(std::string_view(each["name"]));
    return names;
  }

 private:
  dom::parser parser_;
  dom::element document_;
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// "$__timeFilter(x)" -> "x > now() - interval '100 days'"
std::string with_times(std::string sql) {
  constexpr std::string_view macro = "$__timeFilter(";
  for (std::size_t at; (at = sql.find(macro)) != std::string::npos;) {
    const std::size_t end = sql.find(')', at);
    const std::string column = sql.substr(at + macro.size(), end - at - macro.size());
    sql.replace(at, end + 1 - at, column + " > now() - interval '100 days'");
  }
  return sql;
}

TEST(Dashboards, HaveAFixedNameAndAChoiceOfDataSource) {
  for (const char* uid : {"runtail-jobs", "runtail-agents", "runtail-history"}) {
    Dashboard dashboard(uid);
    EXPECT_EQ(dashboard.text("uid"), uid);
    EXPECT_THAT(dashboard.variables(), Contains("datasource")) << uid;
  }
}

TEST(Dashboards, EachQueryToPrometheusAnswers) {
  TempDir directory;
  AgentProcess agent(tailing(directory, "", {{"RUNTAIL_NDJSON_PATH", (directory / "out.ndjson").string()}}));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 3000;
  options.event_runs = 0.3;
  SCOPED_TRACE("seed " + std::to_string(options.seed));
  Workload workload(options);
  write_all(directory / "etl.log", workload);
  ASSERT_TRUE(wait_until([&] { return agent.metric("runtail_lines_total") >= static_cast<double>(options.lines); }))
      << agent.log();
  const PrometheusServer prometheus(agent.port());
  ASSERT_TRUE(prometheus.is_ready()) << prometheus.log();

  const auto ready = [](std::string query) {
    query = replaced(std::move(query), "$__rate_interval", "1m");
    return replaced(replaced(std::move(query), "$job_id", ".*"), "$instance", ".*");
  };
  for (const char* uid : {"runtail-jobs", "runtail-agents"}) {
    Dashboard dashboard(uid);
    for (const Panel& panel : dashboard.panels("expr")) {
      for (const std::string& query : panel.queries) {
        EXPECT_EQ(ready(query).find('$'), std::string::npos) << query;
        // A rate needs two scrapes.
        EXPECT_TRUE(
            wait_until([&] { return !prometheus.query(ready(query)).samples.empty(); }, Deadline(10'000), Deadline(50)))
            << uid << ", " << panel.title << ": " << query;
      }
    }
  }
}

TEST(Dashboards, EachQueryToPostgresAnswers) {
  const std::string conninfo = PostgresCluster::shared().create_migrated_database("dashboards");
  HistorySize size;
  size.days = 30;
  size.log_events = 1000;
  fill_history(conninfo, size, SystemClock().now());
  Sql sql(conninfo);
  Dashboard dashboard("runtail-history");
  for (const Panel& panel : dashboard.panels("rawSql")) {
    for (const std::string& query : panel.queries) {
      const std::string asked = with_times(query);
      EXPECT_EQ(asked.find('$'), std::string::npos) << query;
      EXPECT_GT(sql.number("SELECT count(*) FROM (" + asked + ") AS panel"), 0) << panel.title << ": " << asked;
    }
  }
}

}  // namespace
}  // namespace runtail::test
