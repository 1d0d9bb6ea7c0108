// A kept line as the rows that PostgreSQL would have of it.
#pragma once

#include <string_view>
#include <vector>

#include "core/event.h"
#include "derive/deriver.h"
#include "schema/rows/log_event.h"
#include "schema/rows/traces.h"

namespace runtail {

// Of texts the first 8,192 characters, of a context no more than 64 KiB, as history/log_queries.h reads them. `kinds`
// names RedactionCount::kind.
LogEventRow log_event_row(const RedactedEvent& event, const Derived& derived, const Origin& origin,
                          std::string_view stream, const DeriverSettings& settings,
                          const std::vector<std::string>& kinds);
SpanRow span_row(const SpanFact& fact);

}  // namespace runtail
