#include "sinks/postgres_delivery.h"

#include <utility>

#include "core/event_codec.h"
#include "core/truncate.h"
#include "sinks/postgres_rows.h"
#include "sinks/postgres_verdict.h"

namespace runtail {
namespace {

// An event further ahead of now is set aside.
constexpr std::chrono::hours kFutureMax{48};
constexpr std::size_t kBodyBytesMax = 8192;

void count_tables(RecordCounts& counts, std::uint32_t tables) {
  for (std::size_t i = 0; i < kTableCount; ++i) counts.by_table[i] += tables >> i & 1;
}

std::string_view body_of(const RedactedEvent& event) {
  return truncate_redacted(event.raw_text.empty() ? event.fields.text(Field::kMsg) : event.raw_text, kBodyBytesMax);
}

}  // namespace

PostgresDelivery::PostgresDelivery(PgConnection& connection, const PostgresTarget& target,
                                   std::span<const SequencedChunk> chunks, bool maybe_delivered, PostgresFold& fold)
    : connection_(connection),
      target_(target),
      chunks_(chunks),
      maybe_delivered_(maybe_delivered),
      fold_(fold),
      writer_(connection, target.sql, target.deriver.settings(), target.now) {}

PgOutcome<void> PostgresDelivery::write() {
  const std::string& agent_id = target_.deriver.settings().agent_id;
  if (auto done = positions_.advance(connection_, target_.sql, chunks_, agent_id, target_.now); !done) {
    return done.error();
  }
  if (positions_.all_covered()) {
    for (const SequencedChunk& each : chunks_) {
      (maybe_delivered_ ? outcomes_.applied : outcomes_.duplicate) += each.chunk.records;
    }
    return {};
  }

  first_of_chunk_.clear();
  std::size_t events = 0;
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    const Chunk& chunk = chunks_[i].chunk;
    first_of_chunk_.push_back(events);
    EventReader reader(chunk.events);
    while (reader.next()) ++events;
    if (reader.corrupt()) add_corrupt(chunk);
    for (const DeadLetter& letter : chunk.dead_letters) {
      if (!positions_.was_covered(i, letter.bytes.from)) dead_.push_back(letter);
    }
  }
  first_of_chunk_.push_back(events);
  brought_ = dead_.size();
  if (auto done = write_events(0, events); !done) return done.error();
  if (auto done = write_dead_letters(); !done) return done.error();
  return write_dirty_days();
}

