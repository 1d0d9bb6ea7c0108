// A request understood: its route, and its parameters as values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "history/history_store.h"
#include "server/api_message.h"
#include "server/api_route.h"

namespace runtail {

struct ApiCall {
  const ApiRoute* route = nullptr;
  TimePoint now{};
  Projects projects;  // whose rows may be seen
  std::optional<TimeRange> range;
  Slice slice;
  std::optional<int> page;  // by number; nothing: by cursor
  std::string list;         // digest of route and filters
  std::string correlation_id, if_none_match;
  std::map<std::string_view, std::string> values;  // by parameter; checked, those not given left out

  std::optional<std::string> text(std::string_view name) const {
    const auto at = values.find(name);
    return at == values.end() ? std::nullopt : std::optional(at->second);
  }
  std::optional<Uuid> uuid(std::string_view name) const {
    const auto at = values.find(name);
    return at == values.end() ? std::nullopt : parse_uuid(at->second);
  }
  bool flag(std::string_view name) const { return text(name) == "true"; }
};

// The route a path leads to, before anything else of the request is looked at; null: none.
const ApiRoute* find_route(std::string_view target);

// The call, or the problem with the request. Pure. `projects`: of the token.
std::variant<ApiCall, ApiResponse> parse_call(const ApiRequest& request, const Projects& projects, TimePoint now);

}  // namespace runtail
