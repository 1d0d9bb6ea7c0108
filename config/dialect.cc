#include "config/dialect.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

#include "config/near_word.h"
#include "config/tool_format.h"
#include "config/yaml_document.h"
#include "core/embedded.h"

namespace runtail {
namespace {

// "TRACE" ... "FATAL" for Level::kFatal: the spellings of a set up to its last word.
template <typename Word>
std::vector<std::string> words_up_to(Word last) {
  std::vector<std::string> words;
  for (int i = 0; i <= static_cast<int>(last); ++i) words.emplace_back(to_string(static_cast<Word>(i)));
  return words;
}

const std::vector<std::string> kEventNames = words_up_to(kLastLineKind);
const std::vector<std::string> kLevelNames = words_up_to(Level::kFatal);
const std::vector<std::string> kStatusNames = words_up_to(RunStatus::kSkipped);
const std::vector<std::string> kEndReasonNames = words_up_to(EndReason::kTimeout);

std::vector<std::string> field_names() {
  std::vector<std::string> names;
  for (const FieldSpec& spec : kFieldSpecs) names.emplace_back(spec.name);
  return names;
}

// Reads one file; keeps going after a complaint, so that one run shows them all.
class DialectReader {
 public:
  DialectReader(std::string_view file_name, DialectOrigin origin) : file_name_(file_name), origin_(origin) {}

  ReadDialect read(const YAML::Node& root) {
    if (root.IsMap()) {
      const bool is_native = root["name"].IsDefined() && root["name"].IsScalar() && root["name"].Scalar() == kNative;
      if (root["detect"] || root["lines"] || (origin_ == DialectOrigin::kOwn && !is_native)) spec_.tool.emplace();
      for (const auto& entry : root) read_part(entry.first, entry.second);
      if (spec_.tool) check_tool(root);
    } else {
      complain(root, "dialect",
               "expected a map with the keys name, ts, level, event, fields, events, statuses, levels");
    }
    if (problems_.empty() && spec_.name.empty()) complain(root, "name", "missing: name the dialect");
    spec_.file = file_name_;
    return {std::move(spec_), std::move(problems_)};
  }

 private:
  void complain(const YAML::Node& node, const std::string& key, const std::string& message) {
    problems_.push_back({place_of(node, file_name_), key, message});
  }

  // It becomes a label of metrics and a word in rows.
  void check_name(const YAML::Node& value) {
    const std::string& name = spec_.name;
    const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    });
    if (name.empty() || name.size() > 64 || !is_plain) {
      complain(value, "name", "write 1 to 64 small letters, digits, '_', '-' or '.'");
    } else if (origin_ == DialectOrigin::kOwn && std::ranges::find(kTaken, name) != std::end(kTaken)) {
      complain(value, "name", '"' + name + "\" stands for lines no dialect claims; choose another name");
    } else if (origin_ == DialectOrigin::kOwn && name == kNative) {
      complain(value, "name", "native is the log contract, which no file replaces; choose another name");
    }
  }

  void check_tool(const YAML::Node& root) {
    const ToolFormat& tool = *spec_.tool;
    if (!root["detect"] && !root["lines"]) {
      complain(root, "detect", "missing: say how lines of this dialect are told from others (lines: if they are text)");
    }
    if (tool.contract.empty() && root["detect"] && !root["rules"] && !root["fields"]) {
      complain(root, "rules", "missing: say what lines mean, by rules or fields, or by contract: .");
    }
    if (!tool.contract.empty() && root["rules"]) {
      complain(root["rules"], "rules", "a dialect with contract has none: its lines state their event themselves");
    }
    if (tool_reader_.members() > kDialectMembersMax) {
      complain(root, "dialect",
               "names " + std::to_string(tool_reader_.members()) + " different members, at most " +
                   std::to_string(kDialectMembersMax) + " are read; make two dialects of it");
    }
    if (origin_ == DialectOrigin::kOwn && !root["examples"]) {
      complain(root, "examples", "missing: write at least one line and what it gives; `runtail check` runs them");
    }
  }

