// Rows in PostgreSQL's binary COPY format: "PGCOPY\n\377\r\n\0", i32 flags 0, i32 extension length 0; each row i16
// number of fields, each field i32 length (-1: null) and its bytes, all big-endian; at the end i16 -1.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/time.h"
#include "core/uuid.h"

namespace runtail {

// Reused from batch to batch: clear() keeps the memory. Fields are written in order of the columns.
class CopyRows {
 public:
  CopyRows() { clear(); }
  void clear();
  void begin_row(std::int16_t field_count) { number(field_count); }
  void null() { number(std::int32_t{-1}); }
  // A NUL becomes U+FFFD: text columns take none.
  void text(std::string_view value);
  void text_or_null(std::string_view value) { value.empty() ? null() : text(value); }
  void uuid(const Uuid& value) {
    number(std::int32_t{16});
    bytes_.append(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
  }
  void int32(std::int32_t value) { sized(value); }
  void int64(std::int64_t value) { sized(value); }
  void boolean(bool value) {
    number(std::int32_t{1});
    bytes_ += value ? '\1' : '\0';
  }
  void time(TimePoint value) { sized(to_micros(value) - kMicrosTo2000); }
  // JSON text, neutralised on the way.
  void jsonb(std::string_view json);

  // What was added since sent(); it begins with the header.
  std::string_view bytes() const { return bytes_; }
  // Forgets them, and keeps the memory.
  void sent() { bytes_.clear(); }
  // bytes() with the end of the COPY; nothing may be added after.
  std::string_view finish();

 private:
  static constexpr std::int64_t kMicrosTo2000 = 946'684'800'000'000;  // the server counts from 2000-01-01
  template <typename T>
  void number(T value) {
    if constexpr (sizeof value == 2) value = static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
    if constexpr (sizeof value == 4) value = static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
    if constexpr (sizeof value == 8) value = static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes_.append(raw, sizeof value);
  }
  template <typename T>
  void sized(T value) {
    number(static_cast<std::int32_t>(sizeof value));
    number(value);
  }
  // Puts the length of what was appended after `at` into the four bytes before it.
  void set_length(std::size_t at);

  std::string bytes_;
};
static_assert(std::endian::native == std::endian::little, "numbers are swapped to network order");

}  // namespace runtail
