// What an agent without PostgreSQL keeps, as its history reads it: small entries by key, and the chunks of lines.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/chunk.h"
#include "core/result.h"

namespace runtail {

// Threads: any.
class KeptState {
 public:
  virtual ~KeptState() = default;

  virtual std::optional<std::string> get(std::string_view key) const = 0;
  // False ends it. The views live until it returns.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  // Entries whose key begins with `prefix` and is not smaller than `from`, in order of key, as they are at one moment.
  virtual void scan(std::string_view prefix, std::string_view from, const Visit& visit) const = 0;
  // std::nullopt: kept no longer. kCorrupt, kUnavailable: it cannot be read.
  virtual Result<std::optional<Chunk>> chunk(Sequence sequence) const = 0;
};

}  // namespace runtail
