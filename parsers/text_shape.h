// A rule's text against a message, and what tells a body that must not be kept in JSON that cannot be parsed.
#pragma once

#include <string_view>
#include <vector>

#include "config/dialect_rule.h"

namespace runtail {

// True if the literals stand in `text` in this order; values[i] is then what stands at pieces[i], "" for literals. A
// value reaches to the literal behind it, or to the end, without blanks around it.
bool match_text(const std::vector<TextPiece>& pieces, bool from_beginning, std::string_view text,
                std::vector<std::string_view>& values);

// True if `mark` stands in `text` when blanks and backslashes in `text` are passed over, as in JSON within JSON.
bool has_mark(std::string_view text, std::string_view mark);

}  // namespace runtail
