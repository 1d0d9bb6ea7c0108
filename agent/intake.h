// The loop that feeds the pipeline: sources in turn, one synced write per round, asleep while nothing happens.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/pipeline.h"
#include "agent/source.h"
#include "buffer/durable_buffer.h"

namespace runtail {

class Intake {
 public:
  // `on_commit` is called after each synced write. `delivered` says how far every sink has come: a local history is not
  // cut beyond it.
  Intake(const Config& config, std::vector<std::unique_ptr<Source>> sources, DurableBuffer& buffer, Pipeline& pipeline,
         const Clock& clock, PublishedMetrics& published, std::function<void()> on_commit,
         std::function<Sequence()> delivered);
  ~Intake();

  // Until stop is asked for; what was read is then durable. An error means the buffer failed: everything has to be made
  // anew from what is durable.
  Result<void> run(std::stop_token stop);
  // Threads: any.
  std::vector<SourceStatus> status() const;
  // When something was last committed. Threads: any.
  TimePoint progress_at() const { return from_micros(progress_at_.load()); }
  // When its loop last began a turn: every second, or it hangs in a read or a write. Threads: any.
  std::chrono::steady_clock::time_point turned_at() const { return turned_at_.load(); }
  // Every source has ended and is read. Threads: any.
  bool has_ended() const { return has_ended_; }

 private:
  // Reads and commits one round. True if anything was read.
  Result<bool> round();
  void scan();
  // When something comes, a source is due, or the time is over.
  void wait(std::chrono::milliseconds timeout);
  Result<void> say_last_words();
  void trim_history();
  TimePoint now();
  void show();

  DurableBuffer& buffer_;  // not owned, outlives this
  Pipeline& pipeline_;     // not owned, outlives this
  const Clock& clock_;
  PublishedMetrics& published_;  // not owned, outlives this
  const std::function<void()> on_commit_;
  const std::function<Sequence()> delivered_;
  const bool history_is_local_;
  const BufferConfig buffer_config_;
  const std::vector<std::unique_ptr<Source>> sources_;
  std::size_t turn_ = 0;
  int inotify_ = -1;
  std::map<int, std::string> watched_;  // directory with its '/', by watch
  int wake_ = -1;                       // eventfd: stop was asked for
  bool scan_due_ = true;
  std::chrono::steady_clock::time_point scanned_at_{}, trimmed_at_{};
  TimePoint told_;  // what the sources were last told, and when
  std::chrono::steady_clock::time_point told_at_{};
  std::atomic<std::int64_t> progress_at_{0};
  std::atomic<std::chrono::steady_clock::time_point> turned_at_{std::chrono::steady_clock::now()};
  std::atomic<bool> has_ended_{false};

  mutable std::mutex mutex_;  // guards status_
  std::vector<SourceStatus> status_;
};

}  // namespace runtail
