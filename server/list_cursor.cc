#include "server/list_cursor.h"

#include <charconv>
#include <vector>

#include "core/json_text.h"
#include "server/base64url.h"

namespace runtail {
namespace {

constexpr char kSeparator = '\x1F';
constexpr std::size_t kWordMax = 1024, kFields = 7;

template <typename Number>
bool read_number(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// Within what PostgreSQL and RFC 3339 can say.
bool read_time(const std::string& text, TimePoint& time) {
  std::int64_t micros = 0;
  if (!read_number(text, micros) || micros < 0 || micros > 9'214'646'400'000'000) return false;
  time = from_micros(micros);
  return true;
}

}  // namespace

std::string encode_cursor(const ListCursor& cursor) {
  std::string out = cursor.list;
  const auto field = [&](const std::string& text) { (out += kSeparator) += text; };
  field(cursor.range ? std::to_string(to_micros(cursor.range->from)) : "");
  field(cursor.range ? std::to_string(to_micros(cursor.range->to)) : "");
  field(cursor.after ? std::to_string(to_micros(cursor.after->at)) : "");
  field(cursor.after ? to_string(cursor.after->id) : "");
  field(std::to_string(cursor.skip));
  field(cursor.after ? cursor.after->text : "");
  return to_base64url(out);
}

std::optional<ListCursor> decode_cursor(std::string_view word) {
  if (word.size() > kWordMax) return std::nullopt;
  const auto bytes = from_base64url(word);
  if (!bytes) return std::nullopt;
  std::vector<std::string> fields(1);
  for (const char c : *bytes) {
    if (c == kSeparator && fields.size() < kFields) {
      fields.emplace_back();
    } else if (c == '\0') {
      return std::nullopt;
    } else {
      fields.back() += c;
    }
  }
  if (fields.size() != kFields || !is_utf8(*bytes)) return std::nullopt;
  ListCursor cursor;
  cursor.list = fields[0];
  if (!fields[1].empty() || !fields[2].empty()) {
    TimeRange range{};
    if (!read_time(fields[1], range.from) || !read_time(fields[2], range.to)) return std::nullopt;
    cursor.range = range;
  }
  if (!fields[3].empty() || !fields[4].empty()) {
    ListPlace place;
    const auto id = parse_uuid(fields[4]);
    if (!id || !read_time(fields[3], place.at)) return std::nullopt;
    place.id = *id;
    place.text = fields[6];
    cursor.after = std::move(place);
  }
  if (!read_number(fields[5], cursor.skip) || cursor.skip < 0) return std::nullopt;
  return cursor;
}

}  // namespace runtail
