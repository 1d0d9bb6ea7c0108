// What happened, read from PostgreSQL. Changes nothing: each answer is a read-only transaction of its own, with a
// time-out, safe behind PgBouncer in transaction mode. The questions are made in history/*_queries.h.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/result.h"
#include "history/query.h"
#include "history/run_queries.h"
#include "schema/pg.h"
#include "schema/rows/runs.h"

namespace runtail {

struct RunDetails {
  RunView run;
  std::vector<RunAttemptRow> attempts;
  std::vector<TaskRunRow> tasks;           // the first kHistoryRowsMax of them
  std::vector<RunStateChangeRow> changes;  // the same
};

// Threads: one at a time, as the connection.
class History {
 public:
  // PgOptions::settings for a connection that is asked by this alone: one statement then needs no transaction around
  // it, which is half the work of a small question. Without them, and behind a pooler, each answer sets its own.
  static std::string settings(std::chrono::milliseconds statement_timeout);
  // Whether they are in force, whatever stands between.
  static bool has_settings(PgConnection& connection);

  // The connection outlives this, and is in no transaction whenever this is asked. `statement_timeout` is for each
  // statement. `is_set`: has_settings(). The user needs the rights of the reader role (schema/roles.h).
  History(PgConnection& connection, std::string schema,
          std::chrono::milliseconds statement_timeout = std::chrono::seconds(5), bool is_set = false);

  // Errors: kUnavailable (connection, time-out), kInvalidInput (rights, a table that is missing: an optional group).
  template <typename Row>
  Result<std::vector<Row>> read(const Query<Row>& query) {
    if (is_set_) return select(query);
    return at_once(query.name, [&query](Moment& moment) { return moment.read(query); });
  }

  // Several questions about one moment: ask(moment) reads by moment.read(query), and gives a Result.
  class Moment {
   public:
    template <typename Row>
    Result<std::vector<Row>> read(const Query<Row>& query) {
      return history_.select(query);
    }

   private:
    friend class History;
    explicit Moment(History& history) : history_(history) {}
    History& history_;
  };
  template <typename Ask>
  std::invoke_result_t<const Ask&, Moment&> at_once(std::string_view name, const Ask& ask) {
    if (const auto begun = begin(name); !begun) return begun.error();
    Moment moment(*this);
    auto answer = ask(moment);
    if (const auto ended = end(name, answer.has_value()); answer && !ended) return ended.error();
    return answer;
  }

  // A run with all that hangs on it, of one moment. std::nullopt: there is no such run.
  Result<std::optional<RunDetails>> run(const Uuid& run_id);

 private:
  Result<void> begin(std::string_view name);
  Result<void> end(std::string_view name, bool commit);
  Result<PgResult> ask(std::string_view name, const std::string& sql, const PgParams& params);
  template <typename Row>
  Result<std::vector<Row>> select(const Query<Row>& query) {
    const auto result = ask(query.name, query.sql, query.params);
    if (!result) return result.error();
    auto rows = rows_of<Row>(*result);
    if (!rows) return to_error(rows.error(), "history, " + std::string(query.name));
    return std::move(*rows);
  }

  PgConnection& connection_;
  const std::string schema_;
  const std::chrono::milliseconds statement_timeout_;
  const bool is_set_;
};

}  // namespace runtail
