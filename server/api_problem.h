// Errors of the API as RFC 9457 has them. The type of each kind is stable: clients may branch on it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/api_message.h"

namespace runtail {

enum class Problem : std::uint8_t {
  kMalformedRequest,
  kUnknownParameter,
  kInvalidParameter,
  kBodyNotAccepted,
  kUnauthorized,
  kInsufficientScope,
  kNotFound,
  kNoSuchRun,
  kMethodNotAllowed,
  kHeaderTooLarge,
  kTooManyRequests,
  kInternal,
  kDatabaseUnavailable,
  kQueryTooSlow,
  kBusy,
};

struct ProblemSpec {
  std::string_view name;  // last part of the type: urn:runtail:problem:<name>
  unsigned status;
  std::string_view title;
};
std::span<const ProblemSpec> problem_specs();  // in the order of Problem
const ProblemSpec& spec_of(Problem problem);

// `detail`: what to do about it, for who asked. `parameter`: the one at fault, "" for none.
ApiResponse problem_response(Problem problem, std::string_view detail, std::string_view correlation_id,
                             std::string_view parameter = {});

}  // namespace runtail
