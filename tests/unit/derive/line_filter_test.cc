#include "derive/line_filter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "parsers/parser.h"
#include "redaction/redactor.h"

namespace runtail {
namespace {

const EventIds kIds(FileIdentity{"agent/etl", {1}, 0});

// By the real parser and redactor; valid until the next call.
const RedactedEvent& event_of(Level level, std::string_view environment = {}, std::string_view event = {}) {
  static Parser parser(built_in_dialects());
  static Redactor redactor = Redactor::make({}).value();
  std::string line = R"({"msg":"m","level":")" + std::string(to_string(level)) + '"';
  if (!environment.empty()) line += R"(,"env":")" + std::string(environment) + '"';
  if (!event.empty()) line += R"(,"event":")" + std::string(event) + '"';
  return redactor.redact(parser.parse(line + '}'));
}

double share_stored(const LineFilter& filter, const RedactedEvent& event, int lines = 20'000) {
  int stored = 0;
  for (int i = 0; i < lines; ++i) {
    stored += filter.outcome(event, kIds, static_cast<std::uint64_t>(i) * 400) == LineOutcome::kStored;
  }
  return static_cast<double>(stored) / lines;
}

TEST(LineFilter, KeepsEveryLineUnlessTold) {
  EXPECT_EQ(LineFilter().outcome(event_of(Level::kTrace), kIds, 0), LineOutcome::kStored);
  EXPECT_EQ(LineFilter({}, "prod").outcome(event_of(Level::kTrace), kIds, 0), LineOutcome::kStored);
}

TEST(LineFilter, TheLevelIsThatOfTheLinesEnvironmentElseOfTheAgentsElseOfAny) {
  const LineFilter filter({{{"dev", "TRACE"}, {"staging", "debug"}, {"prod", "WARN"}, {"any", "INFO"}}, {}}, "staging");
  const auto stored = [&](Level level, std::string_view environment) {
    return filter.outcome(event_of(level, environment), kIds, 0) == LineOutcome::kStored;
  };
  EXPECT_TRUE(stored(Level::kTrace, "dev"));
  EXPECT_FALSE(stored(Level::kInfo, "prod"));
  EXPECT_TRUE(stored(Level::kWarn, "prod"));
  EXPECT_TRUE(stored(Level::kDebug, ""));  // the agent's own
  EXPECT_FALSE(stored(Level::kTrace, ""));
  EXPECT_FALSE(stored(Level::kDebug, "elsewhere"));
  EXPECT_TRUE(stored(Level::kInfo, "elsewhere"));
  EXPECT_EQ(filter.outcome(event_of(Level::kInfo, "prod"), kIds, 0), LineOutcome::kLevelFiltered);
}

TEST(LineFilter, SharesHoldByLevelAndEnvironment) {
  const LineFilter filter({{}, {{"DEBUG", "0"}, {"INFO", "0.5"}, {"prod.INFO", "0.1"}, {"prod.WARN", "1"}}}, "");
  const auto near = [](double share, double goal) {  // within four standard deviations
    EXPECT_NEAR(share, goal, 4 * std::sqrt(goal * (1 - goal) / 20'000)) << goal;
  };
  near(share_stored(filter, event_of(Level::kInfo)), 0.5);
  near(share_stored(filter, event_of(Level::kInfo, "prod")), 0.1);
  near(share_stored(filter, event_of(Level::kDebug, "prod")), 0);  // of any environment, here too
  near(share_stored(filter, event_of(Level::kWarn, "prod")), 1);
  near(share_stored(filter, event_of(Level::kError, "prod")), 1);
}

TEST(LineFilter, TheSameLineIsAlwaysDecidedTheSame) {
  const LinesConfig config{{}, {{"INFO", "0.3"}}};
  const LineFilter filter(config, "prod"), again(config, "prod");
  for (std::uint64_t offset = 0; offset < 400'000; offset += 400) {
    const LineOutcome outcome = filter.outcome(event_of(Level::kInfo), kIds, offset);
    EXPECT_EQ(again.outcome(event_of(Level::kInfo), EventIds(FileIdentity{"agent/etl", {1}, 0}), offset), outcome);
  }
}

TEST(LineFilter, LinesWithAnEventAreKept) {
  const LineFilter filter({{{"any", "FATAL"}}, {{"INFO", "0"}}}, "");
  EXPECT_EQ(filter.outcome(event_of(Level::kInfo, "", "run.started"), kIds, 0), LineOutcome::kStored);
}

}  // namespace
}  // namespace runtail
