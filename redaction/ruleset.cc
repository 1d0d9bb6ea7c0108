#include "redaction/ruleset.h"

#include <algorithm>

#include "core/digest.h"
#include "core/embedded.h"
#include "redaction/masker.h"

namespace runtail {
namespace {

std::string digest_of(const RedactionConfig& config) {
  std::string text;
  const auto add = [&](std::string_view part) { text.append(std::to_string(part.size())).append(":").append(part); };
  for (const embedded::File& file : embedded::runtail_rules()) {
    add(file.name);
    add(file.text);
  }
  for (const RuleText& file : config.rule_texts) add(file.text);
  for (const std::string& pack : config.packs) add(pack);
  for (const std::string& path : config.allow) add(path);
  for (const auto& [kind, action] : config.actions) {
    add(kind);
    add(action);
  }
  add(config.free_text);
  add(config.allow_all ? "allow_all" : "");
  add(config.keep_ip_prefix ? "keep_ip_prefix" : "");
  add(config.keep_user_id ? "keep_user_id" : "");
  add(std::to_string(config.error_message_bytes_max));
  return to_hex(sha256(text)).substr(0, 16);
}

}  // namespace

Result<std::vector<RuleFile>> built_in_rules() {
  std::vector<RuleFile> files;
  for (const embedded::File& file : embedded::runtail_rules()) {
    Result<RuleFile> loaded = load_rules(file.text, file.name);
    if (!loaded) return loaded.error();
    files.push_back(std::move(*loaded));
  }
  return files;
}

Result<std::vector<RuleFile>> rules_of(const RedactionConfig& config) {
  Result<std::vector<RuleFile>> files = built_in_rules();
  if (!files) return files.error();
  std::erase_if(*files, [&](const RuleFile& file) {
    return std::find(config.packs.begin(), config.packs.end(), file.pack) == config.packs.end();
  });
  for (const RuleText& text : config.rule_texts) {
    Result<RuleFile> loaded = load_rules(text.text, text.name);
    if (!loaded) return loaded.error();
    files->push_back(std::move(*loaded));
  }
  return files;
}

Result<std::shared_ptr<const Ruleset>> make_ruleset(const RedactionConfig& config) {
  const std::string where = "redaction rules";
  auto ruleset = std::make_shared<Ruleset>();
  const Result<std::vector<RuleFile>> built_in = built_in_rules();
  const Result<std::vector<RuleFile>> files = rules_of(config);
  if (!built_in) return built_in.error().in(where);
  if (!files) return files.error().in(where);
  for (const auto& [name, kind] : {std::pair<const char*, std::uint8_t*>{"ip", &ruleset->ip_kind},
                                   {"user_id", &ruleset->user_id_kind},
                                   {"depth", &ruleset->depth_kind},
                                   {"budget", &ruleset->budget_kind},
                                   {"private_key", &ruleset->key_kind}}) {
    const bool is_person = kind == &ruleset->ip_kind || kind == &ruleset->user_id_kind;
    const auto added = ruleset->kinds.add(name, is_person ? RulePriority::kPii : RulePriority::kSecret);
    if (!added) return added.error().in(where);
    *kind = *added;
  }
  std::vector<RuleSpec> specs;
  KeyRules keys;
  for (const RuleFile& file : *built_in) {
    for (const RuleSpec& rule : file.rules) {
      if (const auto kind = ruleset->kinds.add(rule.kind, rule.priority); !kind) return kind.error().in(where);
    }
    for (const KeyRuleSpec& rule : file.keys) {
      if (const auto kind = ruleset->kinds.add(rule.kind, rule.priority); !kind) return kind.error().in(where);
    }
  }
  std::vector<std::pair<std::string, std::size_t>> packs;
  for (std::size_t i = 0; i < files->size(); ++i) {
    const RuleFile& file = (*files)[i];
    const std::size_t own = files->size() - config.rule_texts.size();
    const std::string& name = i < own ? file.pack : config.rule_texts[i - own].name;
    auto pack = std::find_if(packs.begin(), packs.end(), [&](const auto& each) { return each.first == name; });
    if (pack == packs.end()) pack = packs.emplace(packs.end(), name, 0);
    pack->second += file.rules.size() + file.keys.size();
    specs.insert(specs.end(), file.rules.begin(), file.rules.end());
  }
  for (const auto& [name, count] : packs) ruleset->packs.push_back(name + " " + std::to_string(count));
  // Value rules are numbered before key rules: what both find is named by the value.
  auto detectors = Detectors::compile(specs, ruleset->kinds);
  if (!detectors) return detectors.error().in(where);
  for (const RuleFile& file : *files) {
    if (const auto added = keys.add(file, ruleset->kinds); !added) return added.error().in(where);
  }
  ruleset->scan = std::make_unique<ScanRules>(std::move(*detectors), std::move(keys));
  Result<Allowlist> allowlist = config.allow_all ? Allowlist::all() : Allowlist::make(config.allow);
  if (!allowlist) return allowlist.error();
  ruleset->allowlist = std::move(*allowlist);
  Result<Actions> actions = Actions::make(config, ruleset->kinds);
  if (!actions) return actions.error();
  ruleset->actions = std::move(*actions);
  ruleset->digest = digest_of(config);
  return std::shared_ptr<const Ruleset>(std::move(ruleset));
}

std::vector<std::string> failed_examples(const RedactionConfig& config) {
  std::vector<std::string> failures;
  RedactionConfig plain = config;
  plain.actions.clear();  // examples are written with plain marks
  const auto ruleset = make_ruleset(plain);
  if (!ruleset) return {ruleset.error().message};
  Masker masker(*ruleset);
  for (const RuleText& text : config.rule_texts) {
    const Result<RuleFile> file = load_rules(text.text, text.name);
    if (!file) continue;  // make_ruleset() said so
    for (const RuleSpec& rule : file->rules) {
      const std::string where = rule.place + ": rule " + rule.id + ": ";
      for (const auto& [input, output] : rule.positive) {
        masker.begin();
        const std::string_view got = masker.mask(input);
        if (got != output) {
          failures.push_back(where + "positive example \"" + input + "\" gives \"" + std::string(got) + "\", not \"" +
                             output + "\"");
        }
      }
      for (const std::string& input : rule.near_miss) {
        masker.begin();
        const std::string_view got = masker.mask(input);
        if (got != input) failures.push_back(where + "near miss \"" + input + "\" gives \"" + std::string(got) + "\"");
      }
    }
    for (const KeyRuleSpec& rule : file->keys) {
      const std::string where = rule.place + ": key rule " + rule.id + ": ";
      for (const std::string& key : rule.positive) {
        if (!(*ruleset)->scan->keys.find(key))
          failures.push_back(where + "positive example \"" + key + "\" is not found");
      }
      for (const std::string& key : rule.near_miss) {
        if ((*ruleset)->scan->keys.find(key)) failures.push_back(where + "near miss \"" + key + "\" is found");
      }
    }
  }
  return failures;
}

}  // namespace runtail
