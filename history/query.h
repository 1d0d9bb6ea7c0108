// A question to the database: a statement with its parameters, made without I/O, and the row its answer is made of.
// History (history/history.h) asks it.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "schema/row.h"

namespace runtail {

// Most rows of one answer; what follows is asked for with the last row's place (a cursor), never by counting.
inline constexpr int kHistoryRowsMax = 1000;

template <typename Row>
struct Query {
  std::string_view name;  // of the function that made it, for messages
  std::string sql;        // {{schema}} where the quoted schema name goes; selects select_list<Row>()
  PgParams params;
};

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
  template <typename Row>
  Query<Row> as(std::string_view name) && {
    return {name, std::move(sql_), std::move(params_)};
  }

 private:
  std::string sql_;
  PgParams params_;
};

// Times from <= t < to. Ask for no more than is needed: partitions outside are not looked at.
struct TimeRange {
  TimePoint from, to;
};

}  // namespace runtail
