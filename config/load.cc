#include "config/load.h"

#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>
#include <sstream>
#include <utility>

#include "config/definition_check.h"
#include "config/definition_defaults.h"
#include "config/dialect_files.h"
#include "config/near_word.h"
#include "config/redaction_files.h"
#include "config/setting.h"
#include "config/source_check.h"
#include "config/text_file.h"
#include "config/yaml_document.h"

namespace runtail {
namespace {

constexpr const char* kOneSource = "RUNTAIL_SOURCE_INCLUDE";
// <namespace>_<pod>_<uid>/<container>/<attempt>.log
constexpr const char* kPodLogs = "/var/log/pods/*/*/*.log";

template <typename Section>
const Setting<Section>* find_setting(std::span<const Setting<Section>> table, std::string_view path) {
  for (const auto& setting : table) {
    if (setting.path == path) return &setting;
  }
  return nullptr;
}

template <typename Section>
bool is_section(std::span<const Setting<Section>> table, std::string_view path) {
  return std::any_of(table.begin(), table.end(), [&](const auto& setting) {
    return setting.path.size() > path.size() && setting.path.starts_with(path) && setting.path[path.size()] == '.';
  });
}

// Names that may stand directly below `prefix` ("" or "buffer.").
template <typename Section>
std::vector<std::string> names_below(std::span<const Setting<Section>> table, std::string_view prefix) {
  std::vector<std::string> names;
  for (const auto& setting : table) {
    if (!setting.path.starts_with(prefix)) continue;
    const std::string_view rest = setting.path.substr(prefix.size());
    const std::string name(rest.substr(0, rest.find('.')));
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  return names;
}

// A near name in the same section; else the key of this very name in another section.
template <typename Section>
std::string hint(std::span<const Setting<Section>> table, const std::string& name, std::string_view prefix) {
  const std::string near = did_you_mean(name, names_below(table, prefix));
  if (!near.empty()) return near;
  for (const auto& setting : table) {
    if (setting.path.ends_with("." + name)) return " (did you mean \"" + std::string(setting.path) + "\"?)";
  }
  return "";
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    const std::size_t first = part.find_first_not_of(" \t");
    if (first == std::string::npos) continue;
    parts.push_back(part.substr(first, part.find_last_not_of(" \t") - first + 1));
  }
  return parts;
}

bool is_section_list(const Member& member) {
  return std::visit([]<typename T>(T*) { return SectionList<T>; }, member);
}

// One value on its way to a member.
struct Given {
  std::string text;     // after ${NAME}
  std::string written;  // as in the file: what messages show, since ${NAME} may hold a secret
  std::string place;
  std::string key;
};

class Loader {
 public:
  Loader(std::string_view file_name, const Environment& environment)
      : file_name_(file_name), environment_(environment) {}

  LoadedConfig load(std::string_view yaml) {
    YAML::Node root;
    if (const auto fault = parse_yaml(yaml, file_name_, root)) {
      complain(fault->place, "", fault->message);
    } else {
      read_section(loaded_.config, settings(), root, "", "");
    }
    read_environment();
    apply_defaults();
    check_sources(loaded_.config.sources, places_, loaded_.problems);
    read_dialects();
    complete_definitions(loaded_.config, environment_);
    check_definitions(loaded_.config, places_, loaded_.problems);
    for (RedactionFileProblem& problem :
         read_redaction_files(loaded_.config.redaction, environment_(kHashKeyVariable))) {
      const auto place = places_.find(problem.key.substr(0, problem.key.find('[')));
      complain(place != places_.end() ? place->second : std::string(file_name_), problem.key,
               std::move(problem.message));
    }
    return std::move(loaded_);
  }

 private:
  void complain(std::string place, std::string key, std::string message) {
    loaded_.problems.push_back({std::move(place), std::move(key), std::move(message)});
  }
  void complain(const YAML::Node& node, const std::string& key, const std::string& message) {
    complain(place_of(node, file_name_), key, message);
  }

