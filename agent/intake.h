// The loop that feeds the pipeline: sources in turn, one synced write per round, asleep while nothing happens.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/kept_history.h"
#include "agent/pipeline.h"
#include "agent/replay_talk.h"
#include "agent/source.h"
#include "buffer/durable_buffer.h"
#include "history/history_retention.h"

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
  // Into the store of this agent, between two rounds: a replay's chunks, if their file stands where they begin and no
  // source has it open. Threads: any but that of run(); waits for it.
  PastAnswer take_past(const PastBatch& batch);
  // When something was last committed. Threads: any.
  TimePoint progress_at() const { return from_micros(progress_at_.load()); }
  // When its loop last began a turn: every second, or it hangs in a read or a write. Threads: any.
  std::chrono::steady_clock::time_point turned_at() const { return turned_at_.load(); }
  // Every source has ended and is read. Threads: any.
  bool has_ended() const { return has_ended_; }

 private:
  // Reads and commits one round. True if anything was read.
  Result<bool> round();
  Result<void> serve_past();
  Result<PastAnswer> take_past_now(const PastBatch& batch);
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
  const KeptHistory kept_;
  HistoryRetention retention_;
  std::chrono::steady_clock::time_point retain_at_{};  // when it is looked again what is too old
  const BufferConfig buffer_config_;
  const std::vector<std::unique_ptr<Source>> sources_;
  std::size_t turn_ = 0;
  int inotify_ = -1;
  std::map<int, std::string> watched_;  // directory with its '/', by watch
  int wake_ = -1;                       // eventfd: stop was asked for, or a replay waits
  bool scan_due_ = true;
  std::chrono::steady_clock::time_point scanned_at_{}, trimmed_at_{};
  TimePoint told_;  // what the sources were last told, and when
  std::chrono::steady_clock::time_point told_at_{};
  std::atomic<std::int64_t> progress_at_{0};
  std::atomic<std::chrono::steady_clock::time_point> turned_at_{std::chrono::steady_clock::now()};
  std::atomic<bool> has_ended_{false};

  mutable std::mutex mutex_;  // guards status_
  std::vector<SourceStatus> status_;

  std::mutex past_mutex_;  // guards what follows
  std::condition_variable past_done_;
  const PastBatch* past_ = nullptr;  // of a replay that waits
  std::optional<PastAnswer> past_answer_;
  bool takes_no_more_ = false;
};

}  // namespace runtail