  void read_part(const YAML::Node& key, const YAML::Node& value) {
    static const std::vector<std::string> kParts = {"name",     "ts",     "level",  "event", "fields",
                                                    "statuses", "levels", "events", "own"};
    const std::string& part = key.Scalar();
    if (!parts_.emplace(part).second) return complain(key, part, "given twice; keep one");
    const std::vector<std::string>& tool_parts = ToolFormatReader::parts();
    const bool is_tool_part = std::find(tool_parts.begin(), tool_parts.end(), part) != tool_parts.end();
    if (part == "name") {
      spec_.name = value.IsScalar() ? value.Scalar() : "";
      check_name(value);
    } else if (part == "examples") {
      spec_.examples = tool_reader_.read_examples(value);
    } else if (spec_.tool && (is_tool_part || part == "ts" || part == "level" || part == "fields")) {
      tool_reader_.read(part, value, *spec_.tool);
    } else if (part == "ts") {
      spec_.ts = paths(value, part);
    } else if (part == "level") {
      spec_.level = paths(value, part);
    } else if (part == "event") {
      spec_.event = paths(value, part);
    } else if (part == "fields") {
      read_fields(value);
    } else if (part == "events") {
      for_each_name(value, part, "kind of event", kEventNames,
                    [&](int kind, const YAML::Node& list, const std::string& at) {
                      for (const auto& word : texts(list, at))
                        add_word(spec_.events, word, static_cast<EventKind>(kind), at);
                    });
    } else if (part == "levels") {
      for_each_name(value, part, "level", kLevelNames, [&](int level, const YAML::Node& list, const std::string& at) {
        for (const auto& word : texts(list, at)) add_word(spec_.levels, word, static_cast<Level>(level), at);
      });
    } else if (part == "own") {
      for_each_name(value, part, "kind of event", kEventNames,
                    [&](int kind, const YAML::Node& fields, const std::string& at) {
                      read_own(fields, at, spec_.own[static_cast<EventKind>(kind)]);
                    });
    } else if (part == "statuses") {
      read_statuses(value);
    } else {
      complain(key, part,
               is_tool_part ? "needs detect or lines beside it, which tell lines of this dialect from others"
                            : "unknown key" + did_you_mean(part, kParts));
    }
  }

  // Calls `then(index of the name, value, key path)` for each entry of a map whose keys are out of `names`.
  template <typename Then>
  void for_each_name(const YAML::Node& map, const std::string& part, const std::string& what,
                     const std::vector<std::string>& names, Then then) {
    if (!map.IsMap()) return complain(map, part, "expected a map from " + what + " to a list of words");
    for (const auto& entry : map) {
      const std::string& name = entry.first.Scalar();
      const std::string at = part + "." + name;
      const int index = index_of(name, names);
      if (index < 0) {
        complain(entry.first, at, "no " + what + " \"" + name + "\"" + did_you_mean(name, names));
      } else {
        then(index, entry.second, at);
      }
    }
  }

