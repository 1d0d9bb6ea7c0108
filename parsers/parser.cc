#include "parsers/parser.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <unordered_map>

#include "parsers/event_builder.h"
#include "parsers/logfmt.h"
#include "parsers/native_reader.h"
#include "parsers/repair.h"
#include "parsers/text_shape.h"
#include "parsers/tool_dialect.h"

namespace runtail {
namespace {

namespace dom = simdjson::dom;

// Which names of members stand for which bits: a line that lacks a bit is none of a dialect that needs it.
constexpr std::size_t kHints = 64;
// Sets of names seen whose dialects are remembered; lines of an attacker may have any.
constexpr std::size_t kRemembered = 1024;
constexpr std::string_view kLogfmt = "logfmt";

// Parses into memory of its own, so that texts of an outer line stay while one inside it is read.
struct JsonText {
  dom::parser parser;
  std::string padded = std::string(64 << 10, '\0');
  std::size_t depth_max = simdjson::DEFAULT_MAX_DEPTH;

  bool parse(std::string_view text, dom::object& object) {
    if (padded.size() < text.size() + simdjson::SIMDJSON_PADDING) {
      padded.resize(text.size() + simdjson::SIMDJSON_PADDING);
    }
    if (depth_max != simdjson::DEFAULT_MAX_DEPTH && parser.capacity() < text.size() &&
        parser.allocate(std::max<std::size_t>(text.size(), 16 << 10), depth_max) != simdjson::SUCCESS) {
      return false;
    }
    std::memcpy(padded.data(), text.data(), text.size());
    std::memset(padded.data() + text.size(), 0, simdjson::SIMDJSON_PADDING);
    return parser.parse(padded.data(), text.size(), false).get(object) == simdjson::SUCCESS;
  }
};

// What a line says that has another one in its message, for what that one does not say.
struct Outer {
  std::optional<TimePoint> ts;
  Level level = Level::kInfo;
  bool level_stated = false;
  std::vector<std::pair<Field, FieldValue>> ids;

  static constexpr Field kIds[] = {Field::kJobId,   Field::kRunId,         Field::kTaskRunId, Field::kTask,
                                   Field::kAttempt, Field::kCorrelationId, Field::kTraceId,   Field::kService,
                                   Field::kEnv,     Field::kTaskAttempt};

  void take(const LogEvent& event) {
    ts = event.ts;
    level = event.level;
    level_stated = event.level_stated;
    ids.clear();
    for (const Field field : kIds) {
      if (const FieldValue* value = event.fields.find(field)) ids.emplace_back(field, *value);
    }
  }

