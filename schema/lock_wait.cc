#include "schema/lock_wait.h"

namespace runtail {

std::string lock_holders(PgConnection& connection, const std::string& schema, const std::string& table) {
  const std::optional<std::string> params[] = {schema, table};
  auto rows = connection.query(R"sql(
      WITH subject AS (
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2
      ), family AS (
        SELECT oid FROM subject
        UNION SELECT inhparent FROM pg_catalog.pg_inherits JOIN subject ON inhrelid = subject.oid
        UNION SELECT confrelid FROM pg_catalog.pg_constraint JOIN subject ON conrelid = subject.oid
          WHERE contype = 'f'
        UNION SELECT conrelid FROM pg_catalog.pg_constraint JOIN subject ON confrelid = subject.oid
      )
      SELECT 'pid ' || a.pid || ' (' || coalesce(nullif(a.application_name, ''), 'no application_name') ||
        coalesce(', ' || (extract(epoch FROM now() - a.xact_start) / 60)::int || ' min', '') || ')'
      FROM pg_catalog.pg_stat_activity a
      LEFT JOIN (
        SELECT DISTINCT l.pid FROM pg_catalog.pg_locks l JOIN family ON family.oid = l.relation
        WHERE l.granted AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
      ) AS held ON held.pid = a.pid
      WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
        AND (held.pid IS NOT NULL OR a.backend_xmin IS NOT NULL)
      ORDER BY held.pid IS NULL, a.xact_start LIMIT 3)sql",
                               params);
  std::string text;
  for (int row = 0; rows && row < rows->rows(); ++row) {
    text += (text.empty() ? "held by " : ", ") + std::string(rows->text(row, 0));
  }
  return text.empty() ? "held by nobody any more" : text;
}

}  // namespace runtail
