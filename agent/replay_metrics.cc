#include "agent/replay_metrics.h"

#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include "agent/last_known.h"
#include "agent/line_counts.h"
#include "agent/run_book.h"
#include "core/event_codec.h"
#include "sinks/openmetrics.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

// Prometheus forgets a series it has not seen for five minutes.
constexpr std::int64_t kSeenEvery = 240;
constexpr std::size_t kWriteBytes = 1 << 20;

// How much a series grew within a step; of a gauge its last value.
struct Step {
  double value = 0, sum = 0;
  std::vector<std::uint64_t> buckets;
};

struct History {
  Series last;                         // as it is by now
  std::map<std::int64_t, Step> steps;  // by their end, in seconds
};

// Gauges that are moved up and down, not set: they add up like counters do.
bool adds_up(Metric metric) {
  return spec_of(metric).type != MetricType::kGauge || metric == Metric::kJobsRunning ||
         metric == Metric::kQueueJobsActive;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

struct ReplayMetrics::State {
  State(fs::path scratch_directory, std::unique_ptr<DurableBuffer> opened, std::FILE* out, fs::path final_path,
        std::uint32_t max_series)
      : scratch(std::move(scratch_directory)),
        buffer(std::move(opened)),
        file(out),
        path(std::move(final_path)),
        metrics(max_series),
        known(*buffer),
        book(*buffer, metrics, known),
        counts(metrics, known) {}
  ~State() {
    buffer.reset();
    std::error_code ignored;
    fs::remove_all(scratch, ignored);
    if (file) fs::remove(path.string() + ".part", ignored);
  }

  // What changed since the last call happened in the step that ends at `end`.
  void book_step(std::int64_t end) {
    for (Series& series : metrics.take_changed()) {
      series.exemplars.clear();
      History& history = by_family[series.metric][series_key(series)];
      Step& step = history.steps[end];
      const Series before = std::exchange(history.last, series);
      if (!adds_up(series.metric)) {
        step.value = series.value;
        continue;
      }
      step.value += series.value - before.value;
      step.sum += series.sum - before.sum;
      step.buckets.resize(series.buckets.size());
      for (std::size_t i = 0; i < series.buckets.size(); ++i) {
        step.buckets[i] += series.buckets[i] - (before.buckets.empty() ? 0 : before.buckets[i]);
      }
    }
  }

  const fs::path scratch;
  std::unique_ptr<DurableBuffer> buffer;
  std::unique_ptr<std::FILE, CloseFile> file;
  const fs::path path;
  MetricTable metrics;
  LastKnown known;
  RunBook book;
  LineCounts counts;
  std::map<Metric, std::map<std::string, History>> by_family;
  std::int64_t first = INT64_MAX, last = INT64_MIN;  // ends of steps
};

namespace {

class MetricsStore final : public ReplayStore {
 public:
  MetricsStore(ReplayMetrics::State& state, DeriverSettings settings) : state_(state), deriver_(std::move(settings)) {}

  Result<Delivery> put(std::span<const SequencedChunk> chunks, const ReplayStep&, std::span<const Uuid>) override {
    Delivery delivery;
    delivery.status = Delivery::Status::kDelivered;
    for (const SequencedChunk& each : chunks) {
      count(each.chunk);
      delivery.outcomes.applied += each.chunk.records;
    }
    // Runs that are not at hand are read back from there.
    Commit commit;
    commit.state = state_.book.take_changed();
    state_.known.take_changed(commit.state);
    if (const auto kept = state_.buffer->append(commit); !kept) return kept.error();
    return delivery;
  }
  Result<std::uint64_t> stored(const FileIdentity&, std::span<const LineTrace>) override { return std::uint64_t{0}; }
  Result<RunChanges> runs() override { return RunChanges{}; }
  Result<std::vector<RowDifference>> differences() override { return std::vector<RowDifference>{}; }
  Result<void> rebuild(Rebuild&) override { return {}; }

 private:
  void count(const Chunk& chunk) {
    constexpr std::int64_t step = ReplayMetrics::kStep.count();
    const EventIds ids(chunk.file);
    Origin origin{&ids, 0, chunk.default_job_id, chunk.default_job_rank};
    std::optional<std::int64_t> end;
    for (EventReader events(chunk.events); events.next();) {
      const RedactedEvent& event = events.event();
      const std::int64_t at = (to_micros(event.ts) / 1'000'000 / step + 1) * step;
      if (end && *end != at) state_.book_step(*end);
      end = at;
      state_.first = std::min(state_.first, at);
      state_.last = std::max(state_.last, at);
      origin.offset = events.offset_in(chunk.covers.from);
      deriver_.derive(event, origin, derived_, &ids_);
      state_.book.apply(derived_, event);
      const std::string& service = deriver_.settings().service;
      state_.counts.count(event, derived_, service);
      const std::string_view stated = event.fields.text(Field::kService);
      // Of a line with several events the first one is the line.
      if (!event.stored) continue;
      state_.metrics.add(Metric::kLogEventsTotal, {stated.empty() ? service : stated, to_string(event.level)}, 1);
    }
    if (end) state_.book_step(*end);
  }

  ReplayMetrics::State& state_;
  const Deriver deriver_;
  Derived derived_;
  IdMemory ids_;
};

}  // namespace

ReplayMetrics::ReplayMetrics(std::unique_ptr<State> state) : state_(std::move(state)) {}
ReplayMetrics::~ReplayMetrics() = default;

Result<std::unique_ptr<ReplayMetrics>> ReplayMetrics::open(const Config& config, const fs::path& path) {
  const std::string part = path.string() + ".part";
  std::FILE* const file = std::fopen(part.c_str(), "we");
  if (!file) return Error{ErrorCode::kUnavailable, "write " + part + ": " + std::strerror(errno)};
  std::string scratch = part + ".XXXXXX";
  const auto give_up = [&](const Error& error) {
    std::fclose(file);
    std::error_code ignored;
    fs::remove(part, ignored);
    fs::remove_all(scratch, ignored);
    return error;
  };
  if (!mkdtemp(scratch.data())) {
    return give_up({ErrorCode::kUnavailable, "make a directory beside " + path.string() + ": " + std::strerror(errno)});
  }
  BufferConfig settings;
  settings.directory = scratch;
  auto buffer = DurableBuffer::open(settings);
  if (!buffer) return give_up(buffer.error());
  return std::unique_ptr<ReplayMetrics>(
      new ReplayMetrics(std::make_unique<State>(scratch, std::move(*buffer), file, path, config.metrics.max_series)));
}

std::unique_ptr<ReplayStore> ReplayMetrics::store(const DeriverSettings& settings) {
  return std::make_unique<MetricsStore>(*state_, settings);
}

Result<std::uint64_t> ReplayMetrics::write() {
  State& state = *state_;
  constexpr std::int64_t step = kStep.count();
  std::string page;
  std::uint64_t count = 0;
  int fault = 0;  // errno of the first
  const auto flush = [&] {
    if (fault == 0 && std::fwrite(page.data(), 1, page.size(), state.file.get()) != page.size()) fault = errno;
    page.clear();
  };
  for (const auto& [metric, histories] : state.by_family) {
    append_openmetrics_head(page, metric);
    for (const auto& [key, history] : histories) {
      ++count;
      Series now = history.last;
      now.value = now.sum = 0;
      std::fill(now.buckets.begin(), now.buckets.end(), 0);
      // increase() sees the first amount only if the series was there before it.
      std::int64_t shown = history.steps.begin()->first - step;
      if (adds_up(metric)) append_openmetrics(page, now, shown);
      const auto show_until = [&](std::int64_t end) {
        for (; shown + kSeenEvery < end; append_openmetrics(page, now, shown)) shown += kSeenEvery;
        if (page.size() > kWriteBytes) flush();
      };
      for (const auto& [end, by] : history.steps) {
        // Flat up to the step in which it changes.
        if (shown >= history.steps.begin()->first && shown < end - step) {
          show_until(end - step);
          append_openmetrics(page, now, shown = end - step);
        }
        now.value = adds_up(metric) ? now.value + by.value : by.value;
        now.sum += by.sum;
        for (std::size_t i = 0; i < by.buckets.size(); ++i) now.buckets[i] += by.buckets[i];
        append_openmetrics(page, now, shown = end);
      }
      show_until(state.last);
      if (shown < state.last) append_openmetrics(page, now, state.last);
    }
  }
  page += kOpenMetricsEnd;
  flush();
  if (std::fclose(state.file.release()) != 0 && fault == 0) fault = errno;
  const std::string part = state.path.string() + ".part";
  if (fault == 0 && std::rename(part.c_str(), state.path.c_str()) != 0) fault = errno;
  if (fault != 0) {
    std::remove(part.c_str());
    return Error{ErrorCode::kUnavailable,
                 "write " + state.path.string() + ": " + std::strerror(fault) + "; nothing of it is there"};
  }
  return count;
}

}  // namespace runtail
