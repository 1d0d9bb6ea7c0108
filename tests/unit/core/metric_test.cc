#include "core/metric.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <limits>
#include <set>

namespace runtail {
namespace {

using testing::ElementsAre;

Series only(std::vector<Series> all) {
  EXPECT_EQ(all.size(), 1u);
  return all.empty() ? Series{} : all.front();
}

TEST(MetricFamilies, NamesAreUniqueAndHelpIsOneLine) {
  std::set<std::string_view> names;
  for (const MetricFamilySpec& spec : metric_families()) {
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    EXPECT_EQ(spec.help.find('\n'), std::string_view::npos) << spec.name;
    EXPECT_EQ(spec.labels.find(' '), std::string_view::npos) << spec.name;
    EXPECT_EQ(spec.type == MetricType::kCounter, spec.name.ends_with("_total")) << spec.name;
  }
  EXPECT_EQ(names.size(), kMetricCount);
  EXPECT_EQ(spec_of(Metric::kRuntailBuildInfo).name, "runtail_build_info");
}

TEST(MetricFamilies, OnlyHistogramsHaveBuckets) {
  EXPECT_EQ(buckets_of(Metric::kJobDuration).size(), 14u);
  EXPECT_EQ(buckets_of(Metric::kTaskDuration).back(), 86400);
  EXPECT_EQ(buckets_of(Metric::kApiRequestDuration).front(), 0.005);
  EXPECT_TRUE(buckets_of(Metric::kJobsTotal).empty());
}

TEST(MetricTable, AddsToTheSeriesOfItsLabels) {
  MetricTable table(10);
  table.add(Metric::kJobsTotal, {"etl-orders", "success"}, 1);
  table.add(Metric::kJobsTotal, {"etl-orders", "success"}, 2);
  table.add(Metric::kJobsTotal, {"etl-orders", "failed"}, 5);
  EXPECT_EQ(table.value(Metric::kJobsTotal, {"etl-orders", "success"}), 3);
  EXPECT_EQ(table.value(Metric::kJobsTotal, {"etl-orders", "failed"}), 5);
  EXPECT_EQ(table.value(Metric::kJobsTotal, {"etl-users", "failed"}), 0);
}

TEST(MetricTable, FamiliesWithTheSameLabelsStayApart) {
  MetricTable table(10);
  table.add(Metric::kJobFailuresTotal, {"a", "DB"}, 1);
  table.add(Metric::kJobAttemptFailuresTotal, {"a", "DB"}, 2);
  EXPECT_EQ(table.value(Metric::kJobFailuresTotal, {"a", "DB"}), 1);
  EXPECT_EQ(table.value(Metric::kJobAttemptFailuresTotal, {"a", "DB"}), 2);
}

TEST(MetricTable, SetReplacesAndRaiseKeepsTheHighest) {
  MetricTable table(10);
  table.set(Metric::kDbPoolInUse, {"api"}, 7);
  table.set(Metric::kDbPoolInUse, {"api"}, 3);
  table.raise(Metric::kJobLastSuccess, {"a"}, 100);
  table.raise(Metric::kJobLastSuccess, {"a"}, 90);
  EXPECT_EQ(table.value(Metric::kDbPoolInUse, {"api"}), 3);
  EXPECT_EQ(table.value(Metric::kJobLastSuccess, {"a"}), 100);
}

TEST(MetricTable, ABoundBelongsToItsBucketAndTheRestGoesToInf) {
  MetricTable table(10);
  for (const double value : {0.0, 1.0, 1.001, 86400.0, 86401.0}) {
    table.observe(Metric::kJobDuration, {"a", "success"}, value);
  }
  const Series series = only(table.take_changed());
  EXPECT_THAT(series.buckets, ElementsAre(2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1));
  EXPECT_DOUBLE_EQ(series.sum, 172803.001);
  EXPECT_EQ(table.value(Metric::kJobDuration, {"a", "success"}), 5);
}

TEST(MetricTable, CountersAndHistogramsNeverGoDown) {
  MetricTable table(10);
  table.add(Metric::kJobRetriesTotal, {"a"}, 3);
  table.add(Metric::kJobRetriesTotal, {"a"}, -1);
  table.add(Metric::kJobRetriesTotal, {"a"}, std::numeric_limits<double>::infinity());
  table.add(Metric::kJobRetriesTotal, {"a"}, std::numeric_limits<double>::quiet_NaN());
  table.observe(Metric::kTaskDuration, {"load"}, -1);
  EXPECT_EQ(table.value(Metric::kJobRetriesTotal, {"a"}), 3);
  EXPECT_EQ(table.value(Metric::kTaskDuration, {"load"}), 0);
  table.add(Metric::kRecordsPending, {"postgres"}, 5);
  table.add(Metric::kRecordsPending, {"postgres"}, -2);
  EXPECT_EQ(table.value(Metric::kRecordsPending, {"postgres"}), 3);
}

struct LabelCase {
  const char* name;
  std::string given;
  std::string kept;
};
class MetricLabels : public testing::TestWithParam<LabelCase> {};
TEST_P(MetricLabels, AreCleaned) {
  MetricTable table(10);
  for (int i = 0; i < 2; ++i) table.add(Metric::kJobRetriesTotal, {GetParam().given}, 1);
  const Series series = only(table.take_changed());
  EXPECT_THAT(series.labels, ElementsAre(GetParam().kept));
  EXPECT_EQ(series.value, 2);

  PublishedMetrics published;
  published.set(Metric::kJobRetriesTotal, {GetParam().given}, 1);
  EXPECT_THAT(only(published.snapshot()).labels, ElementsAre(GetParam().kept));
}
INSTANTIATE_TEST_SUITE_P(
    Values, MetricLabels,
    testing::Values(LabelCase{"plain", "etl-orders", "etl-orders"}, LabelCase{"route", "/api/v1:sync", "/api/v1:sync"},
                    LabelCase{"empty", "", "none"}, LabelCase{"space", "a b", "__invalid__"},
                    LabelCase{"quote", "a\"b", "__invalid__"}, LabelCase{"newline", "a\n", "__invalid__"},
                    LabelCase{"nul", std::string("a\0b", 3), "__invalid__"}, LabelCase{"utf8", "größe", "__invalid__"},
                    LabelCase{"longest", std::string(128, 'x'), std::string(128, 'x')},
                    LabelCase{"too_long", std::string(129, 'x'), "__invalid__"}),
    [](const auto& row) { return row.param.name; });

TEST(MetricTable, LabelsWithAClosedSetTakeNothingElse) {
  struct Case {
    Metric metric;
    const char *in, *out;
  };
  for (const Case& each :
       {Case{Metric::kChatMessagesTotal, "user", "tool"}, Case{Metric::kLlmTokensTotal, "out", "sideways"},
        Case{Metric::kSpanDuration, "llm", "LLM"}, Case{Metric::kTaskDuration, "load", "lode"}}) {
    const bool both = each.metric == Metric::kChatMessagesTotal;
    MetricTable table(10);
    const auto update = [&](const char* label) {
      if (spec_of(each.metric).type == MetricType::kHistogram) return table.observe(each.metric, {label}, 1);
      table.add(each.metric, {label}, 1);
    };
    update(each.in);
    update(each.out);
    update("");
    EXPECT_EQ(table.value(each.metric, {each.in}), 1) << each.in;
    EXPECT_EQ(table.value(each.metric, {"none"}), 1) << each.in;
    EXPECT_EQ(table.value(each.metric, {"__invalid__"}), both ? 0 : 1) << each.out;
  }
  MetricTable table(10);
  for (const char* code : {"100", "599", "600", "099", "20", "2000", "abc"}) {
    table.add(Metric::kApiRequestsTotal, {"/r", "GET", code}, 1);
    table.add(Metric::kApiRequestsTotal, {"/r", "BREW", code}, 1);
  }
  EXPECT_EQ(table.value(Metric::kApiRequestsTotal, {"/r", "GET", "599"}), 1);
  EXPECT_EQ(table.value(Metric::kApiRequestsTotal, {"/r", "GET", "__invalid__"}), 5);
  EXPECT_EQ(table.value(Metric::kApiRequestsTotal, {"/r", "__invalid__", "100"}), 1);
  EXPECT_EQ(table.value(Metric::kApiRequestsTotal, {"/r", "__invalid__", "__invalid__"}), 5);
}

TEST(MetricTable, ASeparatorInAValueFindsNoOtherSeries) {
  MetricTable table(10);
  table.add(Metric::kJobsTotal, {"a", "b"}, 1);
  table.add(Metric::kJobsTotal, {std::string_view("a\0b", 3), ""}, 1);
  table.add(Metric::kJobsTotal, {"", std::string_view("a\0b", 3)}, 1);
  EXPECT_EQ(table.value(Metric::kJobsTotal, {"a", "b"}), 1);
  EXPECT_EQ(table.value(Metric::kJobsTotal, {"__invalid__", "none"}), 1);
  EXPECT_EQ(table.value(Metric::kJobsTotal, {"none", "__invalid__"}), 1);
}

TEST(MetricTable, LabelSetsBeyondTheLimitAreFoldedAndCounted) {
  MetricTable table(2);
  for (const char* job : {"a", "b", "c", "d", "c"}) table.add(Metric::kJobsTotal, {job, "success"}, 1);
  table.add(Metric::kJobsTotal, {"a", "success"}, 1);
  EXPECT_EQ(table.value(Metric::kJobsTotal, {"a", "success"}), 2);
  EXPECT_EQ(table.value(Metric::kJobsTotal, {"c", "success"}), 0);
  EXPECT_EQ(table.value(Metric::kJobsTotal, {"__other__", "__other__"}), 3);
  EXPECT_EQ(table.value(Metric::kSeriesFoldedTotal, {"trialsync_jobs_total"}), 3);
  EXPECT_EQ(table.take_changed().size(), 4u);  // a, b, __other__, folded
}

TEST(MetricTable, TheLimitIsPerFamilyAndTheCounterOfFoldingsIsOutsideIt) {
  MetricTable table(1);
  for (const char* job : {"a", "b"}) {
    table.add(Metric::kJobRetriesTotal, {job}, 1);
    table.observe(Metric::kJobDuration, {job, "success"}, 1);
    table.set(Metric::kJobLastSuccess, {job}, 1);
  }
  for (const char* name : {"trialsync_job_retries_total", "trialsync_job_duration_seconds",
                           "trialsync_job_last_success_timestamp_seconds"}) {
    EXPECT_EQ(table.value(Metric::kSeriesFoldedTotal, {name}), 1) << name;
  }
}

TEST(MetricTable, TakesOnlyWhatChangedSinceTheLastTime) {
  MetricTable table(10);
  table.add(Metric::kJobRetriesTotal, {"a"}, 1);
  table.add(Metric::kJobRetriesTotal, {"b"}, 1);
  EXPECT_EQ(table.take_changed().size(), 2u);
  EXPECT_TRUE(table.take_changed().empty());

  table.add(Metric::kJobRetriesTotal, {"b"}, 1);
  table.add(Metric::kJobRetriesTotal, {"b"}, 1);
  table.add(Metric::kJobRetriesTotal, {"a"}, 0);
  table.set(Metric::kDbPoolSize, {"api"}, 0);  // new: shown at 0
  const auto changed = table.take_changed();
  ASSERT_EQ(changed.size(), 2u);
  EXPECT_THAT(changed[0].labels, ElementsAre("b"));
  EXPECT_EQ(changed[0].value, 3);
  EXPECT_EQ(changed[1].metric, Metric::kDbPoolSize);

  table.set(Metric::kDbPoolSize, {"api"}, 0);
  table.raise(Metric::kJobLastSuccess, {"a"}, 5);
  EXPECT_EQ(table.take_changed().size(), 1u);
  table.raise(Metric::kJobLastSuccess, {"a"}, 4);
  EXPECT_TRUE(table.take_changed().empty());
}

TEST(MetricTable, RestoredSeriesGoOnWhereTheyWereAndCountTowardsTheLimit) {
  MetricTable before(2);
  before.add(Metric::kJobRetriesTotal, {"a"}, 4);
  before.add(Metric::kJobRetriesTotal, {"b"}, 1);
  before.add(Metric::kJobRetriesTotal, {"c"}, 1);  // __other__
  before.observe(Metric::kTaskDuration, {"load"}, 20);

  MetricTable after(2);
  for (Series& series : before.take_changed()) after.restore(std::move(series));
  EXPECT_TRUE(after.take_changed().empty());
  after.add(Metric::kJobRetriesTotal, {"a"}, 1);
  after.add(Metric::kJobRetriesTotal, {"d"}, 1);
  after.observe(Metric::kTaskDuration, {"load"}, 20);
  EXPECT_EQ(after.value(Metric::kJobRetriesTotal, {"a"}), 5);
  EXPECT_EQ(after.value(Metric::kJobRetriesTotal, {"__other__"}), 2);
  EXPECT_EQ(after.value(Metric::kTaskDuration, {"load"}), 2);
}

TEST(MetricTable, TheFoldedSeriesTakesNoPlace) {
  MetricTable table(2);
  table.restore({Metric::kJobRetriesTotal, {"__other__"}, 7, 0, {}});
  for (const char* job : {"a", "b", "c"}) table.add(Metric::kJobRetriesTotal, {job}, 1);
  EXPECT_EQ(table.value(Metric::kJobRetriesTotal, {"b"}), 1);
  EXPECT_EQ(table.value(Metric::kJobRetriesTotal, {"__other__"}), 8);
}

TEST(PublishedMetrics, ShowOnlyWhatWasPublished) {
  MetricTable table(10);
  PublishedMetrics published;
  table.add(Metric::kJobRetriesTotal, {"a"}, 1);
  EXPECT_TRUE(published.snapshot().empty());
  auto taken = table.take_changed();
  table.add(Metric::kJobRetriesTotal, {"a"}, 1);
  published.publish(std::move(taken));
  EXPECT_EQ(only(published.snapshot()).value, 1);
  published.publish(table.take_changed());
  EXPECT_EQ(only(published.snapshot()).value, 2);
}

TEST(PublishedMetrics, AreOrderedByFamilyThenLabels) {
  PublishedMetrics published;
  published.set(Metric::kRuntailBuildInfo, {"0.1.0", "abc"}, 1);
  published.set(Metric::kJobRetriesTotal, {"b"}, 1);
  published.set(Metric::kJobRetriesTotal, {"a-1"}, 1);
  published.set(Metric::kJobRetriesTotal, {"a"}, 1);
  std::vector<std::string> order;
  for (const Series& series : published.snapshot()) order.push_back(series.labels.front());
  EXPECT_THAT(order, ElementsAre("a", "a-1", "b", "0.1.0"));
}

TEST(PublishedMetrics, APublisherNeverWaitsForAReader) {
  PublishedMetrics published;
  published.set(Metric::kJobRetriesTotal, {"a"}, 1);
  std::future<void> publisher;  // outlives the reading: one that waits must fail the test, not hang it
  published.for_each([&](const Series& series) {
    EXPECT_EQ(series.value, 1);
    // While a scrape is at the series.
    publisher = std::async(std::launch::async, [&] {
      for (int i = 2; i <= 5; ++i) published.set(Metric::kJobRetriesTotal, {"a"}, i);
    });
    EXPECT_EQ(publisher.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  });
  EXPECT_EQ(only(published.snapshot()).value, 5);
}

TEST(SeriesCodec, EveryFamilyComesBackAsItWas) {
  for (std::size_t i = 0; i < kMetricCount; ++i) {
    Series series;
    series.metric = static_cast<Metric>(i);
    const MetricFamilySpec& spec = spec_of(series.metric);
    for (std::size_t at = 0; at < spec.labels.size(); at = spec.labels.find(',', at)) {
      series.labels.push_back("v-" + std::to_string(++at));
    }
    if (spec.type == MetricType::kHistogram) {
      series.sum = 12.5;
      for (std::size_t b = 0; b <= buckets_of(series.metric).size(); ++b) series.buckets.push_back(b * 1000003);
    } else {
      series.value = 1.0 / 3;
    }
    Series back;
    ASSERT_TRUE(decode_series(series_key(series), encode_series(series), back)) << spec.name;
    EXPECT_EQ(back.metric, series.metric);
    EXPECT_EQ(back.labels, series.labels) << spec.name;
    EXPECT_EQ(back.value, series.value);
    EXPECT_EQ(back.sum, series.sum);
    EXPECT_EQ(back.buckets, series.buckets);
  }
}

TEST(SeriesCodec, TheKeyNamesFamilyAndLabels) {
  EXPECT_EQ(series_key({Metric::kJobsTotal, {"etl-orders", "success"}, 1, 0, {}}),
            "trialsync_jobs_total{job_id=etl-orders,status=success}");
  EXPECT_EQ(series_key({Metric::kStalled, {}, 1, 0, {}}), "runtail_stalled");
}

TEST(SeriesCodec, RefusesWhatItDoesNotKnow) {
  Series out;
  const std::string bytes = encode_series({Metric::kJobsTotal, {"a", "b"}, 1, 0, {}});
  ASSERT_TRUE(decode_series("trialsync_jobs_total{job_id=a,status=b}", bytes, out));
  for (const char* key : {"", "{", "unknown_total{job_id=a,status=b}", "trialsync_jobs_total", "trialsync_jobs_total{",
                          "trialsync_jobs_total{job_id=a}", "trialsync_jobs_total{job_id=a,status=b",
                          "trialsync_jobs_total{status=b,job_id=a}", "trialsync_jobs_total{job_id=a,status=b}x",
                          "trialsync_jobs_total{job_id=a b,status=b}", "trialsync_jobs_total{job_id=,status=b}",
                          "runtail_buffer_lost_total{"}) {
    EXPECT_FALSE(decode_series(key, bytes, out)) << key;
  }
}

TEST(SeriesCodec, RefusesDamagedBytes) {
  Series series{Metric::kTaskDuration, {"load"}, 0, 9.5, std::vector<std::uint64_t>(15, 300)};
  const std::string key = series_key(series);
  const std::string bytes = encode_series(series);
  Series out;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_series(key, std::string_view(bytes).substr(0, size), out)) << size;
  }
  EXPECT_FALSE(decode_series(key, bytes + '\0', out));
  series.buckets.push_back(1);  // as if the bounds had been others
  EXPECT_FALSE(decode_series(key, encode_series(series), out));
  EXPECT_FALSE(decode_series("trialsync_job_retries_total{job_id=a}", bytes, out));
  EXPECT_FALSE(decode_series(
      "runtail_stalled", encode_series({Metric::kStalled, {}, std::numeric_limits<double>::quiet_NaN(), 0, {}}), out));
}

}  // namespace
}  // namespace runtail
