// Questions about traces, conversations and documents: tables of the optional groups.
#pragma once

#include <optional>
#include <string>

#include "history/query.h"
#include "schema/rows/chat_message.h"
#include "schema/rows/document_event.h"
#include "schema/rows/traces.h"

namespace runtail {

// In order of start.
Query<SpanRow> spans_of_trace(const std::string& trace_id, const TimeRange& range, int limit);
Query<SpanRow> spans_of_run(const Uuid& run_id, const TimeRange& range, int limit, int skip = 0);
// In the order they were said.
Query<ChatMessageRow> messages_of_session(const std::string& session_id, const TimeRange& range, int limit);
// The latest first.
Query<DocumentEventRow> events_of_document(const std::string& document_id, const TimeRange& range, int limit);

}  // namespace runtail
