#include "server/rate_limit.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/scale.h"

namespace runtail::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart{seconds(1'800'000'000)};

TEST(RateLimitTest, ABurstPassesThenOneAtATime) {
  RateLimit limit(10, 3);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limit.take("a", kStart));
  EXPECT_EQ(limit.take("a", kStart), milliseconds(100));
  EXPECT_EQ(limit.take("a", kStart + milliseconds(40)), milliseconds(60)) << "what is refused takes nothing";
  EXPECT_FALSE(limit.take("a", kStart + milliseconds(100)));
  EXPECT_TRUE(limit.take("a", kStart + milliseconds(100)));
  EXPECT_FALSE(limit.take("b", kStart)) << "each key has its own";
}

TEST(RateLimitTest, NoWindowHoldsMoreThanRateAndBurst) {
  std::mt19937_64 random(seed());
  SCOPED_TRACE("seed " + std::to_string(seed()));
  for (int round = 0; round < by_scale(50, 2000); ++round) {
    const unsigned rate = 1 + static_cast<unsigned>(random() % 100), burst = 1 + static_cast<unsigned>(random() % 20);
    RateLimit limit(rate, burst);
    TimePoint now = kStart;
    std::vector<TimePoint> passed;
    for (int i = 0; i < 500; ++i) {
      now += microseconds(random() % (2'000'000 / rate));
      if (!limit.take("k", now)) passed.push_back(now);
    }
    for (std::size_t i = 0; i < passed.size(); ++i) {
      for (std::size_t j = i; j < passed.size(); ++j) {
        const double span = std::chrono::duration<double>(passed[j] - passed[i]).count();
        ASSERT_LE(static_cast<double>(j - i + 1), burst + span * rate * 1.001 + 1e-6);
      }
    }
  }
}

TEST(RateLimitTest, TheLeastRecentKeyIsForgotten) {
  RateLimit limit(1, 1, 2);
  EXPECT_FALSE(limit.take("a", kStart));
  EXPECT_FALSE(limit.take("b", kStart));
  EXPECT_TRUE(limit.take("a", kStart));
  EXPECT_FALSE(limit.take("c", kStart));  // b goes
  EXPECT_TRUE(limit.take("a", kStart));
  EXPECT_FALSE(limit.take("b", kStart));
}

TEST(RateLimitTest, AClockSetBackDoesNotLockATokenOut) {
  RateLimit limit(10, 1);
  EXPECT_FALSE(limit.take("a", kStart));
  const auto wait = limit.take("a", kStart - seconds(3600));
  ASSERT_TRUE(wait);
  EXPECT_LE(*wait, milliseconds(100));
}

}  // namespace
}  // namespace runtail::test
