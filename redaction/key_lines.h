// A private key written line by line: each line of it is an event of its own.
#pragma once

#include <string_view>

#include "redaction/redactor.h"

namespace runtail {

// Of `text`, the next message of a stream: where what belongs to a private key that began on a line before begins in
// it, behind what a logger writes before each line; npos if nothing does. The key's first line is found by the rules,
// which look at one text at a time. Updates `memory`.
std::size_t key_line_begin(std::string_view text, StreamMemory& memory);

}  // namespace runtail
