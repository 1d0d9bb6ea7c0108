#include "core/run_metrics.h"

#include <algorithm>
#include <charconv>

#include "core/json_text.h"

namespace runtail {
namespace {

constexpr std::size_t kNameBytesMax = 64;
constexpr std::string_view kAttempt = "attempt";

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == ':' || c == '/' || c == '-';
  });
}

}  // namespace

void RunMetrics::apply(std::int32_t of_attempt, std::string_view object) {
  if (of_attempt < attempt) return;
  for_each_number(object, [&](std::string_view name, double value) {
    if (!is_name(name) || name == kAttempt) return;
    if (of_attempt > attempt) values.clear();
    attempt = of_attempt;
    const auto [at, is_new] = values.try_emplace(std::string(name), value);
    if (!is_new) at->second = std::max(at->second, value);
    if (values.size() > kMembersMax) values.erase(std::prev(values.end()));
  });
}

std::string RunMetrics::json() const {
  if (attempt == 0) return {};
  std::string out = "{\"attempt\":" + std::to_string(attempt);
  for (const auto& [name, value] : values) {
    out.append(",\"").append(name) += "\":";
    char text[32];
    out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
  }
  return out + '}';
}

}  // namespace runtail
