// Whoever asks the history need not know where it lies: PostgreSQL and the agent's own store give the same answers to
// every question, and those that a count of the logs' author gives.
#include <gmock/gmock.h>

#include <set>
#include <tuple>

#include "tests/support/scale.h"
#include "tests/unit/history/random_history.h"
#include "tests/unit/history/two_histories.h"

namespace runtail::test {
namespace {

using testing::ContainerEq;

// Filled once: the questions only read.
struct Filled {
  TimePoint now = SystemClock().now();
  RandomHistory log{seed(), by_scale<std::size_t>(90, 1500), now};
  TwoHistories both{"contract"};

  Filled() {
    for (std::size_t from = 0; from < log.lines.size();) {
      // A block is of one file.
      const std::size_t to = std::min(log.lines.size(), from + 1 + log.below(80));
      for (std::size_t file = 0; file < RandomHistory::kFiles; ++file) {
        std::vector<std::string> lines;
        for (std::size_t i = from; i < to; ++i) {
          if (log.lines[i].file == file) lines.push_back(log.lines[i].text);
        }
        if (!lines.empty()) both.feed(file, lines);
      }
      if (log.one_in(10)) both.open();
      if (log.one_in(4)) both.deliver(1 + log.below(200));
      from = to;
    }
    both.deliver(500);
  }
  static Filled& shared() {
    static Filled* const filled = new Filled;  // ends with the process, as the cluster does
    return *filled;
  }
};

class HistoryContract : public testing::Test {
 protected:
  TimePoint now() const { return filled_.now; }
  TimeRange all() const { return {now() - std::chrono::days(60), now() + std::chrono::hours(1)}; }
  const std::vector<TrueRun>& runs() const { return filled_.log.runs; }
  std::size_t below(std::size_t limit) { return filled_.log.below(limit); }

  static constexpr int kLastPage = 10'000;
  template <typename Row>
  static ListPlace place_of(const Row& row) {
    if constexpr (std::is_same_v<Row, JobSummary>) return {{}, {}, row.job_id};
    if constexpr (std::is_same_v<Row, LogEventRow>) return {row.ts, row.event_id, {}};
    if constexpr (std::is_same_v<Row, DqCheckResultRow>) return {row.created_at, row.id, {}};
    return {};
  }

  // All rows of a list, in pages of `size` by cursor or by number, after its total.
  template <typename Ask, typename PlaceOf>
  std::vector<std::string> walk(const Ask& ask, HistoryStore& store, int size, const PlaceOf& place, bool by_cursor) {
    std::vector<std::string> out;
    Slice slice;
    slice.rows = size;
    slice.with_total = true;
    for (;;) {
      auto listing = ask(store, slice);
      if (!listing) {
        ADD_FAILURE() << listing.error().message;
        return out;
      }
      if (out.empty()) out.push_back("total=" + std::to_string(listing->total.value_or(-1)));
      EXPECT_EQ(out.front(), "total=" + std::to_string(listing->total.value_or(-1))) << "of whatever page";
      for (const auto& row : listing->rows) out.push_back(filled_.both.spelled(row));
      if (listing->rows.size() < static_cast<std::size_t>(size)) return out;
      if (by_cursor) {
        slice.after = place(listing->rows.back());
      } else {
        slice.skip += size;
      }
    }
  }
  // `ask(store, slice)` gives a Listing. Both stores, whole and in pages.
  template <typename Ask, typename PlaceOf>
  std::vector<std::string> expect_same(const std::string& what, const Ask& ask, const PlaceOf& place,
                                       bool has_cursor = true) {
    SCOPED_TRACE(what);
    const auto want = walk(ask, filled_.both.postgres(), 1000, place, false);
    EXPECT_THAT(walk(ask, filled_.both.local(), 1000, place, false), ContainerEq(want));
    const int size = 1 + static_cast<int>(below(30));
    SCOPED_TRACE("pages of " + std::to_string(size));
    EXPECT_THAT(walk(ask, filled_.both.local(), size, place, false), ContainerEq(want));
    if (has_cursor) {
      EXPECT_THAT(walk(ask, filled_.both.local(), size, place, true), ContainerEq(want));
      // Every row once the last of its page: also the first of several of one moment.
      EXPECT_THAT(walk(ask, filled_.both.local(), 1, place, true), ContainerEq(want));
    }
    return want;
  }

