#include "core/time_zone.h"

#include <absl/time/civil_time.h>
#include <absl/time/time.h>

#include <algorithm>

namespace runtail {
namespace {

// Names are paths below the database's directory; the library would open any file of the machine by its full path.
bool is_zone_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && letter(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '+' || c == '-';
  });
}

}  // namespace

struct TimeZone::State {
  absl::TimeZone zone;
};

Result<TimeZone> TimeZone::load(const std::string& name) {
  auto state = std::make_shared<State>();
  if (!is_zone_name(name) || !absl::LoadTimeZone(name, &state->zone)) {
    return Error{ErrorCode::kInvalidInput,
                 "not in this machine's time zone database; write a name as in Europe/Rome, and install tzdata"};
  }
  TimeZone made;
  made.state_ = std::move(state);
  return made;
}

TimePoint TimeZone::to_utc(TimePoint local) const {
  const absl::Time as_if_utc = absl::FromUnixMicros(to_micros(local));
  const absl::CivilSecond civil = absl::ToCivilSecond(as_if_utc, absl::UTCTimeZone());
  // `pre` is by the offset before a change: the first of two hours, and past the gap where one is missing.
  const absl::Time whole = state_->zone.At(civil).pre;
  const absl::Duration rest = as_if_utc - absl::FromCivil(civil, absl::UTCTimeZone());
  return from_micros(absl::ToUnixMicros(whole + rest));
}

}  // namespace runtail
