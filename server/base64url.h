// Bytes as text that may stand in a URL or a header: RFC 4648, section 5, without padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace runtail {

std::string to_base64url(std::string_view bytes);
// Of two spellings of the same bytes only the one that to_base64url() writes; std::nullopt for all else.
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace runtail
