// From the bytes of one line to the events it states. No I/O, reads no clock.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "config/dialect.h"
#include "core/event.h"
#include "core/time_zone.h"

namespace runtail {

// One Parser per thread: it owns the memory its events point into.
class Parser {
 public:
  // Longer texts in a message are not looked into for a line of another tool, nor those with more levels.
  static constexpr std::size_t kInnerBytesMax = 256 << 10, kInnerDepthMax = 64;

  // `dialects`: the native contract first. std::logic_error if a dialect names more members than any line has.
  explicit Parser(std::vector<DialectSpec> dialects);
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;
  ~Parser();

  // `line` without its newline (a trailing CR is dropped). Never fails: what is no JSON object is text.
  // Times that state no offset are civil times of `zone`, or UTC where that is null.
  // `dialect`: name of the one the line is in. It is asked first; of the others only what they never keep counts, and
  // else the line is native. A line inside of it tells by its members. "", or a name nobody has: so does the line
  // itself. The event's views are valid until the next call and while `line` is.
  const LogEvent& parse(std::string_view line, const TimeZone* zone = nullptr, std::string_view dialect = {});
  // Another event of the same line, nullptr after the last one.
  const LogEvent* next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace runtail
