// A rule's text against a message, and what tells a body that must not be kept in JSON that cannot be parsed.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/dialect_rule.h"
#include "core/time.h"
#include "core/time_zone.h"

namespace runtail {

// True if the literals stand in `text` in this order; values[i] is then what stands at pieces[i], "" for literals. A
// value reaches to the literal behind it, or to the end, without blanks around it.
bool match_text(const std::vector<TextPiece>& pieces, bool from_beginning, std::string_view text,
                std::vector<std::string_view>& values);

// What a line of plain text begins with: "2026-01-02 03:04:05,123 INFO [main] ...", "[error] ...", "WARNING:root: ...".
// A word for a level counts behind a time, up to three words on (thread, logger); without a time as the first word
// only, and if it is not in capitals, with brackets or a colon. A time counts if a level follows it.
struct TextHead {
  std::optional<TimePoint> ts;
  std::string_view level;  // as written
};
TextHead head_of(std::string_view text, const TimeZone* zone);

// What tells a body that must not be kept: texts that begin with a quote.
class BodyMarks {
 public:
  void add(std::string_view mark);
  // True if one of them stands in `text` when blanks and backslashes in `text` are passed over, as in JSON within JSON.
  bool stand_in(std::string_view text) const;

 private:
  std::array<std::vector<std::string>, 256> rests_;  // behind the quote and the character that is the index
};

}  // namespace runtail
