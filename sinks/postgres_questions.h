// What a replay asks the database beside writing: whether lines of a file are there, and how runs look.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "config/config.h"
#include "core/result.h"
#include "core/time.h"
#include "core/uuid.h"
#include "schema/pg.h"

namespace runtail {

// What a line leaves behind, if it was stored.
struct LineTrace {
  Uuid event_id;
  TimePoint at{};
  std::optional<Uuid> run_id;  // whose state it may have changed
};

// Threads: one at a time. Connects when it is asked, and again after a failure.
class PostgresQuestions {
 public:
  explicit PostgresQuestions(PostgresConfig config) : config_(std::move(config)) {}

  // How many of these lines have a row among log lines, state changes or observations.
  Result<std::uint64_t> stored(std::span<const LineTrace> lines);
  // Digests of the rows of runs, their attempts and tasks, without who wrote them and by which rules; those that are
  // not there are left out.
  Result<std::map<Uuid, std::int64_t>> digests(std::span<const Uuid> runs);

 private:
  Result<PgResult> ask(const std::string& sql, std::string param, const char* what);

  const PostgresConfig config_;
  std::optional<PgConnection> connection_;
};

}  // namespace runtail
