// A filled history for all tests of the program, which only read it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "history/history.h"
#include "schema/migrate.h"
#include "schema/partitions.h"
#include "tests/support/filled_history.h"
#include "tests/support/postgres_cluster.h"

namespace runtail::test {

inline PgConnection connect(const std::string& conninfo) {
  auto connection = PgConnection::connect(conninfo);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() : connection_(connect(database())), history_(connection_, "observability") {}

  static TimePoint now() {
    static const TimePoint at = SystemClock().now();
    return at;
  }
  static const std::string& database() {
    static const std::string conninfo = [] {
      const std::string made = PostgresCluster::shared().create_migrated_database("history");
      HistorySize size;
      size.runs_per_day = 30;
      size.tasks_per_run = 4;
      size.log_events = 30'000;
      fill_history(made, size, now());
      return made;
    }();
    return conninfo;
  }
  // As far back as anything is, and a little ahead: open runs are of this moment.
  static TimeRange all() { return {now() - std::chrono::days(91), now() + std::chrono::hours(1)}; }
  static TimeRange all_lines() { return {now() - std::chrono::days(29), now() + std::chrono::hours(1)}; }

  template <typename Row>
  std::vector<Row> read(const Query<Row>& query) {
    auto rows = history_.read(query);
    if (!rows) throw std::runtime_error(rows.error().message);
    return std::move(*rows);
  }
  // The first column of each row; "-" for null.
  std::vector<std::string> column(const std::string& sql) {
    auto result = connection_.exec("SET search_path = observability; SET TimeZone = 'UTC'; " + sql);
    if (!result) throw std::runtime_error(sql + ": " + result.error().message);
    std::vector<std::string> out;
    for (int row = 0; row < result->rows(); ++row) {
      out.push_back(result->is_null(row, 0) ? "-" : std::string(result->text(row, 0)));
    }
    return out;
  }
  std::string value(const std::string& sql) { return column(sql).at(0); }
  Uuid uuid(const std::string& sql) { return parse_uuid(value(sql)).value(); }

  // Every row of a list, read page by page; each page but the last is full. `ask` makes the query after a cursor.
  template <typename Cursor, typename Ask, typename CursorOf>
  auto by_page(int limit, const Ask& ask, const CursorOf& cursor_of) {
    decltype(read(ask(limit, std::optional<Cursor>()))) rows;
    for (std::optional<Cursor> after;;) {
      auto page = read(ask(limit, after));
      rows.insert(rows.end(), page.begin(), page.end());
      if (static_cast<int>(page.size()) < limit) return rows;
      EXPECT_EQ(static_cast<int>(page.size()), limit);
      after = cursor_of(page.back());
    }
  }

  PgConnection connection_;
  History history_;
};

template <typename Row, typename Member>
std::vector<std::string> ids(const std::vector<Row>& rows, Member Row::*member) {
  std::vector<std::string> out;
  for (const Row& row : rows) out.push_back(to_string(row.*member));
  return out;
}

}  // namespace runtail::test
