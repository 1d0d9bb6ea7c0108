#include "core/position.h"

#include "core/bytes.h"

namespace runtail {

std::string encode_position(const Position& position) {
  std::string out;
  ByteWriter writer(out);
  writer.text(position.file.stream);
  writer.raw(position.file.file_key.data(), position.file.file_key.size());
  writer.zigzag(position.file.generation);
  writer.varint(position.resume);
  writer.varint(position.emitted);
  writer.raw(position.confirm.data(), position.confirm.size());
  writer.fixed(to_micros(position.first_seen));
  writer.u8(position.last_ts.has_value());
  writer.fixed(position.last_ts ? to_micros(*position.last_ts) : std::int64_t{0});
  writer.text(position.source);
  return out;
}

std::optional<Position> decode_position(std::string_view bytes) {
  ByteReader reader(bytes);
  Position position;
  position.file.stream = reader.text();
  reader.raw(position.file.file_key.data(), position.file.file_key.size());
  position.file.generation = static_cast<std::int32_t>(reader.zigzag());
  position.resume = reader.varint();
  position.emitted = reader.varint();
  reader.raw(position.confirm.data(), position.confirm.size());
  position.first_seen = from_micros(reader.fixed<std::int64_t>());
  const bool timed = reader.u8() != 0;
  const std::int64_t last_ts = reader.fixed<std::int64_t>();
  if (timed) position.last_ts = from_micros(last_ts);
  position.source = reader.text();
  if (reader.failed()) return std::nullopt;
  return position;
}

}  // namespace runtail
