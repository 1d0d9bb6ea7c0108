// Takes chunks from the buffer to one sink, in order, at its own pace; keeps the cursors and the records ledger.
//
// Chunks are delivered whole, one batch after the other. Once more than a batch waits, a sink that can is given two
// streams of them by two threads: the records of Sink::ahead_tables() (run facts) go ahead to the end of the buffer,
// the others (log lines) follow. So the state of a run never waits behind a day of lines, and both go at full speed.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
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

struct DeliverySettings {
  std::uint64_t batch_lines_max = 5000;
  std::uint32_t max_series = 2000;
  std::chrono::milliseconds idle_timeout{30'000};  // then Sink::idle()
};

// Names the second cursor of a sink.
inline constexpr std::string_view kAheadSuffix = "/ahead";

class DeliveryLoop {
 public:
  using Log = std::function<void(bool is_error, const std::string& message)>;

  // A sink without a cursor begins at the oldest chunk kept; records that left before count as expired. `on_delivered`
  // is called after each delivery, by the thread of run().
  DeliveryLoop(DurableBuffer& buffer, Sink& sink, PublishedMetrics& published, const Clock& clock,
               DeliverySettings settings, std::function<void()> on_delivered);

  // Until stop is asked for; then what is in the buffer already is still delivered for up to 3 s. `log` gets what a
  // person should read, once per change.
  void run(std::stop_token stop, const Log& log);
  // Something was appended. Threads: any.
  void wake();
  // Threads: any.
  DeliveryStatus status() const;
  // The last chunk of which everything is delivered. Threads: any.
  Sequence delivered() const;
  // Records delivered without exactly one outcome; 0 unless we are wrong. Threads: any.
  std::uint64_t imbalance() const;

 private:
  // One stream of deliveries.
  struct Stream {
    std::string cursor_name;
    Cursor cursor;
    std::string mark;  // of the sink, as last kept; "" for what goes ahead
    bool maybe_delivered = false;
    std::chrono::milliseconds backoff{0};  // 0: the last delivery worked
    std::string reason;                    // why it did not
  };
  enum class Step { kDelivered, kNothing, kFailed };

  // Whole chunks, or what was not sent ahead.
  Step step_main(const Log& log);
  Step step_ahead(const Log& log);
  void run_ahead(std::stop_token stop, const Log& log);
  Step deliver(Stream& stream, std::vector<SequencedChunk> chunks, TableSet tables, const Log& log);
  Step fail(Stream& stream, const std::string& reason, std::chrono::milliseconds wait, bool is_error, const Log& log);
  void settle(Stream& stream, const std::vector<SequencedChunk>& chunks, const Delivery& delivered, const Log& log);
  void skip_what_left();
  // The sink's mark as it is durable, empty for a sink without.
  std::vector<StateEntry> marked(const std::string& mark) const;
  // Of both streams. mutex_ is held here and below.
  RecordCounts delivered_records() const;
  void check_balance();

  DurableBuffer& buffer_;        // not owned, outlives this
  Sink& sink_;                   // not owned, outlives this
  PublishedMetrics& published_;  // not owned, outlives this
  const Clock& clock_;
  const DeliverySettings settings_;
  const std::function<void()> on_delivered_;
  const std::string state_prefix_, mark_key_;

  mutable std::mutex mutex_;  // guards all below; a stream is changed by its own thread only
  std::condition_variable_any woken_;
  bool work_ = false;               // for the main stream
  bool ahead_runs_ = false;         // set by the main stream, cleared by the other one when it has reached the end
  bool ahead_gone_ = false;         // its thread has ended
  std::uint64_t ahead_lines_ = 1;   // of its next batch; with whoever has ahead_runs_ in hand
  bool ahead_failed_last_ = false;  // whose reason is the news, where both have one
  Stream main_, ahead_;             // ahead_ counts for nothing where it is behind
  MetricTable metrics_;
  std::optional<TimePoint> last_success_at_;
  bool up_ = false;
  std::uint64_t imbalance_ = 0;
};

}  // namespace runtail
