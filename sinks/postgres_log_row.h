// One log_events row, as binary COPY takes it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/event.h"
#include "derive/deriver.h"
#include "sinks/postgres_copy.h"

namespace runtail {

// Names, in the order append_log_row() writes them.
std::span<const std::string_view> log_event_columns();

// `kinds` names RedactionCount::kind.
void append_log_row(CopyRows& rows, const RedactedEvent& event, const Uuid& event_id, const Derived& derived,
                    const Origin& origin, std::string_view stream, const DeriverSettings& settings,
                    const std::vector<std::string>& kinds);

}  // namespace runtail
