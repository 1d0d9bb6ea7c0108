// What the history API is asked and what it answers, without a socket: server/api_server.h carries both.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/time.h"
#include "history/query.h"

namespace runtail {

struct ApiRequest {
  std::string method = "GET";
  std::string target;          // path and query as they came: "/v1/obs/jobs?q=orders"
  std::string if_none_match;   // the header's value; "" if there is none
  std::string correlation_id;  // shown in problems
};

struct ApiResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;  // of HEAD too: whoever sends it leaves it out
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::int64_t rows = 0;
  std::string fault = {};  // for our own log, never for who asked
};

}  // namespace runtail
