// `runtail server` with a real database, asked by curl: every route, who may see what, a database that goes and comes
// back, several servers, and the recipes of docs/api.md as they are written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/time.h"
#include "tests/support/delivered.h"
#include "tests/support/filled_history.h"
#include "tests/support/json_shape.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/scale.h"
#include "tests/support/server_process.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {
namespace {

namespace json = boost::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A database with a history, and the server's user: a member of the three roles and no more.
class ApiScenario : public testing::Test {
 protected:
  struct Stage {
    Stage() : admin(PostgresCluster::shared().create_database("api")) {
      admin.rows("CREATE ROLE api_owner LOGIN CREATEROLE");
      admin.rows("GRANT CREATE ON DATABASE api TO api_owner");
      Command migrate;
      migrate.argv = {RUNTAIL_BINARY, "migrate", "--url", url("api_owner"), "--roles", "api"};
      if (run_to_end(migrate).exit_code != 0) throw std::runtime_error("migrate failed");
      admin.rows("CREATE ROLE api_server LOGIN IN ROLE api_reader, api_writer, api_retention");
      HistorySize size;
      size.days = 30;
      size.runs_per_day = by_scale(30, 200);
      size.tasks_per_run = 2;
      size.log_events = 3000;
      fill_history(PostgresCluster::shared().conninfo("api"), size, SystemClock().now());
      admin.rows("UPDATE observability.service_heartbeats SET version = '0.0.9' WHERE instance = 'worker-7'");
    }
    static std::string url(const std::string& user) {
      return PostgresCluster::shared().conninfo("api") + " user=" + user;
    }
    Sql admin;
  };
  static Stage& stage() {
    static Stage made;
    return made;
  }
  ApiScenario() : sql(stage().admin) {}

  json::value rows_of(const ServerProcess& server, const std::string& path, const std::string& token) {
    const CurlAnswer answer = server.get(path, token);
    EXPECT_EQ(answer.status, 200) << path << " " << answer.body;
    return json::parse(answer.body);
  }
  std::string some_run(const std::string& where = "true") {
    return sql
        .rows(
            "SELECT run_id FROM observability.job_runs WHERE status = 'failed' AND finished_at < now() - interval "
            "'1 day' AND " +
            where + " ORDER BY scheduled_at DESC LIMIT 1")
        .at(0);
  }

