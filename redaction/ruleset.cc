#include "redaction/ruleset.h"

#include "core/digest.h"
#include "core/embedded.h"

namespace runtail {
namespace {

std::string digest_of(const RedactionConfig& config) {
  std::string text;
  const auto add = [&](std::string_view part) { text.append(std::to_string(part.size())).append(":").append(part); };
  for (const embedded::File& file : embedded::runtail_rules()) {
    add(file.name);
    add(file.text);
  }
  for (const std::string& path : config.allow) add(path);
  add(config.keep_ip_prefix ? "keep_ip_prefix" : "");
  add(config.keep_user_id ? "keep_user_id" : "");
  add(std::to_string(config.error_message_bytes_max));
  return to_hex(sha256(text)).substr(0, 16);
}

}  // namespace

Result<RuleFile> built_in_rules() {
  RuleFile all;
  for (const embedded::File& file : embedded::runtail_rules()) {
    Result<RuleFile> loaded = load_rules(file.text, file.name);
    if (!loaded) return loaded.error();
    all.rules.insert(all.rules.end(), loaded->rules.begin(), loaded->rules.end());
    all.keys.insert(all.keys.end(), loaded->keys.begin(), loaded->keys.end());
    all.key_exceptions.insert(all.key_exceptions.end(), loaded->key_exceptions.begin(), loaded->key_exceptions.end());
  }
  return all;
}

Result<std::shared_ptr<const Ruleset>> make_ruleset(const RedactionConfig& config) {
  const Result<RuleFile> rules = built_in_rules();
  if (!rules) return rules.error().in("redaction rules");
  auto ruleset = std::make_shared<Ruleset>();
  Kinds kinds;
  auto detectors = Detectors::compile(rules->rules, kinds);
  if (!detectors) return detectors.error().in("redaction rules");
  ruleset->detectors = *detectors;
  const Result<void> keys = ruleset->key_rules.add(*rules, kinds);
  if (!keys) return keys.error().in("redaction rules");
  for (const auto& [name, kind] : {std::pair<const char*, std::uint8_t*>{"ip", &ruleset->ip_kind},
                                   {"user_id", &ruleset->user_id_kind},
                                   {"depth", &ruleset->depth_kind}}) {
    const Result<std::uint8_t> added = kinds.add(name);
    if (!added) return added.error().in("redaction rules");
    *kind = *added;
  }
  Result<Allowlist> allowlist = Allowlist::make(config.allow);
  if (!allowlist) return allowlist.error();
  ruleset->allowlist = std::move(*allowlist);
  ruleset->kinds = std::make_shared<const Kinds>(std::move(kinds));
  ruleset->digest = digest_of(config);
  return std::shared_ptr<const Ruleset>(std::move(ruleset));
}

}  // namespace runtail
