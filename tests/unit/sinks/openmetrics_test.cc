#include "sinks/openmetrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

#include "sinks/prometheus.h"
#include "tests/support/child_process.h"
#include "tests/support/scrape.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

const std::string kRun = "6f1c0b1e-9d52-4c1e-8a54-7d1f6f1f2a01", kTrace = "0af7651916cd43dd8448eb211c80319c";

Cause cause_at(int second, std::string_view trace = kTrace) {
  return {*parse_uuid(kRun), trace, from_micros(1'772'323'200'000'000 + second * 1'000'000)};
}

std::string page_of(MetricTable& table) {
  PublishedMetrics published;
  published.publish(table.take_changed());
  return render_openmetrics(published);
}

TEST(OpenMetricsPage, AnEmptyTableIsOnlyTheEnd) { EXPECT_EQ(render_openmetrics(PublishedMetrics{}), "# EOF\n"); }

TEST(OpenMetricsPage, ACounterIsNamedWithoutTotalAndLeadsToItsRun) {
  MetricTable table(10);
  const Cause cause = cause_at(2);
  table.add(Metric::kJobFailuresTotal, {"orders", "DB"}, 1, &cause);
  EXPECT_EQ(page_of(table),
            "# HELP trialsync_job_failures Failed runs by error category\n"
            "# TYPE trialsync_job_failures counter\n"
            "trialsync_job_failures_total{job_id=\"orders\",error_category=\"DB\"} 1 # {run_id=\"" +
                kRun + "\",trace_id=\"" + kTrace + "\"} 1 1772323202.000000\n# EOF\n");
}

TEST(OpenMetricsPage, EachBucketKeepsItsLatestCause) {
  MetricTable table(10);
  const Cause late = cause_at(9), early = cause_at(1, "early");
  table.observe(Metric::kTaskDuration, {"load"}, 2.5, &late);
  table.observe(Metric::kTaskDuration, {"load"}, 3, &early);
  table.observe(Metric::kTaskDuration, {"load"}, 0.5, &early);
  table.observe(Metric::kTaskDuration, {"load"}, 100);
  const std::string page = page_of(table);
  EXPECT_THAT(page, HasSubstr("_bucket{phase=\"load\",le=\"1\"} 1 # {run_id=\"" + kRun +
                              "\",trace_id=\"early\"} 0.5 1772323201.000000\n"));
  EXPECT_THAT(page, HasSubstr("_bucket{phase=\"load\",le=\"5\"} 3 # {run_id=\"" + kRun + "\",trace_id=\"" + kTrace +
                              "\"} 2.5 1772323209.000000\n"));
  EXPECT_THAT(page, HasSubstr("_bucket{phase=\"load\",le=\"120\"} 4\n"));
  EXPECT_THAT(page, HasSubstr("_bucket{phase=\"load\",le=\"+Inf\"} 4\n"));
  EXPECT_THAT(page, HasSubstr("_count{phase=\"load\"} 4\ntrialsync_task_duration_seconds_sum{phase=\"load\"} 106\n"));
}

TEST(OpenMetricsPage, ATraceThatIsNoneIsLeftOut) {
  for (const std::string& trace : {std::string("a\"b"), std::string(65, 'x'), std::string()}) {
    MetricTable table(10);
    const Cause cause = cause_at(0, trace);
    table.add(Metric::kJobFailuresTotal, {"orders", "DB"}, 1, &cause);
    EXPECT_THAT(page_of(table), HasSubstr(" # {run_id=\"" + kRun + "\"} 1 "));
    MetricTable nothing(10);
    const Cause none{{}, trace, {}};
    nothing.add(Metric::kJobFailuresTotal, {"orders", "DB"}, 1, &none);
    EXPECT_THAT(page_of(nothing), Not(HasSubstr(" # {")));
  }
}

struct Accepted {
  const char* accept;
  bool openmetrics;
};
class AcceptHeader : public testing::TestWithParam<Accepted> {};
TEST_P(AcceptHeader, IsObeyed) { EXPECT_EQ(prefers_openmetrics(GetParam().accept), GetParam().openmetrics); }
INSTANTIATE_TEST_SUITE_P(
    Values, AcceptHeader,
    testing::Values(Accepted{"", false}, Accepted{"*/*", false}, Accepted{"text/plain", false},
                    Accepted{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
                             "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                             true},
                    Accepted{"application/openmetrics-text", true},
                    Accepted{"application/openmetrics-text; version=1.0.0; charset=utf-8", true},
                    Accepted{"application/openmetrics-text;version=2.0.0", false},
                    Accepted{"application/openmetrics-text;q=0", false},
                    Accepted{"application/openmetrics-text;q=0.3, text/plain;q=0.9", false},
                    Accepted{"application/openmetrics-text;q=x", false}));

// Jobs, each with failures and durations, and causes.
void fill(MetricTable& table, int jobs) {
  const Cause cause = cause_at(3);
  for (int i = 0; i < jobs; ++i) {
    const std::string job = "etl-orders-" + std::to_string(i);
    table.add(Metric::kJobsTotal, {job, "failed"}, i);
    table.add(Metric::kJobFailuresTotal, {job, "DB"}, 1, &cause);
    table.observe(Metric::kJobDuration, {job, "failed"}, i + 0.25, &cause);
    table.raise(Metric::kJobLastSuccess, {job}, 1772323202.000123);
  }
}

TEST(OpenMetricsPage, PrometheusReadsItAndFindsEachSample) {
  MetricTable table(2000);
  fill(table, 100);
  // One series of each family, whatever its labels.
  PublishedMetrics published;
  published.publish(table.take_changed());
  for (std::size_t i = 0; i < kMetricCount; ++i) {
    const auto metric = static_cast<Metric>(i);
    const std::string_view labels = spec_of(metric).labels;
    if (spec_of(metric).type == MetricType::kHistogram) continue;
    switch (std::count(labels.begin(), labels.end(), ',') + (labels.empty() ? 0 : 1)) {
      case 0:
        published.set(metric, {}, 2);
        break;
      case 1:
        published.set(metric, {"a"}, 2);
        break;
      case 2:
        published.set(metric, {"a", "b"}, 2);
        break;
      default:
        published.set(metric, {"a", "b", "c"}, 2);
    }
  }
  const std::string page = render_openmetrics(published);
  EXPECT_THAT(page, EndsWith("\n# EOF\n"));

  // It wants times; a scrape gives them.
  const test::TempDir directory;
  std::ofstream timed(directory / "page");
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t exemplar = line.find(" # {");
    if (line[0] != '#') line.insert(exemplar == std::string::npos ? line.size() : exemplar, " 1772323300");
    timed << line << '\n';
  }
  timed.close();
  test::Command promtool{{"promtool", "tsdb", "create-blocks-from", "openmetrics", (directory / "page").string(),
                          (directory / "data").string()},
                         {},
                         {},
                         {},
                         {},
                         {}};
  const test::Finished read = test::run_to_end(promtool);
  EXPECT_EQ(read.exit_code, 0) << read.output << read.errors;
  // A line of heads, then of the one block: id, first and last time, duration, samples, chunks, series.
  std::istringstream block(read.output.substr(std::min(read.output.size(), read.output.find('\n'))));
  std::string id, first, last, duration;
  std::size_t samples = 0;
  block >> id >> first >> last >> duration >> samples;
  EXPECT_EQ(samples, test::parse_metrics(render(published)).samples.size()) << "as many as the text format has";
}

// The promise is about optimized builds.
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(OpenMetricsPage, TenThousandSeriesRenderWithinFiftyMilliseconds) {
  MetricTable table(20'000);
  fill(table, 2'500);  // 10,000 series; of them 2,500 histograms of 17 samples each
  PublishedMetrics published;
  published.publish(table.take_changed());
  auto fastest = std::chrono::nanoseconds::max();
  for (int i = 0; i < 20; ++i) {
    timespec start{}, end{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    const std::string page = render_openmetrics(published);
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    fastest = std::min(
        fastest, std::chrono::nanoseconds((end.tv_sec - start.tv_sec) * 1'000'000'000 + (end.tv_nsec - start.tv_nsec)));
    EXPECT_THAT(page, HasSubstr("etl-orders-2499"));
  }
  RecordProperty("render_us", static_cast<int>(fastest.count() / 1000));
  EXPECT_LT(fastest.count(), 50'000'000);
}

TEST(OpenMetricsPage, TenThousandHistogramsRenderWithinFiftyMilliseconds) {
  MetricTable table(20'000);
  const Cause cause = cause_at(3);
  for (int i = 0; i < 10'000; ++i) {
    table.observe(Metric::kJobDuration, {"etl-orders-" + std::to_string(i), "success"}, i, &cause);
  }
  PublishedMetrics published;
  published.publish(table.take_changed());
  auto fastest = std::chrono::nanoseconds::max();
  for (int i = 0; i < 10; ++i) {
    timespec start{}, end{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    EXPECT_GT(render_openmetrics(published).size(), 10'000'000u);
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    fastest = std::min(
        fastest, std::chrono::nanoseconds((end.tv_sec - start.tv_sec) * 1'000'000'000 + (end.tv_nsec - start.tv_nsec)));
  }
  RecordProperty("render_us", static_cast<int>(fastest.count() / 1000));
  EXPECT_LT(fastest.count(), 50'000'000);
}
#endif

}  // namespace
}  // namespace runtail
