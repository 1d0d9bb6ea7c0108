#include "redaction/validators.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "core/uuid.h"
#include "redaction/encoded_tokens.h"
#include "redaction/features.h"
#include "redaction/id_numbers.h"
#include "redaction/letters.h"

namespace runtail {
namespace {

bool none(std::string_view, std::size_t, std::size_t) { return true; }

template <bool (*kJudge)(std::string_view)>
bool judged(std::string_view text, std::size_t begin, std::size_t end) {
  return kJudge(text.substr(begin, end - begin));
}

bool jwt(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view token = text.substr(begin, end - begin);
  const std::size_t dot = token.find('.');
  if (dot == std::string_view::npos) return false;
  return token.substr(dot).starts_with(".eyJ") ||
         decoded_base64(token.substr(0, dot)).find("\"alg\"") != std::string::npos;
}

bool opaque(std::string_view text, std::size_t begin, std::size_t end) {
  return is_opaque(text.substr(begin, end - begin));
}

bool basic(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string pair = decoded_base64(text.substr(begin, end - begin));
  return pair.find(':') != std::string::npos &&
         std::none_of(pair.begin(), pair.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

bool token(std::string_view text, std::size_t begin, std::size_t end) {
  return end - begin >= 12 && opaque(text, begin, end);
}

bool assignments(std::string_view text, std::size_t begin, std::size_t end) {
  return text.substr(begin, end - begin).find('=') != std::string_view::npos;
}

bool age(std::string_view text, std::size_t begin, std::size_t end) {
  int years = 0;
  std::size_t digits = 0;
  if (end < text.size() && text[end] == '+') return false;  // 90+ is a group, as Safe Harbor asks for
  for (const char c : text.substr(begin, end - begin)) {
    if (!is_digit(c)) break;
    years = years * 10 + (c - '0');
    if (++digits > 3) return false;
  }
  return years > 89 && years < 150;
}

// Forty letters of Base64 that no digest would be: not hexadecimal, mixed.
bool aws_secret(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view secret = text.substr(begin, end - begin);
  const auto has = [&](auto is) { return std::any_of(secret.begin(), secret.end(), is); };
  return has(is_lower) && has(is_upper) && has(is_digit) && has([](char c) { return hex_value(c) < 0; });
}

// A token beside its vendor's name: digits and letters mixed, no UUID, no digest of a commit, no path, time or address.
bool vendor_token(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view found = text.substr(begin, end - begin);
  const auto count = [&](auto is) { return std::count_if(found.begin(), found.end(), is); };
  if (found.size() < 16 || found.size() > 128 || found.find("//") != std::string_view::npos || parse_uuid(found))
    return false;
  const bool is_hex = count([](char c) { return hex_value(c) < 0; }) == 0;
  if (is_hex && (found.size() == 40 || found.size() == 64)) {
    const std::string_view before = text.substr(begin > 24 ? begin - 24 : 0, std::min<std::size_t>(begin, 24));
    for (const std::string_view word : {"sha", "commit", "digest", "hash", "rev", "tree"}) {
      if (before.find(word) != std::string_view::npos) return false;
    }
  }
  if (count([](char c) { return c == '.' || c == ':' || c == '/' || c == '-'; }) * 5 > static_cast<long>(found.size()))
    return false;
  return count(is_digit) >= 3 && count(is_letter) >= 3;
}

// "subject 2026-03-01" names a day.
bool subject(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view found = text.substr(begin, end - begin);
  return !is_date(found) && std::count_if(found.begin(), found.end(), is_digit) >= 3;
}

// A date that no time of day follows: those tell when the line was written.
bool date_alone(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin == 0 || !is_date(text.substr(begin, end - begin))) return false;
  const bool has_time = end + 2 < text.size() && (text[end] == 'T' || text[end] == ' ') && is_digit(text[end + 1]) &&
                        is_digit(text[end + 2]);
  return !has_time;
}

// A birth date. One with a time of day is when a line was written, unless it is midnight, a word before it says what it
// is, or there is nothing beside it and the name of the member says so.
bool birth_date(std::string_view text, std::size_t begin, std::size_t end) {
  constexpr std::size_t kTimeBytesMax = 24, kBeforeBytesMax = 40;
  const std::size_t day_end = std::min(begin + 10, end);
  const bool is_moment =
      day_end < end && to_lower(text[day_end]) == 't' && text[begin + 4] == '-';  // 1980-04-12T03:40Z
  if (!is_date(text.substr(begin, (is_moment ? day_end : end) - begin))) return false;
  const std::string_view after = text.substr(is_moment ? day_end : end);
  const bool has_time = after.size() > 5 && (is_moment || after[0] == ' ') && is_digit(after[1]) && after[3] == ':';
  if (!has_time || after.substr(1, 5) == "00:00" || (begin == 0 && after.size() <= kTimeBytesMax)) return true;
  const std::size_t from = begin > kBeforeBytesMax ? begin - kBeforeBytesMax : 0;
  std::string before(text.substr(from, begin - from));
  std::transform(before.begin(), before.end(), before.begin(), to_lower);
  for (const std::string_view word : {"birth", "born", "dob", "d.o.b", "brthdtc", "geb"}) {
    if (before.find(word) != std::string::npos) return true;
  }
  return false;
}

// Groups of digits that nobody prints a card in: a value and the time after it, "474032 1778168055051".
bool card_in_groups(std::string_view text, std::size_t begin, std::size_t end) {
  constexpr std::size_t kGroupDigitsMax = 8;
  const std::string_view found = text.substr(begin, end - begin);
  if (!is_card_number(found)) return false;
  std::size_t group = 0;
  for (const char c : found) {
    group = is_digit(c) ? group + 1 : 0;
    if (group > kGroupDigitsMax) return false;
  }
  return true;
}

bool serial(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view found = text.substr(begin, end - begin);
  return std::count_if(found.begin(), found.end(), is_digit) >= 4 && !is_date(found) && !parse_uuid(found);
}

// Nobody writes a card into a path. 17 digits and more are ids of databases far more often than cards; in groups they
// are not.
bool card_in_text(std::string_view text, std::size_t begin, std::size_t end) {
  constexpr std::size_t kCardDigits = 16, kBefore = 40;
  const std::string_view found = text.substr(begin, end - begin);
  if (!is_card_number(found)) return false;
  if (!std::all_of(found.begin(), found.end(), is_digit)) return true;
  const auto is_slash = [&](std::size_t at) { return at < text.size() && text[at] == '/' && at > 0; };
  if (begin > 1 && is_slash(begin - 1) && is_alnum(text[begin - 2])) return false;
  if (found.size() <= kCardDigits) return true;
  std::string before(text.substr(begin > kBefore ? begin - kBefore : 0, std::min(begin, kBefore)));
  std::transform(before.begin(), before.end(), before.begin(), to_lower);
  return begin == 0 || before.find("card") != std::string::npos || before.find("pan") != std::string::npos;
}

bool has_digit(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view found = text.substr(begin, end - begin);
  return std::any_of(found.begin(), found.end(), is_digit);
}

// One or two digits alone are a count.
bool postcode(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view found = text.substr(begin, end - begin);
  const auto digits = std::count_if(found.begin(), found.end(), is_digit);
  return digits > 2 || (digits > 0 && std::any_of(found.begin(), found.end(), is_letter));
}

// In a text a number without decimals is a count.
bool coordinate(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view found = text.substr(begin, end - begin);
  const bool is_whole = begin == 0 && end == text.size();
  const std::size_t dot = found.find('.');
  return is_whole || found.find_first_not_of("+-.0123456789") != std::string_view::npos ||
         (dot != std::string_view::npos && found.size() - dot > 3);
}

bool no_path(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view found = text.substr(begin, end - begin);
  const bool has_word = std::any_of(found.begin(), found.end(), [](char c) { return is_alnum(c) || (c & 0x80) != 0; });
  if (!has_word || found.starts_with('%')) return false;  // a sign that a parser waited for, a format
  if (found.find(' ') != std::string_view::npos) return true;
  if (found.starts_with('/') || found.starts_with("./") || found.find("://") != std::string_view::npos) return false;
  for (const std::string_view ending : {".yaml", ".yml", ".json", ".csv", ".parquet", ".avro", ".xml", ".txt", ".gz",
                                        ".toml", ".ini", ".conf", ".sql", ".py"}) {
    if (found.ends_with(ending)) return false;
  }
  return true;
}

bool has_ending_of_file(std::string_view text, std::size_t at) {
  const std::string_view after = text.substr(at, 5);
  for (const std::string_view ending :
       {".jar", ".whl", ".tar", ".zip", ".tgz", ".rpm", ".deb", ".egg", ".pom", ".so"}) {
    if (after.starts_with(ending)) return true;
  }
  return false;
}

// Digits and dots that say which version, not which machine.
bool ip_in_text(std::string_view text, std::size_t begin, std::size_t end) {
  if (!is_ip_address(text.substr(begin, end - begin)) || has_ending_of_file(text, end)) return false;
  std::string before(text.substr(begin > 16 ? begin - 16 : 0, std::min<std::size_t>(begin, 16)));
  std::transform(before.begin(), before.end(), before.begin(), to_lower);
  for (const std::string_view word :
       {"version ", "version: ", "version=", "ver ", "release ", "build ", "agent/", "chrome/", "v"}) {
    if (before.ends_with(word)) return false;
  }
  return true;
}

// Words with capitals that are no names of things in a pipeline.
bool full_name(std::string_view text, std::size_t begin, std::size_t end) {
  static constexpr std::array<std::string_view, 64> kThings = {
      "service", "account", "table",     "data",    "error",      "id",         "record",    "records",
      "import",  "export",  "load",      "not",     "found",      "status",     "report",    "master",
      "summary", "type",    "name",      "portal",  "elephant",   "api",        "fhir",      "hl",
      "json",    "csv",     "xml",       "sql",     "etl",        "null",       "warn",      "rest",
      "node",    "nodes",   "server",    "cluster", "request",    "connection", "reset",     "session",
      "closed",  "opened",  "failed",    "lookup",  "rate",       "ratio",      "pipe",      "volume",
      "visits",  "visit",   "orders",    "daily",   "score",      "process",    "scheduler", "system",
      "loaded",  "down",    "restarted", "timeout", "enrollment", "consent",    "model",     "queue"};
  const std::string_view found = text.substr(begin, end - begin);
  for (std::size_t at = 0, next = 0; at < found.size(); at = next + 1) {
    next = std::min(found.find_first_of(" ,-", at), found.size());
    std::string word(found.substr(at, next - at));
    std::transform(word.begin(), word.end(), word.begin(), to_lower);
    if (std::find(kThings.begin(), kThings.end(), word) != kThings.end()) return false;
  }
  return true;
}

// What a list of values holds beside the names of values ("min=3", "'batch_size': 500") and words for nothing.
struct ListedValues {
  bool letters = false;
  std::size_t digits = 0;          // of numbers that no name stands before, and of long ones
  std::size_t unnamed_digits = 0;  // of the longest number that no name stands before
  bool numbered = false;           // begins with a number alone; names stand before all others: "17, column: 3"
};
constexpr std::size_t kIdentifyingDigits = 9;
ListedValues listed_values(std::string_view text) {
  ListedValues out;
  bool named = false, all_named = true;
  std::size_t values = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_alnum(text[at]) && static_cast<unsigned char>(text[at]) < 0x80) {
      if (text[at] == ',' || text[at] == ';' || text[at] == '|' || text[at] == '\t') named = false;
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() &&
           (is_alnum(text[end]) || text[end] == '_' || static_cast<unsigned char>(text[end]) >= 0x80))
      ++end;
    const std::string_view word = text.substr(at, end - at);
    at = end;
    const auto digits = static_cast<std::size_t>(std::count_if(word.begin(), word.end(), is_digit));
    std::size_t sign = end;
    while (sign < text.size() && (text[sign] == '\'' || text[sign] == '"' || text[sign] == '\\')) ++sign;
    while (sign < text.size() && text[sign] == ' ') ++sign;
    const bool is_name = digits < word.size() && sign < text.size() && (text[sign] == ':' || text[sign] == '=');
    if (is_name) {
      named = true;
      at = sign + 1;
      continue;
    }
    if (!named || digits >= kIdentifyingDigits) out.digits += digits;
    if (digits == word.size()) {
      if (!named) out.unnamed_digits = std::max(out.unnamed_digits, digits);
      if (values == 0 && !named) out.numbered = true;
    } else if (is_value(word, 0, word.size())) {
      out.letters = true;
    }
    all_named = all_named && (named || values == 0);
    ++values;
  }
  out.numbered = out.numbered && all_named && values > 1;
  return out;
}

// Something of a row: more than counts.
bool row(std::string_view text, std::size_t begin, std::size_t end) {
  const ListedValues values = listed_values(text.substr(begin, end - begin));
  return (values.letters && !values.numbered) || values.digits >= kIdentifyingDigits;
}

bool parameters(std::string_view text, std::size_t begin, std::size_t end) {
  constexpr std::size_t kIdDigits = 4;
  const ListedValues values = listed_values(text.substr(begin, end - begin));
  return values.letters || values.digits >= kIdentifyingDigits || values.unnamed_digits >= kIdDigits;
}

bool quoted(std::string_view text, std::size_t begin, std::size_t end) {
  return text.substr(begin, end - begin).find('\'') != std::string_view::npos;
}

// The password of a URL may hold a '/' that nobody encoded; digits before that, or before the ';' of an option, are a
// port.
bool url_password(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view found = text.substr(begin, end - begin);
  const std::string_view head = found.substr(0, found.find_first_of("/;"));
  return !std::all_of(head.begin(), head.end(), is_digit) && opaque(text, begin, end);
}

// Does text[begin, end) stand in a run too long for an address?
bool in_long_run(std::string_view text, std::size_t begin, std::size_t end) {
  const std::size_t from = begin, to = end;
  while (begin > 0 && from - begin <= kAddressRunBytesMax && belongs_to_address(text[begin - 1])) --begin;
  while (end < text.size() && end - to <= kAddressRunBytesMax && belongs_to_address(text[end])) ++end;
  return end - begin > kAddressRunBytesMax;
}

// A row of pairs that goes on is a fingerprint.
bool ipv6(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view found = text.substr(begin, end - begin);
  if (!is_ip_address(found) || in_long_run(text, begin, end)) return false;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if ((found[i] == ':') != (i % 3 == 2)) return true;
  }
  const bool goes_on = (begin > 1 && text[begin - 1] == ':' && hex_value(text[begin - 2]) >= 0) ||
                       (end + 1 < text.size() && text[end] == ':' && hex_value(text[end + 1]) >= 0);
  return !goes_on;
}

