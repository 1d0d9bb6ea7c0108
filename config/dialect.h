// A dialect as data: which members of a tool's JSON lines are which contract fields, and what its words mean.
// The files are parsers/dialects/*.yaml; the native contract is one of them. A file that says how its lines are told
// from others (`detect`, `lines`) is that of a tool.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/dialect_rule.h"
#include "core/field.h"
#include "core/result.h"
#include "core/words.h"

namespace runtail {

struct StatusWord {
  RunStatus status = RunStatus::kRunning;
  bool attempt_failed = false;  // "up for retry": the attempt failed, the run goes on
  EndReason end_reason = EndReason::kNone;
};

struct DialectSpec {
  std::string name;
  std::string file;  // it was read from
  // Dotted path of a member -> field. Paths: "error.message"; a top-level name wins over a dotted path.
  std::map<std::string, Field> fields;
  // By kind of event: what further members mean on lines of that kind only.
  std::map<EventKind, std::map<std::string, Field>> own;
  std::vector<std::string> ts, level, event;  // members that hold time, level, kind; the first present wins
  std::map<std::string, EventKind> events;    // words of `event`; keys folded by fold_word()
  std::map<std::string, EventKind>
      phase_events;  // `phase` words that mean the run's lifecycle where no event is stated
  std::map<std::string, StatusWord, std::less<>> statuses;  // keys folded
  std::map<std::string, Level, std::less<>> levels;         // keys folded
  // Of a tool's own format. Its lines are read by this; of the above it has the words of statuses and levels only, and
  // where those say nothing the native ones count.
  std::optional<ToolFormat> tool;
  std::vector<DialectExample> examples;
};

// A file has at most so many different members, those of elements counted for each rule.
inline constexpr std::size_t kDialectMembersMax = 256;

// Case-folded, with space, '-' and '_' equal ('_').
std::string fold_word(std::string_view word);

struct DialectProblem {
  std::string place;    // "native.yaml:12:3"
  std::string key;      // "fields.msg"
  std::string message;  // no contract field "mesage" (did you mean "message"?)
};

// Of a dialect of a user's: its name must be none that stands for something else.
enum class DialectOrigin { kBuiltIn, kOwn };

struct ReadDialect {
  DialectSpec spec;
  std::vector<DialectProblem> problems;  // every one at once; empty: the dialect is usable
};
ReadDialect read_dialect(std::string_view yaml, std::string_view file_name, DialectOrigin origin);

// kInvalidInput: all problems, one a line, as "place: key: message".
Result<DialectSpec> load_dialect(std::string_view yaml, std::string_view file_name);
// The ones built into the binary, the native contract first; they are tested, so an error here is a mistake of ours.
std::vector<DialectSpec> built_in_dialects();

}  // namespace runtail
