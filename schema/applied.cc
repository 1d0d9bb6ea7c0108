#include "schema/applied.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace runtail {
namespace {

struct Row {
  int version;
  std::string name, checksum_hex;
};

Result<std::vector<Row>> read_rows(PgConnection& connection, const std::string& schema) {
  const std::string table = quote_identifier(schema) + ".schema_migrations";
  const std::optional<std::string> params[] = {table};
  // Other tools call a table of theirs so, too.
  auto present = connection.query(
      "SELECT to_regclass($1) IS NOT NULL, EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = "
      "to_regclass($1) AND attname = 'checksum' AND atttypid = 'bytea'::regtype)",
      params);
  if (!present) return to_error(present.error(), "look for " + schema + ".schema_migrations");
  std::vector<Row> found;
  if (!present->boolean(0, 0)) return found;
  if (!present->boolean(0, 1)) {
    return Error{ErrorCode::kInvalidInput,
                 "schema " + schema +
                     " has a table schema_migrations of another tool; runtail keeps its versions in "
                     "a table of that name: give it a schema of its own (--schema, postgres.schema)"};
  }
  auto rows = connection.exec("SELECT version, name, encode(checksum, 'hex') FROM " + table + " ORDER BY version");
  if (!rows) return to_error(rows.error(), "read " + schema + ".schema_migrations");
  for (int row = 0; row < rows->rows(); ++row) {
    found.push_back(
        {static_cast<int>(rows->integer(row, 0)), std::string(rows->text(row, 1)), std::string(rows->text(row, 2))});
  }
  return found;
}

std::string join(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

}  // namespace

bool Applied::left_out_group(const std::string& group) const {
  return std::find(left_out.begin(), left_out.end(), group) != left_out.end();
}

Result<Applied> read_applied(PgConnection& connection, const std::string& schema,
                             const std::vector<Migration>& migrations) {
  auto rows = read_rows(connection, schema);
  if (!rows) return rows.error();
  Applied applied;
  applied.has.resize(migrations.size());
  for (const Row& row : *rows) {
    const std::string which = "schema " + schema + ": migration " + std::to_string(row.version) + "_" + row.name;
    if (row.version < 1 || static_cast<std::size_t>(row.version) > migrations.size()) {
      return Error{ErrorCode::kCorrupt, which +
                                            " is newer than this runtail knows; use the runtail that applied it, or "
                                            "a later one"};
    }
    const Migration& ours = migrations[static_cast<std::size_t>(row.version) - 1];
    if (row.checksum_hex != to_hex(ours.checksum)) {
      return Error{ErrorCode::kCorrupt, which + " was applied from another text than this runtail's " + label(ours) +
                                            ".up.sql (checksum " + row.checksum_hex.substr(0, 12) + ", ours " +
                                            to_hex(ours.checksum).substr(0, 12) +
                                            "); an applied migration must not change: use the runtail that applied it"};
    }
    applied.has[static_cast<std::size_t>(row.version) - 1] = true;
    applied.newest = row.version;
  }
  for (const Migration& migration : migrations) {
    if (migration.version >= applied.newest || applied.has[static_cast<std::size_t>(migration.version) - 1]) continue;
    const bool partly = std::any_of(migrations.begin(), migrations.end(), [&](const Migration& other) {
      return other.group == migration.group && applied.has[static_cast<std::size_t>(other.version) - 1];
    });
    if (migration.group.empty() || partly) {
      return Error{ErrorCode::kCorrupt, "schema " + schema + ": migration " + label(migration) +
                                            " is missing, although later ones are there: a row of schema_migrations "
                                            "was lost; restore it"};
    }
    if (!applied.left_out_group(migration.group)) applied.left_out.push_back(migration.group);
  }
  return applied;
}

Result<std::vector<std::string>> check_tables(PgConnection& connection, const std::string& schema,
                                              std::span<const std::string_view> tables) {
  auto rows = read_rows(connection, schema);
  if (!rows) return rows.error();
  std::string names;
  for (const std::string_view table : tables) (names += names.empty() ? "{" : ",") += table;
  const std::optional<std::string> params[] = {schema, names + "}"};
  auto absent = connection.query(
      "SELECT name, to_regnamespace(quote_ident($1)) IS NULL FROM unnest($2::text[]) AS t(name) "
      "WHERE to_regclass(format('%I.%I', $1::text, name)) IS NULL",
      params);
  if (!absent) return to_error(absent.error(), "look for the tables of schema " + schema);
  const int newest = rows->empty() ? 0 : rows->back().version;
  const std::vector<Migration> migrations = embedded_migrations();
  std::vector<std::string> left_out, gone, missing;
  int needed = newest;
  if (absent->rows() > 0 && absent->boolean(0, 1)) {
    return Error{ErrorCode::kNotFound, "schema " + schema + " is missing; run: runtail migrate"};
  }
  for (int row = 0; row < absent->rows(); ++row) {
    const std::string table(absent->text(row, 0));
    const auto maker = std::find_if(migrations.begin(), migrations.end(), [&](const Migration& migration) {
      const auto made = relations_made_by(migration, schema);
      return std::any_of(made.begin(), made.end(), [&](const MadeRelation& one) { return one.name == table; });
    });
    if (maker == migrations.end()) throw std::logic_error("no migration makes table " + table);
    const bool applied =
        std::any_of(rows->begin(), rows->end(), [&](const Row& each) { return each.version == maker->version; });
    if (applied) {
      gone.push_back(table);
    } else if (!maker->group.empty() && maker->version < newest) {
      left_out.push_back(table);
    } else {
      missing.push_back(table + " (version " + std::to_string(maker->version) + ")");
      needed = std::max(needed, maker->version);
    }
  }
  if (!gone.empty()) {
    return Error{ErrorCode::kNotFound, "schema " + schema + ", version " + std::to_string(newest) +
                                           ": somebody removed " + join(gone) +
                                           "; restore it from a backup, or drop what is left and run: runtail migrate"};
  }
  if (missing.empty()) return left_out;
  return Error{ErrorCode::kNotFound,
               "schema " + schema + (newest == 0 ? " has no version" : " is at version " + std::to_string(newest)) +
                   ", this runtail needs " + std::to_string(needed) + "; missing: " + join(missing) +
                   "; run, as its owner: runtail migrate"};
}

std::string schema_fault(PgConnection& connection, const std::string& schema,
                         std::span<const std::string_view> tables) {
  if (auto there = check_tables(connection, schema, tables); !there) return there.error().message;
  // The tables are there, so a column or a type is not.
  auto rows = read_rows(connection, schema);
  if (!rows) return rows.error().message;
  const int newest = rows->empty() ? 0 : rows->back().version, ours = embedded_migrations().back().version;
  const std::string is_at = "schema " + schema + " is at version " + std::to_string(newest);
  if (newest < ours) {
    return is_at + ", this runtail writes version " + std::to_string(ours) + "; run, as its owner: runtail migrate";
  }
  if (newest > ours) {
    return is_at + ", this runtail writes version " + std::to_string(ours) +
           "; install the runtail that brought the schema there";
  }
  return is_at +
         " as it should be, but somebody changed it: restore what is missing (runtail migrate --print shows how it was "
         "made)";
}

}  // namespace runtail
