#include "sinks/postgres_delivery.h"

#include <algorithm>
#include <utility>

#include "core/event_codec.h"
#include "core/truncate.h"
#include "sinks/postgres_lines.h"
#include "sinks/postgres_record_writer.h"
#include "sinks/postgres_rows.h"
#include "sinks/postgres_verdict.h"

namespace runtail {
namespace {

// An event further ahead of now is set aside.
constexpr std::chrono::hours kFutureMax{48};
constexpr std::size_t kBodyBytesMax = 8192;

void count_tables(RecordCounts& counts, TableSet tables) {
  for (std::size_t i = 0; i < kTableCount; ++i) counts.by_table[i] += tables >> i & 1;
}

std::string_view body_of(const RedactedEvent& event) {
  return truncate_redacted(event.raw_text.empty() ? event.fields.text(Field::kMsg) : event.raw_text, kBodyBytesMax);
}

}  // namespace

PostgresDelivery::PostgresDelivery(PgConnection& connection, const PostgresTarget& target,
                                   std::span<const SequencedChunk> chunks, bool maybe_delivered, PostgresMemory& memory,
                                   StoredLines& stored)
    : connection_(connection),
      target_(target),
      chunks_(chunks),
      maybe_delivered_(maybe_delivered),
      tables_(tables_of(target.lane)),
      memory_(memory),
      stored_(stored),
      stored_of_(chunks.size()),
      writer_(connection, target.sql, target.deriver.settings(), target.now, target.is_live) {}

PgOutcome<void> PostgresDelivery::write() {
  const bool lines = target_.lane == PostgresLane::kLines;
  const PositionStatements& positions = lines ? target_.sql.line_positions : target_.sql.fact_positions;
  const std::string& agent_id = target_.deriver.settings().agent_id;
  if (auto done = positions_.advance(connection_, positions, chunks_, agent_id, target_.now); !done) {
    return done.error();
  }
  const bool missing_lines = lines && target_.missing_lines;
  if (positions_.all_covered() && !missing_lines) {
    for (const SequencedChunk& each : chunks_) {
      (maybe_delivered_ ? outcomes_.applied : outcomes_.duplicate) += each.chunk.records.of(tables_);
    }
    return {};
  }

  first_of_chunk_.clear();
  std::size_t events = 0;
  std::vector<DeadLetter> brought;
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    const Chunk& chunk = chunks_[i].chunk;
    first_of_chunk_.push_back(events);
    EventReader reader(chunk.events);
    while (reader.next()) ++events;
    if (reader.corrupt()) add_corrupt(chunk);
    if (!lines) continue;
    for (const DeadLetter& letter : chunk.dead_letters) {
      if (!positions_.was_covered(i, letter.bytes.from)) brought.push_back(letter);
    }
  }
  first_of_chunk_.push_back(events);
  if (auto done = lines ? look_for_lines_of_lost_positions() : look_for_lines_of_facts(); !done) return done.error();
  if (auto done = write_events(0, events); !done) return done.error();
  if (auto done = write_dead_letters(brought, false); !done) return done.error();
  return write_dead_letters(dead_, true);
}

