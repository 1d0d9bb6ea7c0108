// Lines for framing tests, and what came of them.
#pragma once

#include <gtest/gtest.h>
#include <malloc.h>
#include <algorithm>
#include <random>
#include <string>
#include "parsers/framing.h"
#include "tests/support/scale.h"

namespace runtail::test {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Envelope = FramingSettings::Envelope;

// A unit whose text outlives the block.
struct Kept {
  std::uint64_t offset = 0, end = 0;
  std::string text;
  std::uint32_t lines = 0;
  bool too_long = false, orphan = false, carried = false;
  Output output = Output::kUnknown;
  std::optional<TimePoint> time;
  bool operator==(const Kept&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Kept& unit) {
  return out << '[' << unit.offset << ',' << unit.end << ") " << unit.lines << " lines, too_long " << unit.too_long
             << ", orphan " << unit.orphan << ", output " << static_cast<int>(unit.output) << ": " << unit.text;
}

inline void keep(const std::vector<Unit>& units, std::vector<Kept>& into) {
  for (const Unit& unit : units) {
    into.push_back({unit.offset, unit.end, std::string(unit.bytes), unit.lines, unit.too_long, unit.orphan,
                    unit.carried, unit.output, unit.envelope_time});
  }
}

inline std::string json_string(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += c;
    }
  }
  return '"' + out + '"';
}

inline std::string docker(std::string_view log, std::string_view stream = "stdout", std::string_view second = "02") {
  return "{\"log\":" + json_string(log) + ",\"stream\":\"" + std::string(stream) +
         "\",\"time\":\"2026-03-01T00:00:" + std::string(second) + ".5Z\"}";
}

inline std::string cri(std::string_view text, std::string_view tag = "F", std::string_view stream = "stdout") {
  return "2026-03-01T00:00:02.5Z " + std::string(stream) + ' ' + std::string(tag) + ' ' + std::string(text);
}

inline std::string fluent(std::string_view log, std::string_view more_members) {
  return "{\"log\":" + json_string(log) + ",\"container_id\":\"c1\",\"source\":\"stdout\"" + std::string(more_members) +
         "}";
}

inline std::string fluent_piece(std::string_view log, std::string_view id, int ordinal, bool last) {
  return fluent(log, ",\"partial_message\":\"true\",\"partial_id\":\"" + std::string(id) + "\",\"partial_ordinal\":\"" +
                         std::to_string(ordinal) + "\",\"partial_last\":\"" + (last ? "true" : "false") + "\"");
}

// Lines one behind the other into one Framing, each in a block of its own: what views outlive it must be kept by then.
class Feed {
 public:
  explicit Feed(FramingSettings settings = {}) : framing(settings) {}

  Feed& line(std::string_view bytes) {
    const std::string copy(bytes);
    std::vector<Unit> out;
    framing.begin_block();
    framing.add(offset, copy.size() + 1, copy, now, out);
    offset += copy.size() + 1;
    keep(out, units);
    return *this;
  }
  Feed& lines(std::initializer_list<std::string> all) {
    for (const std::string& each : all) line(each);
    return *this;
  }
  Feed& too_long(std::uint64_t length) {
    std::vector<Unit> out;
    framing.add_too_long(offset, length, now, out);
    offset += length;
    keep(out, units);
    return *this;
  }
  Feed& after(milliseconds time) {
    now += time;
    std::vector<Unit> out;
    framing.flush_due(now, out);
    keep(out, units);
    return *this;
  }
  Feed& finish() {
    std::vector<Unit> out;
    framing.finish(out);
    keep(out, units);
    EXPECT_FALSE(framing.has_open());
    return *this;
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const Kept& unit : units) {
      all.push_back(unit.orphan ? "<orphan>" : unit.too_long ? "<too long>" : unit.text);
    }
    return all;
  }

  Framing framing;
  std::uint64_t offset = 0;
  TimePoint now = from_micros(1'700'000'000'000'000);
  std::vector<Kept> units;
};

using Texts = std::vector<std::string>;

}  // namespace runtail::test