  // Keys of `table` below `below` ("" or "buffer."). Messages show the keys with `owner` in front ("" or
  // "sources[0].").
  template <typename Section>
  void read_section(Section& target, std::span<const Setting<Section>> table, const YAML::Node& section,
                    const std::string& below, const std::string& owner) {
    if (section.IsNull()) return;  // all keys below it are commented out
    if (!section.IsMap()) {
      const std::string key = below.empty() ? "" : owner + below.substr(0, below.size() - 1);
      return complain(section, key, "expected keys with values, as in " + names_below(table, below).front() + ": ...");
    }
    std::set<std::string> seen;
    for (const auto& entry : section) {
      const std::string& name = entry.first.Scalar();
      const std::string path = below + name, key = owner + path;
      if (!seen.insert(name).second) {
        complain(entry.first, key, "given twice; keep one");
      } else if (name.find('.') != std::string::npos && find_setting(table, path)) {
        complain(entry.first, key,
                 "write it as a section: " + name.substr(0, name.find('.')) + ": with " +
                     name.substr(name.find('.') + 1) + ": indented below");
      } else if (const auto* setting = find_setting(table, path)) {
        read_setting(target, *setting, entry.second, key);
      } else if (is_section(table, path)) {
        read_section(target, table, entry.second, path + ".", owner);
      } else {
        complain(entry.first, key, "unknown key" + hint(table, name, below));
      }
    }
  }

  template <typename Section>
  void read_setting(Section& section, const Setting<Section>& setting, const YAML::Node& node, const std::string& key) {
    if (node.IsNull()) return;
    places_[key] = place_of(node, file_name_);
    const Member member = setting.member(section);
    if (is_section_list(member)) {
      std::visit([&](auto* list) { read_list(*list, node, key); }, member);
    } else if (const auto* list = std::get_if<std::vector<std::string>*>(&member)) {
      if (!node.IsSequence()) return complain(node, key, "expected a list: [one, two]");
      (*list)->clear();
      for (std::size_t i = 0; i < node.size(); ++i) {
        const std::string item_key = key + "[" + std::to_string(i) + "]";
        if (const auto given = scalar(node[i], item_key)) append(setting, **list, *given);
      }
    } else if (const auto* map = std::get_if<std::map<std::string, std::string>*>(&member)) {
      if (!node.IsMap()) return complain(node, key, "expected names with values: {name: value}");
      for (const auto& entry : node) {
        const std::string& name = entry.first.Scalar();
        const auto given = scalar(entry.second, key + "." + name);
        if (given) insert(setting, **map, name, *given);
      }
    } else if (const auto given = scalar(node, key)) {
      put(setting, member, *given);
    }
  }

  template <typename Section>
  void append(const Setting<Section>& setting, std::vector<std::string>& list, const Given& given) {
    const std::string complaint = setting.check ? setting.check(given.text) : "";
    if (!complaint.empty()) return refuse(given, complaint);
    list.push_back(given.text);
  }

  template <typename Section>
  void insert(const Setting<Section>& setting, std::map<std::string, std::string>& map, const std::string& name,
              const Given& given) {
    const std::string complaint = setting.check ? setting.check(name + "=" + given.text) : "";
    if (!complaint.empty()) return refuse(given, complaint);
    if (!map.emplace(name, given.text).second) complain(given.place, given.key, "given twice; keep one");
  }

  template <typename Section>
  void put(const Setting<Section>& setting, const Member& member, const Given& given) {
    std::string complaint = setting.check ? setting.check(given.text) : "";
    if (complaint.empty()) complaint = assign(member, setting.limits, given.text);
    if (complaint.empty()) return;
    // Often it is refused because a password stands in it.
    if (setting.secret) return complain(given.place, given.key, complaint);
    refuse(given, complaint);
  }

  void refuse(const Given& given, const std::string& complaint) {
    constexpr std::size_t kShownMax = 80;
    const std::string shown = '"' + given.written.substr(0, kShownMax) + '"';
    complain(given.place, given.key, shown + (complaint.starts_with("is ") ? " " : ": ") + complaint);
  }

  std::optional<Given> scalar(const YAML::Node& node, const std::string& key) {
    if (!node.IsScalar()) {
      complain(node, key, node.IsNull() ? "empty; write a value" : "expected one value");
      return std::nullopt;
    }
    const auto text = expand(node, key);
    if (!text) return std::nullopt;
    return Given{*text, node.Scalar(), place_of(node, file_name_), key};
  }

