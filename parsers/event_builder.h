// The event of one line while it is being made: values into fields, words into kind, status and level.
#pragma once

#include <simdjson.h>

#include <deque>
#include <string>
#include <string_view>

#include "config/dialect.h"
#include "core/event.h"
#include "core/time_zone.h"

namespace runtail {

class EventBuilder {
 public:
  // Words that a dialect does not list itself are read as those of `native`.
  explicit EventBuilder(const DialectSpec& native) : native_(native), spec_(&native) {}

  // A new line: nothing is known of it, and no text of an earlier one is kept.
  void begin_line(const TimeZone* zone);
  // A new event of the same line; texts stay.
  void begin_event(LineShape shape, const DialectSpec& spec);
  // The rest of the event is of this dialect.
  void go_on(const DialectSpec& spec);
  // Whether texts of this line can hold U+0000, which no text of an event may.
  void set_has_nul_escape(bool has) { has_nul_escape_ = has; }

  // Reads the value as the type of the field asks; a value of another type marks a violation.
  void put(Field field, const simdjson::dom::element& value);
  void put_text(Field field, std::string_view text);
  // Adds a member that is no field. Returns its index in event.rest.
  std::uint32_t add_node(std::string_view key, const simdjson::dom::element& value);
  // False: an unknown word, which changes nothing.
  bool set_level(std::string_view word);
  bool set_status(std::string_view word);
  void mark(ContractViolation violation) { event.violations |= 1u << static_cast<unsigned>(violation); }
  void unmark(ContractViolation violation) { event.violations &= ~(1u << static_cast<unsigned>(violation)); }

  // Text that no buffer of the line holds.
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }
  // The word as lists of words have it; valid until the next call.
  std::string_view fold(std::string_view word);

  const DialectSpec& spec() const { return *spec_; }
  const TimeZone* zone() const { return zone_; }

  LogEvent event;

 private:
  bool set_level_word(std::string_view word);

  const DialectSpec& native_;  // not owned, outlives this
  const DialectSpec* spec_;
  const TimeZone* zone_ = nullptr;
  std::deque<std::string> kept_;  // addresses that stay
  std::string folded_;
  bool has_nul_escape_ = false;
};

// Words kept as they are; anything else in such a field says nothing the tables could hold.
bool is_known_word(Field field, std::string_view folded);
// Lines that bring a verdict: without a status word they mean success.
bool is_finish(EventKind kind);

}  // namespace runtail
