#include "history/query.h"

namespace runtail {
namespace {

// As an array is written: {"a","b"}.
std::string text_array(const std::vector<std::string>& texts) {
  std::string out = "{";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

}  // namespace

Statement& Statement::only_of(const Projects& projects, std::string_view column) {
  if (!projects) return *this;
  return add(" AND ").add(column).add(" = ANY(").bind(text_array(*projects)).add("::text[])");
}

Statement& Statement::only_runs_of(const Projects& projects, std::string_view column) {
  if (!projects) return *this;
  // A value and not EXISTS, which could be planned as a join with all runs there are.
  add(" AND (SELECT r.project_id FROM {{schema}}.run_ids i JOIN {{schema}}.job_runs r USING (run_id, scheduled_at) "
      "WHERE i.run_id = ")
      .add(column)
      .add(") = ANY(");
  return bind(text_array(*projects)).add("::text[])");
}

}  // namespace runtail
