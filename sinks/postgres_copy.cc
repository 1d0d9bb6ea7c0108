#include "sinks/postgres_copy.h"

#include "sinks/postgres_json.h"

namespace runtail {
namespace {

constexpr char kHeader[] =
    "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";  // its final NUL is the last byte of the extension length
static_assert(sizeof kHeader == 11 + 4 + 4);

}  // namespace

void CopyRows::clear() { bytes_.assign(kHeader, sizeof kHeader); }

void CopyRows::text(std::string_view value) {
  if (std::memchr(value.data(), 0, value.size()) == nullptr) {
    number(static_cast<std::int32_t>(value.size()));
    bytes_ += value;
    return;
  }
  number(std::int32_t{0});
  const std::size_t at = bytes_.size();
  for (const char c : value) {
    if (c == '\0')
      bytes_ += "\xEF\xBF\xBD";
    else
      bytes_ += c;
  }
  set_length(at);
}

void CopyRows::jsonb(std::string_view json) {
  number(std::int32_t{0});
  const std::size_t at = bytes_.size();
  bytes_ += '\1';  // version of the binary form of jsonb
  append_neutral_json(bytes_, json);
  set_length(at);
}

void CopyRows::set_length(std::size_t at) {
  const std::uint32_t length = __builtin_bswap32(static_cast<std::uint32_t>(bytes_.size() - at));
  std::memcpy(bytes_.data() + at - sizeof length, &length, sizeof length);
}

std::string_view CopyRows::finish() {
  number(std::int16_t{-1});
  return bytes_;
}

}  // namespace runtail
