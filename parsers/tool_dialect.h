// Lines of one tool's own format: whether a parsed line is one, and the events it states. A DialectSpec compiled so
// that each line is walked once: every member that any test or field names has a slot, all others are passed over.
#pragma once

#include <simdjson.h>

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
  // More elements than these, in all arrays of a line together, give no events of their own.
  static constexpr std::size_t kElementsMax = 1000;

  // `spec` outlives this and names a tool's format.
  explicit ToolDialect(const DialectSpec& spec);
  ToolDialect(ToolDialect&&) noexcept;
  ~ToolDialect();

  const DialectSpec& spec() const { return spec_; }
  // Whether there are lines it never keeps.
  bool drops_lines() const;
  // What a line has to have at its top: a member of one of these names.
  struct Asked {
    std::vector<std::string> names;
    bool is_number = false;
  };
  // For each of the ways to tell its lines: all that is asked.
  const std::vector<std::vector<Asked>>& asks_for() const { return asks_for_; }
  bool claims(const simdjson::dom::object& line) const;
  // The first event of a line that is claimed. The object is used until read_next() said false or another line is read.
  void read(const simdjson::dom::object& line, EventBuilder& builder);
  // The object on the line that holds members of the native contract; nothing: no such object, or the dialect has none.
  std::optional<simdjson::dom::object> contract_members(const simdjson::dom::object& line) const;
  // Adds to the event that the native reader made of those what they do not say.
  void amend(const simdjson::dom::object& line, EventBuilder& builder);
  // The next event of the line read last; false if there is none.
  bool read_next(EventBuilder& builder);
  // A line of plain text. False: none of the rules is about it.
  bool read_text(std::string_view text, EventBuilder& builder);
  // Texts of the line read last that may hold a line of their own.
  void inner_texts(std::vector<std::string_view>& out) const;

 private:
  // Compiling.
  std::int16_t new_slot(std::string_view path);
  std::int16_t slot_of(std::string_view path, FieldTable& top);
  static void add_slots(const FieldTable& table, std::vector<std::int16_t>& slots);
  ToolSources compile(const std::vector<ValueSource>& sources, ToolRule* rule);
  ToolRule compile(const EventRule& rule);
  // `rule`: whose path it is, if it may be one of an element.
  std::int16_t slot_in(std::string_view path, ToolRule* rule);

  // Reading.
  void walk(const simdjson::dom::object& object, const FieldTable& table, std::string_view path);
  void visit(std::string_view key, const simdjson::dom::element& value, const MemberMeaning& meaning,
             std::string_view path);
  static bool find(const simdjson::dom::object& line, const std::string& path, simdjson::dom::element& out);
  bool holds(const MemberTest& test, const simdjson::dom::element* value) const;
  bool holds_all(const ToolRule& rule);
  void gather(const ToolRule& rule);
  void begin_stage(const ToolRule& rule);
  bool make_next(EventBuilder& builder);
  void make(const ToolRule& rule, EventBuilder& builder);
  bool take_first(Field field, const ToolSources& sources, EventBuilder& builder);
  bool take(Field field, const LineValue& value, Conversion conversion, EventBuilder& builder);
  bool take_time(const LineValue& value, Conversion conversion, EventBuilder& builder,
                 std::optional<TimePoint>& into) const;
  LineValue value_of(const ToolSource& source, EventBuilder& builder) const;
  void take_ts(const ToolSources& sources, EventBuilder& builder);
  void take_level(const ToolSources& sources, EventBuilder& builder);
  void finish(const ToolRule& rule, EventBuilder& builder);
  const simdjson::dom::element* at(std::int16_t slot) const {
    return slot >= 0 && present_[static_cast<std::size_t>(slot)] ? &found_[static_cast<std::size_t>(slot)] : nullptr;
  }

  const DialectSpec& spec_;
  const ToolFormat& tool_;
  std::vector<std::vector<Asked>> asks_for_;
  FieldTable members_;
  std::size_t slots_ = 0;
  ToolSources ts_, level_;
  std::vector<std::pair<Field, ToolSources>> fields_;
  const ToolSources* msg_ = nullptr;
  std::vector<std::int16_t> inner_;
  std::vector<ToolRule> rules_, lines_;
  std::unique_ptr<ToolRule> plain_;  // where no rule holds

  // Of the line at hand.
  struct Unread {
    std::string_view key;
    std::string path;  // if not empty: it stands below the top, and this is its key
    simdjson::dom::element value;
  };
  std::vector<simdjson::dom::element> found_;
  SlotSet present_;
  std::vector<Unread> unread_;
  std::string message_;
  std::vector<std::string_view> captured_;
  const ToolRule* captures_of_ = nullptr;
  std::vector<const ToolRule*> stages_;  // rules that still give events
  std::size_t stage_ = 0, element_ = 0;
  struct Element {
    simdjson::dom::element itself;
    std::vector<simdjson::dom::element> around;  // outermost first
  };
  std::vector<Element> elements_;
  bool is_first_ = true;
};

}  // namespace runtail