  static int index_of(const std::string& name, const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!name.empty() && names[i] == name) return static_cast<int>(i);
    }
    return -1;
  }

  std::vector<YAML::Node> texts(const YAML::Node& list, const std::string& at) {
    std::vector<YAML::Node> found;
    if (!list.IsSequence()) {
      complain(list, at, "expected a list: [one, two]");
      return found;
    }
    for (const auto& item : list) {
      if (item.IsScalar() && !item.Scalar().empty()) {
        found.push_back(item);
      } else {
        complain(item, at, "expected a list of texts, none of them empty");
      }
    }
    return found;
  }

  // Members of a line; each may serve one purpose only.
  std::vector<std::string> paths(const YAML::Node& list, const std::string& at) {
    std::vector<std::string> found;
    for (const YAML::Node& item : texts(list, at)) {
      if (const auto [earlier, added] = purpose_.emplace(item.Scalar(), at); !added) {
        complain(item, at, "\"" + item.Scalar() + "\" already serves " + earlier->second);
      } else {
        found.push_back(item.Scalar());
      }
    }
    return found;
  }

  void read_fields(const YAML::Node& map) {
    for_each_name(map, "fields", "contract field", field_names(),
                  [&](int field, const YAML::Node& list, const std::string& at) {
                    for (const std::string& path : paths(list, at))
                      spec_.fields.emplace(path, static_cast<Field>(field));
                  });
  }

  // A member may serve several kinds, and other purposes on other lines.
  void read_own(const YAML::Node& map, const std::string& part, std::map<std::string, Field>& own) {
    for_each_name(map, part, "contract field", field_names(),
                  [&](int field, const YAML::Node& list, const std::string& at) {
                    for (const YAML::Node& item : texts(list, at)) {
                      if (!own.emplace(item.Scalar(), static_cast<Field>(field)).second) {
                        complain(item, at, "\"" + item.Scalar() + "\" is listed twice");
                      }
                    }
                  });
  }

  template <typename Meaning, typename Order>
  void add_word(std::map<std::string, Meaning, Order>& words, const YAML::Node& word, const Meaning& meaning,
                const std::string& at) {
    if (!words.emplace(fold_word(word.Scalar()), meaning).second) {
      complain(word, at, "\"" + word.Scalar() + "\" is listed twice (case, space, '-' and '_' do not count)");
    }
  }

  void read_statuses(const YAML::Node& groups) {
    if (!groups.IsSequence()) return complain(groups, "statuses", "expected a list of {status, words, ...}");
    for (std::size_t i = 0; i < groups.size(); ++i) {
      read_status_group(groups[i], "statuses[" + std::to_string(i) + "]");
    }
  }

  void read_status_group(const YAML::Node& group, const std::string& at) {
    static const std::vector<std::string> kKeys = {"status", "words", "run_event", "attempt_failed", "end_reason"};
    if (!group.IsMap()) return complain(group, at, "expected {status, words, ...}");
    StatusWord meaning;
    std::vector<YAML::Node> words;
    bool has_status = false;
    EventKind run_event = EventKind::kPlain;
    // The index of a value in its closed set; -1 after a complaint.
    const auto one_of = [&](const YAML::Node& value, const std::string& key, const std::vector<std::string>& names) {
      const std::string text = value.IsScalar() ? value.Scalar() : "";
      const int index = index_of(text, names);
      if (index < 0) complain(value, key, "no such word \"" + text + "\"" + did_you_mean(text, names));
      return index;
    };
    for (const auto& entry : group) {
      const std::string& name = entry.first.Scalar();
      const std::string key = at + "." + name;
      if (name == "words") {
        words = texts(entry.second, key);
      } else if (name == "status") {
        has_status = true;
        if (const int i = one_of(entry.second, key, kStatusNames); i >= 0) meaning.status = static_cast<RunStatus>(i);
      } else if (name == "run_event") {
        if (const int i = one_of(entry.second, key, kEventNames); i >= 0) run_event = static_cast<EventKind>(i);
      } else if (name == "end_reason") {
        if (const int i = one_of(entry.second, key, kEndReasonNames); i >= 0) {
          meaning.end_reason = static_cast<EndReason>(i);
        }
      } else if (name == "attempt_failed") {
        const std::vector<std::string> kBooleans = {"false", "true"};
        meaning.attempt_failed = one_of(entry.second, key, kBooleans) == 1;
      } else {
        complain(entry.first, key, "unknown key" + did_you_mean(name, kKeys));
      }
    }
    if (!has_status || words.empty()) complain(group, at, "needs both `status` and `words`");
    for (const YAML::Node& word : words) {
      add_word(spec_.statuses, word, meaning, at);
      if (run_event != EventKind::kPlain) spec_.phase_events.emplace(fold_word(word.Scalar()), run_event);
    }
  }

  static constexpr std::string_view kNative = "native", kTaken[] = {"text", "logfmt", "runtail"};

  const std::string_view file_name_;
  const DialectOrigin origin_;
  ToolFormatReader tool_reader_{[this](const YAML::Node& node, const std::string& key, const std::string& message) {
    complain(node, key, message);
  }};
  DialectSpec spec_;
  std::vector<DialectProblem> problems_;
  std::set<std::string> parts_;                 // top-level keys seen
  std::map<std::string, std::string> purpose_;  // member of a line -> key path it was listed under
};

}  // namespace

std::string fold_word(std::string_view word) {
  std::string folded(word);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == ' ' || c == '-') c = '_';
  }
  return folded;
}

ReadDialect read_dialect(std::string_view yaml, std::string_view file_name, DialectOrigin origin) {
  YAML::Node root;
  if (const auto fault = parse_yaml(yaml, file_name, root)) return {{}, {{fault->place, "", fault->message}}};
  return DialectReader(file_name, origin).read(root);
}

Result<DialectSpec> load_dialect(std::string_view yaml, std::string_view file_name) {
  ReadDialect read = read_dialect(yaml, file_name, DialectOrigin::kBuiltIn);
  if (read.problems.empty()) return std::move(read.spec);
  std::string all;
  for (const DialectProblem& problem : read.problems) {
    all += (all.empty() ? "" : "\n") + problem.place + ": " + (problem.key.empty() ? "" : problem.key + ": ") +
           problem.message;
  }
  return Error{ErrorCode::kInvalidInput, all};
}

std::vector<DialectSpec> built_in_dialects() {
  std::vector<DialectSpec> dialects;
  for (const embedded::File& file : embedded::runtail_dialects()) {
    Result<DialectSpec> dialect = load_dialect(file.text, file.name);
    if (!dialect) throw std::logic_error("built-in dialect: " + dialect.error().message);
    dialects.push_back(std::move(*dialect));
  }
  std::stable_partition(dialects.begin(), dialects.end(), [](const DialectSpec& each) { return !each.tool; });
  return dialects;
}

}  // namespace runtail
