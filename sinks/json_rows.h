// Rows as one JSON array: the single parameter of a statement that reads them with json_to_recordset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"
#include "core/uuid.h"

namespace runtail {

// Absent members are null.
class JsonRows {
 public:
  void begin_row();
  void text(std::string_view name, std::string_view value);         // "" is null
  void stated_text(std::string_view name, std::string_view value);  // "" is ""
  void integer(std::string_view name, std::int64_t value);
  void integer(std::string_view name, const std::optional<std::int64_t>& value);
  void real(std::string_view name, const std::optional<double>& value);
  void boolean(std::string_view name, bool value);
  void time(std::string_view name, TimePoint value);
  void time(std::string_view name, const std::optional<TimePoint>& value);
  void uuid(std::string_view name, const Uuid& value);
  void uuid(std::string_view name, const std::optional<Uuid>& value);
  void bytes(std::string_view name, std::string_view value);                              // as bytea reads it: "\x..."
  void json(std::string_view name, std::string_view value);                               // neutralised; "" is null
  void decimal_micros(std::string_view name, const std::optional<std::int64_t>& micros);  // 1500000 is 1.500000

  void members(std::string_view json);  // of an object, without its braces; "": none

  bool empty() const { return out_.empty(); }
  // The array. Gives the memory away.
  std::string take();

 private:
  void name(std::string_view name);
  std::string out_;
  bool first_member_ = true;
};

}  // namespace runtail
