#include "sinks/postgres.h"

#include <algorithm>
#include <utility>

#include "schema/applied.h"
#include "schema/hypertables.h"
#include "schema/partitions.h"
#include "schema/pg.h"
#include "sinks/postgres_delivery.h"
#include "sinks/postgres_start.h"
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
  return refused(passing ? Delivery::Status::kRetry : Delivery::Status::kOperator,
                 "write to PostgreSQL: " + explain(error, schema));
}

// By a server that can be asked why.
Delivery refused(PgConnection& connection, const PgError& error, const std::string& schema) {
  Delivery delivery = refused(error, schema);
  if (is_about_schema(error)) delivery.reason += "; " + schema_fault(connection, schema, written_tables());
  return delivery;
}

Delivery refused(const Error& error) {
  return refused(error.code == ErrorCode::kUnavailable ? Delivery::Status::kRetry : Delivery::Status::kOperator,
                 error.message);
}

// `absent`: tables of groups that were left out.
Result<Horizons> read_horizons(PgConnection& connection, const std::string& schema,
                               const std::vector<std::string>& absent) {
  auto bounds = read_partition_bounds(connection, schema);
  if (!bounds) return bounds.error();
  Horizons out;
  const auto is_there = [&](const char* table) {
    return std::find(absent.begin(), absent.end(), table) == absent.end();
  };
  Horizon traces = Horizon::none();
  for (const auto& [table, horizon] :
       {std::pair("job_runs", &out.job_runs), std::pair("log_events", &out.log_events),
        std::pair("dq_observations", &out.dq_observations), std::pair("dq_check_results", &out.dq_check_results),
        std::pair("spans", &out.spans), std::pair("traces", &traces), std::pair("chat_messages", &out.chat_messages),
        std::pair("document_events", &out.document_events), std::pair("metrics_aggregates", &out.aggregates),
        std::pair("metric_snapshots", &out.metric_snapshots)}) {
    if (!is_there(table)) continue;
    const auto found = bounds->find(table);
    if (found == bounds->end()) {
      auto unbounded = hypertables(connection, schema);
      if (!unbounded) return to_error(unbounded.error(), "look for the hypertables of schema " + schema);
      if (!unbounded->contains(table)) {
        return Error{ErrorCode::kInvalidInput,
                     "table " + schema + '.' + table + " has no partitions; run: runtail migrate --maintain"};
      }
      // Makes its chunks itself: what is older than is kept goes with the next retention.
      *horizon = Horizon::always();
      continue;
    }
    *horizon = {found->second.from, found->second.to};
  }
  // A span is stored together with what it adds to its trace.
  out.spans = {std::max(out.spans.from, traces.from), std::min(out.spans.to, traces.to)};
  if (is_there("provider_sync_status")) out.providers = Horizon::always();
  return out;
}

// Longer than any statement may take: after it a connection is dead.
std::chrono::milliseconds answer_timeout(const PostgresConfig& config) {
  return config.statement_timeout + config.connect_timeout;
}

std::string begin_statement(const PostgresConfig& config) {
  // Should we vanish, the server would hold our locks for as long as it waits for us, two hours by its defaults. It too
  // gives up after answer_timeout(): a transaction in which nothing is asked, and by probes a COPY that does not go on.
  const std::chrono::milliseconds patience = answer_timeout(config);
  const std::string probe = std::to_string(std::chrono::ceil<std::chrono::seconds>(patience / 3).count());
  // Whatever the database's defaults are: who waited for a lock must see what the other has committed, and compiling a
  // plan over many partitions takes longer than running it.
  return "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL jit = off; SET LOCAL statement_timeout = " +
         std::to_string(config.statement_timeout.count()) +
         "; SET LOCAL lock_timeout = " + std::to_string(config.lock_timeout.count()) +
         "; SET LOCAL synchronous_commit = on; SET LOCAL idle_in_transaction_session_timeout = " +
         std::to_string(patience.count()) + "; SET LOCAL tcp_keepalives_idle = " + probe +
         "; SET LOCAL tcp_keepalives_interval = " + probe + "; SET LOCAL tcp_keepalives_count = 2";
}

}  // namespace

struct PostgresSink::Link {
  std::optional<PgConnection> connection;
  std::vector<std::string> absent;  // tables of groups that were left out
  Horizons horizons;
};

