// Where a Pushgateway listens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace runtail {

struct PushAddress {
  std::string host;  // an IPv6 address without its brackets
  std::uint16_t port = 80;
  std::string path;  // before /metrics; without a '/' at its end
  // As a request names it: the port where it is not 80.
  std::string authority() const;
};

// "http://host[:port][/path]". kInvalidInput says what to write; HTTPS and passwords are refused.
Result<PushAddress> parse_push_address(std::string_view url);

}  // namespace runtail
