// Lines of one tool's own format: whether a parsed line is one, and the events it states. A DialectSpec compiled so
// that each line is walked once: every member that any test or field names has a slot, all others are passed over.
#pragma once

#include <simdjson.h>

#include <bitset>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parsers/event_builder.h"
#include "parsers/field_table.h"
#include "parsers/line_value.h"
#include "parsers/tool_rule.h"

namespace runtail {

class ToolDialect {
 public:
  static constexpr std::size_t kSlotsMax = 256;
  // More elements of an array than this give no events of their own.
  static constexpr std::size_t kElementsMax = 1000;

  // `spec` outlives this and names a tool's format.
  explicit ToolDialect(const DialectSpec& spec);
  ToolDialect(ToolDialect&&) noexcept;
  ~ToolDialect();

  const DialectSpec& spec() const { return spec_; }
  // For each of the ways to tell its lines: names that the line has to have at its top, one of each group.
  const std::vector<std::vector<std::vector<std::string>>>& asks_for() const { return asks_for_; }
  bool claims(const simdjson::dom::object& line) const;
  // The first event of a line that is claimed. The object is used until read_next() said false or another line is read.
  void read(const simdjson::dom::object& line, EventBuilder& builder);
  // The next event of the line read last; false if there is none.
  bool read_next(EventBuilder& builder);
  // A line of plain text. False: none of the rules is about it.
  bool read_text(std::string_view text, EventBuilder& builder);
  // Texts of the line read last that may hold a line of their own.
  void inner_texts(std::vector<std::string_view>& out) const;

 private:
  using Sources = std::vector<ToolSource>;

  // Compiling.
  std::int16_t new_slot(std::string_view path);
  std::int16_t slot_of(std::string_view path, FieldTable& top);
  static void add_slots(const FieldTable& table, std::vector<std::int16_t>& slots);
  Sources compile(const std::vector<ValueSource>& sources, ToolRule* rule);
  ToolRule compile(const EventRule& rule);
  // `rule`: whose path it is, if it may be one of an element.
  std::int16_t slot_in(std::string_view path, ToolRule* rule);

  // Reading.
  void walk(const simdjson::dom::object& object, const FieldTable& table, std::string_view path);
  void visit(std::string_view key, const simdjson::dom::element& value, const MemberMeaning& meaning,
             std::string_view path);
  bool holds(const MemberTest& test, const simdjson::dom::element* value) const;
  bool holds_all(const ToolRule& rule);
  void gather(const simdjson::dom::element& from, std::string_view path);
  void begin_stage(const ToolRule& rule);
  bool make_next(EventBuilder& builder);
  void make(const ToolRule& rule, EventBuilder& builder);
  bool take_first(Field field, const Sources& sources, EventBuilder& builder);
  bool take(Field field, const LineValue& value, Conversion conversion, EventBuilder& builder);
  bool take_time(const LineValue& value, Conversion conversion, EventBuilder& builder,
                 std::optional<TimePoint>& into) const;
  LineValue value_of(const ToolSource& source, EventBuilder& builder) const;
  void take_level(EventBuilder& builder);
  void finish(const ToolRule& rule, EventBuilder& builder);
  const simdjson::dom::element* at(std::int16_t slot) const {
    return slot >= 0 && present_[static_cast<std::size_t>(slot)] ? &found_[static_cast<std::size_t>(slot)] : nullptr;
  }

  const DialectSpec& spec_;
  const ToolFormat& tool_;
  std::vector<std::vector<std::vector<std::string>>> asks_for_;
  FieldTable members_;
  std::size_t slots_ = 0;
  Sources ts_, level_;
  std::vector<std::pair<Field, Sources>> fields_;
  const Sources* msg_ = nullptr;
  std::vector<std::int16_t> inner_;
  std::vector<ToolRule> rules_, lines_;
  std::unique_ptr<ToolRule> plain_;  // where no rule holds

  // Of the line at hand.
  struct Unread {
    std::string path;
    simdjson::dom::element value;
  };
  std::vector<simdjson::dom::element> found_;
  std::bitset<kSlotsMax> present_;
  std::vector<Unread> unread_;
  std::string message_;
  std::vector<std::string_view> captured_;
  const ToolRule* captures_of_ = nullptr;
  std::vector<const ToolRule*> stages_;  // rules that still give events
  std::size_t stage_ = 0, element_ = 0;
  std::vector<simdjson::dom::element> elements_;
  bool is_first_ = true;
};

}  // namespace runtail
