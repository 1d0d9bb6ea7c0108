#include "alerts/progress.h"

#include "schema/row.h"

namespace runtail {

PgOutcome<std::optional<Progress>> lock_progress(PgConnection& connection, const std::string& schema,
                                                 std::string_view name, TimePoint now) {
  const std::string table = quote_identifier(schema) + ".evaluation_progress";
  const PgParams key = {std::string(name)};
  for (const bool again : {false, true}) {
    auto locked =
        connection.query("SELECT stored_before FROM " + table + " WHERE name = $1 FOR UPDATE SKIP LOCKED", key);
    if (!locked) return locked.error();
    if (locked->rows() > 0) {
      auto ended = connection.exec(
          "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint FROM pg_current_snapshot() s");
      if (!ended) return ended.error();
      Progress progress{locked->integer(0, 0), ended->integer(0, 0)};
      if (progress.seen_before > ended->integer(0, 1)) progress.seen_before = 0;
      return std::optional(progress);
    }
    if (again) break;
    auto made = connection.query("INSERT INTO " + table + " VALUES ($1, 0, $2) ON CONFLICT DO NOTHING",
                                 PgParams{std::string(name), to_rfc3339(now)});
    if (!made) return made.error();
    if (made->affected() == 0) break;  // it is there, and taken
  }
  return std::optional<Progress>();
}

PgOutcome<std::int64_t> read_progress(PgConnection& connection, const std::string& schema, std::string_view name) {
  auto row =
      connection.query("SELECT stored_before FROM " + quote_identifier(schema) + ".evaluation_progress WHERE name = $1",
                       PgParams{std::string(name)});
  if (!row) return row.error();
  return row->rows() > 0 ? row->integer(0, 0) : 0;
}

PgOutcome<void> save_progress(PgConnection& connection, const std::string& schema, std::string_view name,
                              std::int64_t seen_before, TimePoint now) {
  auto saved = connection.query("UPDATE " + quote_identifier(schema) +
                                    ".evaluation_progress SET stored_before = $2, updated_at = $3 WHERE name = $1",
                                PgParams{std::string(name), std::to_string(seen_before), to_rfc3339(now)});
  if (!saved) return saved.error();
  return {};
}

}  // namespace runtail
