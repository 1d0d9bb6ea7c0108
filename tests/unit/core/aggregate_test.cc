#include "core/aggregate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "tests/support/scale.h"

namespace runtail {
namespace {

TEST(Aggregate, BucketsOfTimeAreFiveMinutesFrom1970) {
  EXPECT_EQ(to_rfc3339(aggregate_bucket_of(*parse_rfc3339("2026-03-01T00:04:59.999Z"))), "2026-03-01T00:00:00.000000Z");
  EXPECT_EQ(to_rfc3339(aggregate_bucket_of(*parse_rfc3339("2026-03-01T00:05:00Z"))), "2026-03-01T00:05:00.000000Z");
  EXPECT_EQ(aggregate_bucket_of(from_micros(-1)), from_micros(-300'000'000));
}

TEST(Aggregate, ABoundBelongsToItsBucket) {
  const double bounds[] = {0.5, 1};
  EXPECT_EQ(aggregate_bucket_index(bounds, 500'000), 0u);
  EXPECT_EQ(aggregate_bucket_index(bounds, 500'001), 1u);
  EXPECT_EQ(aggregate_bucket_index(bounds, 1'000'001), 2u);
}

TEST(Aggregate, QuantilesAreSpreadEvenlyWithinABucket) {
  const double bounds[] = {1, 2, 4};
  EXPECT_EQ(quantile_of(bounds, std::vector<std::int64_t>{0, 0, 0, 0}, 0, 0, 0.5), std::nullopt);
  EXPECT_EQ(quantile_of(bounds, std::vector<std::int64_t>{0, 10, 0, 0}, 1, 2, 0.5), 1.5);
  EXPECT_EQ(quantile_of(bounds, std::vector<std::int64_t>{10, 10, 0, 0}, 0, 2, 0.75), 1.5);
  EXPECT_EQ(quantile_of(bounds, std::vector<std::int64_t>{1, 0, 0, 1}, 0.25, 9, 1.0), 9);
  EXPECT_EQ(quantile_of(bounds, std::vector<std::int64_t>{1, 0, 0, 0}, 0.25, 0.25, 0.99), 0.25) << "one value is all";
  EXPECT_EQ(quantile_of(bounds, std::vector<std::int64_t>{1, 1}, 0, 1, 0.5), std::nullopt) << "of other bounds";
}

TEST(Aggregate, AQuantileLiesInTheBucketOfItsRank) {
  std::mt19937_64 random(test::seed());
  const auto bounds = spec_of(Aggregate::kSpanDuration).bounds;
  for (int round = 0; round < test::by_scale(300, 20'000); ++round) {
    std::vector<std::int64_t> micros(1 + random() % 200), counts(bounds.size() + 1);
    for (std::int64_t& each : micros) {
      each = static_cast<std::int64_t>(std::exp(std::uniform_real_distribution(5.0, 20.0)(random)));
      ++counts[aggregate_bucket_index(bounds, each)];
    }
    std::sort(micros.begin(), micros.end());
    const double min = static_cast<double>(micros.front()) / 1e6, max = static_cast<double>(micros.back()) / 1e6;
    for (const double q : {0.5, 0.95, 0.99, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(micros.size())));
      const std::size_t bucket = aggregate_bucket_index(bounds, micros[rank - 1]);
      const double got = *quantile_of(bounds, counts, min, max, q);
      ASSERT_GE(got, bucket == 0 ? min : std::max(min, bounds[bucket - 1])) << "seed " << test::seed();
      ASSERT_LE(got, bucket == bounds.size() ? max : std::min(max, bounds[bucket])) << "seed " << test::seed();
    }
  }
}

}  // namespace
}  // namespace runtail