// A longer row of pairs is a fingerprint.
bool mac(std::string_view text, std::size_t begin, std::size_t end) {
  if (in_long_run(text, begin, end)) return false;
  const auto joins = [](char c) { return c == ':' || c == '-'; };
  return !(begin > 1 && joins(text[begin - 1]) && is_alnum(text[begin - 2])) &&
         !(end + 1 < text.size() && joins(text[end]) && is_alnum(text[end + 1]));
}

bool postal(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view place = text.substr(begin, end - begin);
  if (!is_value(text, begin, end)) return false;
  const bool spaced = place.find(' ') != std::string_view::npos;
  return spaced || place.find_first_of(".:/@") == std::string_view::npos;
}

bool email(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view found = text.substr(begin, end - begin);
  if (found.starts_with("git@") || found.starts_with("celery@")) return false;  // a user and a worker, of a machine
  // postgres://user:secret@host.internal is an address of a machine; the password has a rule of its own. No byte of a
  // user or password written as RFC 3986 asks ends the look back, and a host that long does not exist.
  constexpr std::size_t kUserInfoBytesMax = 512;
  for (std::size_t i = begin; i > 2 && begin - i < kUserInfoBytesMax; --i) {
    const char c = text[i - 1];
    if (c == '/') {
      const std::string_view before = text.substr(i > 96 ? i - 96 : 0, i - 1 - (i > 96 ? i - 96 : 0));
      // ":\\/\\/" is how some write JSON.
      return !before.ends_with(":/") && !before.ends_with(":\\/\\") && before.find("oracle:") == std::string_view::npos;
    }
    if (c == '?' || c == '#' || c == '=' || c == '&' || c == ',' || c == ';' || c == '"' || c == ' ' || c == '\t' ||
        c == '\n')
      break;
  }
  return true;
}

