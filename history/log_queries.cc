#include "history/log_queries.h"

namespace runtail {
namespace {

// A line may be as long as line_bytes_max; a page of such lines would not fit anywhere. Whoever shows them shows less.
constexpr std::string_view kTextRead = "8192", kJsonRead = "65536";

Statement select_lines() {
  // Each column once, in the order the row is read in.
  std::string columns = select_list<LogEventRow>() + ", ";
  const auto instead = [&](const std::string& column, const std::string& expression) {
    const std::string known = ", \"" + column + "\", ";
    if (const std::size_t at = columns.find(known); at != columns.npos)
      columns.replace(at, known.size(), ", " + expression + " AS " + column + ", ");
  };
  for (const char* text : {"message", "error_message", "error_stack", "raw_text"})
    instead(text, "left(" + std::string(text) + ", " + std::string(kTextRead) + ")");
  instead("context", "CASE WHEN octet_length(context::text) <= " + std::string(kJsonRead) +
                         " THEN context WHEN context IS NOT NULL THEN '{\"truncated\": true}' END");
  return Statement("SELECT " + columns.substr(0, columns.size() - 2) + " FROM {{schema}}.log_events WHERE ");
}

void add_range(Statement& statement, const TimeRange& range) {
  statement.add("ts >= ").bind(range.from).add(" AND ts < ").bind(range.to);
}

struct AddCondition {
  Statement& statement;
  void operator()(const RunLines& of) { statement.add("run_id = ").bind(of.run_id); }
  void operator()(const TaskLines& of) { statement.add("task_run_id = ").bind(of.task_run_id); }
  void operator()(const CorrelationLines& of) { statement.add("correlation_id = ").bind(of.correlation_id); }
  void operator()(const TraceLines& of) { statement.add("trace_id = ").bind(of.trace_id); }
};

}  // namespace

Query<LogEventRow> log_lines(const LinesOf& of, const TimeRange& range, int limit,
                             const std::optional<LineCursor>& after, int skip, const Projects& projects) {
  Statement statement = select_lines();
  std::visit(AddCondition{statement}, of);
  statement.add(" AND ");
  add_range(statement, range);
  if (projects) statement.add(" AND (project_id IS NULL OR (true").only_of(projects).add("))");
  statement.page_follows();
  if (after) {
    // The row comparison is one that an index on (…, ts) and the choice of partitions can start at only by its first
    // member, so that stands alone, too.
    statement.add(" AND ts >= ").bind(after->ts);
    statement.add(" AND (ts, event_id) > (").bind(after->ts).add(", ").bind(after->event_id).add(")");
  }
  statement.add(" ORDER BY ts, event_id").limit(limit).skip(skip);
  return std::move(statement).as<LogEventRow>("log_lines");
}

Query<LogEventRow> error_lines(const TimeRange& range, int limit, const std::optional<LineCursor>& after) {
  Statement statement = select_lines();
  statement.add("level IN ('ERROR', 'FATAL') AND ");
  add_range(statement, range);
  if (after) {
    statement.add(" AND ts <= ").bind(after->ts);
    statement.add(" AND (ts < ").bind(after->ts).add(" OR event_id > ").bind(after->event_id).add(")");
  }
  statement.add(" ORDER BY ts DESC, event_id").limit(limit);
  return std::move(statement).as<LogEventRow>("error_lines");
}

}  // namespace runtail