struct PostgresSink::Memory {
  Memory(const std::string& schema, const DeriverSettings& settings) : sql(schema), facts(settings), lines(settings) {}
  const PostgresStatements sql;
  // One thread at a time is at each: facts are written with their lines, or ahead of them, never both.
  PostgresMemory facts, lines;
  StoredLines stored;
};

PostgresSink::PostgresSink(PostgresConfig config, DeriverSettings settings, std::vector<std::string> kinds,
                           Clock& clock)
    : config_(std::move(config)),
      deriver_(std::move(settings)),
      kinds_(std::move(kinds)),
      clock_(clock),
      memory_(std::make_unique<Memory>(config_.schema, deriver_.settings())),
      main_(std::make_unique<Link>()),
      ahead_(std::make_unique<Link>()) {}

PostgresSink::~PostgresSink() = default;

bool PostgresSink::connected() const { return main_->connection || ahead_->connection; }

std::optional<Delivery> PostgresSink::connect(Link& link) {
  if (link.connection && link.connection->is_alive()) return std::nullopt;
  link.connection.reset();
  PgOptions options;
  options.connect_timeout = config_.connect_timeout;
  options.answer_timeout = answer_timeout(config_);
  options.password_file = config_.password_file;
  options.prepare = prepare_;
  auto connection = PgConnection::connect(config_.url, options);
  if (!connection) return refused(connection.error(), config_.schema);
  auto recovering = connection->is_in_recovery();
  if (!recovering) return refused(recovering.error(), config_.schema);
  if (*recovering) {
    return refused(
        Delivery::Status::kRetry,
        "write to PostgreSQL: the server is a standby; waiting until it is promoted, or postgres.url leads to the "
        "primary (of several hosts: target_session_attrs=read-write)");
  }
  // Asked here first, so that a missing right and a missing table are told apart.
  const std::string versions = quote_identifier(config_.schema) + ".schema_migrations";
  auto readable = connection->exec("SELECT FROM " + versions + " LIMIT 0");
  if (!readable && readable.error().sqlstate == "42501") return refused(readable.error(), config_.schema);
  auto absent = check_tables(*connection, config_.schema, written_tables());
  if (!absent) return refused(absent.error());
  auto horizons = read_horizons(*connection, config_.schema, *absent);
  if (!horizons) return refused(horizons.error());
  if (rehearsal_ == Rehearsal::kUnderWay) {
    return refused(Delivery::Status::kOperator,
                   "the connection to PostgreSQL was lost, and with it what was to be compared; begin again");
  }
  if (rehearsal_ == Rehearsal::kWanted) {
    if (auto made = make_rehearsal_tables(*connection, config_.schema, *absent); !made)
      return refused(made.error(), config_.schema);
    rehearsal_ = Rehearsal::kUnderWay;
  }
  link.connection.emplace(std::move(*connection));
  link.absent = std::move(*absent);
  link.horizons = *horizons;
  return std::nullopt;
}

Delivery PostgresSink::deliver(std::span<const SequencedChunk> chunks, bool maybe_delivered, TableSet tables) {
  if (chunks.empty())
    return {.status = Delivery::Status::kDelivered, .reason = {}, .unknown = false, .outcomes = {}, .set_aside = {}};
  last_used_ = clock_.now();
  Link& link = tables == ahead_tables() ? *ahead_ : *main_;
  if (auto failure = connect(link)) return *failure;
  if (maybe_delivered && unsure_) {
    if (auto settled = settle(link)) return *settled;
  }
  unsure_.reset();
  if (missing_lines_) maybe_delivered = false;  // it did not happen
  if (auto delivery = attempt(link, chunks, maybe_delivered, tables)) return *delivery;
  // With the partitions as they are now.
  if (auto delivery = attempt(link, chunks, maybe_delivered, tables)) return *delivery;
  return refused(Delivery::Status::kRetry, "write to PostgreSQL: partitions change while rows are written");
}

std::optional<Delivery> PostgresSink::settle(Link& link) {
  const std::optional<std::string> params[] = {unsure_->transaction};
  auto status = link.connection->query("SELECT pg_xact_status($1::xid8)", params);
  if (!status) return refused(*link.connection, status.error(), config_.schema);
  if (status->text(0, 0) == "in progress") {
    return refused(Delivery::Status::kRetry,
                   "write to PostgreSQL: a transaction whose answer was lost is still open there");
  }
  if (status->text(0, 0) != "committed") return std::nullopt;
  return std::exchange(unsure_, std::nullopt)->delivered;
}

