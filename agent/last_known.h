// Small values that counting compares with what it saw before: the digest of a column list, the processor time of an
// instance. Kept in the buffer with the commit that changed them; in memory only those used since.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "buffer/durable_buffer.h"

namespace runtail {

// Threads: the pipeline's only.
class LastKnown {
 public:
  // At most `kept_max` values stay in memory from one commit to the next.
  explicit LastKnown(const DurableBuffer& buffer, std::size_t kept_max = 2000) : buffer_(buffer), kept_max_(kept_max) {}

  // "" if nothing is known.
  const std::string& get(const std::string& key);
  void put(const std::string& key, std::string value);
  // Appends the entries changed since the last call, for the commit. What follows is read after that commit.
  void take_changed(std::vector<StateEntry>& into);
  std::size_t kept() const { return values_.size(); }

 private:
  struct Value {
    std::string value;
    bool is_changed = false;
  };
  const DurableBuffer& buffer_;  // not owned, outlives this
  const std::size_t kept_max_;
  std::unordered_map<std::string, Value> values_;
  std::vector<std::string> changed_;  // keys
};

}  // namespace runtail
