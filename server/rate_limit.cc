#include "server/rate_limit.h"

#include <algorithm>

namespace runtail {

RateLimit::RateLimit(unsigned per_second, unsigned burst, std::size_t keys_max)
    : each_(1'000'000 / std::max(per_second, 1u)), tolerance_(each_ * (std::max(burst, 1u) - 1)), keys_max_(keys_max) {}

std::optional<std::chrono::microseconds> RateLimit::take(std::string_view key, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (const auto found = places_.find(key); found != places_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
  } else {
    if (entries_.size() >= keys_max_) {
      places_.erase(entries_.back().key);
      entries_.pop_back();
    }
    entries_.push_front({std::string(key), now});
    places_.emplace(entries_.front().key, entries_.begin());
  }
  TimePoint& full_at = entries_.front().full_at;
  // A clock set back far would lock a token out until it caught up.
  full_at = std::clamp(full_at, now, now + tolerance_ + each_);
  if (full_at - now > tolerance_)
    return std::chrono::duration_cast<std::chrono::microseconds>(full_at - now) - tolerance_;
  full_at += each_;
  return std::nullopt;
}

}  // namespace runtail
