// The document against the handlers, both ways: what it promises is answered, and what is answered it has promised.
#include "server/openapi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <set>

#include "server/api.h"
#include "server/api_problem.h"
#include "tests/support/json_shape.h"
#include "tests/unit/server/fake_store.h"

namespace runtail::test {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

const TimePoint kNow = parse_rfc3339("2026-03-01T12:00:00Z").value();
constexpr char kSomeRun[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

class OpenApiTest : public testing::Test {
 protected:
  ApiResponse ask(const std::string& target) {
    auto parsed = parse_call({"GET", target, "", "c"}, {}, kNow);
    if (auto* refused = std::get_if<ApiResponse>(&parsed)) return std::move(*refused);
    const ApiCall& call = std::get<ApiCall>(parsed);
    return call.route->is_open ? answer_open(call) : answer_call(call, store);
  }
  // A value that the schema allows.
  std::string example(const std::string& name, const json::object& schema) {
    if (name == "cursor") return next_cursor;
    if (const json::value* words = schema.if_contains("enum")) return std::string(words->as_array().back().as_string());
    if (const json::value* format = schema.if_contains("format")) {
      return *format == "uuid" ? kSomeRun : name == "from" ? "2026-02-28T00:00:00Z" : "2026-02-28T12:00:00Z";
    }
    const json::string& type = schema.at("type").as_string();
    if (type == "integer") return std::to_string(schema.at("minimum").as_int64());
    return type == "boolean" ? "true" : "orders";
  }
  std::string filled(std::string_view path) {
    std::string out(path);
    for (const auto& [name, value] :
         {std::pair<std::string, std::string>("{job_id}", "orders"), {"{run_id}", kSomeRun}}) {
      if (const auto at = out.find(name); at != std::string::npos) out.replace(at, name.size(), value);
    }
    return out;
  }
  std::string fault(const ApiResponse& response, const json::object& responses) {
    const json::value* promised = responses.if_contains(std::to_string(response.status));
    if (!promised) return "status " + std::to_string(response.status) + " is not in the document";
    const json::value* content = promised->as_object().if_contains("content");
    if (!content) return response.body.empty() ? "" : "a body where none is promised";
    const json::value* of_type = content->as_object().if_contains(response.content_type);
    if (!of_type) return response.content_type + " is not in the document";
    return shape_fault(json::parse(response.body), of_type->at("schema"), document);
  }

  FakeStore store;
  const json::value document = json::parse(openapi_document());
  std::string next_cursor;
};

TEST_F(OpenApiTest, EachPathWithEachParameterIsAnsweredAsPromised) {
  std::size_t operations = 0;
  for (const auto& [path, item] : document.at("paths").as_object()) {
    ++operations;
    const json::object& operation = item.at("get").as_object();
    const json::object& responses = operation.at("responses").as_object();
    const std::string target = filled(path);
    const ApiResponse plain = ask(target);
    ASSERT_EQ(plain.status, 200u) << target << plain.body;
    EXPECT_EQ(fault(plain, responses), "") << target;
    for (const json::value& parameter : operation.at("parameters").as_array()) {
      const std::string name(parameter.at("name").as_string());
      if (parameter.at("in") == "path") continue;
      store.rows = 100;
      if (name == "cursor") next_cursor = json::parse(ask(target).body).at("next_cursor").as_string();
      const std::string with = target + "?" + name + "=" + example(name, parameter.at("schema").as_object());
      const ApiResponse response = ask(with);
      EXPECT_EQ(response.status, 200u) << with << " " << response.body;
      EXPECT_EQ(fault(response, responses), "") << with;
      if (const json::value* words = parameter.at("schema").as_object().if_contains("enum")) {
        for (const json::value& word : words->as_array()) {
          const std::string exact = target + "?" + name + "=" + std::string(word.as_string());
          EXPECT_EQ(ask(exact).status, 200u) << exact;
        }
      }
      if (parameter.at("schema").at("type") != "string" || parameter.at("schema").as_object().contains("enum")) {
        EXPECT_EQ(ask(target + "?" + name + "=nonsense").status, 400u) << name;
      }
    }
    EXPECT_EQ(fault(ask(target + "?nonsense=1"), responses), "") << target;
    // What goes wrong behind it.
    for (const Error& error : {Error{ErrorCode::kUnavailable, "away"}, Error{ErrorCode::kInvalidInput, "rights"}}) {
      if (!responses.contains("503")) continue;
      store.error = error;
      EXPECT_EQ(fault(ask(target), responses), "") << target;
      store.error.reset();
    }
    store.has_run = false;
    EXPECT_EQ(ask(target).status, responses.contains("404") ? 404u : 200u) << target;
    EXPECT_EQ(fault(ask(target), responses), "") << target;
    store.has_run = true;
  }
  EXPECT_EQ(operations, api_routes().size());
}

TEST_F(OpenApiTest, EachParameterThatIsUnderstoodIsInTheDocument) {
  for (const ApiRoute& route : api_routes()) {
    std::set<std::string> documented, understood;
    for (const json::value& parameter :
         document.at("paths").at(std::string(route.path)).at("get").at("parameters").as_array()) {
      documented.insert(std::string(parameter.at("name").as_string()));
    }
    for (const ApiParameter& parameter : route.parameters) understood.insert(std::string(parameter.name));
    EXPECT_EQ(documented, understood) << route.path;
    // What the path names is a parameter in the path, and the label of metrics says the same.
    std::string label(route.path);
    for (const ApiParameter& parameter : route.parameters) {
      const std::string name = "{" + std::string(parameter.name) + "}";
      const auto at = label.find(name);
      EXPECT_EQ(at != std::string::npos, parameter.in_path) << route.path << " " << name;
      if (at != std::string::npos) label.replace(at, name.size(), ":" + std::string(parameter.name));
    }
    EXPECT_EQ(label, route.label);
  }
}

TEST_F(OpenApiTest, EachProblemIsInTheDocumentAndOnThePage) {
  std::ifstream in(std::string(RUNTAIL_SOURCE_DIR) + "/docs/api.md");
  const std::string page((std::istreambuf_iterator<char>(in)), {});
  std::size_t at = 0;
  for (const ProblemSpec& spec : problem_specs()) {
    const auto problem = static_cast<Problem>(at++);
    EXPECT_EQ(&spec_of(problem), &spec);
    const ApiResponse response = problem_response(problem, "a detail", "c", "page");
    EXPECT_EQ(shape_fault(json::parse(response.body), at_pointer(document, "/components/schemas/Problem"), document),
              "");
    EXPECT_THAT(page, HasSubstr("`" + std::string(spec.name) + "`"));
  }
  for (const ApiRoute& route : api_routes()) {
    EXPECT_THAT(page, HasSubstr("`" + std::string(route.path) + "`")) << "not on the page";
  }
}

// The judge sees what it is for.
TEST_F(OpenApiTest, AnAnswerOfAnotherShapeIsFound) {
  const json::value& schema = at_pointer(document, "/components/schemas/JobList");
  json::value good = json::parse(ask("/v1/obs/jobs").body);
  EXPECT_EQ(shape_fault(good, schema, document), "");
  json::value more = good, less = good, other = good;
  more.at("data").at(0).as_object()["secret"] = 1;
  less.at("data").at(0).as_object().erase("last_run_at");
  other.at("data").at(0).as_object()["job_id"] = 7;
  EXPECT_THAT(shape_fault(more, schema, document), HasSubstr("/data/0/secret: not in the schema"));
  EXPECT_THAT(shape_fault(less, schema, document), HasSubstr("/data/0/last_run_at: missing"));
  EXPECT_THAT(shape_fault(other, schema, document), HasSubstr("/data/0/job_id: integer"));
}

}  // namespace
}  // namespace runtail::test
