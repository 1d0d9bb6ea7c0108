// What the counters hold of runs, whatever the order of lines: each attempt's verdict once, corrections apart.
#include "agent/run_book.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "parsers/parser.h"
#include "redaction/redactor.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

TEST(RunBook, CountedVerdictsLessCorrectionsAreTheVerdictsOfTheRows) {
  const test::TempDir directory;
  BufferConfig config;
  config.directory = directory.path() / "buffer";
  const auto buffer = *DurableBuffer::open(config);
  Parser parser(built_in_dialects());
  Redactor redactor = *Redactor::make({});
  RedactedEvent event = redactor.redact(parser.parse(R"({"msg":"m"})"));
  event.fields.put_text(Field::kQueue, "mail");
  RedactedEvent queued = event;
  queued.kind = EventKind::kRunQueued;
  const std::uint64_t seed = test::seed();
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t limit) { return static_cast<int>(random() % limit); };
  const RunStatus verdicts[] = {RunStatus::kSuccess, RunStatus::kFailed, RunStatus::kCancelled, RunStatus::kSkipped};

  for (int history = 0; history < test::by_scale(2'000, 100'000); ++history) {
    std::vector<RunFact> facts;
    // Of a run's queue the verdict of an attempt that is read first counts: it is checked where all agree.
    const bool agrees = below(2) == 0;
    const RunStatus agreed[] = {verdicts[below(4)], verdicts[below(4)]};
    for (int n = 0, count = 2 + below(6); n < count; ++n) {
      RunFact fact;
      fact.run_id.bytes[0] = 1;
      fact.event_id.bytes[0] = static_cast<std::uint8_t>(n);
      fact.at = from_micros(below(4) * 1'000'000);
      fact.attempt = 1 + below(2);
      fact.status = fact.attempt_status = below(4) == 0 ? RunStatus::kRunning : verdicts[below(4)];
      if (agrees && is_terminal(*fact.status)) fact.status = fact.attempt_status = agreed[fact.attempt - 1];
      if (below(6) == 0) fact.status = fact.attempt_status = RunStatus::kQueued;
      fact.verdict_source = static_cast<VerdictSource>(below(3));
      fact.job_id = "orders";
      if (below(2)) fact.records_loaded = below(100);
      facts.push_back(fact);
    }
    std::shuffle(facts.begin(), facts.end(), random);
    // The greatest verdict of each attempt, and what was loaded.
    std::map<int, std::pair<Stamp, RunStatus>> verdict_of;
    std::map<RunStatus, double> expected;
    double loaded = 0;
    int retries = 0, enqueued = 0;
    RunState row;
    for (const RunFact& fact : facts) {
      loaded += static_cast<double>(fact.records_loaded.value_or(0));
      if (fact.attempt > 1 && fact.status != RunStatus::kQueued) retries = 1;
      if (fact.status == RunStatus::kQueued) enqueued = 1;
      row.apply(fact);
      if (!is_terminal(*fact.status)) continue;
      auto& best = verdict_of[fact.attempt];
      best = std::max(
          best, std::pair(Stamp{fact.attempt, state_rank(*fact.status, fact.verdict_source), fact.at, fact.event_id},
                          *fact.status));
    }
    for (const auto& [attempt, best] : verdict_of) ++expected[best.second];

    MetricTable metrics(2000);
    LastKnown known(*buffer);
    RunBook book(*buffer, metrics, known);
    for (const RunFact& fact : facts) {
      Derived derived;
      derived.run = fact;
      book.apply(derived, fact.status == RunStatus::kQueued ? queued : event);
    }
    SCOPED_TRACE("seed " + std::to_string(seed) + " history " + std::to_string(history));
    const double running = row.state.status == RunStatus::kRunning ? 1 : 0;
    ASSERT_EQ(metrics.value(Metric::kJobsRunning, {"orders"}), running);
    ASSERT_EQ(metrics.value(Metric::kQueueJobsActive, {"mail", "none"}), running);
    // Of the past nothing is shown, and the same is marked: nobody counts it later.
    MetricTable unmoved(2000);
    RunBook past(*buffer, unmoved, known);
    for (const RunFact& fact : facts) past.apply_past(fact, fact.status == RunStatus::kQueued ? queued : event);
    ASSERT_FALSE(unmoved.has_changed());
    RunRecord shown = *book.find(row.run_id);
    shown.running = {};
    ASSERT_EQ(*past.find(row.run_id), shown);
    // Its end is one of the past, too.
    RunFact end = facts.front();
    end.attempt = 3;
    end.status = end.attempt_status = RunStatus::kSuccess;
    book.apply_past(end, event);
    ASSERT_EQ(metrics.value(Metric::kJobsRunning, {"orders"}), 0);
    ASSERT_EQ(metrics.value(Metric::kQueueJobsActive, {"mail", "none"}), 0);
    for (const RunStatus status : verdicts) {
      double counted = metrics.value(Metric::kJobsTotal, {"orders", to_string(status)});
      for (const RunStatus other : verdicts) {
        counted -= metrics.value(Metric::kVerdictCorrectionsTotal, {to_string(status), to_string(other)});
      }
      ASSERT_EQ(counted, expected[status]) << to_string(status);
    }
    ASSERT_EQ(metrics.value(Metric::kRecordsLoadedTotal, {"orders", "none"}), loaded);
    ASSERT_EQ(metrics.value(Metric::kJobRetriesTotal, {"orders"}), retries);
    ASSERT_EQ(metrics.value(Metric::kJobRunsTotal, {"orders"}), static_cast<double>(verdict_of.size()));
    const auto of_queue = [&](const char* what) {
      return metrics.value(Metric::kQueueJobsTotal, {"mail", "none", what});
    };
    ASSERT_EQ(of_queue("enqueued"), enqueued);
    ASSERT_EQ(of_queue("retry"), retries);
    if (agrees) {
      ASSERT_EQ(of_queue("success"), expected[RunStatus::kSuccess]);
      ASSERT_EQ(of_queue("failure"), expected[RunStatus::kFailed]);
    }
  }
}

}  // namespace
}  // namespace runtail
