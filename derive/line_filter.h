// Which log lines become rows: those of a level, and a share of them, by environment (settings `lines`). What is left
// out still counts and still tells of its run: only its row is missing.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "config/config.h"
#include "core/event.h"
#include "core/identity.h"

namespace runtail {

// Constant after it is made. The same line is always kept or always left out: a replay keeps the same ones.
class LineFilter {
 public:
  LineFilter() = default;  // keeps every line
  // `environment`: of lines that state none. The texts of `config` are valid: load_config() has looked at them.
  LineFilter(const LinesConfig& config, std::string environment);

  // kStored, kLevelFiltered or kSampled. Lines with an event of their own are kept whatever their level: they are few,
  // and a run's history reads badly without them.
  LineOutcome outcome(const RedactedEvent& event, const EventIds& ids, std::uint64_t offset) const;

 private:
  static constexpr std::uint64_t kAll = UINT64_MAX;
  struct Rules {
    Level level = Level::kTrace;
    // By level: lines whose id begins with a number up to this are kept.
    std::array<std::uint64_t, 6> kept_to = {kAll, kAll, kAll, kAll, kAll, kAll};
  };

  bool keeps_all_ = true;
  std::string environment_;
  Rules any_;
  std::map<std::string, Rules, std::less<>> by_environment_;
};

}  // namespace runtail
