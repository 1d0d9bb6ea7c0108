// Any lines: each is in exactly one unit, nothing stays open at the end, limits hold, and reading that stops and starts
// gives the same units.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "parsers/framing.h"

namespace {

using namespace runtail;

struct Seen {
  std::uint64_t offset, end;
  std::string text;
  bool operator==(const Seen&) const = default;
};

void demand(bool holds) {
  if (!holds) std::abort();
}

void keep(const std::vector<Unit>& units, const FramingSettings& settings, std::vector<Seen>& into) {
  for (const Unit& unit : units) {
    demand(unit.offset < unit.end && unit.bytes.size() <= settings.unit_bytes_max && unit.lines > 0);
    demand(!(unit.orphan || unit.too_long) || unit.bytes.empty());
    into.push_back({unit.offset, unit.end, std::string(unit.bytes)});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  FramingSettings settings;
  settings.envelope = static_cast<FramingSettings::Envelope>(data[0] % 6);
  settings.join_traces = (data[0] & 0x40) != 0;
  settings.unit_bytes_max = 16 + data[1] * 4u;
  settings.trace_lines_max = 1 + data[2] % 16;
  const std::size_t restart_every = 1 + data[2] / 16;
  const std::string_view text(reinterpret_cast<const char*>(data) + 3, size - 3);

  std::vector<std::string_view> lines;
  std::vector<std::uint64_t> offsets = {0};
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
    offsets.push_back(at);
  }
  const auto add = [&](Framing& framing, std::size_t line, std::vector<Unit>& out) {
    const std::uint64_t length = offsets[line + 1] - offsets[line];
    if (lines[line] == "too long") return framing.add_too_long(offsets[line], length, TimePoint{}, out);
    framing.add(offsets[line], length, lines[line], TimePoint{}, out);
  };

  std::vector<Unit> out;
  std::vector<Seen> whole, pieced;
  Framing framing(settings);
  for (std::size_t line = 0; line < lines.size(); ++line) add(framing, line, out);
  framing.finish(out);
  demand(!framing.has_open() && !framing.due());
  keep(out, settings, whole);
  std::size_t in_units = 0;
  bool gave_up = false;
  for (const Unit& unit : out) {
    in_units += unit.lines;
    gave_up = gave_up || unit.orphan || unit.too_long;
  }
  demand(in_units == lines.size());

  for (std::size_t at = 0, from = 0; at < lines.size();) {
    Framing again(settings);
    again.skip_to(offsets[at]);
    at = std::min(at + restart_every, lines.size());
    out.clear();
    for (; from < at; ++from) add(again, from, out);
    const std::uint64_t resume = again.has_open() ? again.oldest_open() : offsets[at];
    if (at == lines.size()) again.finish(out);
    keep(out, settings, pieced);
    from = static_cast<std::size_t>(std::lower_bound(offsets.begin(), offsets.end(), resume) - offsets.begin());
    demand(from <= at && offsets[from] == resume);
  }
  // What was given up is forgotten over a restart: the rest of it may be judged otherwise (see begin_in_the_dark).
  if (!gave_up) demand(pieced == whole);
  return 0;
}
