#include "agent/journal_frame.h"

#include "core/bytes.h"

namespace runtail {
namespace {

// The journal's own limit for a field is 768 MiB; ours for a MESSAGE is line_bytes_max, far below.
constexpr std::uint32_t kFrameBytesMax = 1u << 30;

void put_size(std::string& out, std::size_t begin) {
  const auto size = static_cast<std::uint32_t>(out.size() - begin - sizeof(std::uint32_t));
  std::memcpy(out.data() + begin, &size, sizeof size);
}

}  // namespace

std::string encode_request(const JournalRequest& request) {
  std::string out;
  ByteWriter writer(out);
  writer.fixed(std::uint32_t{0});
  writer.text(request.directory);
  writer.varint(request.units.size());
  for (const std::string& unit : request.units) writer.text(unit);
  writer.varint(request.line_bytes_max);
  writer.zigzag(to_micros(request.oldest));
  writer.text(request.cursor);
  writer.varint(request.deaths);
  writer.varint(request.known.size());
  for (const JournalRequest::Known& known : request.known) {
    writer.raw(known.numbering.data(), known.numbering.size());
    writer.varint(known.next);
    writer.u8(known.begun);
  }
  put_size(out, 0);
  return out;
}

std::optional<JournalRequest> decode_request(std::string_view payload) {
  ByteReader reader(payload);
  JournalRequest request;
  request.directory = reader.text();
  for (std::uint64_t left = reader.varint(); left > 0 && !reader.failed(); --left) {
    request.units.emplace_back(reader.text());
  }
  request.line_bytes_max = reader.varint();
  request.oldest = from_micros(reader.zigzag());
  request.cursor = reader.text();
  request.deaths = static_cast<std::uint32_t>(reader.varint());
  for (std::uint64_t left = reader.varint(); left > 0 && !reader.failed(); --left) {
    JournalRequest::Known known;
    reader.raw(known.numbering.data(), known.numbering.size());
    known.next = reader.varint();
    known.begun = reader.u8() != 0;
    request.known.push_back(known);
  }
  if (reader.failed() || !reader.at_end()) return std::nullopt;
  return request;
}

void append_frame(std::string& out, const JournalFrame& frame) {
  const std::size_t begin = out.size();
  ByteWriter writer(out);
  writer.fixed(std::uint32_t{0});
  writer.u8(static_cast<std::uint8_t>(frame.type));
  if (frame.type <= JournalFrameType::kMissing) {
    writer.raw(frame.numbering.data(), frame.numbering.size());
    writer.varint(frame.number);
  }
  switch (frame.type) {
    case JournalFrameType::kEntry:
      writer.text(frame.cursor);
      writer.zigzag(to_micros(frame.at));
      writer.text(frame.unit);
      writer.text(frame.pid);
      writer.u8(frame.too_long);
      writer.varint(frame.length);
      writer.text(frame.text);
      break;
    case JournalFrameType::kPassed:
      writer.text(frame.cursor);
      break;
    case JournalFrameType::kMissing:
      writer.varint(frame.until);
      writer.u8(frame.unreadable);
      break;
    case JournalFrameType::kCaughtUp:
      break;
    case JournalFrameType::kFault:
      writer.text(frame.text);
  }
  put_size(out, begin);
}

FrameRead read_frame(std::string_view bytes, JournalFrame& frame, std::size_t& size) {
  ByteReader head(bytes);
  const auto length = head.fixed<std::uint32_t>();
  if (head.failed()) return FrameRead::kPartial;
  if (length == 0 || length > kFrameBytesMax) return FrameRead::kBroken;
  if (head.rest().size() < length) return FrameRead::kPartial;
  ByteReader reader(head.rest().substr(0, length));
  frame = {};
  frame.type = static_cast<JournalFrameType>(reader.u8());
  if (frame.type <= JournalFrameType::kMissing) {
    reader.raw(frame.numbering.data(), frame.numbering.size());
    frame.number = reader.varint();
  }
  switch (frame.type) {
    case JournalFrameType::kEntry:
      frame.cursor = reader.text();
      frame.at = from_micros(reader.zigzag());
      frame.unit = reader.text();
      frame.pid = reader.text();
      frame.too_long = reader.u8() != 0;
      frame.length = reader.varint();
      frame.text = reader.text();
      break;
    case JournalFrameType::kPassed:
      frame.cursor = reader.text();
      break;
    case JournalFrameType::kMissing:
      frame.until = reader.varint();
      frame.unreadable = reader.u8() != 0;
      break;
    case JournalFrameType::kCaughtUp:
      break;
    case JournalFrameType::kFault:
      frame.text = reader.text();
      break;
    default:
      return FrameRead::kBroken;
  }
  if (reader.failed() || !reader.at_end()) return FrameRead::kBroken;
  size = sizeof length + length;
  return FrameRead::kWhole;
}

}  // namespace runtail
