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
#include "agent/held_lines.h"
#include "agent/intake.h"
#include "agent/kept_history.h"
#include "agent/self_source.h"
#include "history/history_store.h"
#include "sinks/postgres.h"

namespace runtail {

class Engine {
 public:
  // Opens the buffer, settles the identity key, starts reading and delivering. `stop` cuts a wait for the database.
  // kUnavailable: try again later. kInvalidInput: a person must act.
  // `started_at`: of the agent, which outlives an engine. `waits` is told, once each, what the start waits for.
  // `standard_input` outlives the engine; null: it is not read.
  static Result<std::unique_ptr<Engine>> start(const Config& config, PublishedMetrics& published,
                                               HeldLines* standard_input, TimePoint started_at, std::stop_token stop,
                                               const std::function<void(const std::string&)>& waits);
  ~Engine();  // stop()
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // What was read is durable when it returns; what is durable is delivered as far as `deadline` lets. May come twice.
  // False: a delivery does not come back, and neither would the destructor; the process must quick_exit().
  bool stop(std::chrono::milliseconds deadline);
  // The buffer failed: stop, and start another.
  std::optional<std::string> failure() const;

  // Nothing will ever come again, and what came is durable.
  bool has_ended() const { return intake_->has_ended(); }
  // When the loop that reads last began a turn.
  std::chrono::steady_clock::time_point turned_at() const { return intake_->turned_at(); }
  // What the sinks still lack: "12 records for postgres", several with commas between; "": nothing.
  std::string undelivered() const;

  // How far every sink has come; the largest number without any.
  Sequence delivered_everywhere() const;

  const DurableBuffer& buffer() const { return *buffer_; }
  // The history that this agent keeps itself; null: PostgreSQL has it. Outlived by this. Threads: any, each with a
  // store of its own.
  std::unique_ptr<HistoryStore> history() const;
  // What a replay into this agent's own store asks, see replay_talk.h. kInvalidInput: it is refused.
  Result<std::string> answer_replay(const std::vector<std::string>& words);
  const std::vector<std::string>& redaction_kinds() const { return kinds_; }
  std::vector<HealthCheck> health() const;
  // Gauges that are true only now: sizes, balance, stall. Before each scrape.
  void refresh(TimePoint now);
  // For `runtail status`: one line per source and sink, then the buffer and both ledgers.
  std::string describe(TimePoint now) const;

 private:
  // One sink and what brings it its chunks.
  struct Destination {
    std::unique_ptr<Sink> sink;
    std::unique_ptr<DeliveryLoop> loop;
    std::atomic<bool> ended{false};
    std::jthread thread;
  };

  Engine(const Config& config, PublishedMetrics& published);
  void add_destination(std::unique_ptr<Sink> sink, const DeliverySettings& settings);
  void log_absent_sinks() const;
  AgentCondition condition() const;
  double oldest_undelivered();

  const Config config_;
  PublishedMetrics& published_;  // not owned, outlives this
  SystemClock clock_;
  std::unique_ptr<DurableBuffer> buffer_;
  std::optional<KeptHistory> kept_;
  std::vector<std::string> kinds_;
  HashKey key_{};        // of identities
  std::string ruleset_;  // of the redaction
  std::unique_ptr<Pipeline> pipeline_;
  std::vector<std::unique_ptr<Destination>> destinations_;  // does not change once the threads run
  const PostgresSink* postgres_ = nullptr;                  // one of them; null: history is local
  std::unique_ptr<Intake> intake_;
  std::jthread intake_thread_;

  mutable std::mutex mutex_;  // guards failure_
  std::optional<std::string> failure_;
  std::mutex oldest_mutex_;  // guards oldest_
  std::pair<Sequence, double> oldest_{0, 0};
};

}  // namespace runtail
