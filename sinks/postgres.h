// The PostgreSQL sink: chunks become rows exactly once, whatever is sent again, by whom, and in which order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "core/sink.h"
#include "core/time.h"
#include "derive/deriver.h"
#include "sinks/postgres_lane.h"

namespace runtail {

// One lane of it. Each delivery is one transaction: source positions are advanced first, and only what they lacked is
// written; events are derived and folded anew, so a chunk may be cut anywhere. Connects when there is something to
// write; one connection at most; safe behind PgBouncer in transaction mode. Never creates tables.
// Threads: one at a time, the counters too.
class PostgresSink final : public Sink {
 public:
  // `kinds` as in Redactor::kinds(): names in redaction_counts. `clock` outlives this; it is used for bookkeeping
  // columns, for what counts as future, and for idle(). Does not connect.
  PostgresSink(PostgresLane lane, PostgresConfig config, DeriverSettings settings, std::vector<std::string> kinds,
               Clock& clock);
  ~PostgresSink() override;

  std::string_view name() const override { return lane_ == PostgresLane::kLines ? "postgres" : "postgres_runs"; }
  TableSet tables() const override { return tables_of(lane_); }
  Delivery deliver(std::span<const SequencedChunk> chunks, bool maybe_delivered) override;
  // Closes the connection when nothing was delivered for config.idle_timeout.
  void idle() override;

  // Since construction, of committed deliveries.
  std::uint64_t position_conflicts() const { return position_conflicts_; }  // chunks found covered, whole or in part
  std::uint64_t field_conflicts() const { return field_conflicts_; }        // set-once fields that met two values
  bool connected() const { return state_ != nullptr; }

 private:
  struct State;  // the connection and what was read through it
  std::optional<Delivery> connect();
  // std::nullopt: the partitions are not those known, once more.
  std::optional<Delivery> attempt(std::span<const SequencedChunk> chunks, bool maybe_delivered);

  const PostgresLane lane_;
  const PostgresConfig config_;
  const Deriver deriver_;
  const std::vector<std::string> kinds_;
  Clock& clock_;
  struct Memory;  // reused from delivery to delivery
  std::unique_ptr<Memory> memory_;
  std::unique_ptr<State> state_;
  TimePoint last_used_{};
  std::uint64_t position_conflicts_ = 0;
  std::uint64_t field_conflicts_ = 0;
};

}  // namespace runtail
