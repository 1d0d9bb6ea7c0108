#include "agent/replay_reader.h"

#include <algorithm>
#include <utility>

#include "agent/line_defaults.h"
#include "agent/line_events.h"
#include "agent/replay_identity.h"
#include "agent/tailed_file.h"
#include "core/event_codec.h"

namespace runtail {
namespace {

// A file written to within so long may still be: its last line is left to who follows it.
constexpr std::chrono::seconds kQuiet{15};
// Enough of a first line to see its envelope: a piece of Docker's is 16 KiB, written as JSON.
constexpr std::size_t kHeadBytes = 128 << 10;
// A multi-line private key is told by its first line; from there on the redactor has to see every line.
constexpr std::string_view kKeyBegins = "-----BEGIN";

// Lines with these events are what a backfill is for, whatever their level.
bool is_audit(EventKind kind) {
  return (kind >= EventKind::kRunQueued && kind <= EventKind::kTaskFinished) || kind == EventKind::kDataset ||
         kind == EventKind::kDq;
}

std::uint64_t end_of(const Line& line) { return line.offset + line.length; }
// As EventReader::ends_in(): whether a line is covered hangs on this byte.
std::uint64_t place_of(const Line& line) { return line.offset + (line.length < 2 ? 0 : line.length - 2); }

}  // namespace

ReplayLines& ReplayLines::operator+=(const ReplayLines& other) {
  read += other.read;
  stored += other.stored;
  level_filtered += other.level_filtered;
  sampled += other.sampled;
  dropped += other.dropped;
  duplicate += other.duplicate;
  expired += other.expired;
  dead_lettered += other.dead_lettered;
  outside += other.outside;
  return *this;
}

ReplayReader::ReplayReader(ReplayRules rules, HashKey key, Parser parser, Redactor redactor, Deriver deriver,
                           LineFilter filter)
    : rules_(rules),
      key_(key),
      parser_(std::move(parser)),
      redactor_(std::move(redactor)),
      deriver_(std::move(deriver)),
      filter_(std::move(filter)),
      buffer_(rules.line_bytes_max) {}

ReplayRead ReplayReader::read(const ReplayInput& input, FileBytes bytes, const StoredPosition& known,
                              const ReplayInput* before, const Take& take, const OnBytes& on_bytes) {
  ReplayRead read;
  read.file = known.file;
  const auto facts = bytes.facts();
  const auto since = std::chrono::system_clock::now() -
                     std::chrono::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(input.mtime_ns));
  const bool may_grow = input.path != "-" && (input.is_live || since < kQuiet);
  TailSettings settings{key_, rules_.line_bytes_max, input.log->framing, false};
  TailedFile tail(std::move(bytes), settings, buffer_);
  Position position;
  position.file = known.file;
  position.first_seen = known.first_seen_at;
  tail.begin(position, true);
  if (before) carry_over(*before, settings, tail);
  ids_.emplace(known.file);
  memory_ = {};
  again_.reset();

  // Time must not tear anything apart: for framing it stands still.
  const TimePoint now = known.first_seen_at;
  for (bool is_over = false;;) {
    TailStep step = tail.read(now, is_over, true);
    if (step.was_cut) {
      read.fault = "it was changed while it was read";
      break;
    }
    if (!step.fault.empty()) read.fault = step.fault;
    if (step.block) {
      const bool goes_on = take_block(input, *step.block, known, read, take);
      read.is_stopped = !goes_on && read.fault.empty();
      if (!goes_on) break;
      on_bytes(tail.bytes().is_packed() ? tail.bytes().taken_in() : tail.position().emitted);
      if (!is_over) continue;
    }
    const bool is_at_end = tail.is_drained() || tail.is_done();
    if (!is_at_end && !is_over) continue;
    // Of an archive that was cut, or cannot be read on, the half line stays where it is: a whole one may come.
    if (is_over || tail.is_done() || tail.bytes().is_packed() || may_grow || !read.fault.empty()) break;
    is_over = true;
  }
  read.bytes = tail.position().emitted;
  const std::uint64_t length = tail.bytes().is_packed() ? tail.bytes().length() : facts ? facts->size : read.bytes;
  read.untaken = read.is_stopped ? 0 : length - std::min(length, read.bytes);
  if (tail.bytes().is_packed() && !tail.is_done() && read.fault.empty() && !read.is_stopped) {
    read.fault = "it ends inside of the archive; see whether packing or copying it was cut short";
  }
  return read;
}

