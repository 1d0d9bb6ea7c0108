// Takes chunks from the buffer to one sink, in order, at its own pace; keeps the cursor and the records ledger.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "buffer/durable_buffer.h"
#include "core/metric.h"
#include "core/sink.h"

namespace runtail {

struct DeliveryStatus {
  bool up = false;     // the last delivery worked
  std::string reason;  // why not
  std::uint64_t records_pending = 0;
  std::optional<TimePoint> last_success_at;
};

class DeliveryLoop;

struct DeliverySettings {
  std::uint64_t batch_lines_max = 5000;
  std::uint32_t max_series = 2000;
  std::chrono::milliseconds idle_timeout{30'000};  // then Sink::idle()
  // Chunks wait here until this one has delivered them. Outlives the loop; null: nothing goes ahead.
  const DeliveryLoop* behind = nullptr;
};

class DeliveryLoop {
 public:
  // A sink without a cursor begins at the oldest chunk kept; records that left before count as expired. `on_delivered`
  // is called after each delivery, by the thread of run().
  DeliveryLoop(DurableBuffer& buffer, Sink& sink, PublishedMetrics& published, const Clock& clock,
               DeliverySettings settings, std::function<void()> on_delivered);

  // Until stop is asked for; then what is in the buffer already is still delivered for up to 3 s. `log` gets what a
  // person should read, once per change.
  void run(std::stop_token stop, const std::function<void(bool is_error, const std::string& message)>& log);
  // run() has returned. Threads: any.
  bool has_ended() const;
  // Something was appended, or the loop ahead of this one came further or ended. Threads: any.
  void wake();
  // Threads: any.
  DeliveryStatus status() const;
  // The last chunk delivered. Threads: any.
  Sequence delivered() const;
  // Records delivered without exactly one outcome; 0 unless we are wrong. Threads: any.
  std::uint64_t imbalance() const;

 private:
  // One batch. False: nothing to do, or a failure (then wait_ is how long to wait).
  bool step(const std::function<void(bool, const std::string&)>& log);
  // The last chunk this loop may deliver now.
  Sequence limit() const;
  void settle(const std::vector<SequencedChunk>& chunks, const Delivery& delivered);
  void skip_what_left();
  // The sink's mark as it is durable, empty for a sink without.
  std::vector<StateEntry> marked(const std::string& mark) const;
  void show();

  DurableBuffer& buffer_;        // not owned, outlives this
  Sink& sink_;                   // not owned, outlives this
  PublishedMetrics& published_;  // not owned, outlives this
  const Clock& clock_;
  const DeliverySettings settings_;
  const std::function<void()> on_delivered_;
  const std::string state_prefix_, mark_key_;
  MetricTable metrics_;
  Cursor cursor_;
  std::string mark_;  // as last kept
  bool maybe_delivered_ = false;
  std::chrono::milliseconds backoff_{0};

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable_any woken_;
  bool work_ = false;
  DeliveryStatus status_;  // without records_pending
  bool ended_ = false;
  Sequence delivered_ = 0;
  RecordCounts delivered_records_;
  std::uint64_t imbalance_ = 0;
};

}  // namespace runtail
