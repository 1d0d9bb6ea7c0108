// Masks the texts of one event, keeps the changed ones, and counts.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "redaction/detectors.h"

namespace runtail {

// Short texts seen before and found clean: service, job and table names repeat on every line.
class CleanTexts {
 public:
  static constexpr std::size_t kBytesMax = 31;

  // `text` has at most kBytesMax bytes.
  bool has(std::string_view text) const;
  void add(std::string_view text);

 private:
  struct Slot {
    std::uint8_t size = 0;
    char bytes[kBytesMax];
  };
  static std::size_t slot_of(std::string_view text);
  std::array<Slot, 256> slots_;
};

class Masker {
 public:
  Masker(std::shared_ptr<const Detectors> detectors, std::shared_ptr<const Kinds> kinds);

  // Forgets the event before: its texts are invalid, its counts are zero.
  void begin();

  // `text` itself if clean, else what is left of it: valid until begin(). `key`: see Detectors::find().
  std::string_view mask(std::string_view text, std::string_view key = {});
  // The marker alone, for a value that goes whole; counted.
  std::string_view marker(std::uint8_t kind);
  // For a value the caller changed itself.
  void count(std::uint8_t kind) {
    ++counts_[kind];
    masked_any_ = true;
  }
  // An empty text to build something in; valid until begin().
  std::string& fresh_text();

  // Spans masked since begin(), by kind; 0 everywhere: nothing was.
  const std::vector<std::uint32_t>& counts() const { return counts_; }
  bool masked_any() const { return masked_any_; }

 private:
  std::string_view mask_again(std::string_view text, std::string_view key);

  std::shared_ptr<const Detectors> detectors_;
  std::shared_ptr<const Kinds> kinds_;
  std::vector<Span> spans_;
  std::vector<std::uint32_t> counts_;
  bool masked_any_ = false;
  std::deque<std::string> texts_;  // the first texts_used_ belong to this event; the others keep their memory
  std::size_t texts_used_ = 0;
  CleanTexts clean_;
};

}  // namespace runtail
