#include "core/chunk.h"

#include "core/bytes.h"

namespace runtail {

std::string_view to_string(Table table) {
  static constexpr std::string_view kNames[kTableCount] = {
      "log_events",         "job_runs",         "run_attempts",
      "task_runs",          "dataset_status",   "dq_observations",
      "dq_check_results",   "traces",           "spans",
      "chat_messages",      "document_events",  "provider_sync_status",
      "service_heartbeats", "metric_snapshots", "metrics_aggregates"};
  return kNames[static_cast<std::size_t>(table)];
}

RecordCounts& RecordCounts::operator+=(const RecordCounts& other) {
  for (std::size_t i = 0; i < kTableCount; ++i) by_table[i] += other.by_table[i];
  return *this;
}

RecordCounts& RecordCounts::operator-=(const RecordCounts& other) {
  for (std::size_t i = 0; i < kTableCount; ++i) by_table[i] -= other.by_table[i];
  return *this;
}

void append_counts(ByteWriter& writer, const RecordCounts& counts) {
  std::size_t size = kTableCount;
  while (size > 0 && counts.by_table[size - 1] == 0) --size;
  writer.varint(size);
  for (std::size_t i = 0; i < size; ++i) writer.varint(counts.by_table[i]);
}

RecordCounts read_counts(ByteReader& reader) {
  RecordCounts counts;
  const std::uint64_t size = reader.varint();
  if (size > kTableCount) reader.fail();
  for (std::uint64_t i = 0; i < size && !reader.failed(); ++i) counts.by_table[i] = reader.varint();
  return counts;
}

std::string encode_chunk(const Chunk& chunk) {
  std::string out;
  out.reserve(chunk.events.size() + 512);
  ByteWriter writer(out);
  writer.text(chunk.file.stream);
  writer.raw(chunk.file.file_key.data(), chunk.file.file_key.size());
  writer.zigzag(chunk.file.generation);
  writer.varint(chunk.covers.from);
  writer.varint(chunk.covers.to);
  writer.raw(chunk.confirm.data(), chunk.confirm.size());
  writer.fixed(to_micros(chunk.covers_until));
  writer.fixed(to_micros(chunk.read_at));
  writer.text(chunk.default_job_id);
  writer.u8(static_cast<std::uint8_t>(chunk.default_job_rank));
  append_counts(writer, chunk.records);
  writer.varint(chunk.lines);
  writer.text(chunk.events);
  writer.varint(chunk.dead_letters.size());
  for (const DeadLetter& letter : chunk.dead_letters) {
    writer.raw(letter.id.bytes.data(), letter.id.bytes.size());
    writer.fixed(to_micros(letter.at));
    writer.varint(letter.bytes.from);
    writer.varint(letter.bytes.to);
    writer.text(letter.reason);
    writer.text(letter.sqlstate);
    writer.text(letter.target_table);
    writer.text(letter.body);
  }
  return out;
}

std::optional<Chunk> decode_chunk(std::string_view bytes) {
  ByteReader reader(bytes);
  Chunk chunk;
  chunk.file.stream = reader.text();
  reader.raw(chunk.file.file_key.data(), chunk.file.file_key.size());
  chunk.file.generation = static_cast<std::int32_t>(reader.zigzag());
  chunk.covers.from = reader.varint();
  chunk.covers.to = reader.varint();
  reader.raw(chunk.confirm.data(), chunk.confirm.size());
  chunk.covers_until = from_micros(reader.fixed<std::int64_t>());
  chunk.read_at = from_micros(reader.fixed<std::int64_t>());
  chunk.default_job_id = reader.text();
  chunk.default_job_rank = reader.u8();
  chunk.records = read_counts(reader);
  chunk.lines = static_cast<std::uint32_t>(reader.varint());
  chunk.events = reader.text();
  const std::uint64_t letters = reader.varint();
  for (std::uint64_t i = 0; i < letters && !reader.failed(); ++i) {
    DeadLetter letter;
    reader.raw(letter.id.bytes.data(), letter.id.bytes.size());
    letter.at = from_micros(reader.fixed<std::int64_t>());
    letter.bytes.from = reader.varint();
    letter.bytes.to = reader.varint();
    letter.reason = reader.text();
    letter.sqlstate = reader.text();
    letter.target_table = reader.text();
    letter.body = reader.text();
    letter.file = chunk.file;
    chunk.dead_letters.push_back(std::move(letter));
  }
  if (reader.failed() || !reader.at_end()) return std::nullopt;
  return chunk;
}

}  // namespace runtail
