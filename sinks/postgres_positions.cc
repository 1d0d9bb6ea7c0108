#include "sinks/postgres_positions.h"

#include <algorithm>

#include "sinks/postgres_rows.h"

namespace runtail {
namespace {

// A worker with a wild clock must not keep a position for ever; lines further ahead are set aside anyway.
constexpr std::chrono::hours kFutureMax{48};

std::string_view as_text(const auto& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// What the chunks of one file ask for.
struct File {
  const Chunk* last = nullptr;  // the one that ends furthest
  TimePoint first_seen_at, covers_until;
  CoveredRanges covered, missing;
};

}  // namespace

PgOutcome<void> PostgresPositions::advance(PgConnection& connection, const PositionStatements& sql,
                                           std::span<const SequencedChunk> chunks, const std::string& agent_id,
                                           TimePoint now) {
  missing_.assign(chunks.size(), {});
  asked_.clear();
  new_.assign(chunks.size(), false);
  std::map<FileIdentity, File> files;
  for (const SequencedChunk& each : chunks) {
    const Chunk& chunk = each.chunk;
    asked_.push_back(chunk.covers);
    const auto [at, fresh] = files.try_emplace(chunk.file);
    File& file = at->second;
    if (fresh || chunk.covers.to > file.last->covers.to) file.last = &chunk;
    file.first_seen_at = fresh ? chunk.read_at : std::min(file.first_seen_at, chunk.read_at);
    file.covers_until = std::max(file.covers_until, std::min(chunk.covers_until, now + kFutureMax));
  }

  const auto put_key = [](JsonRows& rows, const FileIdentity& file) {
    rows.begin_row();
    rows.stated_text("stream", file.stream);
    rows.bytes("file_key", as_text(file.file_key));
    rows.integer("generation", file.generation);
  };
  const auto put_file = [&](JsonRows& rows, const FileIdentity& identity, const File& file) {
    put_key(rows, identity);
    rows.bytes("confirm", as_text(file.last->confirm));
    rows.time("first_seen_at", file.first_seen_at);
    rows.time("now_at", now);
    rows.time("covers_until", file.covers_until);
    rows.stated_text("agent_id", agent_id);
  };
  JsonRows rows;
  for (const auto& [identity, file] : files) put_file(rows, identity, file);
  const std::optional<std::string> params[] = {rows.take()};
  if (auto made = connection.query(sql.insert, params); !made) return made.error();
  auto locked = connection.query(sql.lock, params);
  if (!locked) return locked.error();
  if (static_cast<std::size_t>(locked->rows()) != files.size()) {
    return PgError{"40001", "a position was removed while it was being locked"};
  }
  // Both in order of key.
  int row = 0;
  for (auto& [identity, file] : files) {
    const auto covered = CoveredRanges::parse(locked->text(row, 3));
    if (!covered || locked->text(row, 0) != identity.stream || locked->text(row, 1) != to_hex(identity.file_key)) {
      return PgError{"XX000", "positions: unexpected row for stream " + identity.stream};
    }
    file.covered = *covered;
    ++row;
  }

  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const Chunk& chunk = chunks[i].chunk;
    File& file = files.at(chunk.file);
    new_[i] = file.covered.empty();
    CoveredRanges have = file.covered;
    for (const ByteRange& range : file.missing.ranges()) have.add(range);
    missing_[i] = have.missing_of(chunk.covers);
    for (const ByteRange& range : missing_[i].ranges()) file.missing.add(range);
  }
  std::int64_t moving = 0;
  for (const auto& [identity, file] : files) {
    if (file.missing.empty()) continue;
    ++moving;
    put_file(rows, identity, file);
    rows.stated_text("missing", file.missing.to_text());
    rows.integer("upper", static_cast<std::int64_t>(file.last->covers.to));
  }
  if (moving == 0) return {};
  const std::optional<std::string> advances[] = {rows.take()};
  auto advanced = connection.query(sql.advance, advances);
  if (!advanced) return advanced.error();
  if (advanced->affected() != moving) return PgError{"40001", "positions moved under a lock"};
  return {};
}

bool PostgresPositions::was_covered(std::size_t chunk, std::uint64_t offset) const {
  return !missing_[chunk].contains(offset);
}

bool PostgresPositions::all_covered() const {
  return std::all_of(missing_.begin(), missing_.end(), [](const CoveredRanges& missing) { return missing.empty(); });
}

std::size_t PostgresPositions::conflicts() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < missing_.size(); ++i) {
    CoveredRanges asked;
    asked.add(asked_[i]);
    count += missing_[i].ranges() != asked.ranges();
  }
  return count;
}

}  // namespace runtail