  std::vector<Projects> projects() const {
    using Some = std::vector<std::string>;
    return {std::nullopt, Some{"sponsor_a"}, Some{"sponsor_a", "sponsor_c"}, Some{"nobody"}, Some{}};
  }

  Filled& filled_ = Filled::shared();
};

TEST_F(HistoryContract, RunsAreListedAlikeWhateverTheFilter) {
  const auto place = [](const RunSummary& run) { return ListPlace{run.scheduled_at, run.run_id, {}}; };
  const auto ask = [](const RunFilter& filter) {
    return [filter](HistoryStore& store, const Slice& slice) { return store.runs(filter, slice); };
  };
  std::size_t found = expect_same("all", ask({all(), {}, {}, {}}), place).size();
  EXPECT_EQ(found, runs().size() + 1);
  const TimeRange week{now() - std::chrono::days(9), now() - std::chrono::days(2)};
  for (const Projects& only : projects()) {
    expect_same("week", ask({week, {}, {}, {}, {}, only}), place);
    for (const char* status : {"queued", "running", "success", "failed", "cancelled", "skipped"}) {
      expect_same(status, ask({all(), {}, status, {}, {}, only}), place);
    }
    expect_same("of a job", ask({all(), "Job_1", {}, {}, {}, only}), place);
    expect_same("of an environment", ask({all(), {}, {}, "dev", {}, only}), place);
    expect_same("of a category", ask({all(), {}, {}, {}, "DB", only}), place);
  }
}

TEST_F(HistoryContract, FailedRunsAreListedAlikeByTheirEnd) {
  const auto place = [](const RunSummary& run) { return ListPlace{run.end_at.value(), run.run_id, {}}; };
  for (const Projects& only : projects()) {
    for (const FailedFilter& filter : {FailedFilter{all(), {}, {}, {}, only}, FailedFilter{all(), "API", {}, {}, only},
                                       FailedFilter{all(), {}, "Job_2", "prod", only},
                                       FailedFilter{{now() - std::chrono::days(5), now()}, {}, {}, {}, only}}) {
      const auto ask = [&filter](HistoryStore& store, const Slice& slice) { return store.failed_runs(filter, slice); };
      expect_same("failed", ask, place);
    }
  }
}

TEST_F(HistoryContract, EveryRunAndAllThatHangsOnItIsAlike) {
  Uuid unknown;
  unknown.bytes.fill(7);
  std::vector<TrueRun> asked(runs().begin(), runs().end());
  std::shuffle(asked.begin(), asked.end(), std::mt19937_64(seed()));
  asked.resize(std::min<std::size_t>(asked.size(), by_scale<std::size_t>(20, 600)));
  asked.push_back({});
  asked.back().id = unknown;
  HistoryStore *const local = &filled_.both.local(), *const postgres = &filled_.both.postgres();
  std::size_t spans = 0, changes = 0;
  for (const TrueRun& each : asked) {
    SCOPED_TRACE(to_string(each.id));
    const Projects only = projects()[below(3)];
    const auto view = [&](HistoryStore* store) {
      const auto run = store->run(each.id, only);
      if (!run) return run.error().message;
      return *run ? filled_.both.spelled(**run) : std::string("none");
    };
    EXPECT_EQ(view(local), view(postgres));
    const bool is_seen =
        each.id != unknown && (!only || std::find(only->begin(), only->end(), each.project) != only->end());
    // Those of a run: a listing, or that there is none.
    const auto of_run = [&](const std::string& what, const auto& ask, bool has_cursor = false) {
      ASSERT_EQ(ask(*local, Slice{}).value().has_value(), is_seen);
      ASSERT_EQ(ask(*postgres, Slice{}).value().has_value(), is_seen);
      if (!is_seen) return;
      const auto listed = [&](HistoryStore& store, const Slice& slice) {
        auto some = ask(store, slice);
        return Result<typename std::decay_t<decltype(*some)>::value_type>(std::move(some.value().value()));
      };
      const auto rows = expect_same(
          what, listed, [](const auto& row) { return place_of(row); }, has_cursor);
      if (what == "trace") spans += rows.size() - 1;
      if (what == "changes") changes += rows.size() - 1;
      if (what == "events") {
        EXPECT_EQ(rows.size() - 1, each.lines);
      }
    };
    of_run("attempts", [&](HistoryStore& store, const Slice& slice) { return store.attempts(each.id, only, slice); });
    of_run("tasks", [&](HistoryStore& store, const Slice& slice) { return store.tasks(each.id, only, slice); });
    // What was known before the first state of a run depends on which lines came together.
    if (each.in_order) {
      of_run("changes", [&](HistoryStore& store, const Slice& slice) { return store.changes(each.id, only, slice); });
    }
    of_run(
        "events", [&](HistoryStore& store, const Slice& slice) { return store.events(each.id, only, slice); }, true);
    of_run("trace", [&](HistoryStore& store, const Slice& slice) { return store.trace(each.id, only, slice); });
  }
  EXPECT_GT(spans, 0u);
  EXPECT_GT(changes, 0u);
}

TEST_F(HistoryContract, JobsAndWeeksAreAlike) {
  const auto place = [](const JobSummary& job) { return ListPlace{{}, {}, job.job_id}; };
  const auto none = [](const auto&) { return ListPlace{}; };
  for (const Projects& only : projects()) {
    for (const JobFilter& filter :
         {JobFilter{{}, {}, only}, JobFilter{"jOb_3", {}, only}, JobFilter{{}, "failed", only}}) {
      expect_same(
          "jobs", [&](HistoryStore& store, const Slice& slice) { return store.jobs(filter, now(), slice); }, place);
    }
    for (const WeekFilter& filter : {WeekFilter{all(), {}, {}, only}, WeekFilter{all(), "Job_4", {}, only},
                                     WeekFilter{{now() - std::chrono::days(10), now()}, {}, "dev", only}}) {
      expect_same(
          "weeks", [&](HistoryStore& store, const Slice& slice) { return store.weeks(filter, slice); }, none, false);
    }
  }
}

TEST_F(HistoryContract, DatasetsResultsServicesAndAlertsAreAlike) {
  const auto none = [](const auto&) { return ListPlace{}; };
  const auto result_place = [](const DqCheckResultRow& row) { return ListPlace{row.created_at, row.id, {}}; };
  std::size_t results = 0;
  for (const Projects& only : projects()) {
    for (const DatasetFilter& filter :
         {DatasetFilter{{}, {}, only}, DatasetFilter{"dev", {}, only}, DatasetFilter{{}, "items", only}}) {
      expect_same(
          "datasets", [&](HistoryStore& store, const Slice& slice) { return store.datasets(filter, slice); }, none,
          false);
    }
    ResultFilter filter{all(), {}};
    filter.projects = only;
    const auto ask = [&](HistoryStore& store, const Slice& slice) { return store.check_results(filter, slice); };
    results += expect_same("results", ask, result_place).size() - 1;
    for (const char* status : {"pass", "warn", "fail", "finding"}) {
      filter.status = status;
      expect_same(status, ask, result_place);
    }
    filter.status.reset();
    filter.table_name = "stg.orders";
    filter.column_name = "a";
    expect_same("of a column", ask, result_place);
    filter.job_id = "Job_0";
    filter.created = {now() - std::chrono::days(12), now() - std::chrono::days(3)};
    expect_same("of a job", ask, result_place);
    for (const ServiceFilter& services :
         {ServiceFilter{false, {}, only}, ServiceFilter{true, {}, only}, ServiceFilter{false, "web", only}}) {
      expect_same(
          "services", [&](HistoryStore& store, const Slice& slice) { return store.services(services, slice); }, none,
          false);
    }
    expect_same(
        "alerts",
        [&](HistoryStore& store, const Slice& slice) {
          return store.alerts({all(), {}, {}, {}, {}, only}, slice);
        },
        none, false);
  }
  EXPECT_GT(results, 0u);
}

// From the runs as they were made up: what a job's list and a week say.
struct TrueSum {
  std::int64_t runs = 0, success = 0, ended = 0, timed = 0;
  __extension__ __int128 us = 0;
  std::optional<std::int64_t> loaded;

