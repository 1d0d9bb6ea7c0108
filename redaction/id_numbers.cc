#include "redaction/id_numbers.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "redaction/letters.h"

namespace runtail {
namespace {

std::string digits_of(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), is_digit);
  return digits;
}

bool luhn(std::string_view digits) {
  int sum = 0;
  bool twice = false;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, twice = !twice) {
    const int value = (*digit - '0') * (twice ? 2 : 1);
    sum += value > 9 ? value - 9 : value;
  }
  return sum % 10 == 0;
}

bool all_same(std::string_view digits) {
  return std::all_of(digits.begin(), digits.end(), [&](char c) { return c == digits[0]; });
}

}  // namespace

bool is_card_number(std::string_view text) {
  const std::string digits = digits_of(text);
  const std::size_t size = digits.size();
  if (size < 13 || size > 19 || all_same(digits)) return false;
  const auto prefix = [&](std::size_t count) { return std::stoi(digits.substr(0, count)); };
  const int two = prefix(2), three = prefix(3), four = prefix(4);
  const bool issued = (digits[0] == '4' && (size == 13 || size == 16 || size == 19)) ||                 // Visa
                      (((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) && size == 16) ||   // Mastercard
                      ((two == 34 || two == 37) && size == 15) ||                                       // Amex
                      ((four == 6011 || two == 65 || (three >= 644 && three <= 649)) && size >= 16) ||  // Discover
                      (four >= 3528 && four <= 3589 && size >= 16) ||                                   // JCB
                      (((three >= 300 && three <= 305) || three == 309 || two == 36 || two == 38 || two == 39) &&
                       size == 14) ||                                                                     // Diners
                      (two == 62 && size >= 16) ||                                                        // UnionPay
                      ((two == 50 || (two >= 56 && two <= 58) || two == 63 || two == 67) && size >= 16);  // Maestro
  return issued && luhn(digits);
}

bool is_us_ssn(std::string_view text) {
  const std::string digits = digits_of(text);
  if (digits.size() != 9) return false;
  const std::string_view area = std::string_view(digits).substr(0, 3);
  const bool is_itin = area[0] == '9' && digits[3] >= '5';
  return area != "000" && area != "666" && (area[0] != '9' || is_itin) && digits.compare(3, 2, "00") != 0 &&
         digits.compare(5, 4, "0000") != 0;
}

bool is_iban(std::string_view text) {
  // Lengths by country, ISO 13616 registry.
  static constexpr std::string_view kLengths =
      "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18"
      "GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15"
      "PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";
  std::string letters;
  for (const char c : text) {
    if (is_alnum(c)) letters += is_lower(c) ? static_cast<char>(c - 32) : c;
  }
  if (letters.size() < 15) return false;
  std::size_t country = 0;
  while (country < kLengths.size() && kLengths.substr(country, 2) != std::string_view(letters).substr(0, 2))
    country += 4;
  if (country >= kLengths.size()) return false;
  const auto length = static_cast<std::size_t>((kLengths[country + 2] - '0') * 10 + (kLengths[country + 3] - '0'));
  if (letters.size() != length) return false;
  // Digits and letters of lower-case hexadecimal are the id of a document.
  const bool is_hex =
      std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
  if (is_hex && std::any_of(text.begin() + 2, text.end(), is_lower)) return false;
  std::rotate(letters.begin(), letters.begin() + 4, letters.end());
  int rest = 0;
  for (const char c : letters) rest = is_digit(c) ? (rest * 10 + (c - '0')) % 97 : (rest * 100 + (c - 'A' + 10)) % 97;
  return rest == 1;
}

bool is_npi(std::string_view text) {
  const std::string digits = digits_of(text);
  return digits.size() == 10 && (digits[0] == '1' || digits[0] == '2') && luhn("80840" + digits);
}

bool is_dea_number(std::string_view text) {
  const std::string digits = digits_of(text);
  if (digits.size() != 7) return false;
  const auto at = [&](std::size_t i) { return digits[i] - '0'; };
  return (at(0) + at(2) + at(4) + 2 * (at(1) + at(3) + at(5))) % 10 == at(6);
}

bool is_nhs_number(std::string_view text) {
  const std::string digits = digits_of(text);
  if (digits.size() != 10 || all_same(digits)) return false;
  int sum = 0;
  for (int i = 0; i < 9; ++i) sum += (digits[static_cast<std::size_t>(i)] - '0') * (10 - i);
  const int check = (11 - sum % 11) % 11;
  return check != 10 && check == digits[9] - '0';
}

bool is_phone_number(std::string_view text) {
  const std::string digits = digits_of(text);
  if (digits.size() < 7 || digits.size() > 15 || all_same(digits)) return false;
  if (text.find_first_not_of(".0123456789") == std::string_view::npos && is_ip_address(text)) return false;
  // 695.9941 is a rate.
  const std::size_t dot = text.find('.');
  if (digits.size() < 8 && dot != std::string_view::npos &&
      text.find_first_of(" ./-", dot + 1) == std::string_view::npos)
    return false;
  if (text.size() == 8 && text == digits && digits.starts_with("20") && is_date(digits)) return false;  // 20260921
  return text.size() < 10 || text[0] == '+' || !is_date(text.substr(0, 10));
}

bool is_date(std::string_view text) {
  std::array<int, 3> numbers{};
  std::size_t count = 0, digits = 0;
  bool has_month_name = false;
  for (std::size_t i = 0; i < text.size();) {
    if (is_digit(text[i])) {
      if (count == 3) return false;
      int number = 0;
      const std::size_t begin = i;
      for (; i < text.size() && is_digit(text[i]) && i - begin < 9; ++i) number = number * 10 + (text[i] - '0');
      digits += i - begin;
      numbers[count++] = number;
    } else {
      has_month_name = has_month_name || is_letter(text[i]);
      ++i;
    }
  }
  const auto year = [](int n) { return (n >= 1880 && n <= 2100) || (n >= 0 && n <= 99); };
  const auto month = [](int n) { return n >= 1 && n <= 12; };
  const auto day = [](int n) { return n >= 1 && n <= 31; };
  if (has_month_name)
    return count == 2 && ((day(numbers[0]) && year(numbers[1])) || (year(numbers[0]) && day(numbers[1])));
  if (count == 1 && digits == 8) {  // 19800131
    const int n = numbers[0];
    return n / 10000 >= 1880 && n / 10000 <= 2100 && month(n / 100 % 100) && day(n % 100);
  }
  if (count != 3) return false;
  const auto [a, b, c] = numbers;
  return (year(a) && month(b) && day(c)) || (year(c) && ((month(a) && day(b)) || (day(a) && month(b))));
}

bool is_ip_address(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.empty() || text.size() >= buffer.size()) return false;
  std::copy(text.begin(), text.end(), buffer.begin());
  std::array<unsigned char, 16> bytes{};
  if (text.find(':') == std::string_view::npos) {
    if (inet_pton(AF_INET, buffer.data(), bytes.data()) != 1) return false;
    return bytes[0] != 0 && bytes[0] != 127 && !(bytes[0] == 255 && bytes[1] == 255);
  }
  if (inet_pton(AF_INET6, buffer.data(), bytes.data()) != 1) return false;
  // "::", "::1" and what could be a scope of a programming language (a::b).
  const auto groups = std::count(text.begin(), text.end(), ':');
  const bool has_digit = std::any_of(text.begin(), text.end(), is_digit);
  const bool is_low = std::all_of(bytes.begin(), bytes.end() - 1, [](unsigned char b) { return b == 0; });
  return !is_low && has_digit && (groups >= 3 || text.find(':') >= 3);
}

}  // namespace runtail
