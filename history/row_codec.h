// Rows as bytes, by their own columns (schema/row.h): u8 format, then the columns in order. An optional one is u8 0, or
// u8 1 and the value. A row with fewer columns than are known today reads too: the rest keep their defaults.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/bytes.h"
#include "schema/row.h"

namespace runtail {

namespace row_codec {

inline constexpr std::uint8_t kFormat = 1;

struct Write {
  ByteWriter writer;

  void operator()(std::string_view, const auto& value) { write(value); }
  void computed(std::string_view, const auto& value) { write(value); }

 private:
  template <typename T>
  void write(const std::optional<T>& value) {
    writer.u8(value.has_value());
    if (value) write(*value);
  }
  void write(const std::string& value) { writer.text(value); }
  void write(const Json& value) { writer.text(value.text); }
  void write(const Uuid& value) { writer.raw(value.bytes.data(), value.bytes.size()); }
  void write(TimePoint value) { writer.zigzag(to_micros(value)); }
  void write(UsdMicros value) { writer.zigzag(value.micros); }
  void write(bool value) { writer.u8(value); }
  void write(double value) { writer.real(value); }
  void write(std::int16_t value) { writer.zigzag(value); }
  void write(std::int32_t value) { writer.zigzag(value); }
  void write(std::int64_t value) { writer.zigzag(value); }
};

struct Read {
  ByteReader reader;

  void operator()(std::string_view, auto& value) {
    if (!reader.at_end()) read(value);
  }
  void computed(std::string_view name, auto& value) { (*this)(name, value); }

 private:
  template <typename T>
  void read(std::optional<T>& value) {
    value.reset();
    if (reader.u8() != 0) read(value.emplace());
  }
  void read(std::string& value) { value = reader.text(); }
  void read(Json& value) { value.text = reader.text(); }
  void read(Uuid& value) { reader.raw(value.bytes.data(), value.bytes.size()); }
  void read(TimePoint& value) { value = from_micros(reader.zigzag()); }
  void read(UsdMicros& value) { value.micros = reader.zigzag(); }
  void read(bool& value) { value = reader.u8() != 0; }
  void read(double& value) { value = reader.real(); }
  template <std::signed_integral T>
  void read(T& value) {
    value = static_cast<T>(reader.zigzag());
  }
};

}  // namespace row_codec

template <typename Row>
std::string encode_row(const Row& row) {
  std::string out;
  row_codec::Write write{ByteWriter(out)};
  write.writer.u8(row_codec::kFormat);
  Row::columns(row, write);
  return out;
}

// std::nullopt: damaged, or of a format to come.
template <typename Row>
std::optional<Row> decode_row(std::string_view bytes) {
  Row row{};
  row_codec::Read read{ByteReader(bytes)};
  if (read.reader.u8() != row_codec::kFormat) return std::nullopt;
  Row::columns(row, read);
  if (read.reader.failed()) return std::nullopt;
  return row;
}

}  // namespace runtail
