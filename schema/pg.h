// A PostgreSQL connection: thin ownership over libpq, whose headers stay in pg.cc.
// Safe behind PgBouncer in transaction mode: settings are the caller's SET LOCAL, statements are unnamed unless
// PgOptions::prepare says otherwise.
// Errors are values, and hold no DETAIL: that may carry the values of a row. Nothing here throws or logs.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/result.h"

struct pg_result;  // libpq's

namespace runtail {

struct PgError {
  PgError() = default;
  PgError(std::string_view state, std::string text) : sqlstate(state), message(std::move(text)) {}

  std::string sqlstate;         // five characters; "" where the connection failed before the server said anything
  std::string message;          // the primary message in one line; quoted values of bad data are masked
  std::string constraint_name;  // "" where the server names none; the same for the next two
  std::string table_name;
  std::string schema_name;

  // No answer, or the server ended the session (25P03, 25P04: its time limits of a transaction): what the last
  // statement did is unknown, the connection is of no more use.
  bool is_connection_failure() const {
    return sqlstate.empty() || sqlstate.starts_with("08") || sqlstate.starts_with("57P") || sqlstate == "25P03" ||
           sqlstate == "25P04";
  }
};

// kUnavailable for what may pass by itself (connection, conflict, resources, time-out, fail-over), else kInvalidInput:
// somebody must act. The message is "<context>: <message> (SQLSTATE 42P01)".
Error to_error(const PgError& error, std::string_view context);

[[noreturn]] inline void throw_exception_from_error(const PgError& error, const boost::source_location&) {
  throw std::logic_error("unchecked database error: " + error.message);
}

template <typename T>
using PgOutcome = boost::system::result<T, PgError>;

// Rows of one statement in text format. Views live as long as the PgResult.
class PgResult {
 public:
  explicit PgResult(pg_result* taken) : result_(taken) {}

  int rows() const;
  int columns() const;
  bool is_null(int row, int column) const;
  std::string_view text(int row, int column) const;  // "" for null
  std::int64_t integer(int row, int column) const;   // 0 for null and for what is no integer
  bool boolean(int row, int column) const { return text(row, column) == "t"; }
  // Rows inserted, updated, deleted, selected or copied; 0 for other statements.
  std::int64_t affected() const;

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

struct PgOptions {
  // For each host of the connection string, and each address of a host.
  std::chrono::milliseconds connect_timeout{5000};
  // Longest silence of the server while something is asked of it; after it the connection is given up. Stands behind
  // statement_timeout, which a frozen server does not keep: choose it longer.
  std::chrono::milliseconds answer_timeout{60000};
  // query() prepares what it is asked a second time: the server plans it once, which for tables with many partitions is
  // most of the work. A pooler in transaction mode answers 26000 or 42P05: connect again without. The name holds a
  // digest of the statement, so a name that is there already means the same statement, whoever prepared it.
  bool prepare = false;
  // Settings of the session, as libpq's `options` ("-c jit=off -c timezone=UTC"); instead of those that the connection
  // string or PGOPTIONS states. A pooler may refuse them (08P01), or not hand them on.
  std::string settings;
  // File with the password, read at each connect; a last newline is no part of it. Empty: libpq's own ways.
  std::filesystem::path password_file;
};

// Threads: one at a time.
class PgConnection {
 public:
  // `conninfo` is a libpq connection string or URI; PG* variables count. Its text never shows in an error.
  // Keep-alives, tcp_user_timeout (30 s) and application_name=runtail are set unless it says otherwise.
  static PgOutcome<PgConnection> connect(const std::string& conninfo, const PgOptions& options = {});
  PgConnection(PgConnection&&) noexcept;
  PgConnection& operator=(PgConnection&&) noexcept;
  ~PgConnection();

  // One or more statements without parameters. More than one run in one transaction; the last one's result is given.
  PgOutcome<PgResult> exec(const std::string& sql);
  // One statement with $1, $2, ... in text format; std::nullopt is null. No NUL bytes.
  PgOutcome<PgResult> query(const std::string& sql, std::span<const std::optional<std::string>> params);

  // COPY ... FROM STDIN in whatever format `sql` names. Between begin and end nothing else may be asked. After an error
  // the COPY is over. Errors of rows show at copy_end(), which gives the number of rows.
  PgOutcome<void> copy_begin(const std::string& sql);
  PgOutcome<void> copy_write(std::string_view bytes);
  PgOutcome<std::int64_t> copy_end();

  enum class Transaction { kIdle, kActive, kOpen, kFailed, kUnknown };
  // kActive: a statement is under way. kOpen: in a transaction. kFailed: in one that can only be rolled back.
  Transaction transaction() const;
  // False once the connection is lost; a new one must be made.
  bool is_alive() const;
  // A standby refuses writes until it is promoted.
  PgOutcome<bool> is_in_recovery();

  // At any time, in the middle of a COPY too: an open transaction is rolled back by the server. May be repeated.
  void close();

 private:
  struct Impl;
  explicit PgConnection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Doubles the quotes and puts them around: "observability", 'it''s'. For names and values that cannot be parameters.
std::string quote_identifier(std::string_view name);
std::string quote_literal(std::string_view text);

}  // namespace runtail
