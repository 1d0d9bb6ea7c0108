// What has to be done to text and JSON before PostgreSQL takes them.
#pragma once

#include <string>
#include <string_view>

namespace runtail {

// Appends `json` as jsonb accepts it and as readers survive it: \u0000 becomes the text "\u0000", a lone surrogate
// U+FFFD, a number with |exponent| > 308 or more than 40 digits a string (jsonb would write 1e131071 out in full), and
// what lies deeper than 64 containers the string "[deeper than 64]". All else stays byte for byte.
// `json` is JSON already; broken JSON stays broken and is refused by the server as a bad value.
void append_neutral_json(std::string& out, std::string_view json);

// Appends `text` as a JSON string for a text column, which takes no NUL: it becomes U+FFFD, as does what is not UTF-8.
void append_text_json(std::string& out, std::string_view text);

}  // namespace runtail
