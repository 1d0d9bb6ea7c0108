// Any request of the history API: it is understood or refused as a problem, and what is understood keeps its bounds.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <variant>

#include "server/api_call.h"

namespace {

using namespace runtail;

void demand(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string kMethods[] = {"GET", "HEAD", "POST", ""};
  if (size < 1) return 0;
  ApiRequest request;
  request.method = kMethods[data[0] % 4];
  request.target.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  request.correlation_id = "fuzz";
  const TimePoint now{std::chrono::hours(500'000)};
  Projects projects;
  if (data[0] & 0x80) projects = {"a"};
  const auto parsed = parse_call(request, projects, now);
  if (const auto* refused = std::get_if<ApiResponse>(&parsed)) {
    demand(refused->status >= 400 && refused->status < 500);
    demand(refused->content_type == "application/problem+json" && !refused->body.empty());
    return 0;
  }
  const ApiCall& call = std::get<ApiCall>(parsed);
  demand(data[0] % 4 < 2 && call.route && find_route(request.target) == call.route);
  demand(call.projects == projects);
  demand(call.slice.rows >= 1 && call.slice.rows <= kApiPageMax + 1);
  demand(call.slice.skip >= 0 && call.slice.skip <= kApiSkipMax + kApiPageMax);
  demand(!call.range || (call.range->from <= call.range->to && call.range->to - call.range->from <= kApiWindowMax));
  for (const auto& [name, value] : call.values) demand(value.size() <= request.target.size());
  return 0;
}
