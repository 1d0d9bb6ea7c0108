// How large the scenarios are, and where their randomness comes from.
//   RUNTAIL_TEST_SCALE=long   the full numbers; anything else: small, for every commit
//   RUNTAIL_TEST_SEED=N       the same random choices again
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>

namespace runtail::test {

inline bool long_run() {
  const char* scale = std::getenv("RUNTAIL_TEST_SCALE");
  return scale && std::string_view(scale) == "long";
}

// The number for the scale in force.
template <typename T>
T by_scale(T small, T full) {
  return long_run() ? full : small;
}

// One for the whole process, printed at first use.
inline std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const char* given = std::getenv("RUNTAIL_TEST_SEED");
    const std::uint64_t chosen = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::printf("seed %llu; again with RUNTAIL_TEST_SEED=%llu\n", static_cast<unsigned long long>(chosen),
                static_cast<unsigned long long>(chosen));
    std::fflush(stdout);
    return chosen;
  }();
  return value;
}

}  // namespace runtail::test
