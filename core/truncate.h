#pragma once

#include <string_view>

namespace runtail {

// At most `bytes_max` bytes of `text`, cut on a UTF-8 boundary and never inside a redaction marker "[REDACTED:...]".
std::string_view truncate_redacted(std::string_view text, std::size_t bytes_max);

}  // namespace runtail