  // A run inside another one is its child; what names no run belongs to the outer one.
  void give(LogEvent& event) const {
    if (!event.ts) event.ts = ts;
    if (!event.level_stated && level_stated && !event.is_further) {
      event.level = level;
      event.level_stated = true;
    }
    const std::string_view run = event.fields.text(Field::kRunId);
    const bool has_run = !run.empty();
    for (const auto& [field, value] : ids) {
      if (has_run && field == Field::kRunId && value.text != run) {
        if (!event.fields.has(Field::kParentRunId)) event.fields.put(Field::kParentRunId) = value;
      } else if (has_run && field == Field::kJobId) {
        if (!event.fields.has(Field::kParentJobId)) event.fields.put(Field::kParentJobId) = value;
      } else if (has_run && (field == Field::kTaskRunId || field == Field::kTask || field == Field::kAttempt ||
                             field == Field::kTaskAttempt)) {
        continue;
      } else if (!event.fields.has(field)) {
        event.fields.put(field) = value;
      }
    }
    if (!event.fields.has(Field::kParentRunId)) event.fields.remove(Field::kParentJobId);
  }
};

// Where JSON may begin in a text; npos where there is none.
std::size_t find_object(std::string_view text) {
  for (std::size_t at = 0; (at = text.find('{', at)) != std::string_view::npos; ++at) {
    const std::size_t next = text.find_first_not_of(" \\", at + 1);
    if (next != std::string_view::npos && text[next] == '"') return at;
  }
  return std::string_view::npos;
}

}  // namespace

struct Parser::State {
  explicit State(std::vector<DialectSpec> specs)
      : dialects(std::move(specs)), builder(dialects.at(0)), native(dialects.at(0)) {
    text_spec.name = "text";
    std::vector<const DialectSpec*> ordered;
    for (const DialectSpec& each : dialects) {
      if (each.tool) ordered.push_back(&each);
    }
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const auto* a, const auto* b) { return a->tool->order < b->tool->order; });
    for (const DialectSpec* each : ordered) add_tool(*each);
    inner_json.depth_max = kInnerDepthMax;
  }

  void add_tool(const DialectSpec& spec) {
    ToolDialect& tool = tools.emplace_back(spec);
    const auto is_level_number = [this](const ToolDialect::Asked& asked) {
      return asked.is_number && native.is_level(asked.names.front());
    };
    for (const auto& groups : tool.asks_for()) {
      std::uint64_t needs = 0;
      // Members that native lines have, too, are left to the tests, if there are others: most native lines are then
      // asked nothing.
      const auto is_telling = [&](const ToolDialect::Asked& asked) {
        return !native.knows(asked.names.front()) || is_level_number(asked);
      };
      const bool has_telling = std::any_of(groups.begin(), groups.end(), is_telling);
      for (const ToolDialect::Asked& asked : groups) {
        if (has_telling && !is_telling(asked)) continue;
        const std::string key = asked.names.front() + (is_level_number(asked) ? "#" : "");
        const std::size_t known = hints.try_emplace(key, hints.size() % kHints).first->second;
        const std::uint64_t bit = std::uint64_t{1} << known;
        needs |= bit;
        for (const std::string& name : asked.names) {
          is_level_number(asked) ? native.add_level_number_hint(name, bit) : native.add_hint(name, bit);
        }
      }
      ways.push_back({needs, &tool});
    }
    for (const std::string& mark : spec.tool->broken) marks.add(mark);
    if (!spec.tool->lines.empty()) of_text.push_back(&tool);
  }

  // In the order they are asked.
  const std::vector<ToolDialect*>& candidates(std::uint64_t seen) {
    // Lines of one worker have few sets of names.
    Recent& recent = recents[(seen * 0x9E3779B97F4A7C15ull) >> 58];
    if (recent.found && recent.seen == seen) return *recent.found;
    const std::vector<ToolDialect*>& found = candidates_of(seen);
    recent = {seen, &found};
    return found;
  }

  const std::vector<ToolDialect*>& candidates_of(std::uint64_t seen) {
    const auto known = by_hints.find(seen);
    if (known != by_hints.end()) return known->second;
    if (by_hints.size() == kRemembered) {
      by_hints.clear();
      recents = {};
    }
    std::vector<ToolDialect*>& found = by_hints[seen];
    for (const auto& [needs, tool] : ways) {
      if ((seen & needs) == needs && (found.empty() || found.back() != tool)) found.push_back(tool);
    }
    return found;
  }

  const LogEvent& parse(std::string_view line);
  bool read_json(std::string_view line);
  bool read_pinned(const dom::object& object, std::uint64_t seen, std::string_view line);
  void read_claimed(ToolDialect& tool, const dom::object& object);
  void pin(std::string_view dialect);
  bool read_inner(std::string_view text);
  void look_inside();
  void read_text(std::string_view line);
  bool is_unkept(std::string_view text);

  std::vector<DialectSpec> dialects;
  DialectSpec text_spec;
  EventBuilder builder;
  NativeReader native;
  std::deque<ToolDialect> tools;
  std::vector<ToolDialect*> of_text;
  std::map<std::string, std::size_t> hints;                  // name -> bit
  std::vector<std::pair<std::uint64_t, ToolDialect*>> ways;  // bits needed -> who may claim the line
  std::unordered_map<std::uint64_t, std::vector<ToolDialect*>> by_hints;
  struct Recent {
    std::uint64_t seen = 0;
    const std::vector<ToolDialect*>* found = nullptr;
  };
  std::array<Recent, 64> recents{};
  BodyMarks marks;
  JsonText json, inner_json;
  std::string logfmt_json;

  // Whose lines they are; nobody's where it is not pinned, or native.
  std::string pinned_name;
  ToolDialect* pinned = nullptr;
  bool is_pinned = false;

  // Of the line at hand.
  ToolDialect* reader = nullptr;  // has, or may have, further events
  std::optional<Outer> outer;
  std::vector<std::string_view> inner_texts;
};

const LogEvent& Parser::State::parse(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  reader = nullptr;
  outer.reset();
  const std::size_t first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) {
    builder.begin_event(LineShape::kEmpty, text_spec);
    return builder.event;
  }
  if (line[first] == '{') {
    if (read_json(line)) {
      look_inside();
      return builder.event;
    }
    const std::string repaired = repair_json(line);
    if (repaired != line && read_json(repaired)) {
      builder.event.repaired = true;
      look_inside();
      return builder.event;
    }
  }
  read_text(line);
  return builder.event;
}

bool Parser::State::read_json(std::string_view line) {
  dom::object object;
  if (!json.parse(line, object)) return false;
  // Most lines hold no escape at all.
  builder.set_has_nul_escape(std::memchr(line.data(), '\\', line.size()) &&
                             line.find("\\u0000") != std::string_view::npos);
  const std::uint64_t seen = native.begin(object);
  if (is_pinned) {
    if (read_pinned(object, seen, line)) return true;
  } else if (seen != 0) {
    for (ToolDialect* tool : candidates(seen)) {
      if (!tool->claims(object)) continue;
      read_claimed(*tool, object);
      return true;
    }
  }
  builder.begin_event(LineShape::kJson, dialects.front());
  native.finish(object, builder);
  return true;
}

