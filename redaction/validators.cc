#include "redaction/validators.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>

namespace runtail {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

std::string digits_of(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), is_digit);
  return digits;
}

// Standard and URL alphabet; stops at the first byte of neither.
std::string decode_base64(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    std::uint32_t value;
    if (is_upper(c))
      value = static_cast<std::uint32_t>(c - 'A');
    else if (is_lower(c))
      value = static_cast<std::uint32_t>(c - 'a') + 26;
    else if (is_digit(c))
      value = static_cast<std::uint32_t>(c - '0') + 52;
    else if (c == '+' || c == '-')
      value = 62;
    else if (c == '/' || c == '_')
      value = 63;
    else
      break;
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return out;
}

bool none(std::string_view, std::size_t, std::size_t) { return true; }

bool luhn(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string digits = digits_of(text.substr(begin, end - begin));
  if (digits.size() < 13 || digits.size() > 19 || digits[0] < '2' || digits[0] > '6') return false;
  int sum = 0;
  bool twice = false;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, twice = !twice) {
    const int value = (*digit - '0') * (twice ? 2 : 1);
    sum += value > 9 ? value - 9 : value;
  }
  return sum % 10 == 0;
}

bool ssn(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string digits = digits_of(text.substr(begin, end - begin));
  if (digits.size() != 9) return false;
  const std::string_view area = std::string_view(digits).substr(0, 3);
  return area != "000" && area != "666" && area[0] != '9' && digits.compare(3, 2, "00") != 0 &&
         digits.compare(5, 4, "0000") != 0;
}

bool jwt(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view token = text.substr(begin, end - begin);
  const std::size_t dot = token.find('.');
  if (dot == std::string_view::npos) return false;
  return token.substr(dot).starts_with(".eyJ") ||
         decode_base64(token.substr(0, dot)).find("\"alg\"") != std::string::npos;
}

bool opaque(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view token = text.substr(begin, end - begin);
  if (std::any_of(token.begin(), token.end(), is_digit)) return true;
  return std::any_of(token.begin(), token.end(), is_lower) && std::any_of(token.begin() + 1, token.end(), is_upper);
}

bool basic(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string pair = decode_base64(text.substr(begin, end - begin));
  return pair.find(':') != std::string::npos &&
         std::none_of(pair.begin(), pair.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

bool value(std::string_view text, std::size_t begin, std::size_t end) {
  std::string word(text.substr(begin, end - begin));
  while (!word.empty() && (word.back() == '}' || word.back() == ')' || word.back() == ']' || word.back() == '.')) {
    word.pop_back();
  }
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return is_upper(c) ? static_cast<char>(c + 32) : c; });
  static constexpr std::array<std::string_view, 7> kPlaceholders = {"",     "null",  "none",     "nil",
                                                                    "true", "false", "undefined"};
  return std::find(kPlaceholders.begin(), kPlaceholders.end(), word) == kPlaceholders.end() &&
         word.find_first_not_of('*') != std::string::npos;
}

bool email(std::string_view text, std::size_t begin, std::size_t end) {
  if (text.substr(begin, end - begin).starts_with("git@")) return false;
  // postgres://user:secret@host.internal is an address of a machine; the password has a rule of its own. No byte of a
  // user or password written as RFC 3986 asks ends the look back, and a host that long does not exist.
  constexpr std::size_t kUserInfoBytesMax = 512;
  for (std::size_t i = begin; i > 2 && begin - i < kUserInfoBytesMax; --i) {
    const char c = text[i - 1];
    if (c == '/') return !(text[i - 2] == '/' && text[i - 3] == ':');
    if (c == '?' || c == '#' || c == '=' || c == '&' || c == ',' || c == ';' || c == '"' || c == ' ' || c == '\t' ||
        c == '\n')
      break;
  }
  return true;
}

constexpr std::pair<std::string_view, Validator> kValidators[] = {
    {"none", none},     {"luhn", luhn},   {"ssn", ssn},     {"jwt", jwt},
    {"opaque", opaque}, {"basic", basic}, {"value", value}, {"email", email},
};

}  // namespace

Validator find_validator(std::string_view name) {
  for (const auto& [known, validator] : kValidators) {
    if (known == name) return validator;
  }
  return nullptr;
}

}  // namespace runtail
