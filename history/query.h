// A question to the database: a statement with its parameters, made without I/O, and the row its answer is made of.
// History (history/history.h) asks it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/row.h"

namespace runtail {

// Most rows of one answer; what follows is asked for with the last row's place (a cursor), never by counting.
inline constexpr int kHistoryRowsMax = 1000;

// Whose rows an answer may show: those of runs with one of these project ids. Nothing: everybody's. A row that belongs
// to no run of a project is nobody's who is bound to projects.
using Projects = std::optional<std::vector<std::string>>;

struct RowCount {
  std::int64_t count = 0;
  static void columns(auto& row, auto&& visit) { visit("count", row.count); }
};

template <typename Row>
struct Query {
  std::string_view name;  // of the function that made it, for messages
  std::string sql;        // {{schema}} where the quoted schema name goes; selects select_list<Row>()
  PgParams params;
  // Of `sql` and `params`: what says which rows, before what says which page of them. 0: no pages.
  std::size_t rows_sql = 0, rows_params = 0;
};

// How many rows all pages have together. Of a query with pages.
template <typename Row>
Query<RowCount> count_of(const Query<Row>& query) {
  return {query.name,
          "SELECT count(*) AS count FROM (" + query.sql.substr(0, query.rows_sql) + ") AS counted",
          {query.params.begin(), query.params.begin() + static_cast<std::ptrdiff_t>(query.rows_params)}};
}

// A statement in the making. `sql` holds text of ours alone; values go through bind().
class Statement {
 public:
  explicit Statement(std::string sql) : sql_(std::move(sql)) {}

  Statement& add(std::string_view sql) {
    sql_ += sql;
    return *this;
  }
  // "$1", "$2", ...
  Statement& bind(const auto& value) {
    params_.push_back(pg_text::write(value));
    sql_ += "$" + std::to_string(params_.size());
    return *this;
  }
  // " LIMIT n", n brought into 1 to kHistoryRowsMax.
  Statement& limit(int rows) {
    return add(" LIMIT ").bind(static_cast<std::int64_t>(std::clamp(rows, 1, kHistoryRowsMax)));
  }
  Statement& skip(int rows) { return rows > 0 ? add(" OFFSET ").bind(static_cast<std::int64_t>(rows)) : *this; }
  // What follows picks a page of the rows.
  Statement& page_follows() {
    rows_sql_ = sql_.size();
    rows_params_ = params_.size();
    return *this;
  }
  // " AND <column> is one of the projects".
  Statement& only_of(const Projects& projects, std::string_view column = "project_id");
  // " AND the run that <column> names belongs to one of the projects".
  Statement& only_runs_of(const Projects& projects, std::string_view column);
  template <typename Row>
  Query<Row> as(std::string_view name) && {
    return {name, std::move(sql_), std::move(params_), rows_sql_, rows_params_};
  }

 private:
  std::string sql_;
  PgParams params_;
  std::size_t rows_sql_ = 0, rows_params_ = 0;
};

// Times from <= t < to. Ask for no more than is needed: partitions outside are not looked at.
struct TimeRange {
  TimePoint from, to;
};

}  // namespace runtail
