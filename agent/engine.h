// Everything between the sources and the sinks, made from what is durable and thrown away as one when the buffer fails.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/delivery.h"
#include "agent/health.h"
#include "agent/intake.h"
#include "sinks/postgres.h"

namespace runtail {

class Engine {
 public:
  // Opens the buffer, settles the identity key, starts reading and delivering. `stop` cuts a wait for the database.
  // kUnavailable: try again later. kInvalidInput: a person must act.
  // `waits` is told, once each, what the start waits for.
  static Result<std::unique_ptr<Engine>> start(const Config& config, PublishedMetrics& published, std::stop_token stop,
                                               const std::function<void(const std::string&)>& waits);
  ~Engine();  // stop()
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // What was read is durable when it returns; what is durable is delivered as far as `deadline` lets. May come twice.
  void stop(std::chrono::milliseconds deadline);
  // The buffer failed: stop, and start another.
  std::optional<std::string> failure() const;

  const DurableBuffer& buffer() const { return *buffer_; }
  const std::vector<std::string>& redaction_kinds() const { return kinds_; }
  std::vector<HealthCheck> health() const;
  // Gauges that are true only now: sizes, balance, stall. Before each scrape.
  void refresh(TimePoint now);
  // For `runtail status`: one line per source and sink, then the buffer and both ledgers.
  std::string describe(TimePoint now) const;

 private:
  Engine(const Config& config, PublishedMetrics& published);

  const Config config_;
  PublishedMetrics& published_;  // not owned, outlives this
  SystemClock clock_;
  std::unique_ptr<DurableBuffer> buffer_;
  std::vector<std::string> kinds_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<PostgresSink> postgres_;  // null: history is local
  std::unique_ptr<DeliveryLoop> delivery_;
  std::unique_ptr<Intake> intake_;
  std::jthread delivery_thread_, intake_thread_;
  std::atomic<bool> delivery_ended_{false};

  mutable std::mutex mutex_;  // guards failure_
  std::optional<std::string> failure_;
};

}  // namespace runtail
