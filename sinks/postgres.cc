#include "sinks/postgres.h"

#include <utility>

#include "schema/partitions.h"
#include "schema/pg.h"
#include "sinks/postgres_delivery.h"
#include "sinks/postgres_verdict.h"

namespace runtail {
namespace {

Delivery refused(Delivery::Status status, std::string reason) {
  Delivery delivery;
  delivery.status = status;
  delivery.reason = std::move(reason);
  return delivery;
}

Delivery refused(const PgError& error, const std::string& schema) {
  const bool passing = judge(error) == PgVerdict::kRetry || judge(error) == PgVerdict::kParentGone;
  return refused(passing ? Delivery::Status::kRetry : Delivery::Status::kOperator, explain(error, schema));
}

Delivery refused(const Error& error) {
  return refused(error.code == ErrorCode::kUnavailable ? Delivery::Status::kRetry : Delivery::Status::kOperator,
                 error.message);
}

Result<Horizons> read_horizons(PgConnection& connection, const std::string& schema) {
  auto bounds = read_partition_bounds(connection, schema);
  if (!bounds) return bounds.error();
  Horizons out;
  for (const auto& [table, horizon] :
       {std::pair("job_runs", &out.job_runs), std::pair("log_events", &out.log_events),
        std::pair("dq_observations", &out.dq_observations), std::pair("dq_check_results", &out.dq_check_results)}) {
    const auto found = bounds->find(table);
    if (found == bounds->end()) {
      return Error{ErrorCode::kInvalidInput,
                   "table " + schema + '.' + table + " is missing or has no partitions; run: runtail migrate"};
    }
    *horizon = {found->second.from, found->second.to};
  }
  return out;
}

std::string begin_statement(const PostgresConfig& config) {
  return "BEGIN; SET LOCAL statement_timeout = " + std::to_string(config.statement_timeout.count()) +
         "; SET LOCAL lock_timeout = " + std::to_string(config.lock_timeout.count()) +
         "; SET LOCAL synchronous_commit = on";
}

}  // namespace

struct PostgresSink::State {
  PgConnection connection;
  Horizons horizons;
};

struct PostgresSink::Memory {
  Memory(const PostgresConfig& config, const DeriverSettings& settings) : sql(config.schema), delivery(settings) {}
  const PostgresStatements sql;
  PostgresMemory delivery;
};

PostgresSink::PostgresSink(PostgresLane lane, PostgresConfig config, DeriverSettings settings,
                           std::vector<std::string> kinds, Clock& clock)
    : lane_(lane),
      config_(std::move(config)),
      deriver_(std::move(settings)),
      kinds_(std::move(kinds)),
      clock_(clock),
      memory_(std::make_unique<Memory>(config_, deriver_.settings())) {}

PostgresSink::~PostgresSink() = default;

std::optional<Delivery> PostgresSink::connect() {
  if (state_ && state_->connection.is_alive()) return std::nullopt;
  state_.reset();
  PgOptions options;
  options.connect_timeout = config_.connect_timeout;
  options.answer_timeout = config_.statement_timeout + config_.connect_timeout;
  options.password_file = config_.password_file;
  auto connection = PgConnection::connect(config_.url, options);
  if (!connection) return refused(connection.error(), config_.schema);
  auto recovering = connection->is_in_recovery();
  if (!recovering) return refused(recovering.error(), config_.schema);
  if (*recovering) {
    return refused(
        Delivery::Status::kRetry,
        "write to PostgreSQL: the server is a standby; waiting until it is promoted or postgres.url leads to "
        "the primary");
  }
  auto horizons = read_horizons(*connection, config_.schema);
  if (!horizons) return refused(horizons.error());
  state_ = std::make_unique<State>(State{std::move(*connection), *horizons});
  return std::nullopt;
}

Delivery PostgresSink::deliver(std::span<const SequencedChunk> chunks, bool maybe_delivered) {
  if (chunks.empty())
    return {.status = Delivery::Status::kDelivered, .reason = {}, .unknown = false, .outcomes = {}, .set_aside = {}};
  last_used_ = clock_.now();
  if (auto failure = connect()) return *failure;
  if (auto delivery = attempt(chunks, maybe_delivered)) return *delivery;
  // With the partitions as they are now.
  if (auto delivery = attempt(chunks, maybe_delivered)) return *delivery;
  return refused(Delivery::Status::kRetry, "write to PostgreSQL: partitions change while rows are written");
}

std::optional<Delivery> PostgresSink::attempt(std::span<const SequencedChunk> chunks, bool maybe_delivered) {
  PgConnection& connection = state_->connection;
  const PostgresTarget target{lane_, memory_->sql, deriver_, kinds_, state_->horizons, clock_.now()};
  PostgresDelivery delivery(connection, target, chunks, maybe_delivered, memory_->delivery);
  PgOutcome<void> written{};
  if (auto begun = connection.exec(begin_statement(config_)); !begun) {
    written = begun.error();
  } else {
    written = delivery.write();
  }
  if (written) {
    auto committed = connection.exec("COMMIT");
    if (!committed) {
      // Only the positions tell whether it happened.
      Delivery lost = refused(committed.error(), config_.schema);
      lost.status = Delivery::Status::kRetry;
      lost.unknown = true;
      state_.reset();
      return lost;
    }
    position_conflicts_ += delivery.position_conflicts();
    field_conflicts_ += delivery.field_conflicts();
    return Delivery{Delivery::Status::kDelivered, {}, false, delivery.outcomes(), delivery.set_aside()};
  }

  const PgError error = written.error();
  if (!connection.exec("ROLLBACK")) {
    state_.reset();
    return refused(error, config_.schema);
  }
  if (judge(error) == PgVerdict::kPartitionMissing) {
    auto horizons = read_horizons(connection, config_.schema);
    if (!horizons) return refused(horizons.error());
    if (*horizons != state_->horizons) {
      state_->horizons = *horizons;
      return std::nullopt;
    }
  }
  // A pooler's lost statement, or a server that turned read-only: a new connection may lead elsewhere.
  if (error.sqlstate == "26000" || error.sqlstate == "42P05" || error.sqlstate == "25006") state_.reset();
  return refused(error, config_.schema);
}

void PostgresSink::idle() {
  if (state_ && clock_.now() - last_used_ >= config_.idle_timeout) state_.reset();
}

}  // namespace runtail
