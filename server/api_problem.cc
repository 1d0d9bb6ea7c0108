#include "server/api_problem.h"

#include "core/json_text.h"

namespace runtail {
namespace {

constexpr ProblemSpec kSpecs[] = {
    {"malformed-request", 400, "The request cannot be read"},
    {"unknown-parameter", 400, "There is no such parameter"},
    {"invalid-parameter", 400, "A parameter has a value it cannot have"},
    {"body-not-accepted", 413, "Requests have no body"},
    {"unauthorized", 401, "A valid token is needed"},
    {"insufficient-scope", 403, "The token's scope does not allow it"},
    {"not-found", 404, "There is nothing at this path"},
    {"no-such-run", 404, "There is no such run"},
    {"method-not-allowed", 405, "Only GET and HEAD are answered"},
    {"header-too-large", 431, "The header is too large"},
    {"too-many-requests", 429, "Too many requests"},
    {"internal", 500, "The server failed"},
    {"database-unavailable", 503, "The database cannot be reached"},
    {"query-too-slow", 503, "The database took too long"},
    {"busy", 503, "Too many requests wait for the database"},
};

void member(std::string& out, std::string_view name, std::string_view value) {
  out += out.size() > 1 ? ",\"" : "\"";
  out += name;
  out += "\":";
  append_json_string(out, value);
}

}  // namespace

std::span<const ProblemSpec> problem_specs() { return kSpecs; }
const ProblemSpec& spec_of(Problem problem) { return kSpecs[static_cast<std::size_t>(problem)]; }

ApiResponse problem_response(Problem problem, std::string_view detail, std::string_view correlation_id,
                             std::string_view parameter) {
  const ProblemSpec& spec = spec_of(problem);
  ApiResponse response;
  response.status = spec.status;
  response.content_type = "application/problem+json";
  std::string& out = response.body = "{";
  member(out, "type", "urn:runtail:problem:" + std::string(spec.name));
  member(out, "title", spec.title);
  out += ",\"status\":" + std::to_string(spec.status);
  member(out, "detail", detail);
  if (!parameter.empty()) member(out, "parameter", parameter);
  if (!correlation_id.empty()) member(out, "correlation_id", correlation_id);
  out += "}\n";
  return response;
}

}  // namespace runtail
