#include "agent/health.h"

#include <algorithm>

#include "core/json_text.h"

namespace runtail {
namespace {

std::string_view text_of(CheckStatus status) {
  switch (status) {
    case CheckStatus::kOk:
      return "ok";
    case CheckStatus::kDegraded:
      return "degraded";
    case CheckStatus::kUnavailable:
      return "unavailable";
  }
  return "unavailable";
}

CheckStatus shown_status(const HealthCheck& check) {
  return check.kind == CheckKind::kOutside ? std::min(check.status, CheckStatus::kDegraded) : check.status;
}

bool is_strict(std::string_view query) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair == "strict=true" || pair == "strict=1") return true;
  }
  return false;
}

std::string opening(CheckStatus status, TimePoint now) {
  std::string json = "{\"status\":\"";
  json.append(text_of(status)) += "\",\"timestamp\":\"";
  json.append(to_rfc3339(now)) += '"';
  return json;
}

}  // namespace

HttpResponse liveness(TimePoint now) { return {200, "application/json", opening(CheckStatus::kOk, now) + "}\n"}; }

HttpResponse readiness(std::span<const HealthCheck> checks, TimePoint now, std::string_view query) {
  auto worst = CheckStatus::kOk;
  for (const HealthCheck& check : checks) worst = std::max(worst, shown_status(check));

  std::string json = opening(worst, now) + ",\"checks\":[";
  for (const HealthCheck& check : checks) {
    if (&check != &checks.front()) json += ',';
    json += "{\"name\":";
    append_json_string(json, check.name);
    json.append(",\"status\":\"").append(text_of(shown_status(check))).append("\",\"reason\":");
    append_json_string(json, check.reason);
    json += '}';
  }
  json += "]}\n";
  const bool refused = worst == CheckStatus::kUnavailable || (worst != CheckStatus::kOk && is_strict(query));
  return {refused ? 503u : 200u, "application/json", std::move(json)};
}

}  // namespace runtail
