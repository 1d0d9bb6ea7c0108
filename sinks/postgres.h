// The PostgreSQL sink: chunks become rows exactly once, whatever is sent again, by whom, and in which order.
#pragma once

#include <atomic>
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
#include "sinks/postgres_rebuild.h"
#include "sinks/postgres_rehearsal.h"

namespace runtail {

// Each delivery is one transaction: source positions are advanced first, and only what they lacked is written; events
// are derived and folded anew, so a chunk may be cut anywhere. Connects when there is something to write. One
// connection, and a second one while run facts go ahead of lines. Safe behind PgBouncer in transaction mode. Never
// creates tables.
class PostgresSink final : public Sink {
 public:
  // `kinds` as in Redactor::kinds(): names in redaction_counts. `clock` outlives this; it is used for bookkeeping
  // columns, for what counts as future, and for idle(). Does not connect.
  PostgresSink(PostgresConfig config, DeriverSettings settings, std::vector<std::string> kinds, Clock& clock);
  ~PostgresSink() override;

  std::string_view name() const override { return "postgres"; }
  TableSet ahead_tables() const override { return tables_of(PostgresLane::kRunFacts); }
  Delivery deliver(std::span<const SequencedChunk> chunks, bool maybe_delivered, TableSet tables) override;
  // From here on lines of ranges found covered are stored if they are not there; facts of such ranges are not applied
  // again. Not while deliver() is under way.
  void store_missing_lines() { missing_lines_ = true; }
  // From here on what is delivered is of long ago: verdicts count in no total of the fleet.
  void write_history() { is_live_ = false; }
  // From here on rows go into temporary tables, where nothing is covered yet; before the first deliver().
  void rehearse();
  // How the tables differ from what was rehearsed (sinks/postgres_rehearsal.h). The same connection or none: once it is
  // lost, kUnavailable.
  Result<std::vector<RowDifference>> compare_rehearsed(bool all_lines);
  // Makes runs anew that differ from the rehearsed ones (sinks/postgres_rebuild.h).
  Result<void> rebuild_rehearsed(Rebuild& done);
  // Closes the connections when nothing was delivered for config.idle_timeout.
  void idle() override;

  // Since construction, of committed deliveries. Threads: any.
  std::uint64_t position_conflicts() const { return position_conflicts_; }  // chunks found covered, whole or in part
  // Not while deliver() or idle() is under way.
  bool connected() const;

 private:
  struct Link;    // a connection and what was read through it
  struct Memory;  // reused from delivery to delivery
  std::optional<Delivery> connect(Link& link);
  // What became of the delivery whose COMMIT was not answered. Nothing: it did not happen, or nobody knows.
  std::optional<Delivery> settle(Link& link);
  // std::nullopt: the partitions are not those known, once more.
  std::optional<Delivery> attempt(Link& link, std::span<const SequencedChunk> chunks, bool maybe_delivered,
                                  TableSet tables);

  const PostgresConfig config_;
  const Deriver deriver_;
  const std::vector<std::string> kinds_;
  Clock& clock_;
  std::unique_ptr<Memory> memory_;
  std::unique_ptr<Link> main_, ahead_;
  bool missing_lines_ = false, is_live_ = true;
  // Positions do not tell whether missing lines were stored; the number of the transaction does.
  struct Unsure {
    std::string transaction;
    Delivery delivered;
  };
  std::optional<Unsure> unsure_;
  enum class Rehearsal { kNone, kWanted, kUnderWay } rehearsal_ = Rehearsal::kNone;
  std::atomic<bool> prepare_{true};  // statements, until a pooler is seen
  std::atomic<TimePoint> last_used_{};
  std::atomic<std::uint64_t> position_conflicts_{0};
};

}  // namespace runtail
