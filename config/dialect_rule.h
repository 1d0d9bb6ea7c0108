// What a dialect of a tool's own format consists of: tests on members, sources of values, rules that make events.
// How each is written in a file: docs/dialects.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/field.h"
#include "core/words.h"

namespace runtail {

// What a member of a line has to be. A null is as if the member were not there.
struct MemberTest {
  enum class Kind : std::uint8_t {
    kPresent,
    kAbsent,
    kObject,
    kArray,
    kText,
    kNumber,
    kOneOf,   // its text, number or boolean, as JSON writes it, is one of `words`
    kNoneOf,  // it is not there, or none of them
    kBegins,  // a text that begins with one of them
    kHas,     // a text that has one of them in it
    kAbove,   // a number above `bound`
    kBelow,
  };
  std::string path;
  Kind kind = Kind::kPresent;
  std::vector<std::string> words;
  double bound = 0;
};

// What is done to a value before the field reads it. What does not fit is no value, and the next source is asked.
enum class Conversion : std::uint8_t {
  kNone,
  kSeconds,          // seconds with a fraction -> milliseconds
  kNanoseconds,      // -> milliseconds
  kTrailingInteger,  // "INSERT 0 5" -> 5
  kIdentifier,       // SQL quotes removed: "\"dw\".\"mart\".\"sales\"" -> dw.mart.sales
  kLastPart,         // behind the last dot: "model.shop.sales" -> sales
  kUtc,              // a time without offset is UTC, whatever the source's zone
  kExitCode,         // none if negative
  kSignal,           // -9 -> 9; none if not negative
  kColumnTypes,      // {name: {"type": t}} or [{"name": n, "type": t}] -> {name: t}
  kEpochParts,       // seconds and nanoseconds, joined by a blank -> a time
};

// Where a value comes from.
struct ValueSource {
  std::vector<std::string> paths;  // more than one: those that are there, with `with` between; so are texts of an array
  std::string with;
  std::string constant;  // where paths and sum are empty
  std::string sum;       // path through arrays: the numbers at its ends, added up; none: no value
  Conversion conversion = Conversion::kNone;
  std::map<std::string, std::string> words;  // not empty: value -> what it means; others are no value
  std::vector<std::string> unless;           // values that are none, whole ones and those that are joined
  std::string after;                         // only what follows this text in the value
  std::string before;                        // put before the value
};

// The first source with a value the field can hold counts.
struct FieldSources {
  Field field{};
  std::vector<ValueSource> sources;
};

// A literal, or a place where a value stands.
struct TextPiece {
  std::string literal;
  bool is_value = false;
  std::optional<Field> field;  // of a value; none: it means nothing
  Conversion conversion = Conversion::kNone;
};

// The first rule whose tests hold makes the event.
struct EventRule {
  std::vector<MemberTest> when;  // all of them
  // Tried on the message, or on a line of plain text; empty: not asked.
  std::vector<TextPiece> text;
  bool from_beginning = false;  // the text begins with the first piece
  EventKind kind = EventKind::kPlain;
  // kExit: the line shows that there was an end, not how it went; what another line says of it wins.
  VerdictSource verdict_source = VerdictSource::kLog;
  // Not empty: of such a line nothing is kept but values of typed fields and names of what they count. It is counted
  // so.
  std::string drop;
  std::vector<FieldSources> fields;    // asked before the dialect's own
  std::vector<ValueSource> ts, level;  // so are these
  std::vector<Field> without;          // of the dialect's own fields those that do not count here
  // Path of an array: an event for each of its elements. Paths that begin with "@." go on from there, those with "@^."
  // from the element of the array around it, "@^^." from the one around that.
  std::string each;
  std::vector<EventRule> also;  // further events that the same line states
};

struct ToolFormat {
  int order = 0;  // dialects are asked from the lowest up; the native contract is asked last
  std::vector<std::vector<MemberTest>> detect;  // a line is claimed if all tests of one of these hold
  std::vector<ValueSource> ts, level;
  std::map<double, Level> level_floor;  // of a level that is a number: the one with the greatest bound not above it
  std::vector<FieldSources> fields;
  std::vector<EventRule> rules;
  std::vector<EventRule> lines;     // of lines that are no JSON; each has a text
  std::vector<std::string> broken;  // JSON that cannot be parsed is dropped if one of these stands in it, blanks aside
  std::vector<std::string> inner;   // members that may hold a whole line as text
  bool run_is_process = false;      // a line without a run is of the run that its process is
  // Path of the object whose members are those of a native line, ".": the line itself; such a dialect says where else
  // time, level and fields may stand, and has no rules.
  std::string contract;
  bool keeps_rest = false;  // members that mean nothing here stay, as those of a native line do
};

// What a line gives, event by event: field (or dialect, event, level, ts, drop) -> text.
struct DialectExample {
  int line_number = 0, column = 0;  // in the dialect file, from 1
  std::string line;
  std::vector<std::map<std::string, std::string>> want;
};

}  // namespace runtail
