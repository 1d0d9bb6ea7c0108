// Answers that many ask for at once, as every open dashboard asks for the list of jobs: what is at most a second old is
// given to whoever asks the same and may see the same, so that such a question is put to the store once a second.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>

#include "server/api_message.h"

namespace runtail {

// Threads: one.
class SharedAnswers {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kAgeMax{1000};

  // Bodies of `bytes_max` together at most; what was put first goes first.
  explicit SharedAnswers(std::size_t bytes_max = 16u << 20) : bytes_max_(bytes_max) {}

  // nullptr: none that is fresh. Valid until the next put().
  const ApiResponse* find(const std::string& key, Time now) const;
  // `asked`: since when the answer can have been old.
  void put(const std::string& key, ApiResponse response, Time asked);

 private:
  struct Entry {
    std::string key;
    ApiResponse response;
    Time asked;
  };
  const std::size_t bytes_max_;
  std::list<Entry> entries_;  // in order of put()
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
  std::size_t bytes_ = 0;
};

}  // namespace runtail
