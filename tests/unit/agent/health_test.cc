#include "agent/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace runtail {
namespace {

using testing::HasSubstr;

const TimePoint kNow = from_micros(1'772'323'202'000'123);

HealthCheck own(CheckStatus status) { return {"buffer", CheckKind::kOwn, status, ""}; }
HealthCheck outside(CheckStatus status) { return {"postgres", CheckKind::kOutside, status, ""}; }

TEST(Health, LivenessIsAlwaysOk) {
  const HttpResponse answer = liveness(kNow);
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.body, "{\"status\":\"ok\",\"timestamp\":\"" + to_rfc3339(kNow) + "\"}\n");
}

TEST(Health, ReadinessNamesEachCheck) {
  const std::vector<HealthCheck> checks = {
      own(CheckStatus::kOk), {"postgres", CheckKind::kOutside, CheckStatus::kDegraded, "connect: \"refused\"\n"}};
  EXPECT_EQ(readiness(checks, kNow, "").body,
            "{\"status\":\"degraded\",\"timestamp\":\"" + to_rfc3339(kNow) +
                "\",\"checks\":[{\"name\":\"buffer\",\"status\":\"ok\",\"reason\":\"\"},"
                "{\"name\":\"postgres\",\"status\":\"degraded\",\"reason\":\"connect: \\\"refused\\\"\\n\"}]}\n");
}

struct ReadinessCase {
  const char* name;
  std::vector<HealthCheck> checks;
  const char* status;
  unsigned http, strict_http;
};
class Readiness : public testing::TestWithParam<ReadinessCase> {};
TEST_P(Readiness, Follows) {
  const ReadinessCase& row = GetParam();
  const HttpResponse answer = readiness(row.checks, kNow, "");
  EXPECT_EQ(answer.status, row.http);
  EXPECT_THAT(answer.body, HasSubstr("{\"status\":\"" + std::string(row.status) + "\",\"timestamp\""));
  for (const char* query : {"strict=true", "strict=1", "a=b&strict=true"}) {
    EXPECT_EQ(readiness(row.checks, kNow, query).status, row.strict_http) << query;
  }
  for (const char* query : {"strict=false", "strict", "xstrict=true", "&"}) {
    EXPECT_EQ(readiness(row.checks, kNow, query).status, row.http) << query;
  }
}
INSTANTIATE_TEST_SUITE_P(
    Checks, Readiness,
    testing::Values(
        ReadinessCase{"none", {}, "ok", 200, 200},
        ReadinessCase{"all_ok", {own(CheckStatus::kOk), outside(CheckStatus::kOk)}, "ok", 200, 200},
        ReadinessCase{"own_degraded", {own(CheckStatus::kDegraded)}, "degraded", 200, 503},
        ReadinessCase{"own_away", {outside(CheckStatus::kOk), own(CheckStatus::kUnavailable)}, "unavailable", 503, 503},
        ReadinessCase{"outside_degraded", {outside(CheckStatus::kDegraded)}, "degraded", 200, 503},
        ReadinessCase{"outside_away", {outside(CheckStatus::kUnavailable)}, "degraded", 200, 503}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace runtail