  // Replaces each ${NAME}; "$${" stands for "${" itself.
  std::optional<std::string> expand(const YAML::Node& node, const std::string& key) {
    const std::string& text = node.Scalar();
    std::string expanded;
    bool complete = true;
    std::size_t from = 0;
    for (std::size_t at; (at = text.find("${", from)) != std::string::npos;) {
      if (at > from && text[at - 1] == '$') {
        expanded += text.substr(from, at - 1 - from) + "${";
        from = at + 2;
        continue;
      }
      expanded += text.substr(from, at - from);
      const std::size_t end = text.find('}', at);
      if (end == std::string::npos || end == at + 2) {
        complain(node, key, "\"${\" without a name and \"}\"; write ${NAME}, or $${ for the characters themselves");
        return std::nullopt;
      }
      const std::string name = text.substr(at + 2, end - at - 2);
      if (const auto value = environment_(name)) {
        expanded += *value;
      } else {
        complain(node, key,
                 "${" + name + "}: the environment variable " + name + " is not set; set it, or write the value");
        complete = false;
      }
      from = end + 1;
    }
    if (!complete) return std::nullopt;
    return expanded + text.substr(from);
  }

  template <typename List>
  void read_list(List& list, const YAML::Node& node, const std::string& key) {
    if constexpr (SectionList<List>) {
      using Section = typename List::value_type;
      const auto table = settings_of<Section>();
      const std::string example = std::string(table[0].path) + ": ..., " + std::string(table[1].path) + ": ...";
      if (!node.IsSequence()) return complain(node, key, "expected a list: - " + example);
      for (std::size_t i = 0; i < node.size(); ++i) {
        const std::string item = key + "[" + std::to_string(i) + "]";
        Section& section = list.emplace_back();
        places_[item] = place_of(node[i], file_name_);
        if (!node[i].IsMap()) {
          complain(node[i], item, "expected keys with values, as in " + example);
        } else {
          read_section(section, table, node[i], "", item + ".");
        }
      }
    }
  }

  void read_environment() {
    if (const auto include = environment_(kOneSource)) {
      const std::string place = std::string("environment ") + kOneSource;
      std::erase_if(places_, [](const auto& each) { return each.first.starts_with("sources["); });
      places_["sources[0]"] = place;
      loaded_.config.sources.assign(1, SourceConfig{});
      loaded_.config.sources[0].name = "worker";
      loaded_.config.sources[0].include = split_at_commas(*include);
      if (loaded_.config.sources[0].include.empty()) {
        complain(place, "sources[0].include", "empty; list the files to follow, as in /var/log/etl/*.log");
      }
    }
    for (const auto& setting : settings()) {
      if (setting.path == "version") continue;  // of the file; RUNTAIL_VERSION is often set to that of an image
      if (setting.alias) override_setting(loaded_.config, setting, setting.alias, std::string(setting.path));
      override_setting(loaded_.config, setting, environment_name(setting.path), std::string(setting.path));
    }
    for (std::size_t i = 0; i < loaded_.config.sources.size(); ++i) {
      SourceConfig& source = loaded_.config.sources[i];
      const std::string prefix = "sources." + source.name + ".";
      for (const auto& setting : settings_of<SourceConfig>()) {
        if (setting.path == "name") continue;
        override_setting(source, setting, environment_name(prefix + std::string(setting.path)),
                         "sources[" + std::to_string(i) + "]." + std::string(setting.path));
      }
    }
  }

  template <typename Section>
  void override_setting(Section& section, const Setting<Section>& setting, const std::string& variable,
                        const std::string& key) {
    const auto value = environment_(variable);
    if (!value) return;
    const std::string place = "environment " + variable;
    places_[key] = place;
    const Member member = setting.member(section);
    if (is_section_list(member)) {
      const std::string other = key == "sources" ? std::string(kOneSource) + " or " : "";
      complain(place, key, key + " do not fit into one variable; use " + other + "a file");
    } else if (const auto* list = std::get_if<std::vector<std::string>*>(&member)) {
      (*list)->clear();
      for (const std::string& part : split_at_commas(*value)) append(setting, **list, {part, part, place, key});
    } else if (const auto* map = std::get_if<std::map<std::string, std::string>*>(&member)) {
      (*map)->clear();
      for (const std::string& part : split_at_commas(*value)) {
        const std::string name = part.substr(0, part.find('='));
        if (name == part) {
          refuse({part, part, place, key}, "write name=value, with commas between several");
        } else {
          const std::string text = part.substr(name.size() + 1);
          insert(setting, **map, name, {text, text, place, key + "." + name});
        }
      }
    } else {
      put(setting, member, {*value, *value, place, key});
    }
  }