PgOutcome<void> PostgresDelivery::write_events(std::size_t from, std::size_t to) {
  for (bool once_more = true;;) {
    Pass pass;
    if (auto done = connection_.exec("SAVEPOINT rows"); !done) return done.error();
    auto written = target_.lane == PostgresLane::kLines ? write_lines(from, to, pass) : write_facts(from, to, pass);
    if (!pass.missing_ahead.empty()) return partition_missing(pass.missing_ahead);
    if (written) {
      if (auto done = connection_.exec("RELEASE SAVEPOINT rows"); !done) return done.error();
      outcomes_ += pass.outcomes;
      dead_.insert(dead_.end(), std::make_move_iterator(pass.dead.begin()), std::make_move_iterator(pass.dead.end()));
      return {};
    }
    const PgError error = written.error();
    const PgVerdict verdict = judge(error);
    // Two rows for one key: the fold is wrong, and row by row it cannot be.
    internal_errors_ += error.sqlstate == "21000";
    const bool about_rows =
        verdict == PgVerdict::kBadRow || verdict == PgVerdict::kDuplicateRow || verdict == PgVerdict::kParentGone;
    if (!about_rows) return error;
    // Released, too: a savepoint left open for each of thousands of bad rows costs the server memory and time.
    if (auto undone = connection_.exec("ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows"); !undone)
      return undone.error();

    if (verdict == PgVerdict::kParentGone && std::exchange(once_more, false)) continue;
    if (verdict == PgVerdict::kDuplicateRow) {
      // Only lines are inserted without asking first: their position was lost, the rows were not.
      if (target_.lane != PostgresLane::kLines || asked_) return PgError{"40001", error.message};
      for (const SequencedChunk& each : chunks_) memory_.position_lost.insert(each.chunk.file);
      if (auto found = look_for_lines(false); !found) return found.error();
      continue;
    }
    if (pass.kept == 1) {
      refuse(pass.last_kept, error);
      continue;
    }
    // Halves are written one after the other, so keys are no longer in one order: with bad rows two writers may meet
    // in a deadlock, which is a retry.
    const std::size_t middle = from + (to - from) / 2;
    if (auto done = write_events(from, middle); !done) return done.error();
    return write_events(middle, to);
  }
}

PgOutcome<void> PostgresDelivery::write_facts(std::size_t from, std::size_t to, Pass& pass) {
  PostgresFold& fold = memory_.fold;
  fold.clear(target_.horizons);
  auto folded = each_kept(from, to, pass, [&](const Event& each) -> PgOutcome<void> {
    fold.add(each.event, each.origin, each.derived);
    return {};
  });
  if (!folded) return folded.error();
  pass.missing_ahead = fold.missing_ahead();
  pass.outcomes += fold.outcomes();
  if (!pass.missing_ahead.empty() || pass.kept == 0) return {};
  DirtyDays dirty;
  if (auto done = writer_.write(fold, dirty); !done) return done.error();
  auto there = write_records(connection_, target_.sql.records, fold.records, fold.aggregates);
  if (!there) return there.error();
  pass.outcomes.applied -= *there;
  pass.outcomes.duplicate += *there;
  // Here, not once at the end: should a day be refused, it is the fault of one of these rows.
  if (auto done = write_dirty_days(dirty); !done) return done.error();
  return {};
}

PgOutcome<void> PostgresDelivery::write_lines(std::size_t from, std::size_t to, Pass& pass) {
  PostgresLines lines(connection_, target_.sql, memory_.rows);
  const Horizon& horizon = target_.horizons.log_events;
  auto added = each_kept(from, to, pass, [&](const Event& each) -> PgOutcome<void> {
    if (horizon.before(each.event.ts)) {
      ++pass.outcomes.expired[Table::kLogEvents];
      return {};
    }
    if (!horizon.holds(each.event.ts)) {
      pass.missing_ahead = to_string(Table::kLogEvents);
      return {};
    }
    ++pass.outcomes.applied[Table::kLogEvents];
    return lines.add(each.event, each.derived, each.origin, chunks_[each.chunk].chunk.file.stream,
                     target_.deriver.settings(), target_.kinds);
  });
  if (!added) return added.error();
  return lines.end();
}

template <typename Visit>
PgOutcome<void> PostgresDelivery::each_event(std::size_t from, std::size_t to, Visit&& visit) {
  Derived derived;
  const bool missing_lines = target_.lane == PostgresLane::kLines && target_.missing_lines;
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    if (first_of_chunk_[i + 1] <= from || first_of_chunk_[i] >= to) continue;
    const Chunk& chunk = chunks_[i].chunk;
    const EventIds ids(chunk.file);
    Origin origin{&ids, 0, chunk.default_job_id, chunk.default_job_rank};
    EventReader reader(chunk.events);
    for (std::size_t ordinal = first_of_chunk_[i]; ordinal < to && reader.next(); ++ordinal) {
      if (ordinal < from) continue;
      origin.offset = reader.offset_in(chunk.covers.from);
      target_.deriver.derive(reader.event(), origin, derived, &memory_.ids);
      const ByteRange bytes{origin.offset, origin.offset + reader.length()};
      auto visited = visit(Event{i, ordinal, reader.event(), origin, bytes, derived},
                           !missing_lines && positions_.was_covered(i, reader.ends_in(chunk.covers.from)));
      if (!visited) return visited.error();
    }
  }
  return {};
}

