#include "parsers/framing.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "parsers/envelope.h"
#include "parsers/trace_rules.h"

namespace runtail {
namespace {

using Envelope = FramingSettings::Envelope;

constexpr int kLayersMax = 3;
// How far oldest_open() may lie behind because of units handed out that reach over it: reading again costs time. Beyond
// it the rest of such a unit may be taken for a unit of its own after a restart.
constexpr std::uint64_t kOverlapMax = 64 << 20;

// A unit on its way out of its envelopes.
struct Passing {
  Unit unit;
  std::string_view container;  // whose output it is, where several share a source
  bool enveloped = false;
};

// A unit whose end is not there yet.
struct Open {
  bool is_trace = false;
  // Pieces: where they were found and what makes them belong together (with output and container).
  int depth = 0;
  Envelope kind = Envelope::kNone;
  std::string piece_id;
  std::uint32_t ordinal = 0;  // of the last piece, 0: not said
  bool more_is_said = false;
  Trace trace{};

  Unit unit;  // bytes: see text
  std::string text, container;
  TimePoint last_at{};
};

// Texts that live until begin_block(): few allocations, addresses that stay.
class Texts {
 public:
  std::string_view keep(std::string_view text) {
    if (text.empty()) return {};
    if (text.size() > room_) {
      room_ = std::max(kChunk, text.size());
      chunks_.push_back(std::make_unique_for_overwrite<char[]>(room_));
      next_ = chunks_.back().get();
    }
    char* const at = next_;
    std::memcpy(at, text.data(), text.size());
    next_ += text.size();
    room_ -= text.size();
    return {at, text.size()};
  }
  void clear() {
    chunks_.clear();
    room_ = 0;
  }

 private:
  static constexpr std::size_t kChunk = 64 << 10;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* next_ = nullptr;
  std::size_t room_ = 0;
};

bool begins_as_json(std::string_view text) { return !text.empty() && text[0] == '{'; }

}  // namespace

struct Framing::State {
  explicit State(FramingSettings given) : settings(given) {}

  void pass(Passing& passing, int depth);
  bool join(Passing& passing, EnvelopeLayer layer, int depth);
  void append(Open& open, const EnvelopeLayer& layer, const Unit& line);
  void limit_memory(const Open& last);
  void take(Passing& passing);
  void take_line_of_trace(const Passing& passing);
  void give(Unit unit);

  Open& open_new(const Passing& passing, bool is_trace);
  Open remove(std::size_t at);
  void close_trace(std::size_t at);
  void give_up(std::size_t at);
  void close(std::size_t at) { opens[at].is_trace ? close_trace(at) : give_up(at); }
  void close_traces();
  void sort_by_end();
  std::size_t oldest() const;
  std::size_t find_trace(const Passing& passing) const;
  std::size_t find_pieces(const Passing& passing, const EnvelopeLayer& layer, int depth) const;
  TimePoint due_of(const Open& open) const {
    return open.last_at + (open.is_trace ? settings.trace_wait : settings.piece_wait);
  }
  bool is_behind() const { return read_to < skipped_to; }
  void begin_call(bool is_silent, TimePoint at, std::vector<Unit>& into);
  void begin_line(std::uint64_t offset, std::uint64_t length, TimePoint at, std::vector<Unit>& into);

  FramingSettings settings;
  EnvelopePeeler peeler;
  Texts texts;
  std::vector<Open> opens;
  std::size_t open_pieces = 0;
  std::uint64_t base = 0;  // what oldest_open() says: nothing was open before this line
  std::uint64_t read_to = 0, skipped_to = 0;
  bool in_the_dark[3] = {};  // by Output: units out of an envelope may be the rest of a line, until one is not

