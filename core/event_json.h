// A redacted event as one line of JSON, for people and scripts: redact, tap, buffer ls. The format is stable:
//   {"redacted":true,"state":"masked","counts":{"email":1},
//    "ts":"2026-03-01T00:00:02.000000Z","level":"INFO","event":"run.finished","status":"success",
//    "msg":"...", every contract field of the line by its name (core/field.h)...,
//    "context":{...}, "text":"..."}
// redacted: something was masked or dropped whole. state: clean, masked, failed_closed. counts: masked spans by kind.
// ts is left out where none is known, event where it is "plain", status where the line has none (a status word that
// means nothing stands as it was written), context and text where they are empty. Times are UTC with six digits.
#pragma once

#include <span>
#include <string>

#include "core/event.h"

namespace runtail {

// Appends the object, without a newline. `kinds`: names of RedactionCount::kind (Redactor::kinds()); an index beyond
// them is left out.
void append_event_json(std::string& out, const RedactedEvent& event, std::span<const std::string> kinds);

}  // namespace runtail
