#include "schema/roles.h"

#include <optional>
#include <string_view>

#include "core/embedded.h"

namespace runtail {
namespace {

// PostgreSQL cuts names at 63 bytes; "_retention" needs ten.
constexpr std::size_t kPrefixMax = 50;

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (std::size_t at; (at = text.find(from)) != std::string_view::npos; text.remove_prefix(at + from.size())) {
    out.append(text.substr(0, at)).append(to);
  }
  return out.append(text);
}

}  // namespace

Result<std::string> roles_script(const std::string& schema, const std::string& prefix) {
  if (prefix.empty() || prefix.size() > kPrefixMax) {
    return Error{ErrorCode::kInvalidInput,
                 "the prefix of roles has 1 to " + std::to_string(kPrefixMax) + " bytes: runtail gives runtail_writer"};
  }
  return replace_all(replace_all(embedded::runtail_roles(), "{{schema}}", quote_literal(schema)), "{{prefix}}",
                     quote_literal(prefix));
}

Result<void> grant_roles(PgConnection& connection, const std::string& schema, const std::string& prefix) {
  auto script = roles_script(schema, prefix);
  if (!script) return script.error();
  if (auto done = connection.exec(*script); !done) {
    return to_error(done.error(), "grant to the roles " + prefix + "_* on schema " + schema);
  }
  return {};
}

Result<std::vector<std::string>> granted_roles(PgConnection& connection, const std::string& schema) {
  const std::optional<std::string> params[] = {quote_identifier(schema) + ".identity_key"};
  auto rows = connection.query(
      "SELECT DISTINCT left(r.rolname, -length('_writer')) FROM pg_catalog.pg_class c, aclexplode(c.relacl) a "
      "JOIN pg_catalog.pg_roles r ON r.oid = a.grantee "
      "WHERE c.oid = to_regclass($1) AND a.privilege_type = 'SELECT' AND r.rolname LIKE '_%\\_writer' "
      "AND EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = left(r.rolname, -length('writer')) || 'reader') "
      "AND EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = left(r.rolname, -length('writer')) || 'retention') "
      "ORDER BY 1",
      params);
  if (!rows) return to_error(rows.error(), "look for the roles of schema " + schema);
  std::vector<std::string> prefixes;
  for (int row = 0; row < rows->rows(); ++row) prefixes.emplace_back(rows->text(row, 0));
  return prefixes;
}

}  // namespace runtail