PgOutcome<void> PostgresDelivery::write_events(std::size_t from, std::size_t to) {
  for (bool once_more = true;;) {
    Pass pass = fold_events(from, to);
    if (!fold_.missing_ahead().empty()) return partition_missing(fold_.missing_ahead());
    const auto settle = [&] {
      outcomes_ += pass.outcomes;
      outcomes_ += fold_.outcomes();
      field_conflicts_ += fold_.conflicts();
      dead_.insert(dead_.end(), std::make_move_iterator(pass.dead.begin()), std::make_move_iterator(pass.dead.end()));
    };
    if (pass.kept == 0) {
      settle();
      return {};
    }
    if (auto done = connection_.exec("SAVEPOINT rows"); !done) return done.error();
    auto written = writer_.write(fold_, dirty_);
    if (written) {
      if (auto done = connection_.exec("RELEASE SAVEPOINT rows"); !done) return done.error();
      settle();
      return {};
    }
    const PgError error = written.error();
    const PgVerdict verdict = judge(error);
    const bool about_rows =
        verdict == PgVerdict::kBadRow || verdict == PgVerdict::kDuplicateRow || verdict == PgVerdict::kParentGone;
    if (!about_rows) return error;
    if (auto undone = connection_.exec("ROLLBACK TO SAVEPOINT rows"); !undone) return undone.error();

    if (verdict == PgVerdict::kParentGone && std::exchange(once_more, false)) continue;
    if (verdict == PgVerdict::kDuplicateRow) {
      auto found = refuse_stored(pass);
      if (!found) return found.error();
      // Another writer's row, seen by the index and not yet by us.
      if (*found == 0) return PgError{"40001", error.message};
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

PostgresDelivery::Pass PostgresDelivery::fold_events(std::size_t from, std::size_t to) {
  Pass pass;
  Derived derived;
  fold_.clear(target_.horizons);
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    if (first_of_chunk_[i + 1] <= from || first_of_chunk_[i] >= to) continue;
    const Chunk& chunk = chunks_[i].chunk;
    const EventIds ids(chunk.file);
    Origin origin{&ids, 0, chunk.default_job_id, chunk.default_job_rank};
    EventReader reader(chunk.events);
    for (std::size_t ordinal = first_of_chunk_[i]; ordinal < to && reader.next(); ++ordinal) {
      if (ordinal < from) continue;
      const RedactedEvent& event = reader.event();
      origin.offset = reader.offset_in(chunk.covers.from);
      target_.deriver.derive(event, origin, derived);
      if (positions_.was_covered(i, reader.ends_in(chunk.covers.from))) {
        count_tables(pass.outcomes.duplicate, derived.tables);
        continue;
      }
      const auto refused = refusals_.find(ordinal);
      if (refused != refusals_.end() && refused->second.duplicate) {
        count_tables(pass.outcomes.duplicate, derived.tables);
        continue;
      }
      const bool future = event.ts > target_.now + kFutureMax;
      if (refused != refusals_.end() || future) {
        count_tables(pass.outcomes.dead_lettered, derived.tables);
        DeadLetter letter{ids.at(origin.offset), event.ts, chunk.file, {origin.offset, origin.offset + reader.length()},
                          "future_time",         "",       "",         std::string(body_of(event))};
        if (refused != refusals_.end()) {
          letter.reason = refused->second.reason;
          letter.sqlstate = refused->second.sqlstate;
          letter.target_table = refused->second.table;
        }
        pass.dead.push_back(std::move(letter));
        continue;
      }
      fold_.add(event, origin, chunk.file.stream, derived);
      pass.log_ordinals.resize(fold_.log_keys.size(), ordinal);
      pass.last_kept = ordinal;
      ++pass.kept;
    }
  }
  return pass;
}

void PostgresDelivery::refuse(std::size_t ordinal, const PgError& error) {
  refusals_[ordinal] = {false, dead_letter_reason(error), error.sqlstate, error.table_name};
}

PgOutcome<std::size_t> PostgresDelivery::refuse_stored(const Pass& pass) {
  // The line's row and its facts were committed together: where the row is, the whole line is a duplicate.
  JsonRows rows;
  for (std::size_t n = 0; n < fold_.log_keys.size(); ++n) {
    rows.begin_row();
    rows.integer("n", static_cast<std::int64_t>(n));
    rows.uuid("id", fold_.log_keys[n].first);
    rows.time("ts", fold_.log_keys[n].second);
  }
  const std::optional<std::string> params[] = {rows.take()};
  auto found = connection_.query(target_.sql.find_log_events, params);
  if (!found) return found.error();
  for (int row = 0; row < found->rows(); ++row) {
    refusals_[pass.log_ordinals[static_cast<std::size_t>(found->integer(row, 0))]].duplicate = true;
  }
  return static_cast<std::size_t>(found->rows());
}

void PostgresDelivery::add_corrupt(const Chunk& chunk) {
  // Chunks are guarded by a checksum, so this is a fault of ours: what does not decode is counted, never repeated for
  // ever.
  RecordCounts rest = chunk.records;
  const EventIds ids(chunk.file);
  EventReader reader(chunk.events);
  Derived derived;
  std::uint64_t at = chunk.covers.from;
  while (reader.next()) {
    const std::uint64_t offset = reader.offset_in(chunk.covers.from);
    at = offset + reader.length();
    target_.deriver.derive(reader.event(), {&ids, offset, chunk.default_job_id, chunk.default_job_rank}, derived);
    RecordCounts seen;
    count_tables(seen, derived.tables);
    rest -= seen;
  }
  outcomes_.dead_lettered += rest;
  dead_.push_back({ids.at(at), target_.now, chunk.file, {at, chunk.covers.to}, "bad_value", "", "", ""});
}

std::map<std::string, std::uint64_t> PostgresDelivery::set_aside() const {
  std::map<std::string, std::uint64_t> out;
  for (std::size_t i = brought_; i < dead_.size(); ++i) ++out[dead_[i].reason];
  return out;
}

PgOutcome<void> PostgresDelivery::write_dead_letters() {
  if (dead_.empty()) return {};
  JsonRows rows;
  for (const DeadLetter& letter : dead_) {
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
  if (auto done = connection_.query(target_.sql.insert_dead_letters, params); !done) return done.error();
  return {};
}

PgOutcome<void> PostgresDelivery::write_dirty_days() {
  if (dirty_.empty()) return {};
  JsonRows rows;
  for (const auto& [job_id, environment, day] : dirty_) {
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