// Docker and CRI cut long lines into pieces, and a rotation may fall between two of them. Only what stands at the very
// end of the file before matters.
void ReplayReader::carry_over(const ReplayInput& before, const TailSettings& settings, TailedFile& tail) {
  const BytesRead head = tail.bytes().read_at(buffer_.data(), buffer_.size(), 0);
  const std::string_view first = std::string_view(buffer_.data(), head.size).substr(0, kHeadBytes);
  Framing look(settings.framing);
  std::vector<Unit> units;
  const std::size_t end = std::min(first.find('\n'), first.size());
  look.add(0, end + 1, first.substr(0, end), TimePoint{}, units);
  const bool is_piece = units.empty() && look.has_open();
  if (!is_piece && (units.empty() || !units[0].envelope_time)) return;  // no envelope, so no pieces

  auto opened = open_input(before);
  if (!opened) return;
  const std::uint64_t length = opened->is_packed() ? look_through(key_, *opened, buffer_).length : before.size;
  // From a line's beginning on, far enough back for all that may be open.
  std::uint64_t from = length - std::min<std::uint64_t>(length, Framing::kOpenBytesMax);
  for (bool found = from == 0; !found;) {
    const BytesRead read = opened->read_at(buffer_.data(), buffer_.size(), from);
    const std::size_t newline = std::string_view(buffer_.data(), read.size).find('\n');
    found = newline != std::string_view::npos || read.at_end;
    from += newline != std::string_view::npos ? newline + 1 : read.size;
  }
  Framing last(settings.framing);
  last.begin_in_the_dark();
  for (bool at_end = false; !at_end;) {
    last.begin_block();
    const BytesRead read = opened->read_at(buffer_.data(), buffer_.size(), from);
    if (read.size == 0) break;
    const std::string_view all(buffer_.data(), read.size);
    std::size_t at = 0;
    for (std::size_t stop; (stop = all.find('\n', at)) != std::string_view::npos; at = stop + 1) {
      last.add(from + at, stop + 1 - at, all.substr(at, stop - at), TimePoint{}, units);
    }
    // What is longer than a line may be breaks what it stands in; so does a line without its end.
    if (at == 0) return;
    from += at;
    units.clear();
    at_end = read.at_end;
    if (at_end && at < all.size()) return;
  }
  last.finish_traces(units);
  if (!last.has_open()) return;
  tail.begin(tail.position(), false);
  tail.carry_over(last);
}

// One block is one chunk, or several with what is outside of the time asked for between them.
bool ReplayReader::take_block(const ReplayInput& input, LineBlock& block, const StoredPosition& known, ReplayRead& read,
                              const Take& take) {
  const ReplayLog& log = *input.log;
  block.defaults = &log.defaults;
  block.default_job_id = log.default_job;
  block.default_job_rank = log.default_job_rank;
  time_.begin(block, parser_);

  ReplayChunk out;
  const std::uint64_t had = known.covered.upper();
  std::uint64_t to = block.covers.from;  // of what `out` covers
  out.chunk.covers.from = to;
  const auto give = [&](std::uint64_t next) {
    Chunk& chunk = out.chunk;
    chunk.file = known.file;
    chunk.covers.to = to;
    const auto confirm = to == block.covers.to ? block.position.confirm
                         : to == had           ? known.confirm
                                               : confirm_at(input, to);
    if (!confirm) read.fault = "it cannot be opened any more";
    if (!confirm) return false;
    chunk.confirm = *confirm;
    chunk.read_at = known.first_seen_at;
    chunk.default_job_id = log.default_job;
    chunk.default_job_rank = log.default_job_rank;
    std::sort(out.runs.begin(), out.runs.end());
    out.runs.erase(std::unique(out.runs.begin(), out.runs.end()), out.runs.end());
    to = next;
    out.position = block.position;
    out.position.last_ts = time_.last();
    ReplayChunk given = std::exchange(out, {});
    out.chunk.covers.from = next;
    return take(std::move(given));
  };
  bool was_outside = false;
  for (const Line& line : block.lines) {
    const std::uint64_t end = std::min(end_of(line), block.covers.to);
    // What lies behind all that is known begins a chunk: others may read on there meanwhile.
    if (out.chunk.covers.from < had && place_of(line) >= had) {
      to = had;
      if (!give(had)) return false;
    }
    out.lines.read += line.lines;
    out.chunk.lines += line.lines;
    was_outside = !take_line(block, line, known, read, out);
    if (!was_outside) to = end;
    if (was_outside && !give(end)) return false;
  }
  if (!was_outside) to = block.covers.to;
  *block.last_ts = time_.last();
  return give(block.covers.to);
}