constexpr std::pair<std::string_view, Validator> kValidators[] = {
    {"none", none},
    {"card", judged<is_card_number>},
    {"card_in_text", card_in_text},
    {"card_in_groups", card_in_groups},
    {"has_digit", has_digit},
    {"postcode", postcode},
    {"coordinate", coordinate},
    {"no_path", no_path},
    {"parameters", parameters},
    {"ssn", judged<is_us_ssn>},
    {"iban", judged<is_iban>},
    {"npi", judged<is_npi>},
    {"dea", judged<is_dea_number>},
    {"nhs", judged<is_nhs_number>},
    {"phone", judged<is_phone_number>},
    {"date", judged<is_date>},
    {"ip", judged<is_ip_address>},
    {"jwt", jwt},
    {"opaque", opaque},
    {"token", token},
    {"basic", basic},
    {"value", is_value},
    {"assignments", assignments},
    {"email", email},
    {"vendor_token", vendor_token},
    {"subject", subject},
    {"date_alone", date_alone},
    {"birth_date", birth_date},
    {"serial", serial},
    {"ip_in_text", ip_in_text},
    {"full_name", full_name},
    {"row", row},
    {"quoted", quoted},
    {"url_password", url_password},
    {"mac", mac},
    {"ipv6", ipv6},
    {"age", age},
    {"aws_secret", aws_secret},
    {"postal", postal},
};

}  // namespace