// Whether the line is read; else its members are looked up as those of a native one.
bool Parser::State::read_pinned(const dom::object& object, std::uint64_t seen, std::string_view line) {
  if (pinned && pinned->claims(object)) {
    read_claimed(*pinned, object);
    return true;
  }
  for (ToolDialect* tool : candidates(seen)) {
    const bool has_bodies = tool->drops_lines() || !tool->spec().tool->broken.empty();
    if (tool == pinned || !has_bodies || !tool->claims(object)) continue;
    read_claimed(*tool, object);
    // Its own lines it also reads without what is never kept: as a line of the contract that would be a member as any.
    if (!builder.event.drop.empty() || marks.stand_in(line)) return true;
    reader = nullptr;
    native.begin(object);
  }
  return false;
}

void Parser::State::pin(std::string_view dialect) {
  if (dialect == pinned_name) return;
  pinned_name = dialect;
  pinned = nullptr;
  for (ToolDialect& tool : tools) {
    if (tool.spec().name == dialect) pinned = &tool;
  }
  is_pinned = pinned || (!dialect.empty() && dialect == dialects.front().name);
}

void Parser::State::read_claimed(ToolDialect& tool, const dom::object& object) {
  reader = &tool;
  if (tool.spec().tool->contract.empty()) return tool.read(object, builder);
  builder.begin_event(LineShape::kJson, dialects.front());
  if (const auto members = tool.contract_members(object)) {
    native.begin(*members);
    native.finish(*members, builder);
  }
  tool.amend(object, builder);
}

// A line as text within another one. Only what a dialect claims, what names a run, or has a level beside its message,
// is more than a text.
bool Parser::State::read_inner(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  if (last == std::string_view::npos || text[last] != '}' || text.size() > kInnerBytesMax) return false;
  const std::size_t begin = find_object(text);
  dom::object object;
  if (begin == std::string_view::npos || !inner_json.parse(text.substr(begin, last + 1 - begin), object)) return false;
  const NativeReader::Names names = native.look(object);
  const auto take_outer = [&] {
    outer.emplace().take(builder.event);
    builder.set_has_nul_escape(true);
  };
  for (ToolDialect* tool : candidates(names.hints)) {
    if (!tool->claims(object)) continue;
    take_outer();
    read_claimed(*tool, object);
    outer->give(builder.event);
    return true;
  }
  if (!names.has_run && !(names.has_level && names.has_msg)) return false;
  take_outer();
  reader = nullptr;
  builder.begin_event(LineShape::kJson, dialects.front());
  native.begin(object);
  native.finish(object, builder);
  outer->give(builder.event);
  return true;
}

void Parser::State::look_inside() {
  if (!builder.event.drop.empty()) return;
  inner_texts.clear();
  if (reader) {
    reader->inner_texts(inner_texts);
  } else {
    inner_texts.push_back(builder.event.fields.text(Field::kMsg));
  }
  for (const std::string_view text : inner_texts) {
    if (text.size() < 8 || !std::memchr(text.data(), '{', text.size())) continue;
    if (read_inner(text) || is_unkept(text)) return;
  }
}

// Of a body that must not be kept, in JSON nobody can read, not even the beginning is.
bool Parser::State::is_unkept(std::string_view text) {
  if (!marks.stand_in(text)) return false;
  builder.begin_event(LineShape::kText, text_spec);
  builder.event.drop = "unparsable_body";
  reader = nullptr;
  return true;
}

void Parser::State::read_text(std::string_view line) {
  builder.begin_event(LineShape::kText, text_spec);
  const TextHead head = head_of(line, builder.zone());
  builder.event.ts = head.ts;
  if (!head.level.empty()) builder.set_level(head.level);
  const bool may_hold_json = std::memchr(line.data(), '{', line.size()) != nullptr;
  if ((may_hold_json && read_inner(line)) || is_unkept(line)) return;
  if (line.find_first_not_of(" \t") != line.find('{') || !may_hold_json) {
    if (logfmt_to_json(line, logfmt_json) && read_json(logfmt_json)) {
      if (!reader) builder.event.dialect = kLogfmt;
      return look_inside();
    }
    for (ToolDialect* tool : of_text) {
      if (is_pinned && tool != pinned) continue;
      if (!tool->read_text(line, builder)) continue;
      reader = tool;
      break;
    }
  }
  LogEvent& event = builder.event;
  event.shape = LineShape::kText;
  if (!event.ts) event.ts = head.ts;
  if (!event.level_stated && !head.level.empty()) builder.set_level(head.level);
  if (!event.drop.empty()) return;
  if (may_hold_json && line.find('\\') != std::string_view::npos && line[line.find_first_not_of(" \t\r")] == '{') {
    line = builder.keep(decode_escapes(line));
  }
  event.text = is_clean_text(line) ? line : builder.keep(repair_text(line, event.repaired));
}

Parser::Parser(std::vector<DialectSpec> dialects) : state_(std::make_unique<State>(std::move(dialects))) {}
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;
Parser::~Parser() = default;

const LogEvent& Parser::parse(std::string_view line, const TimeZone* zone, std::string_view dialect) {
  state_->builder.begin_line(zone);
  state_->pin(dialect);
  return state_->parse(line);
}

const LogEvent* Parser::next() {
  State& state = *state_;
  if (!state.reader || !state.reader->read_next(state.builder)) return nullptr;
  if (state.outer) state.outer->give(state.builder.event);
  return &state.builder.event;
}

}  // namespace runtail
