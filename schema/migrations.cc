#include "schema/migrations.h"

#include <algorithm>
#include <charconv>
#include <regex>

#include "core/embedded.h"
#include "schema/pg.h"

namespace runtail {
namespace {

constexpr std::string_view kPlaceholder = "{{schema}}";
constexpr std::string_view kGroups[] = {"traces", "chat", "documents", "aggregates", "providers"};

std::string group_of(std::string_view name) {
  const std::string_view first = name.substr(0, name.find('_'));
  return std::string(std::find(std::begin(kGroups), std::end(kGroups), first) == std::end(kGroups) ? "" : first);
}

}  // namespace

std::span<const std::string_view> optional_groups() { return kGroups; }

std::vector<Migration> embedded_migrations() {
  constexpr std::string_view kUp = ".up.sql", kDown = ".down.sql";
  std::vector<Migration> migrations;
  for (const embedded::File& file : embedded::runtail_migrations()) {  // by name: down before up
    int version = 0;
    std::from_chars(file.name.data(), file.name.data() + 3, version);
    if (migrations.empty() || migrations.back().version != version) migrations.push_back({version, {}, {}, {}, {}, {}});
    Migration& migration = migrations.back();
    if (file.name.ends_with(kDown)) migration.down = file.text;
    if (!file.name.ends_with(kUp)) continue;
    migration.name = file.name.substr(4, file.name.size() - 4 - kUp.size());
    migration.group = group_of(migration.name);
    migration.up = file.text;
    migration.checksum = sha256(file.text);
  }
  return migrations;
}

std::string label(const Migration& migration) {
  const std::string digits = std::to_string(migration.version);
  return std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits + "_" + migration.name;
}

std::string sql_for_schema(std::string_view sql, const std::string& schema) {
  const std::string name = quote_identifier(schema);
  std::string text;
  for (std::size_t at; (at = sql.find(kPlaceholder)) != std::string_view::npos;) {
    text.append(sql.substr(0, at)).append(name);
    sql.remove_prefix(at + kPlaceholder.size());
  }
  return text.append(sql);
}

std::vector<MadeRelation> relations_made_by(const Migration& migration, const std::string& schema) {
  // An index lies in the schema of its table; a key makes an index of the key's name.
  static const std::regex kMade(
      R"re(CREATE (TABLE|VIEW) (\{\{schema\}\}|monitoring)\.(\w+)|CREATE (?:UNIQUE )?INDEX (\w+)|CONSTRAINT (\w+) (?:PRIMARY KEY|UNIQUE))re");
  std::vector<MadeRelation> made;
  using Matches = std::regex_iterator<std::string_view::const_iterator>;
  for (Matches match(migration.up.begin(), migration.up.end(), kMade), end; match != end; ++match) {
    const auto& found = *match;
    if (found[3].matched) {
      made.push_back({found[2] == "monitoring" ? "monitoring" : schema, found[3], found[1] == "TABLE"});
    } else {
      made.push_back({schema, found[4].matched ? found[4] : found[5], false});
    }
  }
  return made;
}

}  // namespace runtail
