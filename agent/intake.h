// The loop that feeds the pipeline: sources in turn, one synced write per round, asleep while nothing happens.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/file_source.h"
#include "agent/pipe_source.h"
#include "agent/pipeline.h"
#include "buffer/durable_buffer.h"

namespace runtail {

struct SourceStatus {
  std::string name;
  std::uint64_t lag_bytes = 0;
  std::vector<std::string> faults;
};

class Intake {
 public:
  // `on_commit` is called after each synced write.
  Intake(const Config& config, const HashKey& key, DurableBuffer& buffer, Pipeline& pipeline, const Clock& clock,
         PublishedMetrics& published, std::function<void()> on_commit);
  ~Intake();

  // Until stop is asked for; what was read is then durable. An error means the buffer failed: everything has to be made
  // anew from what is durable.
  Result<void> run(std::stop_token stop);
  // Threads: any.
  std::vector<SourceStatus> status() const;
  // When something was last committed. Threads: any.
  TimePoint progress_at() const { return from_micros(progress_at_.load()); }

 private:
  // Reads and commits one round. True if anything was read.
  Result<bool> round();
  void scan();
  void wait(std::chrono::milliseconds timeout);
  void trim_history();
  void show();

  DurableBuffer& buffer_;  // not owned, outlives this
  Pipeline& pipeline_;     // not owned, outlives this
  const Clock& clock_;
  PublishedMetrics& published_;  // not owned, outlives this
  const std::function<void()> on_commit_;
  const bool history_is_local_;
  const BufferConfig buffer_config_;
  ReadBuffer read_buffer_;
  std::vector<std::unique_ptr<FileSource>> files_;
  std::unique_ptr<PipeSource> pipes_;
  std::size_t turn_ = 0;
  int inotify_ = -1;
  int wake_ = -1;  // eventfd: stop was asked for
  bool scan_due_ = true;
  std::chrono::steady_clock::time_point scanned_at_{}, trimmed_at_{};
  std::atomic<std::int64_t> progress_at_{0};

  mutable std::mutex mutex_;  // guards status_
  std::vector<SourceStatus> status_;
};

}  // namespace runtail