bool is_opaque(std::string_view text) {
  if (std::any_of(text.begin(), text.end(), is_digit)) return true;
  return !text.empty() && std::any_of(text.begin(), text.end(), is_lower) &&
         std::any_of(text.begin() + 1, text.end(), is_upper);
}

bool is_value(std::string_view text, std::size_t begin, std::size_t end) {
  std::string word(text.substr(begin, std::min<std::size_t>(end - begin, 64)));
  while (!word.empty() && (word.back() == '}' || word.back() == ')' || word.back() == ']' || word.back() == '.')) {
    word.pop_back();
  }
  // ${NAME}, $NAME, %s and {{name}} are filled in elsewhere.
  if (word.starts_with("${") || word.starts_with("{{") || word == "%s" || word.starts_with("%(")) return false;
  if (word.size() > 1 && word[0] == '$' &&
      std::all_of(word.begin() + 1, word.end(), [](char c) { return is_upper(c) || c == '_'; })) {
    return false;
  }
  std::transform(word.begin(), word.end(), word.begin(), to_lower);
  static constexpr std::array<std::string_view, 18> kPlaceholders = {
      "",        "null",    "none",  "nil", "true",  "false", "undefined", "missing", "required",
      "invalid", "expired", "empty", "not", "unset", "n/a",   "<nil>",     "unknown", "[hidden"};
  return std::find(kPlaceholders.begin(), kPlaceholders.end(), word) == kPlaceholders.end() &&
         word.find_first_not_of("*.<>-_ ") != std::string::npos;
}

Validator find_validator(std::string_view name) {
  for (const auto& [known, validator] : kValidators) {
    if (known == name) return validator;
  }
  return nullptr;
}

}  // namespace runtail
