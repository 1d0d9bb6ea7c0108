// How often each token may ask: the generic cell rate algorithm (ITU-T I.371), one time a key.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/time.h"

namespace runtail {

// Threads: any.
class RateLimit {
 public:
  // `per_second` over time, and `burst` at once after a pause; both 1 or more. Of more than `keys_max` keys the one
  // that asked least recently is forgotten: it begins anew.
  RateLimit(unsigned per_second, unsigned burst, std::size_t keys_max = 10'000);

  // std::nullopt: go on. Else how long to wait (above 0), and nothing is taken.
  std::optional<std::chrono::microseconds> take(std::string_view key, TimePoint now);

 private:
  struct Entry {
    std::string key;
    TimePoint full_at;  // the theoretical arrival time: when nothing of what was taken counts any more
  };

  const std::chrono::microseconds each_, tolerance_;
  const std::size_t keys_max_;
  std::mutex mutex_;                                                         // guards what follows
  std::list<Entry> entries_;                                                 // the latest first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> places_;  // keys are of the entries
};

}  // namespace runtail