template <typename Keep>
PgOutcome<void> PostgresDelivery::each_kept(std::size_t from, std::size_t to, Pass& pass, Keep&& keep) {
  return each_event(from, to, [&](const Event& each, bool covered) -> PgOutcome<void> {
    const TableSet tables = each.derived.tables & tables_;
    if (tables == 0) return {};
    const auto refused = refusals_.find(each.ordinal);
    const bool is_refused = refused != refusals_.end();
    if (covered || is_stored(each)) {
      count_tables(pass.outcomes.duplicate, tables);
      return {};
    }
    if (is_refused || each.event.ts > target_.now + kFutureMax) {
      count_tables(pass.outcomes.dead_lettered, tables);
      DeadLetter letter{each.origin.ids->at(each.bytes.from),
                        each.event.ts,
                        chunks_[each.chunk].chunk.file,
                        each.bytes,
                        "future_time",
                        "",
                        "",
                        std::string(body_of(each.event))};
      if (is_refused) {
        letter.reason = refused->second.reason;
        letter.sqlstate = refused->second.sqlstate;
        letter.target_table = refused->second.table;
      }
      pass.dead.push_back(std::move(letter));
      return {};
    }
    pass.last_kept = each.ordinal;
    ++pass.kept;
    return keep(each);
  });
}

void PostgresDelivery::refuse(std::size_t ordinal, const PgError& error) {
  // Few errors name their table, and those of a partition name that.
  std::string_view table = error.table_name;
  for (const Table each : {Table::kJobRuns, Table::kDqObservations, Table::kDqCheckResults, Table::kTraces,
                           Table::kSpans, Table::kChatMessages, Table::kDocumentEvents, Table::kMetricsAggregates}) {
    if (table.starts_with(std::string(to_string(each)) + "_2")) table = to_string(each);
  }
  if (target_.lane == PostgresLane::kLines) table = to_string(Table::kLogEvents);
  refusals_[ordinal] = {dead_letter_reason(error), error.sqlstate, std::string(table)};
}

PgOutcome<std::size_t> PostgresDelivery::look_for_lines(bool only_ends) {
  struct Place {
    std::size_t chunk, number;
  };
  std::vector<LineKey> keys;
  std::vector<Place> places;
  auto gathered = each_event(0, first_of_chunk_.back(), [&](const Event& each, bool) -> PgOutcome<void> {
    if (!each.derived.has(Table::kLogEvents)) return {};
    if (only_ends && places.size() >= 2 && places[places.size() - 2].chunk == each.chunk) {
      keys.pop_back();
      places.pop_back();
    }
    keys.push_back({event_id_of(each.derived, each.origin), each.event.ts});
    places.push_back({each.chunk, each.ordinal - first_of_chunk_[each.chunk]});
    return {};
  });
  if (!gathered) return gathered.error();
  auto there = find_lines(connection_, target_.sql, keys);
  if (!there) return there.error();
  const auto count = static_cast<std::size_t>(std::ranges::count(*there, true));
  if (only_ends) return count;
  asked_ = true;
  std::vector<std::vector<bool>> of(chunks_.size());
  for (std::size_t i = 0; i < chunks_.size(); ++i) of[i].resize(first_of_chunk_[i + 1] - first_of_chunk_[i]);
  for (std::size_t n = 0; n < places.size(); ++n) of[places[n].chunk][places[n].number] = (*there)[n];
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    stored_of_[i] = std::make_shared<const std::vector<bool>>(std::move(of[i]));
    // What the lane of lines finds may be rows it has just written itself, and they may yet be rolled back.
    if (target_.lane == PostgresLane::kRunFacts) stored_.set(chunks_[i].sequence, stored_of_[i]);
  }
  return count;
}

bool PostgresDelivery::is_stored(const Event& event) const {
  const StoredLines::OfChunk& lines = stored_of_[event.chunk];
  return lines && (*lines)[event.ordinal - first_of_chunk_[event.chunk]];
}

