#include "agent/config_check.h"

#include <algorithm>
#include <utility>

#include "agent/local_api.h"
#include "config/dialect_files.h"
#include "parsers/dialect_examples.h"
#include "parsers/parser.h"

namespace runtail {

CheckedConfig check_config(const std::string& option, const Environment& environment) {
  CheckedConfig checked;
  checked.file = load_config_file_of(option, environment);
  const LoadedConfig& loaded = checked.file.loaded;
  for (const ConfigProblem& problem : loaded.problems) checked.problems.push_back(to_string(problem));
  checked.dialects = dialects_of(loaded.config.dialects);
  Parser parser(checked.dialects);
  for (const DialectSpec& own : loaded.config.dialects.own) {
    for (std::string& failure : failed_examples(parser, own)) checked.problems.push_back(std::move(failure));
  }
  Result<Redactor> redactor = Redactor::make(loaded.config.redaction);
  if (redactor) {
    checked.redactor.emplace(std::move(*redactor));
    for (std::string& failure : failed_examples(loaded.config.redaction))
      checked.problems.push_back(std::move(failure));
    return checked;
  }
  const std::string& message = redactor.error().message;  // begins with the key at fault
  const bool is_named = std::any_of(loaded.problems.begin(), loaded.problems.end(), [&](const ConfigProblem& each) {
    return !each.key.empty() && message.starts_with(each.key + ":");
  });
  if (!is_named) checked.problems.push_back(message);
  return checked;
}

std::string keys_for_a_restart(const Config& before, const Config& after) {
  std::string keys;
  const auto compare = [&keys](const char* key, const auto& one, const auto& other) {
    if (one != other) keys += (keys.empty() ? "" : ", ") + std::string(key);
  };
  compare("name", before.name, after.name);
  compare("buffer.directory", before.buffer.directory, after.buffer.directory);
  compare("http.listen", before.http.listen, after.http.listen);
  compare("metrics.enabled", before.metrics.enabled, after.metrics.enabled);
  compare("push.url", before.push.url, after.push.url);
  compare("push.every", before.push.every, after.push.every);
  compare("push.job", before.push.job, after.push.job);
  compare("log.format", before.log.format, after.log.format);
  // The history API of an agent without PostgreSQL is made once.
  const bool has_api = LocalApi::is_configured(before), will_have = LocalApi::is_configured(after);
  compare("api", has_api, will_have);
  if (has_api && will_have) compare("api", before.api, after.api);
  return keys;
}

}  // namespace runtail
