// The second look at what a pattern found: is it really one?
#pragma once

#include <cstddef>
#include <string_view>

namespace runtail {

// Judges text[begin, end); may look at the bytes around it.
using Validator = bool (*)(std::string_view text, std::size_t begin, std::size_t end);

// By the name rules use; nullptr for a name not listed here:
//   none         everything
//   luhn         13 to 19 digits, a first digit that card issuers use (2 to 6), Luhn's check digit
//   ssn          area not 000, 666 or 9xx, group not 00, serial not 0000
//   jwt          first segment decodes to a JSON object with "alg", or the second begins like a JSON object too
//   opaque       a token rather than a word: digits or mixed case
//   basic        Base64 of text with a ':' in it (user:password)
//   value        not a placeholder: null, none, true, false, asterisks
//   email        not the user@host of a URL or of a git remote
Validator find_validator(std::string_view name);

}  // namespace runtail
