#include "core/event_codec.h"

#include "core/bytes.h"

namespace runtail {
namespace {

enum Flag : std::uint8_t {
  kStored = 1,
  kAttemptFailed = 2,
  kPiiSafe = 4,
  kHasContext = 8,
  kHasRawText = 16,
  kHasCounts = 32,
  kRepaired = 64,
  kBeforeChunk = 128,
};

}  // namespace

void append_event(std::string& out, const RedactedEvent& event, std::int64_t offset, std::uint64_t length) {
  ByteWriter writer(out);
  writer.u8(static_cast<std::uint8_t>(
      (event.stored ? kStored : 0) | (event.attempt_failed ? kAttemptFailed : 0) | (event.pii_safe ? kPiiSafe : 0) |
      (event.context.empty() ? 0 : kHasContext) | (event.raw_text.empty() ? 0 : kHasRawText) |
      (event.counts.empty() ? 0 : kHasCounts) | (event.repaired ? kRepaired : 0) | (offset < 0 ? kBeforeChunk : 0)));
  writer.varint(static_cast<std::uint64_t>(offset < 0 ? -offset : offset));
  writer.varint(length);
  writer.u8(static_cast<std::uint8_t>(event.kind));
  writer.u8(static_cast<std::uint8_t>(event.level));
  writer.u8(event.status ? static_cast<std::uint8_t>(static_cast<int>(*event.status) + 1) : 0);
  writer.u8(static_cast<std::uint8_t>(static_cast<int>(event.verdict_source) | static_cast<int>(event.ts_source) << 2 |
                                      static_cast<int>(event.redaction_state) << 5));
  writer.fixed(to_micros(event.ts));
  writer.u8(static_cast<std::uint8_t>(event.fields.size()));
  event.fields.for_each([&](Field field, const FieldValue& value) {
    writer.u8(static_cast<std::uint8_t>(field));
    writer.u8(static_cast<std::uint8_t>(value.kind));
    switch (value.kind) {
      case FieldValue::Kind::kText:
      case FieldValue::Kind::kJson:
        writer.text(value.text);
        break;
      case FieldValue::Kind::kUuid:
        writer.raw(value.uuid.bytes.data(), value.uuid.bytes.size());
        break;
      case FieldValue::Kind::kInt:
      case FieldValue::Kind::kTime:
        writer.zigzag(value.integer);
        break;
      case FieldValue::Kind::kReal:
        writer.real(value.real);
        break;
      case FieldValue::Kind::kBool:
        writer.u8(value.integer != 0);
        break;
    }
  });
  if (!event.context.empty()) writer.text(event.context);
  if (!event.raw_text.empty()) writer.text(event.raw_text);
  if (!event.counts.empty()) {
    writer.varint(event.counts.size());
    for (const RedactionCount& count : event.counts) {
      writer.u8(count.kind);
      writer.varint(count.count);
    }
  }
  writer.text(event.dialect);
}

bool EventReader::next() {
  if (rest_.empty() || corrupt_) return false;
  ByteReader reader(rest_);
  const std::uint8_t flags = reader.u8();
  offset_ = static_cast<std::int64_t>(reader.varint());
  if (flags & kBeforeChunk) offset_ = -offset_;
  length_ = reader.varint();
  event_.stored = flags & kStored;
  event_.attempt_failed = flags & kAttemptFailed;
  event_.pii_safe = flags & kPiiSafe;
  event_.repaired = flags & kRepaired;
  event_.kind = static_cast<EventKind>(reader.u8());
  event_.level = static_cast<Level>(reader.u8());
  const std::uint8_t status = reader.u8();
  event_.status = status == 0 ? std::nullopt : std::optional(static_cast<RunStatus>(status - 1));
  const std::uint8_t packed = reader.u8();
  event_.verdict_source = static_cast<VerdictSource>(packed & 3);
  event_.ts_source = static_cast<TsSource>(packed >> 2 & 7);
  event_.redaction_state = static_cast<RedactionState>(packed >> 5);
  event_.ts = from_micros(reader.fixed<std::int64_t>());
  event_.fields.clear();
  for (int left = reader.u8(); left > 0 && !reader.failed(); --left) {
    const std::uint8_t at = reader.u8();
    if (at >= kFieldCount) {
      corrupt_ = true;
      return false;
    }
    FieldValue& value = event_.fields.put(static_cast<Field>(at));
    value.kind = static_cast<FieldValue::Kind>(reader.u8());
    switch (value.kind) {
      case FieldValue::Kind::kText:
      case FieldValue::Kind::kJson:
        value.text = reader.text();
        break;
      case FieldValue::Kind::kUuid:
        reader.raw(value.uuid.bytes.data(), value.uuid.bytes.size());
        uuid_texts_[at] = to_string(value.uuid);
        value.text = uuid_texts_[at];
        break;
      case FieldValue::Kind::kInt:
      case FieldValue::Kind::kTime:
        value.integer = reader.zigzag();
        break;
      case FieldValue::Kind::kReal:
        value.real = reader.real();
        break;
      case FieldValue::Kind::kBool:
        value.integer = reader.u8();
        break;
      default:
        corrupt_ = true;
        return false;
    }
  }
  event_.context = flags & kHasContext ? reader.text() : std::string_view{};
  event_.raw_text = flags & kHasRawText ? reader.text() : std::string_view{};
  event_.counts.clear();
  if (flags & kHasCounts) {
    for (std::uint64_t left = reader.varint(); left > 0 && !reader.failed(); --left) {
      const std::uint8_t kind = reader.u8();
      event_.counts.push_back({kind, static_cast<std::uint16_t>(reader.varint())});
    }
  }
  event_.dialect = reader.text();
  if (reader.failed() || event_.kind > EventKind::kMetricSnapshot || event_.level > Level::kFatal ||
      status > static_cast<int>(RunStatus::kSkipped) + 1) {
    corrupt_ = true;
    return false;
  }
  rest_ = reader.rest();
  return true;
}

}  // namespace runtail
