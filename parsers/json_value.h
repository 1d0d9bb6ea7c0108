// Values of a parsed line as the fields of the contract take them.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>

#include "core/field.h"
#include "core/time.h"

namespace runtail {

// A number, or a text that is one as a whole.
std::optional<double> number_of(const simdjson::dom::element& value);
std::optional<double> number_of(std::string_view text);
// The same without a fraction, up to 9 * 10^15 where it is written with one.
std::optional<std::int64_t> integer_of(const simdjson::dom::element& value);
std::optional<std::int64_t> integer_of(double number);
// RFC 3339, or seconds, milli-, micro- or nanoseconds since 1970 told apart by magnitude. A text without offset is a
// civil time of `zone`, or UTC where that is null.
std::optional<TimePoint> time_of(const simdjson::dom::element& value, const TimeZone* zone);
std::optional<TimePoint> time_of(std::string_view text, const TimeZone* zone);
std::optional<TimePoint> time_of_number(double number);

// Smallest and largest number a field may hold: outside is a wrong value, not a number to store.
bool in_range(Field field, std::int64_t value);
bool in_range(Field field, double value);

}  // namespace runtail