bool ReplayReader::take_line(const LineBlock& block, const Line& line, const StoredPosition& known, ReplayRead& read,
                             ReplayChunk& out) {
  const bool is_covered = known.covered.contains(place_of(line));
  if (line.too_long || line.orphan) {
    if (is_covered) {
      out.lines.duplicate += line.lines;
    } else if (line.orphan) {
      out.lines.dropped += line.lines;
    } else {
      set_aside(block, line, out);
    }
    return true;
  }
  const LogEvent& event = parser_.parse(line.bytes, zone_of(block), dialect_of(block));
  if (event.shape == LineShape::kEmpty) {
    (is_covered ? out.lines.duplicate : out.lines.dropped) += line.lines;
    return true;
  }
  const TimePoint at = time_.of(line, event.ts);
  read.first = std::min(read.first.value_or(at), at);
  read.last = std::max(read.last.value_or(at), at);
  const bool is_outside = (rules_.from && at < *rules_.from) || (rules_.to && at >= *rules_.to);
  if (is_outside || (is_covered && !rules_.goes_over_covered)) {
    (is_covered ? out.lines.duplicate : out.lines.outside) += line.lines;
    if (memory_.key_lines_left > 0 || line.bytes.find(kKeyBegins) != std::string_view::npos) {
      redactor_.redact(event, memory_);
    }
    time_.passed(event.ts);
    return is_covered;
  }
  take_events(block, line, event, out);
  return true;
}

void ReplayReader::take_events(const LineBlock& block, const Line& line, const LogEvent& first, ReplayChunk& out) {
  LineOutcome of_line = LineOutcome::kDropped;
  for_each_event(
      parser_, redactor_, memory_, first, line.length,
      [&](const LogEvent& event, RedactedEvent& safe) {
        time_.put(line, safe);
        put_defaults(*block.defaults, line.output, safe, context_);
        if (event.run_is_process) put_process_run(block, safe, process_run_);
      },
      [&](const LogEvent&, const RedactedEvent& safe) { return of_line = outcome_of(safe, line.offset); },
      [&](const RedactedEvent& safe, std::uint64_t part) {
        add_event(block, line.offset + part, line.length - part, safe, out);
        if (part == 0) count_line(of_line, line, out);
      });
}

void ReplayReader::add_event(const LineBlock& block, std::uint64_t offset, std::uint64_t length,
                             const RedactedEvent& event, ReplayChunk& out) {
  Chunk& chunk = out.chunk;
  const Origin origin{&*ids_, offset, block.default_job_id, block.default_job_rank};
  deriver_.derive(event, origin, derived_, &id_memory_);
  for (std::size_t i = 0; i < kTableCount; ++i) chunk.records.by_table[i] += derived_.tables >> i & 1;
  chunk.covers_until = std::max(chunk.covers_until, event.ts);
  if (derived_.run) {
    if (derived_.run->scheduled_at) chunk.covers_until = std::max(chunk.covers_until, *derived_.run->scheduled_at);
    if (out.runs.empty() || out.runs.back() != derived_.run->run_id) out.runs.push_back(derived_.run->run_id);
  }
  if (derived_.tables == 0) return;
  // Relative to where the chunk begins, which is where the block does or behind what was left out of it.
  append_event(chunk.events, event, static_cast<std::int64_t>(offset - chunk.covers.from), length);
}

// `derived_` is of the line's first event.
void ReplayReader::count_line(LineOutcome outcome, const Line& line, ReplayChunk& out) {
  if (outcome == LineOutcome::kDropped) {
    out.lines.dropped += line.lines;
  } else if (outcome == LineOutcome::kSampled) {
    out.lines.sampled += line.lines;
  } else if (outcome == LineOutcome::kLevelFiltered || !derived_.has(Table::kLogEvents)) {
    out.lines.level_filtered += line.lines;
  } else {
    out.lines.stored += line.lines;
    ++out.rows;
  }
}

// What the configuration leaves out stays out; of the rest a backfill keeps what is audit-level.
LineOutcome ReplayReader::outcome_of(const RedactedEvent& event, std::uint64_t offset) const {
  const LineOutcome outcome = filter_.outcome(event, *ids_, offset);
  if (outcome != LineOutcome::kStored || rules_.is_full) return outcome;
  return is_audit(event.kind) || event.level >= rules_.level ? outcome : LineOutcome::kLevelFiltered;
}

void ReplayReader::set_aside(const LineBlock& block, const Line& line, ReplayChunk& out) {
  DeadLetter letter;
  letter.id = ids_->at(line.offset);
  letter.at = time_.about_now();
  letter.file = block.position.file;
  letter.bytes = {line.offset, end_of(line)};
  letter.reason = "too_long";
  out.chunk.covers_until = std::max(out.chunk.covers_until, letter.at);
  out.chunk.dead_letters.push_back(std::move(letter));
  out.lines.dead_lettered += line.lines;
}

// Places ascend, so an archive is unpacked once more at most.
std::optional<Bytes32> ReplayReader::confirm_at(const ReplayInput& input, std::uint64_t offset) {
  if (!again_) {
    auto opened = open_input(input);
    if (!opened) return std::nullopt;
    again_.emplace(std::move(*opened));
  }
  std::string before(std::min<std::uint64_t>(TailedFile::kConfirmBytes, offset), '\0');
  before.resize(again_->read_at(before.data(), before.size(), offset - before.size()).size);
  return hmac_sha256(key_, before);
}

}  // namespace runtail