std::optional<Delivery> PostgresSink::attempt(Link& link, std::span<const SequencedChunk> chunks, bool maybe_delivered,
                                              TableSet tables) {
  PgConnection& connection = *link.connection;
  Delivery delivered;
  delivered.status = Delivery::Status::kDelivered;
  std::uint64_t position_conflicts = 0;
  PgOutcome<void> written{};
  if (auto begun = connection.exec(begin_statement(config_)); !begun) written = begun.error();
  for (const PostgresLane lane : {PostgresLane::kRunFacts, PostgresLane::kLines}) {
    if (!written || (tables & tables_of(lane)) == 0) continue;
    const PostgresTarget target{lane, memory_->sql, deriver_, kinds_, link.horizons, clock_.now(), missing_lines_, is_live_};
    PostgresDelivery delivery(connection, target, chunks, maybe_delivered,
                              lane == PostgresLane::kLines ? memory_->lines : memory_->facts, memory_->stored);
    written = delivery.write();
    delivered.outcomes += delivery.outcomes();
    for (const auto& [reason, count] : delivery.set_aside()) delivered.set_aside[reason] += count;
    delivered.internal_errors += delivery.internal_errors();
    position_conflicts += delivery.position_conflicts();
  }
  if (written && missing_lines_) {
    auto number = connection.exec("SELECT pg_current_xact_id()");
    if (number) {
      unsure_ = Unsure{std::string(number->text(0, 0)), delivered};
    } else {
      written = number.error();
    }
  }
  if (written) {
    auto committed = connection.exec("COMMIT");
    if (!committed) {
      // Only the positions tell whether it happened.
      Delivery lost = refused(committed.error(), config_.schema);
      lost.status = Delivery::Status::kRetry;
      lost.unknown = true;
      link.connection.reset();
      return lost;
    }
    unsure_.reset();
    position_conflicts_ += position_conflicts;
    if ((tables & tables_of(PostgresLane::kLines)) != 0) memory_->stored.forget_through(chunks.back().sequence);
    return delivered;
  }

  const PgError error = written.error();
  if (!connection.exec("ROLLBACK")) {
    link.connection.reset();
    return refused(error, config_.schema);
  }
  if (judge(error) == PgVerdict::kPartitionMissing) {
    auto horizons = read_horizons(connection, config_.schema, link.absent);
    if (!horizons) return refused(horizons.error());
    if (*horizons != link.horizons) {
      link.horizons = *horizons;
      return std::nullopt;
    }
  }
  // Behind a pooler that gives each transaction another session, prepared statements are lost or there already.
  const bool pooled = error.sqlstate == "26000" || error.sqlstate == "42P05";
  if (pooled) prepare_ = false;
  // A server that turned read-only: a new connection may lead elsewhere.
  if (pooled || error.sqlstate == "25006") {
    link.connection.reset();
    return refused(error, config_.schema);
  }
  return refused(connection, error, config_.schema);
}

void PostgresSink::rehearse() {
  rehearsal_ = Rehearsal::kWanted;
  memory_ = std::make_unique<Memory>(kRehearsalSchema, deriver_.settings());
}

Result<std::vector<RowDifference>> PostgresSink::compare_rehearsed(bool all_lines) {
  if (const auto failure = connect(*main_)) return Error{ErrorCode::kUnavailable, failure->reason};
  auto compared = compare_rehearsal(*main_->connection, config_.schema, main_->absent, all_lines);
  if (!compared) return to_error(compared.error(), "compare with PostgreSQL");
  return std::move(*compared);
}

Result<void> PostgresSink::rebuild_rehearsed(Rebuild& done) {
  if (const auto failure = connect(*main_)) return Error{ErrorCode::kUnavailable, failure->reason};
  const auto rebuilt = rebuild_from_rehearsal(*main_->connection, config_.schema, deriver_.settings().agent_id, done);
  if (!rebuilt) {
    return Error{ErrorCode::kInvalidInput, "rebuild in PostgreSQL: " + explain(rebuilt.error(), config_.schema)};
  }
  return {};
}

void PostgresSink::idle() {
  if (clock_.now() - last_used_.load() < config_.idle_timeout) return;
  main_->connection.reset();
  ahead_->connection.reset();
}

}  // namespace runtail
