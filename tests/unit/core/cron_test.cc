#include "core/cron.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/support/scale.h"

namespace runtail {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

TimePoint at(int year, unsigned month, unsigned day, int hour, int minute) {
  return std::chrono::sys_days(std::chrono::year(year) / month / day) + hours(hour) + minutes(minute);
}
std::string next(const std::string& expression, TimePoint from) {
  const auto cron = Cron::parse(expression);
  if (!cron) return cron.error().message;
  const auto found = cron->next(from);
  return found ? to_rfc3339(*found).substr(0, 16) : "never";
}

TEST(Cron, IsDueWhenEachFieldSaysSo) {
  const TimePoint from = at(2026, 3, 14, 10, 30);  // a Saturday
  EXPECT_EQ(next("0 3 * * *", from), "2026-03-15T03:00");
  EXPECT_EQ(next("*/15 * * * *", from), "2026-03-14T10:45");
  EXPECT_EQ(next("30 10 * * *", from), "2026-03-15T10:30");
  EXPECT_EQ(next("5,35 8-11/2 * * *", from), "2026-03-14T10:35");
  EXPECT_EQ(next("0 6 * * mon-fri", from), "2026-03-16T06:00");
  EXPECT_EQ(next("0 6 * * 7", from), "2026-03-15T06:00");
  EXPECT_EQ(next("0 0 29 FEB *", from), "2028-02-29T00:00");
  EXPECT_EQ(next("0 0 1,15 * wed", from), "2026-03-15T00:00");  // either day suffices
  EXPECT_EQ(next("@monthly", from), "2026-04-01T00:00");
  EXPECT_EQ(next("0 0 31 2 *", from), "never");
}

TEST(Cron, KnowsTheClocksOfAPlace) {
  EXPECT_EQ(next("CRON_TZ=Europe/Rome 0 3 * * *", at(2026, 1, 10, 0, 0)), "2026-01-10T02:00");
  EXPECT_EQ(next("CRON_TZ=Europe/Rome 0 3 * * *", at(2026, 7, 10, 0, 0)), "2026-07-10T01:00");
  EXPECT_EQ(next("TZ=America/New_York 30 22 * * *", at(2026, 7, 10, 2, 29)), "2026-07-10T02:30");
  // 2:30 does not exist on March 29: it comes when clocks have gone on; in October it comes once.
  EXPECT_EQ(next("CRON_TZ=Europe/Rome 30 2 * * *", at(2026, 3, 28, 12, 0)), "2026-03-29T01:30");
  EXPECT_EQ(next("CRON_TZ=Europe/Rome 30 2 * * *", at(2026, 10, 24, 12, 0)), "2026-10-25T00:30");
  EXPECT_EQ(next("CRON_TZ=Europe/Rome 30 2 * * *", at(2026, 10, 25, 0, 30)), "2026-10-26T01:30");
}

TEST(Cron, WordsAndMistakesAreNone) {
  for (const char* text : {"", "every night", "0 3 * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "5-1 * * * *",
                           "*/0 * * * *", "1-2-3 * * * *", "* * * foo *", "TZ=Nowhere/Else 0 3 * * *", "@often"}) {
    EXPECT_FALSE(Cron::parse(text)) << text;
  }
}

// Against a walk through every minute.
TEST(Cron, RandomExpressionsAgreeWithTryingEachMinute) {
  std::mt19937_64 random(test::seed());
  const auto pick = [&](int count) { return static_cast<int>(random() % static_cast<std::uint64_t>(count)); };
  for (int round = 0; round < test::by_scale(200, 5'000); ++round) {
    const int minute = pick(60), hour = pick(24), weekday = pick(8), step = 1 + pick(20);
    const bool daily = pick(2) == 0;
    const std::string expression = std::to_string(minute % step) + "-59/" + std::to_string(step) + " " +
                                   std::to_string(hour) + " * * " + (daily ? "*" : std::to_string(weekday));
    const auto cron = Cron::parse(expression);
    ASSERT_TRUE(cron) << expression;
    const TimePoint from = at(2026, 1, 1, 0, 0) + minutes(pick(500'000));
    const auto is_due = [&](TimePoint time) {
      const auto day = std::chrono::floor<days>(time);
      const auto since = std::chrono::floor<minutes>(time - day).count();
      return since / 60 == hour && since % 60 >= minute % step && (since % 60 - minute % step) % step == 0 &&
             (daily || std::chrono::weekday(day).c_encoding() == static_cast<unsigned>(weekday % 7));
    };
    TimePoint expected = from + minutes(1);
    while (!is_due(expected)) expected += minutes(1);
    EXPECT_EQ(cron->next(from), expected) << expression << " " << to_rfc3339(from);
    TimePoint before = from;
    while (!is_due(before)) before -= minutes(1);
    EXPECT_EQ(cron->last(from), before) << expression << " " << to_rfc3339(from);
  }
}

}  // namespace
}  // namespace runtail
