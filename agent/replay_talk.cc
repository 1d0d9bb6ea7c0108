#include "agent/replay_talk.h"

#include "core/bytes.h"

namespace runtail {
namespace {

Error malformed() {
  return {ErrorCode::kInvalidInput, "malformed: the agent and this runtail are not of the same version"};
}

void put_uuid(ByteWriter& writer, const Uuid& id) { writer.raw(id.bytes.data(), id.bytes.size()); }
Uuid uuid_of(ByteReader& reader) {
  Uuid id;
  reader.raw(id.bytes.data(), id.bytes.size());
  return id;
}

}  // namespace

std::string encode_past_batch(std::span<const SequencedChunk> chunks, const ReplayStep& step) {
  std::string out;
  ByteWriter writer(out);
  writer.text(encode_position(step.after));
  writer.text(step.before.to_text());
  writer.varint(chunks.size());
  for (const SequencedChunk& each : chunks) writer.text(encode_chunk(each.chunk));
  return out;
}

Result<PastBatch> decode_past_batch(std::string_view bytes) {
  ByteReader reader(bytes);
  const auto position = decode_position(reader.text());
  const auto before = CoveredRanges::parse(reader.text());
  if (!position || !before) return malformed();
  PastBatch batch{{}, {*before, *position}};
  for (std::uint64_t left = reader.varint(); left > 0; --left) {
    auto chunk = decode_chunk(reader.text());
    const bool follows = chunk && chunk->file == position->file &&
                         (batch.chunks.empty() || chunk->covers.from >= batch.chunks.back().covers.to);
    if (!follows || reader.failed()) return malformed();
    batch.chunks.push_back(std::move(*chunk));
  }
  if (batch.chunks.empty()) return malformed();
  return batch;
}

std::string encode_past_answer(const PastAnswer& answer) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(answer.is_taken);
  writer.text(answer.not_now);
  writer.varint(answer.place.emitted);
  writer.raw(answer.place.confirm.data(), answer.place.confirm.size());
  writer.u8(answer.place.is_followed);
  writer.u8(answer.place.is_all_there);
  writer.u8(answer.place.is_as_known);
  append_counts(writer, answer.expired);
  for (const auto& [run, change] : answer.runs) {
    writer.u8(static_cast<std::uint8_t>(change));
    put_uuid(writer, run);
  }
  return out;
}

Result<PastAnswer> decode_past_answer(std::string_view bytes) {
  ByteReader reader(bytes);
  PastAnswer answer;
  answer.is_taken = reader.u8() != 0;
  answer.not_now = reader.text();
  answer.place.emitted = reader.varint();
  reader.raw(answer.place.confirm.data(), answer.place.confirm.size());
  answer.place.is_followed = reader.u8() != 0;
  answer.place.is_all_there = reader.u8() != 0;
  answer.place.is_as_known = reader.u8() != 0;
  answer.expired = read_counts(reader);
  while (!reader.failed() && !reader.rest().empty()) {
    const auto change = static_cast<RunChange>(reader.u8());
    answer.runs[uuid_of(reader)] = change;
  }
  if (reader.failed()) return malformed();
  return answer;
}

std::string encode_start(const ReplayStart& start) {
  std::string out;
  ByteWriter writer(out);
  writer.raw(start.key.bytes.data(), start.key.bytes.size());
  for (const StoredPosition& each : start.positions) {
    Position position;
    position.file = each.file;
    position.confirm = each.confirm;
    position.first_seen = each.first_seen_at;
    writer.text(encode_position(position));
    writer.text(each.covered.to_text());
  }
  return out;
}

Result<ReplayStart> decode_start(std::string_view bytes) {
  ByteReader reader(bytes);
  ReplayStart start;
  reader.raw(start.key.bytes.data(), start.key.bytes.size());
  while (!reader.failed() && !reader.rest().empty()) {
    const auto position = decode_position(reader.text());
    const auto covered = CoveredRanges::parse(reader.text());
    if (!position || !covered) return malformed();
    start.positions.push_back({position->file, *covered, position->confirm, position->first_seen, {}});
  }
  if (reader.failed()) return malformed();
  return start;
}

std::string encode_file(const FileIdentity& file, std::span<const LineTrace> lines) {
  std::string out;
  ByteWriter writer(out);
  Position position;
  position.file = file;
  writer.text(encode_position(position));
  for (const LineTrace& line : lines) {
    put_uuid(writer, line.event_id);
    writer.varint(static_cast<std::uint64_t>(to_micros(line.at)));
  }
  return out;
}

Result<std::pair<FileIdentity, std::vector<LineTrace>>> decode_file(std::string_view bytes) {
  ByteReader reader(bytes);
  const auto position = decode_position(reader.text());
  if (!position) return malformed();
  std::vector<LineTrace> lines;
  while (!reader.failed() && !reader.rest().empty()) {
    const Uuid id = uuid_of(reader);
    lines.push_back({id, from_micros(static_cast<std::int64_t>(reader.varint())), std::nullopt});
  }
  if (reader.failed()) return malformed();
  return std::pair(position->file, std::move(lines));
}

}  // namespace runtail
