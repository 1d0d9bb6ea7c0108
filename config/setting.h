// The table of all settings: key path, member, limits. Reading a file, environment names, defaults printed and the test
// of the reference file all follow from it; a new setting is a member of config.h, a row here and a line in
// runtail.yaml.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "config/config.h"

namespace runtail {

// The member of a section that a setting fills.
using Member = std::variant<std::string*, std::filesystem::path*, bool*, std::uint32_t*, std::uint64_t*,
                            std::chrono::hours*, std::chrono::milliseconds*, std::vector<std::string>*,
                            std::map<std::string, std::string>*, std::optional<double>*, std::vector<SourceConfig>*,
                            std::vector<JobConfig>*, std::vector<QualityCheckConfig>*, std::vector<AlertChannelConfig>*,
                            std::vector<AlertRuleConfig>*, std::vector<ApiKeyConfig>*>;

// What stands in a list of sections, each with settings of its own.
template <typename T>
concept SectionList = !std::is_same_v<T, std::vector<std::string>> && requires {
  typename T::value_type;
}
&&std::is_same_v<T, std::vector<typename T::value_type>>;

// What a number may be; inclusive, durations in milliseconds.
struct Limits {
  enum class Unit { kCount, kBytes, kDuration };
  std::uint64_t min = 0;
  std::uint64_t max = ~0ull;
  bool or_zero = false;
  Unit unit = Unit::kCount;
};

template <typename Section>
struct Setting {
  std::string_view path;  // "buffer.bytes_max"
  Member (*member)(Section&);
  Limits limits{};
  // For texts, each entry of a list and of a map (as name=value): what is wrong with the value and what to write, ""
  // if nothing.
  std::string (*check)(std::string_view value) = nullptr;
  bool secret = false;          // may hold a password: print_effective() masks it, messages do not show it
  const char* alias = nullptr;  // a second environment name
};

std::span<const Setting<Config>> settings();

// Of one entry of a list, paths relative to it: "worker.unit".
template <typename Section>
std::span<const Setting<Section>> settings_of();
template <>
std::span<const Setting<SourceConfig>> settings_of();
template <>
std::span<const Setting<JobConfig>> settings_of();
template <>
std::span<const Setting<QualityCheckConfig>> settings_of();
template <>
std::span<const Setting<AlertChannelConfig>> settings_of();
template <>
std::span<const Setting<AlertRuleConfig>> settings_of();
template <>
std::span<const Setting<ApiKeyConfig>> settings_of();

// Name of the setting's environment variable: "buffer.bytes_max" -> "RUNTAIL_BUFFER_BYTES_MAX".
std::string environment_name(std::string_view path);

// Parses one value into a member that is no list and no map. Returns what is wrong, "" if nothing; then the member is
// untouched.
std::string assign(const Member& member, const Limits& limits, const std::string& text);

// A value that is no list of sources, as it is written in YAML: quoted where it must be.
std::string print_value(const Member& member, const Limits& limits);
std::string print_text(const std::string& text);

// A libpq connection string or URI with its passwords replaced by "***".
std::string mask_passwords(const std::string& url);

}  // namespace runtail
