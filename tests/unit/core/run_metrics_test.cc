#include "core/run_metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/support/scale.h"

namespace runtail {
namespace {

TEST(RunMetrics, AreNumbersOfTheHighestAttempt) {
  RunMetrics metrics;
  metrics.apply(2,
                R"({"rows":5,"attempt":9,"a \"b":1,"note":"x","more":{"rows":99},"list":[1,{"rows":98}],"cpu":1.25})");
  EXPECT_EQ(metrics.json(), R"({"attempt":2,"cpu":1.25,"rows":5})");
  metrics.apply(1, R"({"rows":100})");
  metrics.apply(2, R"({"rows":4,"cpu":2})");
  EXPECT_EQ(metrics.json(), R"({"attempt":2,"cpu":2,"rows":5})");
  metrics.apply(3, R"({"note":"none is a number"})");
  EXPECT_EQ(metrics.attempt, 2);
  metrics.apply(3, R"({"rows":-1})");
  EXPECT_EQ(metrics.json(), R"({"attempt":3,"rows":-1})");
}

TEST(RunMetrics, WhatIsNoObjectOfNumbersGivesNone) {
  for (const char* text :
       {"", "{}", "[1,2]", "7", "{\"a\":1e999}", "{\"a\":nan}", "{\"a\":", "{\"", "{\"a", "{\"\":1}"}) {
    RunMetrics metrics;
    metrics.apply(1, text);
    EXPECT_EQ(metrics.json(), "") << text;
  }
}

TEST(RunMetrics, AnyOrderGivesTheSame) {
  std::mt19937_64 random(test::seed());
  SCOPED_TRACE("seed " + std::to_string(test::seed()));
  for (int round = 0; round < test::by_scale(300, 20'000); ++round) {
    std::vector<std::pair<int, std::string>> facts;
    for (std::uint64_t n = 1 + random() % 6; n > 0; --n) {
      std::string object = "{";
      for (std::uint64_t members = random() % 25; members > 0; --members) {
        object += (object.size() > 1 ? ",\"m" : "\"m") + std::to_string(random() % 60) +
                  "\":" + std::to_string(static_cast<int>(random() % 50) - 25) + ".5";
      }
      facts.emplace_back(1 + random() % 2, object + "}");
    }
    const auto folded = [&] {
      RunMetrics metrics;
      for (const auto& [attempt, object] : facts) metrics.apply(attempt, object);
      return metrics;
    };
    const RunMetrics first = folded();
    EXPECT_LE(first.values.size(), RunMetrics::kMembersMax);
    std::shuffle(facts.begin(), facts.end(), random);
    facts.push_back(facts.front());
    ASSERT_EQ(folded(), first);
  }
}

}  // namespace
}  // namespace runtail
