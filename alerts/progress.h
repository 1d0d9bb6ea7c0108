// How far an evaluation has come through what transactions stored, and the transaction it works in. Several servers may
// try: one at a time has an evaluation's row locked, the others find it taken and go on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

struct Progress {
  std::int64_t seen_before = 0;  // rows stored_in earlier transactions have been seen
  // Transactions before this one had all ended when the round began: what is not visible now is in a later one.
  std::int64_t ended_before = 0;
};

// In an open transaction: the row of `name` locked until its end, or std::nullopt where another server has it. A
// database restored into another cluster counts its transactions anew: then everything is looked at again.
PgOutcome<std::optional<Progress>> lock_progress(PgConnection& connection, const std::string& schema,
                                                 std::string_view name, TimePoint now);
// `seen_before` of another evaluation, as its last round that ended left it; 0 where none did.
PgOutcome<std::int64_t> read_progress(PgConnection& connection, const std::string& schema, std::string_view name);
PgOutcome<void> save_progress(PgConnection& connection, const std::string& schema, std::string_view name,
                              std::int64_t seen_before, TimePoint now);

// `work` gives a PgOutcome; its error rolls back. READ COMMITTED, with time-outs. Questions over many partitions look
// dear and touch few rows: compiling them takes seconds.
template <typename Work>
auto in_transaction(PgConnection& connection, Work&& work) -> decltype(work()) {
  if (auto begun = connection.exec(
          "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s'; "
          "SET LOCAL timezone = 'UTC'; SET LOCAL jit = off");
      !begun) {
    return begun.error();
  }
  auto done = work();
  auto ended = connection.exec(done ? "COMMIT" : "ROLLBACK");
  if (done && !ended) return ended.error();
  return done;
}

}  // namespace runtail
