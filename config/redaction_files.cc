#include "config/redaction_files.h"

#include "config/redaction_action.h"
#include "config/rules.h"
#include "config/text_file.h"

namespace runtail {
namespace {

std::optional<HashKey> key_of(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  HashKey key;
  if (text.size() != 2 * key.bytes.size()) return std::nullopt;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  for (std::size_t i = 0; i < key.bytes.size(); ++i) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    key.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return key;
}

}  // namespace

std::vector<RedactionFileProblem> read_redaction_files(RedactionConfig& config,
                                                       const std::optional<std::string>& given_key) {
  std::vector<RedactionFileProblem> problems;
  config.rule_texts.clear();
  for (std::size_t i = 0; i < config.rules.size(); ++i) {
    const std::string key = "redaction.rules[" + std::to_string(i) + "]";
    std::string reason;
    std::optional<std::string> text = read_text_file(config.rules[i], reason);
    if (!text) {
      problems.push_back({key, "\"" + config.rules[i] + "\": " + reason + "; name a readable rule file"});
    } else if (const auto loaded = load_rules(*text, config.rules[i]); !loaded) {
      problems.push_back({key, loaded.error().message});
    } else {
      config.rule_texts.push_back({config.rules[i], std::move(*text)});
    }
  }
  const std::string key_file = config.hash_key_file.string();
  config.hash_key.reset();
  if (given_key) {
    config.hash_key = key_of(*given_key);
    if (!config.hash_key) {
      problems.push_back({"redaction.hash_key_file", std::string("environment ") + kHashKeyVariable +
                                                         " holds no key; set it to 64 hex digits, as openssl rand "
                                                         "-hex 32 prints them, or unset it"});
    }
    return problems;
  }
  if (!key_file.empty()) {
    std::string reason;
    const std::optional<std::string> text = read_text_file(key_file, reason);
    if (text) config.hash_key = key_of(*text);
    if (!config.hash_key) {
      const std::string fault = text ? "holds no key" : reason;
      problems.push_back(
          {"redaction.hash_key_file",
           "\"" + key_file + "\": " + fault + "; write 64 hex digits into it, as openssl rand -hex 32 does"});
    }
    return problems;
  }
  for (const auto& [kind, action] : config.actions) {
    const auto parsed = parse_redaction_action(action);
    if (parsed && parsed->kind == RedactionAction::Kind::kHash) {
      problems.push_back({"redaction.hash_key_file", "missing; actions." + kind +
                                                         " is hash, which needs a key of 64 hex digits in a file or "
                                                         "in the environment variable " +
                                                         kHashKeyVariable});
      break;
    }
  }
  return problems;
}

}  // namespace runtail
