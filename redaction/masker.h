// Masks the texts of one event, keeps the changed ones, and counts.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "redaction/redactor.h"
#include "redaction/ruleset.h"

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

// What redaction left on a line beside clean text and marks.
struct Remains {
  bool hash = false;         // a keyed hash stands for something
  bool part = false;         // a part of something was kept
  bool person = false;       // ... of a person
  bool over_budget = false;  // a text went whole because it was too much work
};

class Masker {
 public:
  explicit Masker(std::shared_ptr<const Ruleset> ruleset);

  // Forgets the event before: its texts are invalid, its counts are zero.
  void begin();

  // `text` itself if clean, else what is left of it: valid until begin(). `key`: see TextScanner::find().
  std::string_view mask(std::string_view text, std::string_view key = {});
  // What stands for a value that goes whole; counted. `value` may be empty: then it is a mark whatever the action.
  std::string_view marker(std::uint8_t kind, std::string_view value = {}, std::string_view rule = "field");
  std::string_view marker(std::uint8_t kind, std::string_view value, std::uint16_t rule);  // of Kinds::rules()
  // For a value the caller changed itself and of which a part stays.
  void count_part(std::uint8_t kind);
  // An empty text to build something in; valid until begin().
  std::string& fresh_text();

  // Spans masked since begin(), by kind; 0 everywhere: nothing was.
  const std::vector<std::uint32_t>& counts() const { return counts_; }
  bool masked_any() const { return masked_any_; }
  const Remains& remains() const { return remains_; }

  // From now on each span is noted in `findings` (null: no more), with the place named last.
  void explain(std::vector<Finding>* findings) { findings_ = findings; }
  void set_place(std::string_view place) { place_ = place; }

 private:
  std::string_view mask_again(std::string_view text, std::string_view key, const std::vector<Span>* spans);
  std::string_view drop_over_budget(std::string_view text);
  void put(std::string& out, std::uint8_t kind, std::string_view value);
  void count(std::uint8_t kind) {
    ++counts_[kind];
    masked_any_ = true;
  }
  void note(std::string_view rule, std::string_view validator, std::uint8_t kind, std::size_t bytes);

  std::shared_ptr<const Ruleset> ruleset_;
  TextScanner scanner_;
  std::vector<std::uint32_t> counts_;
  bool masked_any_ = false;
  Remains remains_;
  std::deque<std::string> texts_;  // the first texts_used_ belong to this event; the others keep their memory
  std::size_t texts_used_ = 0;
  CleanTexts clean_;
  std::vector<Finding>* findings_ = nullptr;
  std::string_view place_;
};

}  // namespace runtail
