#include <algorithm>
#include <cctype>
#include <string>

#include "derive/deriver.h"

namespace runtail {
namespace {

struct WordRule {
  std::string_view word;  // lower case
  ErrorCategory category;
};

// Words: used for the word itself and for words of the message. The first hit wins, so the
// order is the order of the table.
constexpr WordRule kWords[] = {
    {"api", ErrorCategory::kApi},
    {"http", ErrorCategory::kApi},
    {"upstream", ErrorCategory::kApi},
    {"auth", ErrorCategory::kApi},
    {"unauthorized", ErrorCategory::kApi},
    {"forbidden", ErrorCategory::kApi},
    {"rate limit", ErrorCategory::kApi},
    {"ratelimit", ErrorCategory::kApi},
    {"quota", ErrorCategory::kApi},
    {"timeout", ErrorCategory::kApi},
    {"gateway", ErrorCategory::kApi},
    {"dns", ErrorCategory::kApi},
    {"network", ErrorCategory::kApi},
    {"transient_error", ErrorCategory::kApi},
    {"db", ErrorCategory::kDb},
    {"database", ErrorCategory::kDb},
    {"sql", ErrorCategory::kDb},
    {"deadlock", ErrorCategory::kDb},
    {"lock", ErrorCategory::kDb},
    {"connection pool", ErrorCategory::kDb},
    {"replica", ErrorCategory::kDb},
    {"serialization", ErrorCategory::kDb},
    {"data", ErrorCategory::kData},
    {"schema", ErrorCategory::kData},
    {"drift", ErrorCategory::kData},
    {"validation", ErrorCategory::kData},
    {"constraint", ErrorCategory::kData},
    {"duplicate", ErrorCategory::kData},
    {"null", ErrorCategory::kData},
    {"parse", ErrorCategory::kData},
    {"decode", ErrorCategory::kData},
    {"type mismatch", ErrorCategory::kData},
    {"system", ErrorCategory::kSystem},
    {"oom", ErrorCategory::kSystem},
    {"memory", ErrorCategory::kSystem},
    {"disk", ErrorCategory::kSystem},
    {"config", ErrorCategory::kSystem},
    {"config_error", ErrorCategory::kSystem},
    {"system_error", ErrorCategory::kSystem},
    {"permission", ErrorCategory::kSystem},
    {"killed", ErrorCategory::kSystem},
    {"signal", ErrorCategory::kSystem},
    {"crash", ErrorCategory::kSystem},
};

// Column "codes and types": exact, case-folded.
constexpr WordRule kCodes[] = {
    {"etimedout", ErrorCategory::kApi},       {"econnrefused", ErrorCategory::kApi},
    {"econnreset", ErrorCategory::kApi},      {"enotfound", ErrorCategory::kApi},
    {"eupstream", ErrorCategory::kApi},       {"httperror", ErrorCategory::kApi},
    {"connectionerror", ErrorCategory::kApi}, {"readtimeout", ErrorCategory::kApi},
    {"operationalerror", ErrorCategory::kDb}, {"psqlexception", ErrorCategory::kDb},
    {"schema_drift", ErrorCategory::kData},   {"valueerror", ErrorCategory::kData},
    {"keyerror", ErrorCategory::kData},       {"jsondecodeerror", ErrorCategory::kData},
    {"integrityerror", ErrorCategory::kData}, {"dataerror", ErrorCategory::kData},
    {"enospc", ErrorCategory::kSystem},       {"enomem", ErrorCategory::kSystem},
    {"emfile", ErrorCategory::kSystem},       {"eacces", ErrorCategory::kSystem},
    {"memoryerror", ErrorCategory::kSystem},  {"oserror", ErrorCategory::kSystem},
    {"systemexit", ErrorCategory::kSystem},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

ErrorCategory of_word(std::string_view text) {
  const std::string word = lower(text);
  for (const WordRule& rule : kWords) {
    if (word == rule.word) return rule.category;
  }
  return ErrorCategory::kNone;
}

// Whole words only: "datagram" is no "data".
ErrorCategory of_message(std::string_view text) {
  const std::string message = lower(text.substr(0, 2048));
  std::size_t best = std::string::npos;
  ErrorCategory category = ErrorCategory::kNone;
  for (const WordRule& rule : kWords) {
    for (std::size_t at = message.find(rule.word); at != std::string::npos && at < best;
         at = message.find(rule.word, at + 1)) {
      const std::size_t end = at + rule.word.size();
      if ((at == 0 || !is_word(message[at - 1])) && (end == message.size() || !is_word(message[end]))) {
        best = at;
        category = rule.category;
        break;
      }
    }
  }
  return category;
}

bool is_sqlstate(std::string_view code) {
  return code.size() == 5 &&
         std::all_of(code.begin(), code.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); }) &&
         std::any_of(code.begin(), code.end(), [](char c) { return c >= '0' && c <= '9'; });
}

ErrorCategory of_code(std::string_view code) {
  if (code.empty()) return ErrorCategory::kNone;
  std::string folded = lower(code);
  // "requests.exceptions.HTTPError" counts as "HTTPError".
  if (const std::size_t dot = folded.rfind('.'); dot != std::string::npos) folded.erase(0, dot + 1);
  for (const WordRule& rule : kCodes) {
    if (folded == rule.word) return rule.category;
  }
  if (code.size() == 4 && (code.starts_with("E4") || code.starts_with("E5"))) return ErrorCategory::kApi;
  if (code.starts_with("ORA-") || code.starts_with("MY-")) return ErrorCategory::kDb;
  if (is_sqlstate(code))
    return code.starts_with("22") || code.starts_with("23") ? ErrorCategory::kData : ErrorCategory::kDb;
  return ErrorCategory::kNone;
}

}  // namespace

ErrorCategory categorise_error(const FieldSet& fields) {
  if (const std::string_view stated = fields.text(Field::kErrorCategory); !stated.empty()) {
    if (const auto exact = parse_error_category(stated)) return *exact;
    if (const ErrorCategory category = of_word(stated); category != ErrorCategory::kNone) return category;
  }
  if (const ErrorCategory category = of_code(fields.text(Field::kErrorCode)); category != ErrorCategory::kNone) {
    return category;
  }
  if (fields.integer(Field::kHttpStatus).value_or(0) >= 400) return ErrorCategory::kApi;
  if (const ErrorCategory category = of_code(fields.text(Field::kErrorType)); category != ErrorCategory::kNone) {
    return category;
  }
  for (const Field field : {Field::kErrorMessage, Field::kMsg}) {
    if (const ErrorCategory category = of_message(fields.text(field)); category != ErrorCategory::kNone)
      return category;
  }
  return ErrorCategory::kSystem;
}

}  // namespace runtail
