// What requests mean and what answers look like, without socket and database.
#include "server/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>

#include "server/api_problem.h"
#include "server/list_cursor.h"
#include "tests/support/scale.h"
#include "tests/unit/server/fake_store.h"

namespace runtail::test {
namespace {

namespace json = boost::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

const TimePoint kNow = parse_rfc3339("2026-03-01T12:00:00Z").value();
constexpr char kRun[] = "/v1/obs/runs/6ba7b810-9dad-11d1-80b4-00c04fd430c8";

class ApiTest : public testing::Test {
 protected:
  ApiResponse ask(const std::string& target, const std::string& method = "GET") {
    ApiRequest request{method, target, if_none_match, "c-1"};
    auto parsed = parse_call(request, projects, kNow);
    if (auto* refused = std::get_if<ApiResponse>(&parsed)) return std::move(*refused);
    const ApiCall& call = std::get<ApiCall>(parsed);
    return call.route->is_open ? answer_open(call) : answer_call(call, store);
  }
  json::value body(const std::string& target) {
    const ApiResponse response = ask(target);
    EXPECT_EQ(response.status, 200u) << target << " " << response.body;
    return json::parse(response.body);
  }
  // A problem's status, type and detail in one text.
  std::string problem(const std::string& target, const std::string& method = "GET") {
    store.asked.clear();
    const ApiResponse response = ask(target, method);
    EXPECT_EQ(response.content_type, "application/problem+json") << target << " " << response.body;
    const json::object told = json::parse(response.body).as_object();
    EXPECT_EQ(told.at("status").to_number<unsigned>(), response.status);
    EXPECT_EQ(told.at("correlation_id"), "c-1");
    return std::to_string(response.status) + " " + std::string(told.at("type").as_string()).substr(20) + ": " +
           std::string(told.at("detail").as_string());
  }
  static std::string header(const ApiResponse& response, const std::string& name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }

  FakeStore store;
  Projects projects;
  std::string if_none_match;
};

TEST_F(ApiTest, APathNobodyKnowsIs404AndAnotherMethod405) {
  for (const char* path : {"/", "/v1", "/v1/obs", "/v1/obs/jobs/", "/v1/obs/jobs//runs", "/v1/obs/runs/x/y",
                           "/v2/obs/jobs", "/v1/obs/job", "/v1/obs/jobs/a/b/runs"}) {
    EXPECT_THAT(problem(path), HasSubstr("404 not-found: ")) << path;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get"}) {
    const ApiResponse response = ask("/v1/obs/jobs", method);
    EXPECT_EQ(response.status, 405u);
    EXPECT_EQ(header(response, "Allow"), "GET, HEAD");
  }
  EXPECT_EQ(ask("/v1/obs/jobs", "HEAD").body, ask("/v1/obs/jobs").body);
}

TEST_F(ApiTest, AnUnknownParameterIsRefusedWithTheNearestWord) {
  EXPECT_EQ(problem("/v1/obs/runs?stauts=failed"),
            "400 unknown-parameter: there is no parameter \"stauts\" here (did you mean \"status\"?)");
  EXPECT_THAT(problem("/v1/obs/services?from=2026-03-01T00:00:00Z"), HasSubstr("400 unknown-parameter"));
  EXPECT_THAT(problem(std::string(kRun) + "?run_id=x"), HasSubstr("400 unknown-parameter"));
  EXPECT_EQ(store.asked, "");
}

TEST_F(ApiTest, ValuesThatCannotBeAreRefusedBeforeTheDatabaseIsAsked) {
  for (const auto& [target, detail] : std::vector<std::pair<std::string, std::string>>{
           {"/v1/obs/runs?status=faild", "(did you mean \"failed\"?)"},
           {"/v1/obs/runs?error_category=Disk", "none of API, DB, Data, System"},
           {"/v1/obs/runs?page_size=0", "page_size is no number from 1 to 500"},
           {"/v1/obs/runs?page_size=501", "page_size is no number"},
           {"/v1/obs/runs?page_size=-1", "page_size is no number"},
           {"/v1/obs/runs?page_size=99999999999999999999", "page_size is no number"},
           {"/v1/obs/runs?page_size=5x", "page_size is no number"},
           {"/v1/obs/runs?page=201&page_size=100", "go on with next_cursor"},
           {"/v1/obs/runs?total=maybe", "neither true nor false"},
           {"/v1/obs/runs?from=yesterday", "RFC 3339"},
           {"/v1/obs/runs?from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z", "from is after to"},
           {"/v1/obs/runs?from=2025-11-01T00:00:00Z", "more than 90 days apart"},
           {"/v1/obs/runs?status=failed&status=success", "given twice"},
           {"/v1/obs/runs?status=running&by=end_at", "by=end_at lists failed runs"},
           {"/v1/obs/runs?status=success&error_category=DB", "only failed runs have an error_category"},
           {"/v1/obs/runs?cursor=AAAA", "no next_cursor"},
           {"/v1/obs/runs/orders-nightly", "no UUID"},
           {"/v1/obs/jobs?q=" + std::string(513, 'x'), "longer than 512"},
       }) {
    EXPECT_THAT(problem(target), AllOf(HasSubstr("400 invalid-parameter: "), HasSubstr(detail))) << target;
    EXPECT_EQ(store.asked, "") << target;
  }
  for (const char* target : {"/v1/obs/jobs?q=%zz", "/v1/obs/jobs?q=%4", "/v1/obs/jobs?q=a%00b", "/v1/obs/jobs?q=%ff%fe",
                             "/v1/obs/jobs/%c3/runs"}) {
    EXPECT_THAT(problem(target), HasSubstr("400 malformed-request: ")) << target;
  }
  EXPECT_THAT(problem("/v1/obs/jobs?q=" + std::string(9000, 'x')), HasSubstr("400 malformed-request: "));
}

TEST_F(ApiTest, ParametersReachTheStoreDecoded) {
  ask("/v1/obs/jobs?q=a%2Fb+c&status=FAILED&page=3&page_size=10");
  EXPECT_EQ(store.job_filter.part, "a/b c");
  EXPECT_EQ(store.job_filter.status, "failed");
  EXPECT_EQ(store.slice.rows, 11);
  EXPECT_EQ(store.slice.skip, 20);
  ask("/v1/obs/jobs/etl%2Forders%20x/runs?from=2026-02-01T00:00:00+01:00&to=2026-02-02T00:00:00Z");
  EXPECT_EQ(store.run_filter.job_id, "etl/orders x");
  EXPECT_EQ(to_rfc3339(store.run_filter.scheduled.from), "2026-01-31T23:00:00.000000Z");
  ask("/v1/obs/runs?status=failed&error_category=db&by=end_at&job=orders&environment=prod");
  EXPECT_EQ(store.asked, "failed_runs");
  EXPECT_EQ(store.failed_filter.error_category, "DB");
  EXPECT_EQ(store.failed_filter.job_id, "orders");
  EXPECT_EQ(store.failed_filter.environment, "prod");
  EXPECT_EQ(store.failed_filter.ended.from, kNow - std::chrono::hours(24));
  EXPECT_EQ(store.failed_filter.ended.to, kNow);
  ask("/v1/obs/dq?status=any&table=stg.orders&column=email&job=orders");
  EXPECT_FALSE(store.result_filter.status);
  EXPECT_EQ(store.result_filter.table_name, "stg.orders");
  EXPECT_EQ(store.result_filter.column_name, "email");
  ask("/v1/obs/dq");
  EXPECT_EQ(store.result_filter.status, "finding");
  ask("/v1/obs/alerts?status=firing&severity=page&run_id=6BA7B810-9dad-11d1-80b4-00c04fd430c8");
  EXPECT_EQ(store.alert_filter.severity, "page");
  EXPECT_TRUE(store.alert_filter.run_id);
  ask("/v1/obs/services?drift=true&service=runtail");
  EXPECT_TRUE(store.service_filter.drifting_only);
}

TEST_F(ApiTest, WhatAFormLeavesEmptyIsNotGiven) {
  ask("/v1/obs/jobs?status=&q=&page=&page_size=&cursor=");
  EXPECT_FALSE(store.job_filter.part || store.job_filter.status);
  EXPECT_EQ(store.slice.rows, 51);
}

TEST_F(ApiTest, AWindowWithOnlyItsBeginningEndsNow) {
  ask("/v1/obs/runs?from=2026-01-01T00:00:00Z");
  EXPECT_EQ(store.run_filter.scheduled.to, kNow);
  ask("/v1/obs/runs?to=2026-01-01T00:00:00Z");
  EXPECT_EQ(to_rfc3339(store.run_filter.scheduled.from), "2025-12-31T00:00:00.000000Z");
}

TEST_F(ApiTest, ACursorGoesOnWhereThePageEndedInTheSameWindow) {
  store.rows = 100;
  const json::value first = body("/v1/obs/jobs/orders/runs?page_size=3&status=failed");
  EXPECT_THAT(first.at("data").as_array(), SizeIs(3));
  EXPECT_EQ(first.at("page"), 1);
  const std::string cursor(first.at("next_cursor").as_string());
  const json::value second = body("/v1/obs/jobs/orders/runs?page_size=5&status=failed&cursor=" + cursor);
  EXPECT_TRUE(second.at("page").is_null());
  ASSERT_TRUE(store.slice.after);
  EXPECT_EQ(to_string(store.slice.after->id), first.at("data").at(2).at("run_id").as_string());
  EXPECT_EQ(to_rfc3339(store.slice.after->at), first.at("data").at(2).at("scheduled_at").as_string());
  EXPECT_EQ(store.run_filter.scheduled.to, kNow);
  EXPECT_EQ(store.slice.skip, 0);
  // Of another list, or of none.
  for (const std::string& other :
       {std::string("/v1/obs/jobs/users/runs?status=failed"), std::string("/v1/obs/jobs/orders/runs?status=success"),
        std::string("/v1/obs/runs?status=failed"), std::string("/v1/obs/services?drift=false")}) {
    EXPECT_THAT(problem(other + "&cursor=" + cursor), HasSubstr("cursor is of another list")) << other;
  }
  EXPECT_THAT(problem("/v1/obs/jobs/orders/runs?status=failed&page=1&cursor=" + cursor),
              HasSubstr("exclude each other"));
  EXPECT_THAT(problem("/v1/obs/jobs/orders/runs?status=failed&from=2026-02-27T00:00:00Z&cursor=" + cursor),
              HasSubstr("leave from and to as they were"));
}

TEST_F(ApiTest, AListWithoutPlacesGoesOnByNumber) {
  store.rows = 100;
  const json::value page = body(std::string(kRun) + "/tasks?page_size=7&page=2");
  body(std::string(kRun) + "/tasks?page_size=7&cursor=" + std::string(page.at("next_cursor").as_string()));
  EXPECT_EQ(store.slice.skip, 14);
  store.rows = 7;
  EXPECT_TRUE(body(std::string(kRun) + "/tasks?page_size=7").at("next_cursor").is_null());
}

TEST_F(ApiTest, ACursorSurvivesItsTripAndNothingElseIsOne) {
  std::mt19937_64 random(seed());
  for (int round = 0; round < 2000; ++round) {
    ListCursor cursor;
    cursor.list = "0123456789abcdef";
    if (random() % 2) cursor.range = TimeRange{from_micros(static_cast<std::int64_t>(random() >> 12)), kNow};
    if (random() % 2) {
      cursor.after =
          ListPlace{from_micros(static_cast<std::int64_t>(random() >> 12)), uuid_v5(Uuid{}, {"x"}), "job \x1F ä"};
    }
    cursor.skip = static_cast<int>(random() % 10'000);
    std::string word = encode_cursor(cursor);
    const auto back = decode_cursor(word);
    ASSERT_TRUE(back);
    EXPECT_EQ(encode_cursor(*back), word);
    EXPECT_EQ(back->skip, cursor.skip);
    // Damage is an error or another cursor, never a crash.
    word[random() % word.size()] = static_cast<char>(random());
    if (const auto other = decode_cursor(word)) {
      EXPECT_GE(other->skip, 0);
    }
  }
  for (const char* word : {"", "AAAA", "====", "x y"}) EXPECT_FALSE(decode_cursor(word)) << word;
  EXPECT_FALSE(decode_cursor(std::string(2000, 'A')));
}

TEST_F(ApiTest, TheTotalIsCountedWhenAskedFor) {
  EXPECT_FALSE(body("/v1/obs/runs").as_object().contains("total"));
  EXPECT_FALSE(store.slice.with_total);
  EXPECT_EQ(body("/v1/obs/runs?total=true").at("total"), 4711);
}

TEST_F(ApiTest, ProjectsOfTheTokenReachEveryQuestion) {
  projects = std::vector<std::string>{"sponsor_a"};
  for (const ApiRoute& route : api_routes()) {
    if (route.is_open) continue;
    std::string target(route.path);
    for (const auto& [name, value] : {std::pair("{job_id}", "orders"), {"{run_id}", kRun + 13}}) {
      if (const auto at = target.find(name); at != std::string::npos) target.replace(at, strlen(name), value);
    }
    store.projects.reset();
    EXPECT_EQ(ask(target).status, 200u) << target;
    EXPECT_EQ(store.projects, projects) << target;
  }
}

TEST_F(ApiTest, ErrorsOfRunsAreCutInListsAndInDetail) {
  EXPECT_EQ(body("/v1/obs/runs").at("data").at(0).at("error_message").as_string().size(), 256u);
  EXPECT_EQ(body(kRun).at("error_message").as_string().size(), 2048u);
  EXPECT_THAT(body(kRun).at("dq_findings").as_array(), SizeIs(0));
  EXPECT_EQ(body(kRun).at("cost_usd"), 1.5);
}

TEST_F(ApiTest, AFinishedRunHasATagAndIsNotSentTwice) {
  const ApiResponse first = ask(kRun);
  const std::string tag = header(first, "ETag");
  EXPECT_THAT(tag, HasSubstr("W/\""));
  for (const std::string& known : {tag, "\"other\", " + tag, tag.substr(2), std::string("*")}) {
    if_none_match = known;
    EXPECT_EQ(ask(kRun).status, 304u) << known;
    EXPECT_EQ(ask(kRun).body, "");
  }
  if_none_match = "\"other\"";
  EXPECT_EQ(ask(kRun).status, 200u);
  if_none_match = "*";
  store.status = "running";
  EXPECT_EQ(ask(kRun).status, 200u);
  EXPECT_EQ(header(ask(kRun), "ETag"), "");
}

TEST_F(ApiTest, ARunThatIsNotThereIs404OnEachOfItsRoutes) {
  store.has_run = false;
  for (const char* more : {"", "/attempts", "/tasks", "/events", "/trace", "/changes"}) {
    EXPECT_THAT(problem(std::string(kRun) + more), HasSubstr("404 no-such-run: ")) << more;
  }
}

TEST_F(ApiTest, FaultsOfTheStoreTellNothingOfIt) {
  store.error = Error{ErrorCode::kUnavailable, "history, runs: connection to server at 10.1.2.3 failed"};
  EXPECT_THAT(problem("/v1/obs/runs"), HasSubstr("503 database-unavailable: "));
  EXPECT_THAT(ask("/v1/obs/runs").body, Not(HasSubstr("10.1.2.3")));
  EXPECT_THAT(ask("/v1/obs/runs").fault, HasSubstr("10.1.2.3"));
  EXPECT_NE(header(ask("/v1/obs/runs"), "Retry-After"), "");
  store.error = Error{ErrorCode::kUnavailable, "history, runs: canceling statement (SQLSTATE 57014)"};
  EXPECT_THAT(problem("/v1/obs/runs"), HasSubstr("503 query-too-slow: "));
  store.error = Error{ErrorCode::kInvalidInput, "permission denied for table job_runs (SQLSTATE 42501)"};
  EXPECT_THAT(problem("/v1/obs/runs"), HasSubstr("500 internal: "));
}

TEST_F(ApiTest, MalformedRequestsOfEveryKindAreRefused) {
  std::mt19937_64 random(seed());
  const std::string pieces[] = {"/v1/obs/",  "jobs", "runs", "?",    "&",           "=",
                                "%",         "%2",   "%00",  "%ff",  "status",      "from",
                                "cursor",    "page", "\x01", "\xC3", "{run_id}",    "..",
                                "//",        "+",    "#",    kRun,   "99999999999", "2026-03-01T00:00:00Z",
                                "total=true"};
  const int rounds = by_scale(10'000, 200'000);
  for (int round = 0; round < rounds; ++round) {
    std::string target = random() % 8 ? "/v1/obs/" : "";
    for (std::size_t many = random() % 8; many > 0; --many) target += pieces[random() % std::size(pieces)];
    const ApiResponse response = ask(target);
    ASSERT_TRUE(response.status == 200 || response.status == 400 || response.status == 404) << target;
    ASSERT_NO_THROW(json::parse(response.body)) << target;
  }
}

}  // namespace
}  // namespace runtail::test
