// Writing text as JSON.
#pragma once

#include <string>
#include <string_view>

namespace runtail {

// Appends `text` with quotes around it. Quotes, backslashes and control characters are escaped; each byte that is not
// part of valid UTF-8 becomes U+FFFD, so the result is always valid JSON.
void append_json_string(std::string& out, std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace runtail
