// The routes of the API, one table: what parses requests (server/api_call.h), answers them (server/api.h) and documents
// them (server/openapi.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "history/history_store.h"

namespace runtail {

struct ApiCall;

enum class ParameterType : std::uint8_t {
  kText,    // 1 to kApiTextMax bytes
  kWord,    // one of `words`
  kTime,    // RFC 3339
  kUuid,    //
  kNumber,  // `least` to `most`
  kFlag,    // true or false
  kCursor,  // a next_cursor
};
inline constexpr std::size_t kApiTextMax = 512;

struct ApiParameter {
  std::string_view name;
  ParameterType type = ParameterType::kText;
  std::string_view says;
  std::span<const std::string_view> words = {};
  std::int64_t least = 0, most = 0;
  std::string_view fallback = {};  // what holds where it is not given; "": nothing
  bool in_path = false;
};

struct ApiAnswer {
  std::string body;
  std::int64_t rows = 0;
  bool is_missing = false;  // no such run, or none that may be seen
  bool is_final = false;    // of a run that has ended: may carry an ETag
};

struct ApiRoute {
  std::string_view name;   // its operationId
  std::string_view path;   // "/v1/obs/jobs/{job_id}/runs"
  std::string_view label;  // the same as the value of a label: "/v1/obs/jobs/:job_id/runs"
  std::string_view says;
  std::vector<ApiParameter> parameters;  // those of lists and windows included
  std::chrono::days window{0};           // by default; 0: the list has none
  bool is_list = true;
  bool is_of_run = false;  // 404 where there is no such run
  bool is_shared = false;  // costs so much that an answer serves all who ask for it within a second
  bool is_open = false;    // answered without a token, and without the database: ask is null
  std::string_view row;    // name of the row's schema
  std::string (*row_schema)() = nullptr;
  // What is wrong with the parameters together, "" if nothing; null: they are independent.
  std::string (*conflict)(const ApiCall& call) = nullptr;
  Result<ApiAnswer> (*ask)(const ApiCall& call, HistoryStore& store) = nullptr;
};

inline constexpr std::chrono::days kApiWindowMax{90};
inline constexpr int kApiPageMax = 500, kApiPageDefault = 50;
// Pages by number end here: the database reads and throws away what is skipped. A cursor goes on.
inline constexpr int kApiSkipMax = 10'000;
// A page ends early, with a cursor, when its body is larger.
inline constexpr std::size_t kApiBodyMax = 8u << 20;

std::span<const ApiRoute> api_routes();

}  // namespace runtail
