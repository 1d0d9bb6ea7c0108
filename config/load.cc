#include "config/load.h"

#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "config/near_word.h"
#include "config/setting.h"
#include "config/yaml_document.h"

namespace runtail {
namespace {

constexpr const char* kOneSource = "RUNTAIL_SOURCE_INCLUDE";

template <typename Section>
const Setting<Section>* find_setting(std::span<const Setting<Section>> table, std::string_view path) {
  for (const auto& setting : table) {
    if (setting.path == path) return &setting;
  }
  return nullptr;
}

bool is_section(std::string_view path) {
  for (const auto& setting : settings()) {
    if (setting.path.size() > path.size() && setting.path.starts_with(path) && setting.path[path.size()] == '.') {
      return true;
    }
  }
  return false;
}

// Names that may stand directly below `prefix` ("" or "buffer.").
std::vector<std::string> names_below(std::string_view prefix) {
  std::vector<std::string> names;
  for (const auto& setting : settings()) {
    if (!setting.path.starts_with(prefix)) continue;
    const std::string_view rest = setting.path.substr(prefix.size());
    const std::string name(rest.substr(0, rest.find('.')));
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  return names;
}

// A near name in the same section; else the key of this very name in another section.
std::string hint(const std::string& name, std::string_view prefix) {
  const std::string near = did_you_mean(name, names_below(prefix));
  if (!near.empty()) return near;
  for (const auto& setting : settings()) {
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
      read_section(root, "");
    }
    read_environment();
    apply_defaults();
    return std::move(loaded_);
  }

 private:
  void complain(std::string place, std::string key, std::string message) {
    loaded_.problems.push_back({std::move(place), std::move(key), std::move(message)});
  }
  void complain(const YAML::Node& node, const std::string& key, const std::string& message) {
    complain(place_of(node, file_name_), key, message);
  }

  void read_section(const YAML::Node& section, const std::string& prefix) {
    if (section.IsNull()) return;  // all keys below it are commented out
    if (!section.IsMap()) {
      const std::string key = prefix.empty() ? "" : prefix.substr(0, prefix.size() - 1);
      return complain(section, key, "expected keys with values, as in " + names_below(prefix).front() + ": ...");
    }
    std::set<std::string> seen;
    for (const auto& entry : section) {
      const std::string& name = entry.first.Scalar();
      const std::string key = prefix + name;
      if (!seen.insert(name).second) {
        complain(entry.first, key, "given twice; keep one");
      } else if (name.find('.') != std::string::npos && find_setting(settings(), key)) {
        complain(entry.first, key,
                 "write it as a section: " + name.substr(0, name.find('.')) + ": with " +
                     name.substr(name.find('.') + 1) + ": indented below");
      } else if (const auto* setting = find_setting(settings(), key)) {
        read_setting(loaded_.config, *setting, entry.second, key);
      } else if (is_section(key)) {
        read_section(entry.second, key + ".");
      } else {
        complain(entry.first, key, "unknown key" + hint(name, prefix));
      }
    }
  }

  template <typename Section>
  void read_setting(Section& section, const Setting<Section>& setting, const YAML::Node& node, const std::string& key) {
    if (node.IsNull()) return;
    const Member member = setting.member(section);
    if (std::holds_alternative<std::vector<SourceConfig>*>(member)) {
      read_sources(node, key);
    } else if (const auto* list = std::get_if<std::vector<std::string>*>(&member)) {
      if (!node.IsSequence()) return complain(node, key, "expected a list: [one, two]");
      (*list)->clear();
      for (std::size_t i = 0; i < node.size(); ++i) {
        const std::string item_key = key + "[" + std::to_string(i) + "]";
        if (const auto given = scalar(node[i], item_key)) append(setting, **list, *given);
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
  void put(const Setting<Section>& setting, const Member& member, const Given& given) {
    std::string complaint = setting.check ? setting.check(given.text) : "";
    if (complaint.empty()) complaint = assign(member, setting.limits, given.text);
    if (!complaint.empty()) refuse(given, complaint);
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

  void read_sources(const YAML::Node& list, const std::string& key) {
    if (!list.IsSequence())
      return complain(list, key, "expected a list: - name: worker, include: [/var/log/etl/*.log]");
    for (std::size_t i = 0; i < list.size(); ++i) {
      read_source(list[i], key + "[" + std::to_string(i) + "]");
    }
  }

  void read_source(const YAML::Node& node, const std::string& key) {
    if (!node.IsMap()) return complain(node, key, "expected name: and include: of one source");
    std::vector<std::string> names;
    for (const auto& setting : source_settings()) names.emplace_back(setting.path);
    SourceConfig source;
    std::set<std::string> seen;
    std::set<std::string> refused;  // keys with a complaint of their own
    for (const auto& entry : node) {
      const std::string& name = entry.first.Scalar();
      const std::string path = key + "." + name;
      const std::size_t problems_before = loaded_.problems.size();
      if (!seen.insert(name).second) {
        complain(entry.first, path, "given twice; keep one");
      } else if (const auto* setting = find_setting(source_settings(), name)) {
        read_setting(source, *setting, entry.second, path);
        if (name == "name") check_unique(source.name, &SourceConfig::name, entry.second, path);
        if (name == "stream") check_unique(source.stream, &SourceConfig::stream, entry.second, path);
      } else {
        complain(entry.first, path, "unknown key" + did_you_mean(name, names));
      }
      if (loaded_.problems.size() > problems_before) refused.insert(name);
    }
    if (source.name.empty() && !refused.contains("name")) {
      complain(node, key + ".name", "missing; choose one for good, it is part of every identity");
    }
    if (source.include.empty() && !refused.contains("include")) {
      complain(node, key + ".include", "missing; list the files to follow, as in [/var/log/etl/*.log]");
    }
    loaded_.config.sources.push_back(std::move(source));
  }

  void check_unique(const std::string& value, std::string SourceConfig::*member, const YAML::Node& node,
                    const std::string& key) {
    const auto& sources = loaded_.config.sources;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (!value.empty() && sources[i].*member == value) {
        complain(node, key, "\"" + value + "\" is taken by sources[" + std::to_string(i) + "]; each needs its own");
      }
    }
  }

  void read_environment() {
    if (const auto include = environment_(kOneSource)) {
      loaded_.config.sources.assign(1, SourceConfig{});
      loaded_.config.sources[0].name = "worker";
      loaded_.config.sources[0].include = split_at_commas(*include);
      if (loaded_.config.sources[0].include.empty()) {
        complain(std::string("environment ") + kOneSource, "sources[0].include",
                 "empty; list the files to follow, as in /var/log/etl/*.log");
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
      for (const auto& setting : source_settings()) {
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
    const Member member = setting.member(section);
    if (std::holds_alternative<std::vector<SourceConfig>*>(member)) {
      complain(place, key, std::string("sources do not fit into one variable; use ") + kOneSource + " or a file");
    } else if (const auto* list = std::get_if<std::vector<std::string>*>(&member)) {
      (*list)->clear();
      for (const std::string& part : split_at_commas(*value)) append(setting, **list, {part, part, place, key});
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
    }
  }

  const std::string_view file_name_;
  const Environment& environment_;  // not owned, outlives this
  LoadedConfig loaded_;
};

void print_source(std::string& text, SourceConfig source) {
  const char* before = "  - ";
  for (const auto& setting : source_settings()) {
    text += before + std::string(setting.path) + ": " + print_value(setting.member(source), setting.limits) + "\n";
    before = "    ";
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
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  // A directory opens but does not read.
  if (file) text << file.rdbuf();
  if (!file.is_open() || (text.str().empty() && errno != 0)) {
    LoadedConfig loaded = load_config("", path, environment);
    const std::string reason = errno != 0 ? std::strerror(errno) : "cannot be read";
    loaded.problems.insert(loaded.problems.begin(),
                           {path, "", reason + "; name a readable file with --config or RUNTAIL_CONFIG"});
    return loaded;
  }
  return load_config(text.str(), path, environment);
}

std::string print_effective(const Config& config) {
  Config printed = config;  // the table hands out members to change
  std::string text, section;
  for (const auto& setting : settings()) {
    const std::size_t dot = setting.path.find('.');
    const std::string_view owner = dot == std::string_view::npos ? "" : setting.path.substr(0, dot);
    if (owner != section) {
      section = owner;
      if (!section.empty()) text += section + ":\n";
    }
    const std::string name(setting.path.substr(section.empty() ? 0 : dot + 1));
    text += (section.empty() ? "" : "  ") + name + ":";
    const Member member = setting.member(printed);
    if (std::holds_alternative<std::vector<SourceConfig>*>(member)) {
      text += printed.sources.empty() ? " []\n" : "\n";
      for (const SourceConfig& source : printed.sources) print_source(text, source);
    } else if (setting.secret) {
      text += " " + print_text(mask_passwords(*std::get<std::string*>(member))) + "\n";
    } else {
      text += " " + print_value(member, setting.limits) + "\n";
    }
  }
  return text;
}

}  // namespace runtail
