// Lines of the native contract, and of loggers that are near it: each member of the line by its name, in one look.
#pragma once

#include <simdjson.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "parsers/event_builder.h"
#include "parsers/field_table.h"

namespace runtail {

class NativeReader {
 public:
  explicit NativeReader(const DialectSpec& spec);

  // Lines with a member of this name have the bits in what look() returns.
  void add_hint(std::string_view name, std::uint64_t bits) { members_.put(name).hint |= bits; }
  // The same for the level where it is a number.
  void add_level_number_hint(std::string_view name, std::uint64_t bits) { members_.put(name).number_hint |= bits; }
  // Whether the name stands for something of the contract, alone or with others below it.
  bool knows(std::string_view name) const;
  bool is_level(std::string_view name) const;
  // Looks the members of `object` up and returns their hints. Where no other dialect claims the line, finish() makes
  // the event of it; builder: one has begun.
  std::uint64_t begin(const simdjson::dom::object& object);
  void finish(const simdjson::dom::object& object, EventBuilder& builder);

  // A look at the names alone.
  struct Names {
    std::uint64_t hints = 0;
    bool has_run = false;  // one of them is a run's id, or a task's
    bool has_level = false, has_msg = false;
  };
  Names look(const simdjson::dom::object& object) const;

 private:
  struct Member {
    std::string_view key;
    simdjson::dom::element value;
    const MemberMeaning* meaning;
  };

  MemberMeaning& meaning_of(std::string_view path);
  void read_member(std::string_view key, const simdjson::dom::element& value, const MemberMeaning* meaning,
                   std::string_view path);
  void read_own_members(const simdjson::dom::object& object, const FieldTable& fields);
  void finish_kind();
  void finish_status(bool unknown_event);

  const DialectSpec& spec_;  // not owned, outlives this
  FieldTable members_;
  std::map<EventKind, FieldTable> own_;

  // Of the line being read.
  EventBuilder* builder_ = nullptr;
  std::vector<Member> line_;
  std::string event_word_, phase_word_;
  std::string_view event_text_;
  std::uint8_t ts_preference_ = 0, level_preference_ = 0, event_preference_ = 0;
  bool status_is_word_ = false;
};

}  // namespace runtail
