// Look-up of member names of one level of a JSON object: open addressing over a hash of length and end bytes, since
// every member of every line passes here.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/field.h"

namespace runtail {

// What a member name means.
struct MemberMeaning {
  enum class Role : std::uint8_t { kField, kTs, kLevel, kEvent, kStatus, kPhase, kNone };
  Role role = Role::kNone;
  Field field{};                               // kField, kPhase, kStatus
  std::uint8_t preference = 0;                 // kTs, kLevel, kEvent: the lowest present wins
  std::int16_t slot = -1;                      // where a tool's dialect keeps the member's value; -1: it does not
  std::uint64_t hint = 0;                      // bits of the dialects' tests that ask for a member of this name
  std::uint64_t number_hint = 0;               // the same, if its value is a number
  std::unique_ptr<class FieldTable> children;  // set if dotted paths go on below this name
};

class FieldTable {
 public:
  MemberMeaning& put(std::string_view name) {
    for (auto& [known, meaning] : entries_) {
      if (known == name) return *meaning;
    }
    entries_.emplace_back(std::string(name), std::make_unique<MemberMeaning>());
    rebuild();
    return *entries_.back().second;
  }

  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const auto& [name, meaning] : entries_) visit(*meaning);
  }

  const MemberMeaning* find(std::string_view name) const {
    const Ends ends = ends_of(name);
    for (std::size_t at = hash(name, ends) & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (!slot.meaning) return nullptr;
      // Up to 16 bytes both ends are all there is of a name.
      if (slot.name.size() == name.size() && slot.ends.head == ends.head && slot.ends.tail == ends.tail &&
          (name.size() <= 16 || slot.name == name)) {
        return slot.meaning;
      }
    }
  }

 private:
  struct Ends {
    std::uint64_t head = 0, tail = 0;  // of eight bytes each, which may overlap
  };
  struct Slot {
    std::string_view name;
    Ends ends;
    const MemberMeaning* meaning = nullptr;
  };

  static Ends ends_of(std::string_view name) {
    Ends ends;
    if (name.size() >= 8) {
      std::memcpy(&ends.head, name.data(), 8);
      std::memcpy(&ends.tail, name.data() + name.size() - 8, 8);
    } else {
      for (const char c : name) ends.head = ends.head << 8 | static_cast<unsigned char>(c);
    }
    return ends;
  }

  static std::size_t hash(std::string_view name, const Ends& ends) {
    const std::uint64_t mixed = (ends.head ^ name.size() * 0x9E3779B97F4A7C15ull) * 0xD6E8FEB86659FD93ull + ends.tail;
    return (mixed * 0xD6E8FEB86659FD93ull) >> 32;
  }

  void rebuild() {
    std::size_t size = 16;
    while (size < entries_.size() * 2) size *= 2;  // small: every line goes through it, and the caches hold it
    slots_.assign(size, {});
    mask_ = size - 1;
    for (const auto& [name, meaning] : entries_) {
      const Ends ends = ends_of(name);
      std::size_t at = hash(name, ends) & mask_;
      while (slots_[at].meaning) at = (at + 1) & mask_;
      slots_[at] = {name, ends, meaning.get()};
    }
  }

  std::vector<std::pair<std::string, std::unique_ptr<MemberMeaning>>> entries_;
  std::vector<Slot> slots_ = std::vector<Slot>(16);
  std::size_t mask_ = 15;
};

}  // namespace runtail
