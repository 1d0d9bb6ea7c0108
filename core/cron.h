// A cron expression: when a job is due. Pure but for the machine's time zones.
#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/time.h"
#include "core/time_zone.h"

namespace runtail {

// Immutable.   Threads: any.
class Cron {
 public:
  // "0 3 * * *", five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday), with *,
  // lists, ranges, steps and three-letter names; @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually. In
  // front of it "CRON_TZ=Europe/Rome " or "TZ=..."; else UTC. Where both days are restricted either one suffices, as
  // cron has it. kInvalidInput: it is none; words for readers are none.
  static Result<Cron> parse(std::string_view text);

  // The first time after `at` at which it is due; nothing within five years. An hour that clocks leave out comes when
  // they have gone on; of one that comes twice the first counts.
  std::optional<TimePoint> next(TimePoint at) const;
  // The last one that is not after `at`; nothing within five years before.
  std::optional<TimePoint> last(TimePoint at) const;

 private:
  explicit Cron(TimeZone zone) : zone_(std::move(zone)) {}
  bool is_day(TimePoint local_midnight) const;
  // Times of a local day, in their order; stops where `take` says true.
  template <typename Take>
  void times_of(TimePoint local_midnight, Take&& take) const;

  TimeZone zone_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;      // from 1
  std::bitset<13> months_;    // from 1
  std::bitset<7> week_days_;  // 0: Sunday
  bool any_day_ = false, any_week_day_ = false;
};

}  // namespace runtail
