// Byte ranges of a file that are in the database: int8multirange, read and written as text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/chunk.h"

namespace runtail {

// Half-open, ascending, neither touching nor overlapping.
class CoveredRanges {
 public:
  // "{[0,190),[410,600)}" as the server writes it; std::nullopt for all else.
  static std::optional<CoveredRanges> parse(std::string_view text);
  std::string to_text() const;

  void add(ByteRange range);
  bool contains(std::uint64_t offset) const;
  // What of `range` is not here.
  CoveredRanges missing_of(ByteRange range) const;
  bool empty() const { return ranges_.empty(); }
  // The end of the last range; 0 if there is none.
  std::uint64_t upper() const { return ranges_.empty() ? 0 : ranges_.back().to; }
  const std::vector<ByteRange>& ranges() const { return ranges_; }

 private:
  std::vector<ByteRange> ranges_;
};

}  // namespace runtail
