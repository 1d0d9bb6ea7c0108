// Second chance for a JSON line the parser refused.
#pragma once

#include <string>
#include <string_view>

namespace runtail {

// The same JSON with what a strict parser refuses made acceptable: bad UTF-8 and lone surrogate escapes become U+FFFD,
// raw control characters inside strings become escapes (NUL: U+FFFD), numbers beyond 64 bits become strings.
// Structure is never invented: cut or broken JSON stays broken.
std::string repair_json(std::string_view line);

// The text with \uXXXX and \/ decoded, so that a secret in broken JSON is seen as what it is. Other escapes stay.
std::string decode_escapes(std::string_view text);

// Valid UTF-8 without NUL: bad bytes and NUL become U+FFFD. `changed` is set if anything did.
std::string repair_text(std::string_view text, bool& changed);
// True if repair_text would change nothing.
bool is_clean_text(std::string_view text);

}  // namespace runtail
