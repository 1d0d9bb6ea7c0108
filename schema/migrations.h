// The numbered SQL files, embedded in the binary.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"

namespace runtail {

struct Migration {
  int version = 0;   // 1, 2, 3, ... without gaps
  std::string name;  // "runs"
  // What `migrate --without` calls it; "" for what every schema has. All versions of a group are applied, or none. The
  // newest version belongs to no group, so that what is missing below the newest applied one was left out on purpose.
  std::string group;
  std::string_view up;  // SQL with {{schema}} where the quoted schema name goes
  std::string_view down;
  Bytes32 checksum{};  // SHA-256 of `up` as it stands
};

// schema/sql/NNN_name.{up,down}.sql, by version. A group's files are named after it: traces, traces_more.
std::vector<Migration> embedded_migrations();
std::span<const std::string_view> optional_groups();

// "002_runs".
std::string label(const Migration& migration);

// `sql` for a schema.
std::string sql_for_schema(std::string_view sql, const std::string& schema);

// Names of the tables, views and indexes it makes, as they are qualified: "observability.job_runs".
struct MadeRelation {
  std::string schema, name;
  bool is_table = false;
};
std::vector<MadeRelation> relations_made_by(const Migration& migration, const std::string& schema);

}  // namespace runtail
