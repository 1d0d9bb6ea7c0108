// Rows as structs. A row names its columns once, in columns(): from that list come the select list, the insert, the
// update and the reading. schema/rows/ has one for every table but schema_migrations and identity_key, which are read
// where they are used.
//
//   struct AlertChannelRow {
//     static constexpr std::string_view kTable = "alert_channels";
//     static constexpr int kKeyColumns = 1;         // the first ones
//     static constexpr bool kInsertOnly = false;    // true: there is no update_row()
//     Uuid id;
//     std::optional<std::string> name;              // optional where the column may be null
//     static void columns(auto& row, auto&& visit) {
//       visit("id", row.id);                        // in the order of the table
//       visit("name", row.name);                    // visit.computed() where the database computes the value
//     }
//   };
//
// What another statement gives (a view, a join) needs no more than columns(). Words of closed sets are plain text: the
// table's CHECK holds them, and a row with a newer word can still be read.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "core/uuid.h"
#include "schema/pg.h"

namespace runtail {

// jsonb. PostgreSQL keeps the value, not the spelling: blanks and the order of members change.
struct Json {
  std::string text = "{}";
  bool operator==(const Json&) const = default;
};
// bytea
struct Bytes {
  std::string bytes;
  bool operator==(const Bytes&) const = default;
};
// numeric(10,6): 1500000 is 1.500000
struct UsdMicros {
  std::int64_t micros = 0;
  auto operator<=>(const UsdMicros&) const = default;
};

// Values as parameters and as results give them, in text format. Text must hold no NUL; intervals are whole seconds.
namespace pg_text {
std::string write(const std::string& value);
std::string write(std::int16_t value);
std::string write(std::int32_t value);
std::string write(std::int64_t value);
std::string write(double value);
std::string write(bool value);
std::string write(const Uuid& value);
std::string write(TimePoint value);
std::string write(const Json& value);
std::string write(const Bytes& value);
std::string write(UsdMicros value);
std::string write(std::chrono::sys_days value);
std::string write(std::chrono::seconds value);
std::string write(const std::vector<std::int64_t>& value);
template <typename T>
std::optional<std::string> write(const std::optional<T>& value) {
  return value ? std::optional(write(*value)) : std::nullopt;
}

// False if `text` is no such value.
bool read(std::string_view text, std::string& value);
bool read(std::string_view text, std::int16_t& value);
bool read(std::string_view text, std::int32_t& value);
bool read(std::string_view text, std::int64_t& value);
bool read(std::string_view text, double& value);
bool read(std::string_view text, bool& value);
bool read(std::string_view text, Uuid& value);
bool read(std::string_view text, TimePoint& value);
bool read(std::string_view text, Json& value);
bool read(std::string_view text, Bytes& value);
bool read(std::string_view text, UsdMicros& value);
bool read(std::string_view text, std::chrono::sys_days& value);
bool read(std::string_view text, std::chrono::seconds& value);
bool read(std::string_view text, std::vector<std::int64_t>& value);
template <typename T>
bool read(std::string_view text, std::optional<T>& value) {
  return read(text, value.emplace());
}

// What to select so that read() understands it.
template <typename T>
std::string expression(std::string_view column) {
  const std::string name = quote_identifier(column);
  constexpr bool kInterval =
      std::is_same_v<T, std::chrono::seconds> || std::is_same_v<T, std::optional<std::chrono::seconds>>;
  return kInterval ? "extract(epoch FROM " + name + ")::bigint" : name;
}
}  // namespace pg_text

using PgParams = std::vector<std::optional<std::string>>;

namespace row_visitors {
struct Select {
  std::string list;
  template <typename T>
  void operator()(std::string_view name, const T&) {
    list += (list.empty() ? "" : ", ") + pg_text::expression<T>(name);
  }
  void computed(std::string_view name, const auto& value) { (*this)(name, value); }
};
struct Write {
  std::vector<std::string> names;
  PgParams params;
  void operator()(std::string_view name, const auto& value) {
    names.push_back(quote_identifier(name));
    params.push_back(pg_text::write(value));
  }
  void computed(std::string_view, const auto&) {}
};
struct Read {
  const PgResult& result;
  int row;
  int column = 0;
  std::string bad;  // the first column that did not read
  template <typename T>
  void operator()(std::string_view name, T& value) {
    const int at = column++;
    bool good = true;
    if (!result.is_null(row, at)) {
      good = pg_text::read(result.text(row, at), value);
    } else if constexpr (requires { value.reset(); }) {
      value.reset();
    } else {
      good = false;
    }
    if (!good && bad.empty()) bad = name;
  }
  void computed(std::string_view name, auto& value) { (*this)(name, value); }
};
}  // namespace row_visitors

// "id", "name", ...: what rows_of() reads.
template <typename Row>
std::string select_list() {
  row_visitors::Select select;
  const Row row{};
  Row::columns(row, select);
  return select.list;
}

// Rows of a statement that selected select_list<Row>() and nothing else. SQLSTATE XX001 for a value that is none.
template <typename Row>
PgOutcome<std::vector<Row>> rows_of(const PgResult& result) {
  std::vector<Row> rows(static_cast<std::size_t>(result.rows()));
  for (int at = 0; at < result.rows(); ++at) {
    row_visitors::Read read{result, at, 0, {}};
    Row::columns(rows[static_cast<std::size_t>(at)], read);
    if (!read.bad.empty()) return PgError("XX001", "column " + read.bad + " holds a value that does not read");
  }
  return rows;
}

// `rest` follows the table's name, with $1, $2, ... for `params`: "WHERE enabled ORDER BY name".
template <typename Row>
PgOutcome<std::vector<Row>> read_rows(PgConnection& connection, const std::string& schema, const std::string& rest,
                                      const PgParams& params = {}) {
  auto result = connection.query("SELECT " + select_list<Row>() + " FROM " + quote_identifier(schema) + "." +
                                     std::string(Row::kTable) + " " + rest,
                                 params);
  if (!result) return result.error();
  return rows_of<Row>(*result);
}

// One row, computed columns left to the database.
template <typename Row>
PgOutcome<void> insert_row(PgConnection& connection, const std::string& schema, const Row& row) {
  row_visitors::Write write;
  Row::columns(row, write);
  std::string names, values;
  for (std::size_t at = 0; at < write.names.size(); ++at) {
    names += (at ? ", " : "") + write.names[at];
    values += (at ? ", $" : "$") + std::to_string(at + 1);
  }
  auto done = connection.query("INSERT INTO " + quote_identifier(schema) + "." + std::string(Row::kTable) + " (" +
                                   names + ") VALUES (" + values + ")",
                               write.params);
  if (!done) return done.error();
  return {};
}

// All columns of the row with the same key. False: there is none.
template <typename Row>
requires(!Row::kInsertOnly) PgOutcome<bool> update_row(PgConnection& connection, const std::string& schema,
                                                       const Row& row) {
  row_visitors::Write write;
  Row::columns(row, write);
  std::string set, where;
  for (std::size_t at = 0; at < write.names.size(); ++at) {
    const bool key = at < static_cast<std::size_t>(Row::kKeyColumns);
    std::string& list = key ? where : set;
    if (!list.empty()) list += key ? " AND " : ", ";
    list += write.names[at] + " = $" + std::to_string(at + 1);
  }
  auto done = connection.query(
      "UPDATE " + quote_identifier(schema) + "." + std::string(Row::kTable) + " SET " + set + " WHERE " + where,
      write.params);
  if (!done) return done.error();
  return done->affected() > 0;
}

}  // namespace runtail
