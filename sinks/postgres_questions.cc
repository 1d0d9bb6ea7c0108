#include "sinks/postgres_questions.h"

#include "sinks/json_rows.h"

namespace runtail {
namespace {

std::string uuid_array(std::span<const Uuid> ids) {
  std::string out = "{";
  for (const Uuid& id : ids) {
    if (out.size() > 1) out += ',';
    out += to_string(id);
  }
  return out + '}';
}

}  // namespace

Result<PgResult> PostgresQuestions::ask(const std::string& sql, std::string param, const char* what) {
  if (!connection_ || !connection_->is_alive()) {
    connection_.reset();
    PgOptions options;
    options.connect_timeout = config_.connect_timeout;
    options.answer_timeout = config_.statement_timeout + config_.connect_timeout;
    options.password_file = config_.password_file;
    auto connected = PgConnection::connect(config_.url, options);
    if (!connected) return to_error(connected.error(), "connect to PostgreSQL");
    connection_.emplace(std::move(*connected));
  }
  const std::optional<std::string> params[] = {std::move(param)};
  auto answer = connection_->query(sql, params);
  if (!answer) return to_error(answer.error(), what);
  return std::move(*answer);
}

Result<std::uint64_t> PostgresQuestions::stored(std::span<const LineTrace> lines) {
  if (lines.empty()) return std::uint64_t{0};
  JsonRows rows;
  for (const LineTrace& line : lines) {
    rows.begin_row();
    rows.uuid("id", line.event_id);
    rows.time("ts", line.at);
    rows.uuid("run_id", line.run_id);
  }
  const std::string schema = quote_identifier(config_.schema);
  auto answer =
      ask("SELECT count(*) FROM json_to_recordset($1::json) AS f(id uuid, ts timestamptz, run_id uuid) "
          "WHERE EXISTS (SELECT FROM " +
              schema +
              ".log_events e WHERE e.event_id = f.id AND e.ts = f.ts) "
              "OR EXISTS (SELECT FROM " +
              schema +
              ".run_state_changes c WHERE c.run_id = f.run_id AND c.event_id = f.id) "
              "OR EXISTS (SELECT FROM " +
              schema + ".dq_observations o WHERE o.run_id = f.run_id AND o.event_id = f.id)",
          rows.take(), "look for stored lines");
  if (!answer) return answer.error();
  return static_cast<std::uint64_t>(answer->integer(0, 0));
}

Result<std::map<Uuid, std::int64_t>> PostgresQuestions::digests(std::span<const Uuid> runs) {
  std::map<Uuid, std::int64_t> out;
  if (runs.empty()) return out;
  const std::string schema = quote_identifier(config_.schema);
  const auto parts_of = [&](const char* table, const char* key) {
    return "coalesce((SELECT sum(hashtextextended((to_jsonb(p) - 'agent_id' - 'ruleset')::text, 0) % 1000000007) "
           "FROM " +
           schema + "." + table + " p WHERE p." + key + " = r.run_id), 0)";
  };
  auto answer =
      ask("SELECT r.run_id, (hashtextextended((to_jsonb(t) - 'agent_id' - 'ruleset')::text, 0) % 1000000007 + 31 * " +
              parts_of("run_attempts", "run_id") + " + 1009 * " + parts_of("task_runs", "run_id") + ")::bigint FROM " +
              schema + ".run_ids r JOIN " + schema +
              ".job_runs t ON t.run_id = r.run_id AND t.scheduled_at = r.scheduled_at "
              "WHERE r.run_id = ANY($1::uuid[])",
          uuid_array(runs), "read the runs of the replay");
  if (!answer) return answer.error();
  for (int row = 0; row < answer->rows(); ++row) {
    if (const auto id = parse_uuid(answer->text(row, 0))) out[*id] = answer->integer(row, 1);
  }
  return out;
}

}  // namespace runtail