PgOutcome<void> PostgresDelivery::look_for_lines_of_facts() {
  std::set<FileIdentity> doubtful;
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    const FileIdentity& file = chunks_[i].chunk.file;
    if (positions_.was_new(i) || memory_.position_lost.contains(file)) doubtful.insert(file);
  }
  if (doubtful.empty()) return {};
  auto found = look_for_lines(true);
  if (!found) return found.error();
  if (*found == 0) {
    for (const FileIdentity& file : doubtful) memory_.position_lost.erase(file);
    return {};
  }
  memory_.position_lost.merge(doubtful);
  if (auto all = look_for_lines(false); !all) return all.error();
  return {};
}

PgOutcome<void> PostgresDelivery::look_for_lines_of_lost_positions() {
  bool doubtful = target_.missing_lines;
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    stored_of_[i] = stored_.of(chunks_[i].sequence);
    const std::size_t events = first_of_chunk_[i + 1] - first_of_chunk_[i];
    if (stored_of_[i] && stored_of_[i]->size() != events) stored_of_[i].reset();  // of another chunk
    doubtful = doubtful || (!stored_of_[i] && memory_.position_lost.contains(chunks_[i].chunk.file));
  }
  if (!doubtful) return {};
  auto found = look_for_lines(false);
  if (!found) return found.error();
  if (*found > 0) return {};
  for (const SequencedChunk& each : chunks_) memory_.position_lost.erase(each.chunk.file);
  return {};
}

void PostgresDelivery::add_corrupt(const Chunk& chunk) {
  // Chunks are guarded by a checksum, so this is a fault of ours: what does not decode is counted, never repeated for
  // ever.
  RecordCounts rest = chunk.records.of(tables_);
  const EventIds ids(chunk.file);
  EventReader reader(chunk.events);
  Derived derived;
  std::uint64_t at = chunk.covers.from;
  while (reader.next()) {
    const std::uint64_t offset = reader.offset_in(chunk.covers.from);
    at = offset + reader.length();
    target_.deriver.derive(reader.event(), {&ids, offset, chunk.default_job_id, chunk.default_job_rank}, derived);
    RecordCounts seen;
    count_tables(seen, derived.tables & tables_);
    rest -= seen;
  }
  outcomes_.dead_lettered += rest;
  dead_.push_back({ids.at(at), target_.now, chunk.file, {at, chunk.covers.to}, "bad_value", "", "", ""});
}

PgOutcome<void> PostgresDelivery::write_dead_letters(const std::vector<DeadLetter>& letters, bool count) {
  if (letters.empty()) return {};
  JsonRows rows;
  for (const DeadLetter& letter : letters) {
    rows.begin_row();
    rows.uuid("id", letter.id);
    rows.time("at", letter.at);
    rows.stated_text("stream", letter.file.stream);
    rows.bytes("file_key", {reinterpret_cast<const char*>(letter.file.file_key.data()), letter.file.file_key.size()});
    rows.integer("generation", letter.file.generation);
    rows.integer("byte_offset", static_cast<std::int64_t>(letter.bytes.from));
    rows.integer("byte_length", static_cast<std::int64_t>(letter.bytes.to - letter.bytes.from));
    rows.stated_text("reason", letter.reason);
    rows.text("sqlstate", letter.sqlstate);
    rows.text("target_table", letter.target_table);
    rows.text("body", letter.body);
    rows.stated_text("agent_id", target_.deriver.settings().agent_id);
  }
  const std::optional<std::string> params[] = {rows.take()};
  auto done = connection_.query(target_.sql.insert_dead_letters, params);
  if (!done) return done.error();
  // One refused by both lanes is one letter.
  for (int row = 0; count && row < done->rows(); ++row) ++set_aside_[std::string(done->text(row, 0))];
  return {};
}

PgOutcome<void> PostgresDelivery::write_dirty_days(const DirtyDays& dirty) {
  if (dirty.empty()) return {};
  JsonRows rows;
  for (const auto& [job_id, environment, day] : dirty) {
    rows.begin_row();
    rows.stated_text("job_id", job_id);
    rows.stated_text("environment", environment);
    rows.text("day", day);
    rows.time("since", target_.now);
  }
  const std::optional<std::string> params[] = {rows.take()};
  if (auto done = connection_.query(target_.sql.insert_dirty, params); !done) return done.error();
  return {};
}

}  // namespace runtail
