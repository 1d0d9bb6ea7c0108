#include "server/shared_answers.h"

#include <utility>

namespace runtail {

const ApiResponse* SharedAnswers::find(const std::string& key, Time now) const {
  const auto at = by_key_.find(key);
  if (at == by_key_.end() || now - at->second->asked > kAgeMax) return nullptr;
  return &at->second->response;
}

void SharedAnswers::put(const std::string& key, ApiResponse response, Time asked) {
  const auto drop = [this](std::list<Entry>::iterator entry) {
    bytes_ -= entry->response.body.size();
    by_key_.erase(entry->key);
    entries_.erase(entry);
  };
  if (const auto at = by_key_.find(key); at != by_key_.end()) drop(at->second);
  bytes_ += response.body.size();
  entries_.push_back({key, std::move(response), asked});
  by_key_[key] = std::prev(entries_.end());
  while (bytes_ > bytes_max_ || (!entries_.empty() && asked - entries_.front().asked > kAgeMax)) {
    drop(entries_.begin());
  }
}

}  // namespace runtail
