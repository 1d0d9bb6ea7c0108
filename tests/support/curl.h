// HTTP by curl, as a user asks: status, headers and body.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace runtail::test {

struct CurlAnswer {
  int status = 0;                              // 0: no answer
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};
// `more`: further arguments of curl. GET unless they say otherwise.
CurlAnswer curl(const std::string& url, const std::vector<std::string>& more = {});

}  // namespace runtail::test
