#include "sinks/postgres_schema.h"

#include "schema/migrate.h"

namespace runtail {

bool is_about_schema(const PgError& error) {
  for (const std::string_view state : {"3F000", "42P01", "42703", "42704", "42804", "42883", "42P10"}) {
    if (error.sqlstate == state) return true;
  }
  return false;
}

std::string schema_fault(PgConnection& connection, const std::string& schema) {
  const auto found =
      connection.exec("SELECT coalesce(max(version), 0) FROM " + quote_identifier(schema) + ".schema_migrations");
  if (!found) {
    return is_about_schema(found.error())
               ? "schema " + schema + " is missing; run: runtail migrate"
               : "schema " + schema + " is missing or of another version; run: runtail migrate";
  }
  const std::int64_t there = found->integer(0, 0);
  const int ours = embedded_migrations().back().version;
  const std::string is_at = "schema " + schema + " is at version " + std::to_string(there);
  if (there < ours) {
    return is_at + ", this runtail writes version " + std::to_string(ours) + "; run: runtail migrate";
  }
  if (there > ours) {
    return is_at + ", this runtail writes version " + std::to_string(ours) +
           "; install the runtail that brought the schema there";
  }
  return is_at +
         " as it should be, but somebody changed it: restore what is missing (runtail migrate --print shows "
         "how it was made)";
}

}  // namespace runtail
