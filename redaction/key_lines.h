// A private key written line by line: each line of it is an event of its own.
#pragma once

#include <string_view>

#include "redaction/redactor.h"

namespace runtail {

// Is `text`, the next message of a stream, a line inside a private key that began on a line before? Its first line is
// found by the rules, which look at one text at a time. Updates `memory`.
bool is_key_line(std::string_view text, StreamMemory& memory);

}  // namespace runtail
