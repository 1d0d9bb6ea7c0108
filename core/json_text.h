// Writing text as JSON.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace runtail {

// Appends `text` with quotes around it. Quotes, backslashes and control characters are escaped; each byte that is not
// part of valid UTF-8 becomes U+FFFD, so the result is always valid JSON.
void append_json_string(std::string& out, std::string_view text);

// Calls visit(name, value) for each member of a JSON object, not of those within it, that is a finite number. Names are
// given as they are written, escapes and all.
void for_each_number(std::string_view object, const std::function<void(std::string_view, double)>& visit);

bool is_utf8(std::string_view text);

}  // namespace runtail