  const Sql& sql;
  TempDir directory;
};

TEST_F(ApiScenario, EveryRouteIsAnsweredInTheShapeOfTheDocument) {
  ServerProcess server(directory.path(), "server", Stage::url("api_server"), "requests_per_second: 1000");
  ASSERT_TRUE(server.start_healthy()) << server.log();
  const std::string token = server.token(), run = some_run();
  const json::value document = json::parse(server.get("/v1/openapi.json", "").body);
  std::set<std::string> with_rows;
  for (const auto& [path, item] : document.at("paths").as_object()) {
    std::string target(path);
    if (target == "/v1/openapi.json") continue;
    const bool has_window = target.ends_with("/runs") || target.ends_with("/dq") || target.ends_with("/alerts") ||
                            target.ends_with("/summary");
    for (const auto& [name, value] : {std::pair<std::string, std::string>("{job_id}", "job_000"), {"{run_id}", run}}) {
      if (const auto at = target.find(name); at != std::string::npos) target.replace(at, name.size(), value);
    }
    const std::string window = "from=" + to_rfc3339(SystemClock().now() - std::chrono::days(28));
    if (has_window) target += "?" + window;
    const CurlAnswer answer = server.get(target, token);
    ASSERT_EQ(answer.status, 200) << target << " " << answer.body;
    const json::value& schema =
        item.at("get").at("responses").at("200").at("content").at("application/json").at("schema");
    const json::value body = json::parse(answer.body);
    EXPECT_EQ(shape_fault(body, schema, document), "") << target;
    const json::value* data = body.as_object().if_contains("data");
    if (!data || !data->as_array().empty()) with_rows.insert(std::string(path));
  }
  EXPECT_EQ(with_rows.size(), document.at("paths").as_object().size() - 1);

  const json::value drifting = rows_of(server, "/v1/obs/services?drift=true", token);
  ASSERT_EQ(drifting.at("data").as_array().size(), 1u);
  EXPECT_EQ(drifting.at("data").at(0).at("instance"), "worker-7");

  // What goes wrong has its status.
  EXPECT_EQ(server.get("/v1/obs/jobs", "").status, 401);
  EXPECT_EQ(server.get("/v1/obs/job", token).status, 404);
  EXPECT_EQ(server.get("/v1/obs/runs/6ba7b810-9dad-11d1-80b4-00c04fd430c8", token).status, 404);
  EXPECT_EQ(server.get("/v1/obs/jobs?paeg=1", token).status, 400);
  EXPECT_EQ(server.get("/v1/obs/jobs", token, {"-X", "POST"}).status, 405);
  const CurlAnswer whole = server.get("/v1/obs/runs/" + run, token);
  EXPECT_EQ(server.get("/v1/obs/runs/" + run, token, {"-H", "If-None-Match: " + whole.headers.at("etag")}).status, 304);

  // Each of them moved a metric under its template and left a row.
  const Scrape scrape = server.scrape();
  EXPECT_EQ(scrape.sum("trialsync_api_requests_total", {{"route", "/v1/obs/runs/:run_id"}, {"status_code", "200"}}), 2);
  EXPECT_EQ(scrape.sum("trialsync_api_requests_total", {{"route", "none"}, {"status_code", "404"}}), 1);
  EXPECT_EQ(scrape.sum("trialsync_db_pool_size", {{"component", "api"}}), scrape.sum("trialsync_db_pool_size"));
  EXPECT_GE(scrape.sum("trialsync_db_pool_size"), 1);
  EXPECT_EQ(scrape.sum("runtail_access_log_lost_total"), 0);
  EXPECT_THAT(server.page("/metrics").body, Not(HasSubstr(run)));
  EXPECT_EQ(server.terminate(), 0) << server.log();
  const double answered = scrape.sum("trialsync_api_requests_total");
  EXPECT_EQ(sql.number("SELECT count(*) FROM observability.access_log"), answered);
  EXPECT_EQ(sql.number("SELECT count(*) FROM observability.access_log WHERE subject_hmac IS NOT NULL AND scope = "
                       "'obs.read' AND remote_hmac IS NOT NULL AND params_digest IS NOT NULL"),
            answered - 2);  // one without a token, and the document
  EXPECT_EQ(sql.number("SELECT count(*) FROM observability.service_heartbeats WHERE service = 'runtail-server' AND "
                       "status = 'stopping' AND version IS NOT NULL"),
            1);
  sql.rows("DELETE FROM observability.service_heartbeats WHERE service = 'runtail-server'");
}

TEST_F(ApiScenario, TwoSponsorsNeverSeeEachOthersRowsOnAnyRoute) {
  ServerProcess server(directory.path(), "sponsors", Stage::url("api_server"), "requests_per_second: 1000");
  ASSERT_TRUE(server.start_healthy()) << server.log();
  const std::string from = to_rfc3339(SystemClock().now() - std::chrono::days(60)),
                    to = to_rfc3339(SystemClock().now() + std::chrono::hours(1)),
                    window = "&from=" + from + "&to=" + to;
  const std::string runs_of = "SELECT run_id FROM observability.job_runs WHERE project_id = ANY('{";
  for (const std::vector<std::string>& projects :
       {std::vector<std::string>{"sponsor_a"}, {"sponsor_b", "sponsor_c"}, {"nobody"}}) {
    const std::string token = server.token(projects);
    std::string list;
    for (const std::string& project : projects) list += (list.empty() ? "" : ",") + project;
    const std::string own = "IN (" + runs_of + list + "}'))";
    // Every page of the list, its ids in order, against SQL of our own; and its total.
    const auto same = [&](const std::string& path, const char* member, const std::string& expected) {
      std::vector<std::string> ids;
      std::string cursor;
      std::int64_t total = -1;
      do {
        const json::value page = rows_of(server,
                                         path + "&page_size=" + std::to_string(by_scale(500, 7)) + "&total=true" +
                                             (cursor.empty() ? "" : "&cursor=" + cursor),
                                         token);
        for (const json::value& row : page.at("data").as_array()) ids.emplace_back(row.at(member).as_string());
        cursor = page.at("next_cursor").is_null() ? "" : page.at("next_cursor").as_string().c_str();
        total = page.at("total").as_int64();
      } while (!cursor.empty());
      const auto wanted = sql.rows(expected);
      EXPECT_EQ(ids, wanted) << path << " of " << list;
      EXPECT_EQ(total, static_cast<std::int64_t>(wanted.size())) << path << " of " << list;
      EXPECT_EQ(wanted.empty(), projects.front() == "nobody") << path;
    };
    same("/v1/obs/jobs?q=", "job_id",
         "SELECT DISTINCT job_id FROM observability.job_runs WHERE run_id " + own + " ORDER BY 1");
    same("/v1/obs/runs?by=scheduled_at" + window, "run_id",
         "SELECT run_id FROM observability.job_runs WHERE run_id " + own + " ORDER BY scheduled_at DESC, run_id");
    same("/v1/obs/runs?by=end_at" + window, "run_id",
         "SELECT run_id FROM observability.job_runs WHERE status = 'failed' AND run_id " + own +
             " ORDER BY finished_at DESC, run_id");
    same("/v1/obs/jobs/job_000/runs?status=" + window, "run_id",
         "SELECT run_id FROM observability.job_runs WHERE job_id = 'job_000' AND run_id " + own +
             " ORDER BY scheduled_at DESC, run_id");
    same("/v1/obs/dq?status=any" + window, "id",
         "SELECT id FROM observability.dq_check_results WHERE run_id " + own + " ORDER BY created_at DESC, id");
    same("/v1/obs/alerts?status=" + window, "id",
         "SELECT id FROM observability.alert_events WHERE run_id " + own + " ORDER BY fired_at DESC, id");
    same("/v1/obs/datasets?environment=", "dataset",
         "SELECT dataset FROM observability.dataset_status WHERE last_run_id " + own +
             " ORDER BY last_success_at, dataset, environment");
    EXPECT_THAT(rows_of(server, "/v1/obs/services", token).at("data").as_array(), IsEmpty());
    // Sums are of own runs alone, and of a run inside of another one of its job not of both.
    const std::string counted =
        "(SELECT r.* FROM observability.job_runs r LEFT JOIN observability.job_runs p ON p.run_id = r.parent_run_id "
        "AND "
        "p.job_id = r.job_id WHERE p.run_id IS NULL) AS counted";
    std::int64_t runs = 0;
    std::string cursor;
    do {
      const json::value page = rows_of(
          server, "/v1/obs/summary?job=" + window + "&page_size=500" + (cursor.empty() ? "" : "&cursor=" + cursor),
          token);
      for (const json::value& week : page.at("data").as_array()) runs += week.at("runs").as_int64();
      cursor = page.at("next_cursor").is_null() ? "" : page.at("next_cursor").as_string().c_str();
    } while (!cursor.empty());
    EXPECT_EQ(runs, sql.number("SELECT count(*) FROM " + counted + " WHERE run_id " + own));
    std::vector<std::string> rates;
    const json::value jobs = rows_of(server, "/v1/obs/jobs?page_size=500", token);
    for (const json::value& job : jobs.at("data").as_array()) {
      if (job.at("success_rate_7d").is_null()) continue;
      rates.push_back(std::string(job.at("job_id").as_string()) + " " +
                      std::to_string(std::lround(job.at("success_rate_7d").to_number<double>() * 1e6)));
    }
    EXPECT_EQ(rates, sql.rows("SELECT job_id || ' ' || round(1e6 * count(*) FILTER (WHERE status = 'success') / "
                              "count(*)) FROM " +
                              counted +
                              " WHERE scheduled_at > now() - interval '7 days' AND "
                              "scheduled_at <= now() AND status IN ('success', 'failed', 'cancelled') AND run_id " +
                              own + " GROUP BY job_id ORDER BY job_id"));
    // Another's run is not there, on each of its routes.
    const std::string other = some_run("project_id <> ALL('{" + list + "}')");
    for (const char* more : {"", "/attempts", "/tasks", "/events", "/trace", "/changes"}) {
      EXPECT_EQ(server.get("/v1/obs/runs/" + other + more, token).status, 404) << more;
      if (projects.front() == "nobody") continue;
      EXPECT_EQ(server.get("/v1/obs/runs/" + some_run("project_id = ANY('{" + list + "}')") + more, token).status, 200)
          << more;
    }
    // A cursor of who may see more opens nothing.
    const json::value first = rows_of(server, "/v1/obs/runs?page_size=1" + window, server.token());
    const json::value next = rows_of(
        server, "/v1/obs/runs?page_size=500" + window + "&cursor=" + first.at("next_cursor").as_string().c_str(),
        token);
    for (const json::value& row : next.at("data").as_array()) {
      EXPECT_EQ(sql.rows("SELECT count(*) FROM observability.job_runs WHERE run_id = '" +
                         std::string(row.at("run_id").as_string()) + "' AND run_id " + own)[0],
                "1");
      if (!long_run()) break;
    }
  }
  EXPECT_EQ(server.terminate(), 0);
}

TEST_F(ApiScenario, TheRecipesOfThePageWorkAsWritten) {
  ServerProcess server(directory.path(), "recipes", Stage::url("api_server"), "requests_per_second: 1000");
  ASSERT_TRUE(server.start_healthy()) << server.log();
  const std::string page = read_file(std::filesystem::path(RUNTAIL_SOURCE_DIR) / "docs/api.md");
  int recipes = 0;
  for (std::size_t at = page.find("```bash\n"); at != std::string::npos; at = page.find("```bash\n", at)) {
    at += 8;
    const std::string recipe = page.substr(at, page.find("```", at) - at);
    Command command;
    command.argv = {"bash", "-euo", "pipefail", "-c", recipe};
    command.environment = {{"API", server.api_url()}, {"TOKEN", server.token()}, {"RUN", some_run()}};
    const Finished finished = run_to_end(command);
    EXPECT_EQ(finished.exit_code, 0) << recipe << finished.errors;
    // One or more answers, one after the other.
    json::stream_parser parser;
    boost::system::error_code error;
    std::size_t begin = 0, answers = 0;
    while (begin < finished.output.size()) {
      parser.reset();
      const std::size_t used = parser.write_some(finished.output.data() + begin, finished.output.size() - begin, error);
      if (error || !parser.done()) break;
      const json::value answer = parser.release();
      EXPECT_TRUE(answer.as_object().contains("data") || answer.as_object().contains("run_id")) << recipe;
      begin += used;
      begin = std::min(finished.output.find_first_not_of(" \n", begin), finished.output.size());
      ++answers;
    }
    EXPECT_FALSE(error) << recipe << finished.output.substr(begin, 200);
    EXPECT_GE(answers, 1u) << recipe;
    ++recipes;
  }
  EXPECT_GE(recipes, 6);
  // Grafana's: the address with its variables filled in.
  const std::size_t begin = page.find("/v1/obs/runs?from=${__from");
  ASSERT_NE(begin, std::string::npos);
  std::string target = page.substr(begin, page.find('\n', begin) - begin);
  for (const auto& [name, value] : {std::pair<std::string, std::string>(
                                        "${__from:date:iso}", to_rfc3339(SystemClock().now() - std::chrono::days(2))),
                                    {"${__to:date:iso}", to_rfc3339(SystemClock().now())},
                                    {"${status}", ""}}) {
    target.replace(target.find(name), name.size(), value);
  }
  EXPECT_FALSE(rows_of(server, target, server.token()).at("data").as_array().empty());
  EXPECT_EQ(server.terminate(), 0);
}

TEST_F(ApiScenario, OfSeveralServersOneAtATimeDoesTheUpkeep) {
  const std::string last = sql.rows(
                                  "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE "
                                  "i.inhparent = 'observability.log_events'::regclass ORDER BY 1 DESC LIMIT 1")
                               .at(0);
  sql.rows("DROP TABLE observability." + last);
  sql.rows(
      "INSERT INTO observability.summary_dirty SELECT DISTINCT job_id, environment, scheduled_at::date, now() FROM "
      "observability.job_runs WHERE environment = 'dev' OR job_id = 'job_000'");
  sql.rows("CREATE ROLE api_reader_only LOGIN IN ROLE api_reader");
  ServerProcess first(directory.path(), "first", Stage::url("api_server")),
      second(directory.path(), "second", Stage::url("api_server"));
  first.start();
  ASSERT_TRUE(second.start_healthy()) << second.log();
  EXPECT_TRUE(
      wait_until([&] { return sql.number("SELECT count(*) FROM pg_class WHERE relname = '" + last + "'") == 1; }));
  EXPECT_TRUE(wait_until([&] { return sql.number("SELECT count(*) FROM observability.summary_dirty") == 0; }));
  EXPECT_TRUE(wait_until([&] {
    return sql.number(
               "SELECT count(*) FROM observability.service_heartbeats WHERE service = 'runtail-server' AND status = "
               "'ok' AND instance IN ('first', 'second')") == 2;
  }));
  EXPECT_EQ(first.terminate(), 0);
  EXPECT_EQ(second.terminate(), 0);
  // One that may only read answers, and says what it cannot do.
  ServerProcess poor(directory.path(), "poor", Stage::url("api_reader_only"));
  ASSERT_TRUE(poor.start_healthy()) << poor.log();
  EXPECT_EQ(poor.get("/v1/obs/jobs", poor.token()).status, 200);
  EXPECT_TRUE(wait_until([&] { return poor.page("/readyz").body.find("\"degraded\"") != std::string::npos; }));
  EXPECT_TRUE(wait_until([&] { return poor.scrape().sum("runtail_access_log_lost_total") == 1; }));
  EXPECT_THAT(poor.log(), AllOf(HasSubstr("42501"), HasSubstr("access_log")));
  EXPECT_EQ(poor.terminate(), 0);
}

TEST(ApiDatabaseTest, ADatabaseThatGoesAndComesBackNeedsNoRestart) {
  PostgresCluster cluster;
  const std::string url = cluster.create_migrated_database("gone");
  TempDir directory;
  ServerProcess server(directory.path(), "server", url);
  ASSERT_TRUE(server.start_healthy()) << server.log();
  const std::string token = server.token();
  EXPECT_EQ(server.get("/v1/obs/jobs", token).status, 200);
  cluster.stop();
  EXPECT_TRUE(wait_until([&] { return server.page("/readyz").status == 503; }));
  EXPECT_THAT(server.page("/readyz").body, AllOf(HasSubstr("\"database\""), HasSubstr("unavailable")));
  EXPECT_EQ(server.page("/healthz").status, 200);
  EXPECT_EQ(server.page("/metrics").status, 200);
  const CurlAnswer away = server.get("/v1/obs/jobs", token);
  EXPECT_EQ(away.status, 503);
  EXPECT_THAT(away.body, HasSubstr("urn:runtail:problem:database-unavailable"));
  EXPECT_EQ(server.get("/v1/obs/jobs?x=1", token).status, 400);  // what needs no database is answered all the same
  cluster.start();
  EXPECT_TRUE(wait_until([&] { return server.get("/v1/obs/jobs", token).status == 200; }));
  EXPECT_TRUE(wait_until([&] { return server.page("/readyz").status == 200; }));
  // Rows of the time without it come after.
  const Sql sql(url);
  EXPECT_TRUE(
      wait_until([&] { return sql.number("SELECT count(*) FROM observability.access_log WHERE status = 503") >= 1; }));
  EXPECT_EQ(server.terminate(), 0) << server.log();
}

TEST(ApiStartTest, AWrongConfigurationIsSaidAndATakenAddressToo) {
  TempDir directory;
  const auto run = [&](const std::string& name, const std::string& text) {
    const auto path = directory / (name + ".yaml");
    std::ofstream(path) << text;
    Command command;
    command.argv = {RUNTAIL_BINARY, "server", "--config", path.string()};
    return run_to_end(command);
  };
  const Finished no_database = run("none", "name: x\n");
  EXPECT_EQ(no_database.exit_code, 3);
  EXPECT_THAT(no_database.errors, HasSubstr("postgres.url"));
  const Finished open = run(
      "open", "postgres: {url: host=/nowhere}\nhttp: {listen: \"\"}\napi: {listen: \"0.0.0.0:0\", anonymous: true}\n");
  EXPECT_EQ(open.exit_code, 3) << open.errors;
  EXPECT_THAT(open.errors, HasSubstr("loopback"));
}

}  // namespace
}  // namespace runtail::test
