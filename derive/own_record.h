// What heartbeats, spans, chats, documents and synchronisations state.
#pragma once

#include "derive/deriver.h"

namespace runtail {

// L3: error messages are at most 2 KB, after redaction.
inline constexpr std::size_t kErrorMessageBytesMax = 2048;

// Fills `out.own` and adds its tables, if the line says what the record cannot do without: trace_id (32 hex digits or a
// UUID) and span_id (16 hex digits) of a span, session_id of a chat, document_id and event_type of a document, provider
// and a known status of a synchronisation, a service of a heartbeat. `out.run` is there already.
void derive_own(const RedactedEvent& event, const Origin& origin, const DeriverSettings& settings, Derived& out);

}  // namespace runtail
