#include "sinks/prometheus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using testing::HasSubstr;
using testing::Not;

// One series of each family, changed the way the pipeline does it.
PublishedMetrics& every_family(PublishedMetrics& published) {
  MetricTable table(100);
  for (std::size_t i = 0; i < kMetricCount; ++i) {
    const auto metric = static_cast<Metric>(i);
    const MetricFamilySpec& spec = spec_of(metric);
    const auto commas = std::count(spec.labels.begin(), spec.labels.end(), ',');
    const auto update = [&](std::initializer_list<std::string_view> labels) {
      if (spec.type == MetricType::kHistogram) return table.observe(metric, labels, 42.5);
      if (spec.type == MetricType::kCounter) return table.add(metric, labels, 3);
      table.set(metric, labels, 0.25);
    };
    if (spec.labels.empty()) {
      update({});
    } else if (commas == 0) {
      update({"etl-orders"});
    } else if (commas == 1) {
      update({"etl-orders", "/api/v1"});
    } else {
      update({"etl-orders", "/api/v1", "200"});
    }
  }
  published.publish(table.take_changed());
  return published;
}

TEST(PrometheusPage, AnEmptyTableIsAnEmptyPage) { EXPECT_EQ(render(PublishedMetrics{}), ""); }

TEST(PrometheusPage, ShowsHelpTypeLabelsAndValue) {
  PublishedMetrics published;
  published.set(Metric::kJobsTotal, {"etl-orders", "failed"}, 2);
  EXPECT_EQ(render(published),
            "# HELP trialsync_jobs_total Runs that reached a final verdict, once for each attempt that ended the run\n"
            "# TYPE trialsync_jobs_total counter\n"
            "trialsync_jobs_total{job_id=\"etl-orders\",status=\"failed\"} 2\n");
}

TEST(PrometheusPage, BucketsAreCumulativeAndEndAtInf) {
  MetricTable table(10);
  for (const double seconds : {0.5, 3.0, 100000.0}) table.observe(Metric::kTaskDuration, {"load"}, seconds);
  PublishedMetrics published;
  published.publish(table.take_changed());
  const std::string page = render(published);
  EXPECT_THAT(page, HasSubstr("trialsync_task_duration_seconds_count{phase=\"load\"} 3\n"));
  EXPECT_THAT(page, HasSubstr("trialsync_task_duration_seconds_sum{phase=\"load\"} 100003.5\n"));
  EXPECT_THAT(page, HasSubstr("trialsync_task_duration_seconds_bucket{phase=\"load\",le=\"1\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("trialsync_task_duration_seconds_bucket{phase=\"load\",le=\"5\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("trialsync_task_duration_seconds_bucket{phase=\"load\",le=\"86400\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("trialsync_task_duration_seconds_bucket{phase=\"load\",le=\"+Inf\"} 3\n"));
}

TEST(PrometheusPage, LargeCountersKeepEveryDigit) {
  PublishedMetrics published;
  published.set(Metric::kJobRetriesTotal, {"a"}, 9007199254740991.0);
  published.set(Metric::kJobLastSuccess, {"a"}, 1772323202.000123);
  EXPECT_THAT(render(published), HasSubstr("{job_id=\"a\"} 9007199254740991\n"));
  EXPECT_THAT(render(published), HasSubstr("{job_id=\"a\"} 1772323202.000123"));
}

TEST(PrometheusPage, FamiliesWithoutSeriesAreLeftOut) {
  PublishedMetrics published;
  published.set(Metric::kLedgerImbalance, {}, 0);
  EXPECT_THAT(render(published), HasSubstr("runtail_ledger_imbalance 0\n"));
  EXPECT_THAT(render(published), Not(HasSubstr("trialsync_jobs_total")));
}

TEST(PrometheusPage, PromtoolAcceptsEveryFamily) {
  PublishedMetrics published;
  const std::string page = render(every_family(published));
  for (const MetricFamilySpec& spec : metric_families()) EXPECT_THAT(page, HasSubstr(std::string(spec.name)));

  const test::TempDir directory;
  test::Command promtool{{"promtool", "check", "metrics"}, {}, {}, directory / "page", {}, {}};
  std::ofstream(promtool.input) << page;
  const test::Finished lint = test::run_to_end(promtool);
  EXPECT_EQ(lint.exit_code, 0) << "promtool is in the Debian package prometheus";
  EXPECT_EQ(lint.output + lint.errors, "");
}

// The promise is about optimized builds.
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Of this thread: what else runs on the machine does not count.
std::chrono::microseconds cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::microseconds(time.tv_sec * 1'000'000 + time.tv_nsec / 1000);
}

TEST(PrometheusPage, TenThousandSeriesRenderWithinFiftyMilliseconds) {
  MetricTable table(20000);
  for (int i = 0; i < 10000; ++i) {
    const std::string job = "etl-orders-" + std::to_string(i);
    table.add(Metric::kJobsTotal, {job, "success"}, i);
  }
  PublishedMetrics published;
  published.publish(table.take_changed());
  auto fastest = std::chrono::microseconds::max();
  for (int i = 0; i < 20; ++i) {
    const auto start = cpu_time();
    const std::string page = render(published);
    fastest = std::min(fastest, cpu_time() - start);
    EXPECT_THAT(page, HasSubstr("etl-orders-9999"));
  }
  RecordProperty("render_us", static_cast<int>(fastest.count()));
  EXPECT_LT(fastest.count(), 50'000);
}
#endif

}  // namespace
}  // namespace runtail
