#include "history/kept_lines.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/event_codec.h"
#include "history/kept_keys.h"

namespace runtail {
namespace {

using Key = std::pair<TimePoint, Uuid>;

struct Seen {
  const RedactedEvent& event;
  const Derived& derived;
  const Origin& origin;
  const Chunk& chunk;
};

// Where the next row of a run may be found.
std::vector<Sequence> chunks_of(const KeptState& kept, const Uuid& run_id) {
  std::vector<Sequence> out;
  kept.scan(id_key(kLinePlaces, run_id), {}, [&](std::string_view key, std::string_view) {
    if (const auto sequence = read_line_place_key(key)) out.push_back(*sequence);
    return true;
  });
  return out;
}

// visit(seen) for each event of the chunk. False: it is kept no longer.
template <typename Visit>
Result<bool> read_chunk(const KeptState& kept, const Deriver& deriver, Sequence sequence, const Visit& visit) {
  const auto chunk = kept.chunk(sequence);
  if (!chunk) return chunk.error();
  if (!*chunk) return false;
  const EventIds ids((*chunk)->file);
  Origin origin{&ids, 0, (*chunk)->default_job_id, (*chunk)->default_job_rank};
  Derived derived;
  IdMemory memory;
  for (EventReader events((*chunk)->events); events.next();) {
    origin.offset = events.offset_in((*chunk)->covers.from);
    deriver.derive(events.event(), origin, derived, &memory);
    visit(Seen{events.event(), derived, origin, **chunk});
  }
  return true;
}

// `key_of(seen)`: the row's place, or nothing where it gives none. `row_of(seen)`: the row.
template <typename Row, typename KeyOf, typename RowOf>
Result<Listing<Row>> page_of(const KeptState& kept, const Deriver& deriver, const Uuid& run_id, const Slice& slice,
                             KeptLines::Deadline until, const KeyOf& key_of, const RowOf& row_of) {
  const std::size_t skip = static_cast<std::size_t>(std::max(slice.skip, 0));
  const std::size_t wanted = skip + static_cast<std::size_t>(std::clamp(slice.rows, 1, kHistoryRowsMax));
  // The smallest places so far, with the chunk each is in: what is read twice stands once.
  std::map<Key, Sequence> places;
  std::int64_t total = 0;
  for (const Sequence sequence : chunks_of(kept, run_id)) {
    if (std::chrono::steady_clock::now() > until) {
      // As PostgreSQL says it of a statement.
      return Error{ErrorCode::kUnavailable, "the lines of the run take too long to read (SQLSTATE 57014)"};
    }
    const auto read = read_chunk(kept, deriver, sequence, [&](const Seen& seen) {
      const std::optional<Key> key = key_of(seen);
      if (!key) return;
      ++total;
      if (slice.after && *key <= Key(slice.after->at, slice.after->id)) return;
      if (places.size() == wanted && *key > std::prev(places.end())->first) return;
      places.try_emplace(*key, sequence);
      if (places.size() > wanted) places.erase(std::prev(places.end()));
    });
    if (!read) return read.error();
  }
  Listing<Row> out;
  if (slice.with_total) out.total = total;
  std::map<Sequence, std::set<Key>> shown;
  std::size_t at = 0;
  for (const auto& [key, sequence] : places) {
    if (at++ >= skip) shown[sequence].insert(key);
  }
  std::map<Key, Row> rows;
  for (const auto& [sequence, keys] : shown) {
    const auto read = read_chunk(kept, deriver, sequence, [&, &wanted_keys = keys](const Seen& seen) {
      const std::optional<Key> key = key_of(seen);
      if (key && wanted_keys.contains(*key)) rows.try_emplace(*key, row_of(seen));
    });
    if (!read) return read.error();
  }
  for (auto& [key, row] : rows) out.rows.push_back(std::move(row));
  return out;
}

}  // namespace

Result<Listing<LogEventRow>> KeptLines::lines(const Uuid& run_id, const Projects& projects, const Slice& slice,
                                              Deadline until) const {
  const auto key_of = [&](const Seen& seen) -> std::optional<Key> {
    if (!seen.derived.has(Table::kLogEvents) || !seen.derived.run || seen.derived.run->run_id != run_id) {
      return std::nullopt;
    }
    const std::string_view project = seen.event.fields.text(Field::kProjectId);
    if (projects && !project.empty() && std::find(projects->begin(), projects->end(), project) == projects->end()) {
      return std::nullopt;
    }
    return Key{seen.event.ts, seen.derived.run->event_id};
  };
  return page_of<LogEventRow>(kept_, deriver_, run_id, slice, until, key_of, [&](const Seen& seen) {
    return log_event_row(seen.event, seen.derived, seen.origin, seen.chunk.file.stream, deriver_.settings(), kinds_);
  });
}

Result<Listing<SpanRow>> KeptLines::spans(const Uuid& run_id, const Slice& slice, Deadline until) const {
  const auto key_of = [&](const Seen& seen) -> std::optional<Key> {
    const auto* span = std::get_if<SpanFact>(&seen.derived.own);
    if (!span || span->run_id != run_id) return std::nullopt;
    return Key{span->start, span->id};
  };
  return page_of<SpanRow>(kept_, deriver_, run_id, slice, until, key_of,
                          [](const Seen& seen) { return span_row(std::get<SpanFact>(seen.derived.own)); });
}

}  // namespace runtail