  void add(const TrueRun& run, bool counts) {
    if (run.loaded) loaded = loaded.value_or(0) + *run.loaded;
    if (!counts) return;
    ++runs;
    success += run.status == "success";
    ended += run.status == "success" || run.status == "failed" || run.status == "cancelled";
    if (run.duration_us) ++timed, us += *run.duration_us;
  }
  std::string rate() const {
    return ended == 0 ? "-" : pg_text::write(static_cast<double>(success) / static_cast<double>(ended));
  }
  std::string average() const {
    return timed == 0 ? "-" : std::to_string(static_cast<std::int64_t>((us * 2 / 1000 + timed) / (timed * 2)));
  }
};
std::string number(const std::optional<std::int64_t>& value) { return value ? std::to_string(*value) : "-"; }
std::string number(const std::optional<double>& value) { return value ? pg_text::write(*value) : "-"; }

TEST_F(HistoryContract, RatesDurationsAndAmountsAreThoseOfAnIndependentCount) {
  std::map<std::string, TrueSum> week_of_job, day_of_job;
  std::map<std::tuple<std::string, std::string, std::string>, TrueSum> weeks;
  for (const TrueRun& run : runs()) {
    const bool counts = filled_.log.counts(run);
    if (run.scheduled_at > now() - std::chrono::days(7)) week_of_job[run.job].add(run, counts);
    if (run.scheduled_at > now() - std::chrono::days(1)) day_of_job[run.job].add(run, counts);
    const auto day = std::chrono::floor<std::chrono::days>(run.scheduled_at);
    // 1970-01-05 was a Monday.
    const auto monday = day - std::chrono::days((day.time_since_epoch().count() - 4) % 7);
    weeks[{pg_text::write(std::chrono::sys_days(monday)), run.job, run.environment}].add(run, counts);
  }
  for (HistoryStore* store :
       {static_cast<HistoryStore*>(&filled_.both.local()), static_cast<HistoryStore*>(&filled_.both.postgres())}) {
    SCOPED_TRACE(store == &filled_.both.postgres() ? "PostgreSQL" : "local");
    Slice slice;
    slice.rows = 1000;
    const auto jobs = store->jobs({}, now(), slice);
    ASSERT_TRUE(jobs) << jobs.error().message;
    for (const JobSummary& job : jobs->rows) {
      SCOPED_TRACE(job.job_id);
      const TrueSum& want = week_of_job[job.job_id];
      EXPECT_EQ(number(job.success_rate_7d), want.rate());
      EXPECT_EQ(number(job.avg_duration_ms_7d), want.average());
      EXPECT_EQ(number(job.records_loaded_24h), number(day_of_job[job.job_id].loaded));
    }
    const auto summaries = store->weeks({all(), {}, {}}, slice);
    ASSERT_TRUE(summaries) << summaries.error().message;
    EXPECT_EQ(summaries->rows.size(), weeks.size());
    for (const WeeklySummary& week : summaries->rows) {
      const auto want = weeks.find({pg_text::write(week.week), week.job_id, week.environment.value_or("")});
      ASSERT_NE(want, weeks.end()) << week.job_id;
      EXPECT_EQ(week.runs, want->second.runs);
      EXPECT_EQ(number(week.success_rate), want->second.rate());
      EXPECT_EQ(number(week.avg_duration_ms), want->second.average());
      EXPECT_EQ(number(week.records_loaded), number(want->second.loaded));
    }
    std::map<std::string, std::int64_t> by_status, want_by_status;
    for (const TrueRun& run : runs()) ++want_by_status[run.status + " " + run.category];
    for (const auto& [status, count] : want_by_status) {
      const std::size_t blank = status.find(' ');
      RunFilter filter{all(), {}, status.substr(0, blank), {}};
      if (blank + 1 < status.size()) filter.error_category = status.substr(blank + 1);
      slice.with_total = true;
      EXPECT_EQ(store->runs(filter, slice)->total, count) << status;
    }
  }
}

}  // namespace
}  // namespace runtail::test
