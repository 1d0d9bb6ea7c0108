// Questions about stored lines.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "history/query.h"
#include "schema/rows/log_event.h"

namespace runtail {

struct RunLines {
  Uuid run_id;
};
struct TaskLines {
  Uuid task_run_id;
};
struct CorrelationLines {
  std::string correlation_id;
};
struct TraceLines {
  std::string trace_id;
};
using LinesOf = std::variant<RunLines, TaskLines, CorrelationLines, TraceLines>;

// The last line of a page; the next one begins after it.
struct LineCursor {
  TimePoint ts;
  Uuid event_id;
};

// Of texts the first 8,192 characters, of a context no more than 64 KiB. In order of time; lines of one microsecond by event_id.
// `projects`: without the lines that name another one; lines that name none are left to who asked for them.
Query<LogEventRow> log_lines(const LinesOf& of, const TimeRange& range, int limit,
                             const std::optional<LineCursor>& after = {}, int skip = 0, const Projects& projects = {});
// ERROR and FATAL of all runs, the latest first; lines of one microsecond by event_id.
Query<LogEventRow> error_lines(const TimeRange& range, int limit, const std::optional<LineCursor>& after = {});

}  // namespace runtail
