#include "derive/line_filter.h"

#include <cmath>

#include "config/line_share.h"

namespace runtail {
namespace {

std::uint64_t head_of(const Uuid& id) {
  std::uint64_t head = 0;
  // Of a hash all; behind these six bytes stands the version (RFC 9562 section 5.5).
  for (std::size_t i = 0; i < 6; ++i) head = head << 8 | id.bytes[i];
  return head << 16;
}

}  // namespace

LineFilter::LineFilter(const LinesConfig& config, std::string environment)
    : keeps_all_(config.level.empty() && config.sample.empty()), environment_(std::move(environment)) {
  const auto level_of = [](const std::string& text) { return parse_level(text).value_or(Level::kTrace); };
  const auto share_to = [](const std::string& text) {
    const double share = parse_share(text).value_or(1);
    return share >= 1 ? kAll : static_cast<std::uint64_t>(std::ldexp(share, 64));
  };
  // What holds for any environment comes first: it is where the others begin.
  if (const auto any = config.level.find(std::string(kAnyEnvironment)); any != config.level.end()) {
    any_.level = level_of(any->second);
  }
  for (const auto& [text, share] : config.sample) {
    const auto key = parse_sample_key(text);
    if (key && key->environment == kAnyEnvironment)
      any_.kept_to[static_cast<std::size_t>(key->level)] = share_to(share);
  }
  const auto rules_of = [&](const std::string& name) -> Rules& {
    return by_environment_.emplace(name, any_).first->second;
  };
  for (const auto& [name, level] : config.level) {
    if (name != kAnyEnvironment) rules_of(name).level = level_of(level);
  }
  for (const auto& [text, share] : config.sample) {
    const auto key = parse_sample_key(text);
    if (key && key->environment != kAnyEnvironment) {
      rules_of(key->environment).kept_to[static_cast<std::size_t>(key->level)] = share_to(share);
    }
  }
}

LineOutcome LineFilter::outcome(const RedactedEvent& event, const EventIds& ids, std::uint64_t offset) const {
  if (keeps_all_ || event.kind != EventKind::kPlain) return LineOutcome::kStored;
  const std::string_view stated = event.fields.text(Field::kEnv);
  const auto own = by_environment_.find(stated.empty() ? std::string_view(environment_) : stated);
  const Rules& rules = own != by_environment_.end() ? own->second : any_;
  if (event.level < rules.level) return LineOutcome::kLevelFiltered;
  const std::uint64_t kept_to = rules.kept_to[static_cast<std::size_t>(event.level)];
  if (kept_to == kAll) return LineOutcome::kStored;
  return head_of(ids.at(offset)) < kept_to ? LineOutcome::kStored : LineOutcome::kSampled;
}

}  // namespace runtail