  void apply_defaults() {
    Config& config = loaded_.config;
    if (config.name.empty()) {
      std::array<char, 256> host{};
      config.name = gethostname(host.data(), host.size() - 1) == 0 && host[0] ? host.data() : "localhost";
    }
    for (SourceConfig& source : config.sources) {
      if (source.stream.empty()) source.stream = config.name + "/" + source.name;
      if (source.type == "kubernetes" && source.include.empty()) source.include = {kPodLogs};
    }
  }

  // A file that cannot be read is a mistake of this file's, what is wrong in it one of its own.
  void read_dialects() {
    const std::vector<DialectProblem> problems = read_dialect_files(loaded_.config.dialects);
    for (const DialectProblem& problem : problems) {
      const auto given = places_.find(problem.key.substr(0, problem.key.find('[')));
      complain(problem.place.empty() && given != places_.end() ? given->second : problem.place, problem.key,
               problem.message);
    }
    const auto is_pinned = [](const SourceConfig& source) { return !source.dialect.empty(); };
    const std::vector<SourceConfig>& sources = loaded_.config.sources;
    // A name that is not known may be one of a file that cannot be read. The built-in files are read only if asked for.
    if (!problems.empty() || std::none_of(sources.begin(), sources.end(), is_pinned)) return;
    std::vector<std::string> names;
    for (const DialectSpec& dialect : dialects_of(loaded_.config.dialects)) names.push_back(dialect.name);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const std::string &name = sources[i].dialect, key = "sources[" + std::to_string(i) + "].dialect";
      if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) continue;
      complain(places_[key], key,
               "no dialect \"" + name + '"' + did_you_mean(name, names) + "; `runtail check` lists them");
    }
  }

  const std::string_view file_name_;
  const Environment& environment_;  // not owned, outlives this
  LoadedConfig loaded_;
  KeyPlaces places_;
};

template <typename Section>
void print_section(std::string& text, Section& printed, std::span<const Setting<Section>> table,
                   const std::string& indent);

template <SectionList List>
void print_list(std::string& text, List& list, const std::string& indent) {
  text += list.empty() ? " []\n" : "\n";
  for (auto& section : list) {
    const std::size_t start = text.size();
    print_section(text, section, settings_of<typename List::value_type>(), indent + "    ");
    text[start + indent.size() + 2] = '-';
  }
}

template <typename Section>
void print_section(std::string& text, Section& printed, std::span<const Setting<Section>> table,
                   const std::string& indent) {
  std::string section;
  for (const auto& setting : table) {
    const std::size_t dot = setting.path.find('.');
    const std::string_view owner = dot == std::string_view::npos ? "" : setting.path.substr(0, dot);
    if (owner != section) {
      section = owner;
      if (!section.empty()) text += indent + section + ":\n";
    }
    const std::string name(setting.path.substr(section.empty() ? 0 : dot + 1));
    text += indent + (section.empty() ? "" : "  ") + name + ":";
    const Member member = setting.member(printed);
    if (is_section_list(member)) {
      const auto print = [&]<typename List>(List* list) {
        if constexpr (SectionList<List>) print_list(text, *list, section.empty() ? indent : indent + "  ");
      };
      std::visit(print, member);
    } else if (setting.secret) {
      text += " " + print_text(mask_passwords(*std::get<std::string*>(member))) + "\n";
    } else {
      text += " " + print_value(member, setting.limits) + "\n";
    }
  }
}

}  // namespace

std::string to_string(const ConfigProblem& problem) {
  return problem.place + ": " + (problem.key.empty() ? "" : problem.key + ": ") + problem.message;
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
}

LoadedConfig load_config(std::string_view yaml, std::string_view file_name, const Environment& environment) {
  return Loader(file_name, environment).load(yaml);
}

LoadedConfig load_config_file(const std::string& path, const Environment& environment) {
  std::string reason;
  const std::optional<std::string> text = read_text_file(path, reason);
  if (!text) {
    LoadedConfig loaded = load_config("", path, environment);
    loaded.problems.insert(loaded.problems.begin(),
                           {path, "", reason + "; name a readable file with --config or RUNTAIL_CONFIG"});
    return loaded;
  }
  return load_config(*text, path, environment);
}

std::string print_effective(const Config& config) {
  Config printed = config;  // the table hands out members to change
  std::string text;
  print_section(text, printed, settings(), "");
  return text;
}

}  // namespace runtail
