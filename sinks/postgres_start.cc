#include "sinks/postgres_start.h"

#include <cstring>

#include "schema/applied.h"
#include "schema/identity_key.h"
#include "schema/pg.h"
#include "sinks/json_rows.h"
#include "sinks/postgres_verdict.h"

namespace runtail {
namespace {

template <std::size_t kSize>
bool read_hex(std::string_view digits, std::array<std::uint8_t, kSize>& into) {
  if (digits.size() != 2 * kSize) return false;
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };  // encode() writes lower case
  for (std::size_t i = 0; i < kSize; ++i) {
    into[i] = static_cast<std::uint8_t>(value(digits[2 * i]) << 4 | value(digits[2 * i + 1]));
  }
  return true;
}

bool is_missing(const PgError& error) { return error.sqlstate == "42P01" || error.sqlstate == "3F000"; }

Error start_error(const PgError& error, const std::string& schema, const std::string& what) {
  const ErrorCode code = judge(error) == PgVerdict::kRetry ? ErrorCode::kUnavailable
                         : is_missing(error)               ? ErrorCode::kNotFound
                                                           : ErrorCode::kInvalidInput;
  return Error{code, explain(error, schema)}.in(what);
}

constexpr std::string_view kWrittenTables[] = {"source_files",
                                               "source_facts",
                                               "etl_jobs",
                                               "run_ids",
                                               "job_runs",
                                               "run_attempts",
                                               "task_runs",
                                               "run_state_changes",
                                               "dq_check_definitions",
                                               "dq_check_results",
                                               "dq_observations",
                                               "dataset_status",
                                               "log_events",
                                               "dead_letters",
                                               "summary_dirty",
                                               "service_heartbeats",
                                               "fleet_counts",
                                               "metric_snapshots",
                                               "traces",
                                               "spans",
                                               "chat_messages",
                                               "document_events",
                                               "provider_sync_status",
                                               "metrics_aggregates"};

}  // namespace

std::span<const std::string_view> written_tables() { return kWrittenTables; }

Result<PostgresStart> read_start(const PostgresConfig& config, const std::string& agent,
                                 std::span<const std::string> streams) {
  PgOptions options;
  options.connect_timeout = config.connect_timeout;
  options.answer_timeout = config.statement_timeout + config.connect_timeout;
  options.password_file = config.password_file;
  auto connection = PgConnection::connect(config.url, options);
  if (!connection) return start_error(connection.error(), config.schema, "connect to PostgreSQL");

  // Asked here first, so that a missing schema and a missing right are told apart.
  const std::string key_table = quote_identifier(config.schema) + ".identity_key";
  if (auto readable = connection->exec("SELECT 1 FROM " + key_table); !readable && !is_missing(readable.error())) {
    return start_error(readable.error(), config.schema, "read " + config.schema + ".identity_key");
  }
  if (auto there = check_tables(*connection, config.schema, written_tables()); !there) return there.error();
  auto key = read_identity_key(*connection, config.schema);
  if (!key) return key.error();

  PostgresStart start;
  start.identity_key = *key;
  JsonRows rows;
  for (const std::string& stream : streams) {
    rows.begin_row();
    rows.stated_text("stream", stream);
  }
  const std::optional<std::string> params[] = {rows.take(), agent};
  auto found = connection->query(
      "SELECT stream, encode(file_key, 'hex'), generation, covered, encode(confirm, 'hex'), "
      "(extract(epoch FROM first_seen_at) * 1000000)::bigint, "
      "(extract(epoch FROM covers_until) * 1000000)::bigint FROM " +
          quote_identifier(config.schema) +
          ".source_files WHERE stream IN "
          "(SELECT f.stream FROM json_to_recordset($1::json) AS f(stream text)) OR agent_id = $2 "
          "ORDER BY stream, file_key, generation",
      params);
  if (!found) return start_error(found.error(), config.schema, "read " + config.schema + ".source_files");
  for (int row = 0; row < found->rows(); ++row) {
    StoredPosition position;
    position.file.stream = found->text(row, 0);
    position.file.generation = static_cast<std::int32_t>(found->integer(row, 2));
    const auto covered = CoveredRanges::parse(found->text(row, 3));
    if (!covered || !read_hex(found->text(row, 1), position.file.file_key) ||
        !read_hex(found->text(row, 4), position.confirm)) {
      return Error{ErrorCode::kCorrupt, "read " + config.schema + ".source_files: stream " + position.file.stream +
                                            ": a row is not as runtail wrote it"};
    }
    position.covered = *covered;
    position.first_seen_at = from_micros(found->integer(row, 5));
    position.covers_until = from_micros(found->integer(row, 6));
    start.positions.push_back(std::move(position));
  }
  return start;
}

}  // namespace runtail
