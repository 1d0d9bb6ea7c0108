// A dialect's rule compiled: members are slots. Points into the DialectSpec it was made of.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "config/dialect.h"
#include "parsers/field_table.h"

namespace runtail {

// One for each member a dialect names.
using SlotSet = std::bitset<kDialectMembersMax>;

struct ToolSource {
  std::vector<std::int16_t> slots;  // of a sum: of the member that leads to the array
  const ValueSource* spec = nullptr;
};

// Where one value may come from, the first source that has one.
struct ToolSources {
  std::vector<ToolSource> list;
  SlotSet slots;              // of all of them
  bool has_constant = false;  // one needs no member

  bool may_have_one(const SlotSet& present) const { return has_constant || (present & slots).any(); }
};

struct ToolRule {
  struct Test {
    std::int16_t slot;
    const MemberTest* spec;
  };
  const EventRule* spec = nullptr;
  std::vector<Test> when;
  SlotSet needs;  // those that a test asks to be there
  std::vector<std::pair<Field, ToolSources>> fields;
  ToolSources ts, level;
  std::bitset<kFieldCount> without;
  std::unique_ptr<FieldTable> element;              // of a rule with `each`: what the members of its elements mean
  std::vector<std::unique_ptr<FieldTable>> around;  // the same for the elements around it, the nearest first
  std::int16_t array_top = -1;                      // the member of the line that leads to the array
  std::int16_t element_itself = -1;
  std::vector<std::int16_t> element_slots;  // cleared before each
  std::vector<ToolRule> also;
  bool has_status = false;
};

}  // namespace runtail
