// What the configuration says about the lines of a source, and how it comes to a line that does not say it itself.
#pragma once

#include <string>
#include <string_view>

#include "agent/line_block.h"
#include "config/config.h"
#include "core/event.h"
#include "core/result.h"

namespace runtail {

// Of fields, timezone and dialect of a source. kInvalidInput: a time zone the machine does not have.
Result<LineDefaults> line_defaults(const SourceConfig& source);

// `text` as the kind of value the field holds: text, a UUID or a whole number. A field of another kind, or a text that
// is no number where one is due, is left out. `text` outlives `fields`.
void put_default(FieldSet& fields, Field field, std::string_view text);

// Appends members ("\"a\":1,\"b\":\"x\"") to an open object, with a comma where one is needed, but for those whose name
// `stated`, a whole object or "", has too. All are written without spaces.
void append_missing_members(std::string& object, std::string_view members, std::string_view stated);

// Puts what `defaults` say, and by which output the line came, where the line does not say it. `context` is
// memory for the event's new context, and outlives the event; its old one lies elsewhere.
void put_defaults(const LineDefaults& defaults, Output output, RedactedEvent& event, std::string& context);

// Of a tool that names no run, the process is one: as its wrapper calls it, else by its container, else by its file.
// Not where many processes share a position. An event that names a run stays as it is. `text` is memory, as `context`
// is.
void put_process_run(const LineBlock& block, RedactedEvent& event, std::string& text);

}  // namespace runtail
