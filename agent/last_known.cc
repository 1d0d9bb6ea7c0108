#include "agent/last_known.h"

#include <utility>

namespace runtail {

const std::string& LastKnown::get(const std::string& key) {
  const auto [at, is_new] = values_.try_emplace(key);
  if (is_new) at->second.value = buffer_.get(key).value_or("");
  return at->second.value;
}

void LastKnown::put(const std::string& key, std::string value) {
  Value& known = values_[key];
  known.value = std::move(value);
  if (!std::exchange(known.is_changed, true)) changed_.push_back(key);
}

void LastKnown::take_changed(std::vector<StateEntry>& into) {
  for (std::string& key : changed_) {
    Value& known = values_.at(key);
    known.is_changed = false;
    into.push_back({std::move(key), known.value});
  }
  changed_.clear();
  // All of them are on their way to the buffer, so each can be read back.
  if (values_.size() > kept_max_) values_.clear();
}

}  // namespace runtail
