#include "history/history.h"

#include <utility>

#include "schema/migrations.h"

namespace runtail {

History::History(PgConnection& connection, std::string schema, std::chrono::milliseconds statement_timeout, bool is_set)
    : connection_(connection), schema_(std::move(schema)), statement_timeout_(statement_timeout), is_set_(is_set) {}

std::string History::settings(std::chrono::milliseconds statement_timeout) {
  return "-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read -c jit=off "
         "-c datestyle=ISO -c timezone=UTC -c statement_timeout=" +
         std::to_string(statement_timeout.count());
}

bool History::has_settings(PgConnection& connection) {
  const auto held = connection.exec(
      "SELECT current_setting('default_transaction_read_only') = 'on' AND current_setting('jit') = 'off' AND "
      "current_setting('default_transaction_isolation') = 'repeatable read'");
  return held && held->boolean(0, 0);
}

Result<std::optional<RunDetails>> History::run(const Uuid& run_id) {
  if (const auto begun = begin("run"); !begun) return begun.error();
  auto run = select(run_with_id(run_id));
  auto attempts = select(attempts_of_run(run_id));
  auto tasks = select(tasks_of_run(run_id));
  auto changes = select(state_changes_of_run(run_id));
  const bool good = run && attempts && tasks && changes;
  const auto ended = end("run", good);
  // The first failure: those after it only say that the transaction failed.
  if (!run) return run.error();
  if (!attempts) return attempts.error();
  if (!tasks) return tasks.error();
  if (!changes) return changes.error();
  if (!ended) return ended.error();
  if (run->empty()) return std::optional<RunDetails>();
  return std::optional(
      RunDetails{std::move(run->front()), std::move(*attempts), std::move(*tasks), std::move(*changes)});
}

Result<void> History::begin(std::string_view name) {
  // One snapshot for all statements. Compiling a plan over many partitions takes longer than running it.
  const auto begun = connection_.exec(
      is_set_ ? std::string("BEGIN")
              : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off; SET LOCAL datestyle = 'ISO'; "
                "SET LOCAL timezone = 'UTC'; SET LOCAL statement_timeout = " +
                    std::to_string(statement_timeout_.count()));
  if (begun) return {};
  const Error error = to_error(begun.error(), "history, " + std::string(name));
  (void)end(name, false);
  return error;
}

Result<void> History::end(std::string_view name, bool commit) {
  const auto ended = connection_.exec(commit ? "COMMIT" : "ROLLBACK");
  if (!ended) return to_error(ended.error(), "history, " + std::string(name));
  return {};
}

Result<PgResult> History::ask(std::string_view name, const std::string& sql, const PgParams& params) {
  auto result = connection_.query(sql_for_schema(sql, schema_), params);
  if (!result) return to_error(result.error(), "history, " + std::string(name));
  return std::move(*result);
}

}  // namespace runtail
