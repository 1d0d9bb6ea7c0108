#include "server/openapi.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string_view>

#include "core/build_info.h"
#include "core/json_text.h"
#include "server/api_problem.h"
#include "server/api_route.h"

namespace runtail {
namespace {

std::string as_json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// The schema of the parameter's value.
std::string schema_of(const ApiParameter& parameter) {
  std::string out;
  switch (parameter.type) {
    case ParameterType::kText:
      out = R"({"type":"string","minLength":1,"maxLength":)" + std::to_string(kApiTextMax);
      break;
    case ParameterType::kWord: {
      out = R"({"type":"string","enum":[)";
      for (const std::string_view word : parameter.words) out += (out.back() == '[' ? "" : ",") + as_json(word);
      out += "]";
      break;
    }
    case ParameterType::kTime:
      out = R"({"type":"string","format":"date-time")";
      break;
    case ParameterType::kUuid:
      out = R"({"type":"string","format":"uuid")";
      break;
    case ParameterType::kNumber:
      out = R"({"type":"integer","minimum":)" + std::to_string(parameter.least) +
            ",\"maximum\":" + std::to_string(parameter.most);
      break;
    case ParameterType::kFlag:
      out = R"({"type":"boolean")";
      break;
    case ParameterType::kCursor:
      out = R"({"type":"string","maxLength":1024)";
      break;
  }
  if (!parameter.fallback.empty()) {
    const bool is_bare = parameter.type == ParameterType::kNumber || parameter.type == ParameterType::kFlag;
    out += ",\"default\":" + (is_bare ? std::string(parameter.fallback) : as_json(parameter.fallback));
  }
  return out + "}";
}

std::string parameters_of(const ApiRoute& route) {
  std::string out = "[";
  for (const ApiParameter& parameter : route.parameters) {
    if (out.size() > 1) out += ",";
    out += "{\"name\":" + as_json(parameter.name) + ",\"in\":\"" + (parameter.in_path ? "path" : "query") + "\"";
    if (parameter.in_path) out += ",\"required\":true";
    out += ",\"description\":" + as_json(parameter.says) + ",\"schema\":" + schema_of(parameter) + "}";
  }
  return out + "]";
}

std::string reference(std::string_view schema) {
  return "{\"$ref\":\"#/components/schemas/" + std::string(schema) + "\"}";
}

std::string response(unsigned status, std::string_view says, std::string_view content_type, const std::string& schema,
                     const std::string& headers = {}) {
  std::string out = "\"" + std::to_string(status) + "\":{\"description\":" + as_json(says);
  if (!headers.empty()) out += ",\"headers\":{" + headers + "}";
  if (!schema.empty()) out += ",\"content\":{" + as_json(content_type) + ":{\"schema\":" + schema + "}}";
  return out + "}";
}

std::string problem(unsigned status, const std::string& headers = {}) {
  std::string says;
  for (const ProblemSpec& spec : problem_specs()) {
    if (spec.status == status) (says += says.empty() ? "" : "; ") += spec.title;
  }
  return response(status, says, "application/problem+json", reference("Problem"), headers);
}

std::string responses_of(const ApiRoute& route) {
  const std::string retry = R"("Retry-After":{"description":"Seconds","schema":{"type":"integer"}})";
  if (route.is_open) {
    return "{" + response(200, route.says, "application/json", R"({"type":"object"})") + "," + problem(400) + "}";
  }
  const std::string schema = route.is_list ? reference(std::string(route.row) + "List") : reference(route.row);
  std::string out = "{";
  const std::string tag = R"("ETag":{"description":"Of a run that has ended","schema":{"type":"string"}})";
  out += response(200, route.says, "application/json", schema, route.is_list ? "" : tag) + ",";
  if (!route.is_list) out += response(304, "As it was", "", "") + ",";
  out += problem(400) + "," + problem(401) + "," + problem(403) + ",";
  if (route.is_of_run) out += problem(404) + ",";
  out += problem(429, retry) + "," + problem(500) + "," + problem(503, retry);
  return out + "}";
}

std::string list_schema(std::string_view row) {
  return R"({"type":"object","additionalProperties":false,"required":["data","page","page_size","next_cursor"],)"
         R"("properties":{"data":{"type":"array","items":)" +
         reference(row) +
         R"(},"page":{"type":["integer","null"],"description":"null after a cursor"},"page_size":{"type":"integer"},)"
         R"("next_cursor":{"type":["string","null"],"description":"null on the last page"},)"
         R"("total":{"type":"integer","description":"With total=true"}}})";
}

std::string problem_schema() {
  std::string types;
  for (const ProblemSpec& spec : problem_specs()) {
    types += (types.empty() ? "" : ",") + as_json("urn:runtail:problem:" + std::string(spec.name));
  }
  return R"({"type":"object","additionalProperties":false,"required":["type","title","status","detail"],"properties":{)"
         R"("type":{"type":"string","enum":[)" +
         types +
         R"(]},"title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},)"
         R"("parameter":{"type":"string"},"correlation_id":{"type":"string"}}})";
}

std::string make_document() {
  std::string paths;
  std::map<std::string, std::string> schemas = {{"Problem", problem_schema()}};
  for (const ApiRoute& route : api_routes()) {
    if (!paths.empty()) paths += ",\n";
    paths += as_json(route.path) + ":{\"get\":{\"operationId\":" + as_json(route.name) +
             ",\"summary\":" + as_json(route.says) + ",\"parameters\":" + parameters_of(route) +
             (route.is_open ? ",\"security\":[]" : "") + ",\"responses\":" + responses_of(route) + "}}";
    if (route.row.empty()) continue;
    schemas.emplace(route.row, route.row_schema());
    if (route.is_list) schemas.emplace(std::string(route.row) + "List", list_schema(route.row));
  }
  std::string components;
  for (const auto& [name, schema] : schemas) {
    components += (components.empty() ? "" : ",\n") + as_json(name) + ":" + schema;
  }
  return R"({"openapi":"3.1.0","info":{"title":"runtail history","version":)" + as_json(build_version()) +
         R"(,"description":"What ran, how it went and what it left. Times are RFC 3339 in UTC. HEAD is answered as GET."},)"
         R"("security":[{"token":["obs.read"]}],)"
         "\n\"paths\":{\n" +
         paths + "},\n" +
         R"("components":{"securitySchemes":{"token":{"type":"http","scheme":"bearer","bearerFormat":"JWT"}},)"
         "\n\"schemas\":{\n" +
         components + "}}}\n";
}

}  // namespace

const std::string& openapi_document() {
  static const std::string kDocument = make_document();
  return kDocument;
}

}  // namespace runtail
