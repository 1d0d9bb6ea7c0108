#include "server/api.h"

#include <utility>

#include "core/digest.h"
#include "server/api_problem.h"
#include "server/openapi.h"

namespace runtail {
namespace {

// SQLSTATE of a statement that the database ended at its time limit.
constexpr std::string_view kTimedOut = "57014";

ApiResponse failure(const ApiCall& call, const Error& error) {
  ApiResponse response;
  if (error.code != ErrorCode::kUnavailable) {
    response = problem_response(Problem::kInternal, "its log says why", call.correlation_id);
  } else if (error.message.find(kTimedOut) != std::string::npos) {
    response = problem_response(Problem::kQueryTooSlow, "ask for less: a shorter time, one job", call.correlation_id);
  } else {
    response = problem_response(Problem::kDatabaseUnavailable, "try again in a moment", call.correlation_id);
  }
  if (response.status == 503) response.headers.emplace_back("Retry-After", "2");
  response.fault = error.message;
  return response;
}

// Whether a list of entity tags names this one. Weak comparison: RFC 9110, section 13.1.2.
bool names_tag(std::string_view list, std::string_view tag) {
  if (list == "*") return true;
  const std::string_view opaque = tag.substr(2);  // without W/
  return list.find(opaque) != std::string_view::npos;
}

}  // namespace

ApiResponse answer_call(const ApiCall& call, HistoryStore& store) {
  auto answer = call.route->ask(call, store);
  if (!answer) return failure(call, answer.error());
  if (answer->is_missing) {
    return problem_response(Problem::kNoSuchRun, "there is none with this id that the token may see",
                            call.correlation_id);
  }
  ApiResponse response;
  response.rows = answer->rows;
  response.body = std::move(answer->body);
  if (answer->is_final) {
    const std::string tag = "W/\"" + to_hex(sha256(response.body)).substr(0, 32) + "\"";
    response.headers.emplace_back("ETag", tag);
    response.headers.emplace_back("Cache-Control", "private, no-cache");
    if (!call.if_none_match.empty() && names_tag(call.if_none_match, tag)) {
      response.status = 304;
      response.body.clear();
    }
  } else {
    response.headers.emplace_back("Cache-Control", "no-store");
  }
  return response;
}

ApiResponse answer_open(const ApiCall&) {
  ApiResponse response;
  response.body = openapi_document();
  response.headers.emplace_back("Cache-Control", "max-age=300");
  return response;
}

}  // namespace runtail
