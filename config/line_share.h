// Words of lines.level and lines.sample: which log lines become rows, by environment.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/words.h"

namespace runtail {

// For every environment that has no entry of its own.
inline constexpr std::string_view kAnyEnvironment = "any";

// "INFO", in any case.
std::optional<Level> parse_level(std::string_view text);

// "prod.INFO" or "INFO": one environment, or any.
struct SampleKey {
  std::string environment;
  Level level = Level::kInfo;
};
std::optional<SampleKey> parse_sample_key(std::string_view text);
// "0.1": 0 to 1.
std::optional<double> parse_share(std::string_view text);

}  // namespace runtail