  // Of the call being served.
  std::uint64_t line_offset = 0;
  bool has_new = false;  // a line was added since begin_block()
  bool silent = false;   // what comes out was handed out in an earlier life
  TimePoint now{};
  std::vector<Unit>* out = nullptr;
};

// ---- what is open ----

Open& Framing::State::open_new(const Passing& passing, bool is_trace) {
  if (opens.size() == kOpenUnitsMax) close(oldest());
  // A joined unit that begins earlier was open until now: what base says holds for it.
  if (opens.empty() && passing.unit.offset == line_offset && !passing.unit.carried) base = line_offset;
  Open& open = opens.emplace_back();
  open.is_trace = is_trace;
  open.unit = passing.unit;
  open.unit.bytes = {};
  open.container = passing.container;
  open.last_at = now;
  open_pieces += !is_trace;
  return open;
}

Open Framing::State::remove(std::size_t at) {
  Open open = std::move(opens[at]);
  opens.erase(opens.begin() + static_cast<std::ptrdiff_t>(at));
  open_pieces -= !open.is_trace;
  return open;
}

void Framing::State::close_trace(std::size_t at) {
  Open open = remove(at);
  // Blank lines waited for a chained trace that did not come.
  while (open.text.ends_with('\n') || open.text.ends_with("\n\r")) open.text.pop_back();
  open.unit.bytes = texts.keep(open.text);
  give(open.unit);
}

// Without their rest pieces cannot be classified, and the rest, if it comes, must not be taken for a line.
void Framing::State::give_up(std::size_t at) {
  Open open = remove(at);
  in_the_dark[static_cast<int>(open.unit.output)] = true;
  open.unit.orphan = !open.unit.too_long;
  give(open.unit);
}

void Framing::State::sort_by_end() {
  std::sort(opens.begin(), opens.end(), [](const Open& a, const Open& b) { return a.unit.end < b.unit.end; });
}

void Framing::State::close_traces() {
  sort_by_end();
  for (std::size_t at = 0; at < opens.size();) {
    if (opens[at].is_trace) {
      close_trace(at);
    } else {
      ++at;
    }
  }
}

std::size_t Framing::State::oldest() const {
  const auto found = std::min_element(opens.begin(), opens.end(), [](const Open& a, const Open& b) {
    return std::pair(!a.unit.carried, a.unit.offset) < std::pair(!b.unit.carried, b.unit.offset);
  });
  return static_cast<std::size_t>(found - opens.begin());
}

std::size_t Framing::State::find_trace(const Passing& passing) const {
  const auto found = std::find_if(opens.begin(), opens.end(), [&](const Open& open) {
    return open.is_trace && open.unit.output == passing.unit.output && open.container == passing.container;
  });
  return static_cast<std::size_t>(found - opens.begin());
}

// Where no container is named, pieces of several may be mixed: their id is all that tells them apart.
std::size_t Framing::State::find_pieces(const Passing& passing, const EnvelopeLayer& layer, int depth) const {
  const auto found = std::find_if(opens.begin(), opens.end(), [&](const Open& open) {
    return !open.is_trace && open.depth == depth && open.kind == layer.kind &&
           open.unit.output == passing.unit.output && open.container == passing.container &&
           (!passing.container.empty() || open.piece_id.empty() || open.piece_id == layer.piece_id);
  });
  return static_cast<std::size_t>(found - opens.begin());
}

// ---- pieces ----

void Framing::State::append(Open& open, const EnvelopeLayer& layer, const Unit& line) {
  if (layer.ordinal != 0 && layer.ordinal != open.ordinal + 1) open.unit.orphan = true;  // one is missing
  if (open.text.size() + layer.text.size() > settings.unit_bytes_max) open.unit.too_long = true;
  if (open.unit.orphan || open.unit.too_long) {
    open.text = {};
  } else {
    open.text += layer.text;
  }
  limit_memory(open);
  open.unit.end = line.end;
  open.ordinal = layer.ordinal;
  open.more_is_said = layer.more_is_said;
  open.last_at = now;
}

// The pieces that have waited longest are set aside as too long, but not `last`, which grew just now.
void Framing::State::limit_memory(const Open& last) {
  std::size_t bytes = 0;
  for (const Open& each : opens) bytes += each.text.size();
  while (bytes > kOpenBytesMax) {
    Open* oldest = nullptr;
    for (Open& each : opens) {
      const bool is_candidate = &each != &last && !each.is_trace && !each.text.empty();
      if (is_candidate && (!oldest || each.last_at < oldest->last_at)) oldest = &each;
    }
    if (!oldest) return;
    bytes -= oldest->text.size();
    oldest->unit.too_long = true;
    oldest->text = {};
  }
}

// Puts what was peeled into `passing`. False if more has to come first.
bool Framing::State::join(Passing& passing, EnvelopeLayer layer, int depth) {
  std::size_t at = open_pieces == 0 ? opens.size() : find_pieces(passing, layer, depth);
  if (at != opens.size() && (layer.ordinal == 1 || layer.piece_id != opens[at].piece_id)) {
    // Another text begins. Daemons that flag every piece, the last one too, end a text only in this way.
    if (opens[at].more_is_said) {
      give_up(at);
      in_the_dark[static_cast<int>(passing.unit.output)] = false;  // this one is a beginning
    } else {
      const Open open = remove(at);
      Passing whole{open.unit, texts.keep(open.container), true};
      whole.unit.bytes = texts.keep(open.text);
      layer.text = texts.keep(layer.text);  // the peeler is about to be used
      layer.piece_id = texts.keep(layer.piece_id);
      pass(whole, depth + 1);
    }
    at = opens.size();
  }
  if (at == opens.size()) {
    passing.unit.orphan = layer.ordinal > 1;
    if (!layer.more) {
      passing.unit.bytes = layer.in_line ? layer.text : texts.keep(layer.text);
      return true;
    }
    Open& open = open_new(passing, false);
    open.depth = depth;
    open.kind = layer.kind;
    open.piece_id = layer.piece_id;
    open.ordinal = layer.ordinal == 0 ? 0 : layer.ordinal - 1;
    append(open, layer, passing.unit);
    return false;
  }
  append(opens[at], layer, passing.unit);
  opens[at].unit.lines += passing.unit.lines;
  opens[at].unit.own_bytes += passing.unit.own_bytes;
  opens[at].unit.orphan |= passing.unit.orphan;
  opens[at].unit.too_long |= passing.unit.too_long;
  if (layer.more) return false;
  Open open = remove(at);
  passing.unit = open.unit;
  passing.unit.bytes = texts.keep(open.text);
  return true;
}

void Framing::State::pass(Passing& passing, int depth) {
  for (; depth < kLayersMax && !passing.unit.orphan && !passing.unit.too_long; ++depth) {
    const auto layer = peeler.peel(passing.unit.bytes, depth == 0 ? settings.envelope : Envelope::kAuto);
    if (!layer) break;
    passing.enveloped = true;
    if (layer->output != Output::kUnknown) passing.unit.output = layer->output;
    if (layer->time) passing.unit.envelope_time = layer->time;
    if (!layer->container.empty()) passing.container = texts.keep(layer->container);
    if (!join(passing, *layer, depth)) return;
  }
  take(passing);
}

// ---- whole texts and traces ----

void Framing::State::take(Passing& passing) {
  Unit& unit = passing.unit;
  bool& dark = in_the_dark[static_cast<int>(unit.output)];
  if (dark && passing.enveloped) {
    dark = is_json_tail(unit.bytes);
    unit.orphan = unit.orphan || dark;
  }
  if (unit.bytes.size() > settings.unit_bytes_max) unit.too_long = true;
  // It may itself have been a piece of something in a further envelope.
  if (passing.enveloped && (unit.orphan || unit.too_long)) dark = true;
  if (settings.join_traces) {
    take_line_of_trace(passing);
  } else {
    give(unit);
  }
}

void Framing::State::take_line_of_trace(const Passing& passing) {
  const Unit& unit = passing.unit;
  const bool is_text = !unit.orphan && !unit.too_long && !begins_as_json(unit.bytes);
  if (opens.size() != open_pieces) {
    if (const std::size_t at = find_trace(passing); at != opens.size()) {
      Open& open = opens[at];
      if (is_text && open.text.size() + 1 + unit.bytes.size() <= settings.unit_bytes_max &&
          continue_trace(open.trace, unit.bytes)) {
        open.text += '\n';
        open.text += unit.bytes;
        open.unit.end = std::max(open.unit.end, unit.end);
        open.unit.lines += unit.lines;
        open.unit.own_bytes += unit.own_bytes;
        open.last_at = now;
        if (open.unit.lines >= settings.trace_lines_max) close_trace(at);
        return;
      }
      close_trace(at);
    }
  }
  if (is_text && settings.trace_lines_max > 1) {
    if (const auto trace = begin_trace(unit.bytes)) {
      Open& open = open_new(passing, true);
      open.trace = *trace;
      open.text = unit.bytes;
      return;
    }
  }
  give(unit);
}

void Framing::State::give(Unit unit) {
  if (unit.orphan || unit.too_long) unit.bytes = {};
  if (!silent) out->push_back(unit);
}

void Framing::State::begin_call(bool is_silent, TimePoint at, std::vector<Unit>& into) {
  silent = is_silent;
  now = at;
  out = &into;
}

void Framing::State::begin_line(std::uint64_t offset, std::uint64_t length, TimePoint at, std::vector<Unit>& into) {
  read_to = offset + length;
  has_new = true;
  begin_call(read_to <= skipped_to, at, into);
  line_offset = offset;
  if (opens.empty()) {
    base = offset;
  } else if (read_to > base + kOverlapMax) {
    const Unit& first = opens[oldest()].unit;
    base = first.carried ? 0 : first.offset;
  }
}

// ---- the contract ----

Framing::Framing(FramingSettings settings) : state_(std::make_unique<State>(settings)) {}
Framing::Framing(Framing&&) noexcept = default;
Framing& Framing::operator=(Framing&&) noexcept = default;
Framing::~Framing() = default;

void Framing::begin_block() {
  state_->texts.clear();
  state_->has_new = false;
}

void Framing::add(std::uint64_t offset, std::uint64_t length, std::string_view bytes, TimePoint now,
                  std::vector<Unit>& out, Output output, std::optional<TimePoint> time) {
  state_->begin_line(offset, length, now, out);
  Passing line;
  line.unit.offset = offset;
  line.unit.end = offset + length;
  line.unit.bytes = bytes;
  line.unit.own_bytes = length;
  line.unit.output = output;
  line.unit.envelope_time = time;
  state_->pass(line, 0);
}

void Framing::add_too_long(std::uint64_t offset, std::uint64_t length, TimePoint now, std::vector<Unit>& out,
                           Output output) {
  State& state = *state_;
  state.begin_line(offset, length, now, out);
  state.close_traces();
  for (Open& open : state.opens) {  // whose piece this was is unknown
    open.unit.orphan = true;
    open.text = {};
  }
  begin_in_the_dark();
  Unit unit;
  unit.offset = offset;
  unit.end = offset + length;
  unit.own_bytes = length;
  unit.too_long = true;
  unit.output = output;
  state.give(unit);
}

void Framing::flush_due(TimePoint now, std::vector<Unit>& out) {
  State& state = *state_;
  if (state.opens.empty() || state.is_behind()) return;
  state.begin_call(false, now, out);
  state.sort_by_end();
  for (Open& open : state.opens) open.last_at = std::min(open.last_at, now);  // a clock set back must not hold units
  const bool all =
      std::all_of(state.opens.begin(), state.opens.end(), [&](const Open& open) { return state.due_of(open) <= now; });
  for (std::size_t at = 0; at < state.opens.size();) {
    if (all || (state.has_new && state.due_of(state.opens[at]) + state.settings.piece_wait <= now)) {
      state.close(at);
    } else {
      ++at;
    }
  }
}

void Framing::finish(std::vector<Unit>& out) {
  State& state = *state_;
  state.begin_call(state.is_behind(), state.now, out);
  state.sort_by_end();
  while (!state.opens.empty()) state.close(0);
}

void Framing::finish_traces(std::vector<Unit>& out) {
  state_->begin_call(state_->is_behind(), state_->now, out);
  state_->close_traces();
}

bool Framing::has_open() const { return !state_->opens.empty(); }

bool Framing::has_carried() const {
  return std::any_of(state_->opens.begin(), state_->opens.end(), [](const Open& open) { return open.unit.carried; });
}

std::uint64_t Framing::oldest_open() const { return state_->base; }

std::optional<TimePoint> Framing::due() const {
  const State& state = *state_;
  if (state.opens.empty() || state.is_behind()) return std::nullopt;
  TimePoint first = TimePoint::max(), last = TimePoint::min();
  for (const Open& open : state.opens) {
    first = std::min(first, state.due_of(open));
    last = std::max(last, state.due_of(open));
  }
  const TimePoint alone = first + state.settings.piece_wait;
  return alone > state.now ? std::min(last, alone) : last;  // past that it waits for a line
}

void Framing::clock_stepped(std::chrono::microseconds by) {
  for (Open& open : state_->opens) open.last_at += by;
}

void Framing::skip_to(std::uint64_t emitted) { state_->skipped_to = emitted; }

void Framing::carry_over(Framing& ended) {
  State& state = *state_;
  for (Open& open : ended.state_->opens) {
    if (open.is_trace) continue;
    open.unit.carried = true;
    state.opens.push_back(std::move(open));
    ++state.open_pieces;
  }
  std::copy(std::begin(ended.state_->in_the_dark), std::end(ended.state_->in_the_dark), state.in_the_dark);
  ended.state_->opens.clear();
  ended.state_->open_pieces = 0;
  state.base = 0;
}

void Framing::begin_in_the_dark() { std::fill(std::begin(state_->in_the_dark), std::end(state_->in_the_dark), true); }

}  // namespace runtail
