// Lines through framing, parsing, redaction and derivation with nothing kept: what runtail would make of them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/line_defaults.h"
#include "agent/line_time.h"
#include "core/run_record.h"
#include "derive/deriver.h"
#include "parsers/framing.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"

namespace runtail {

// What whole files say, folded as the agent folds them.
struct DryRunSummary {
  std::uint64_t lines = 0;                        // physical ones
  std::map<std::string, std::uint64_t> dialects;  // lines of each
  std::map<std::string, std::uint64_t> dropped;   // by rule
  std::uint64_t too_long = 0, unknown_statuses = 0;
  std::map<Uuid, RunRecord> runs;

  struct Dataset {
    std::string status;
    std::optional<TimePoint> success_at;
    std::optional<std::int64_t> record_count;
    TimePoint at{};
  };
  std::map<std::string, Dataset> datasets;

  struct Check {
    std::string table, column, kind, check, metric, status, data;
    std::optional<double> value, threshold;
    std::optional<std::int64_t> row_count;
    std::optional<Uuid> run_id;
    auto key() const { return std::tie(table, column, kind, check, metric, run_id); }
  };
  std::vector<Check> checks;  // as they came; of equal ones the last
};

// One line of JSON, stable: docs/cli.md.
std::string to_json(const DryRunSummary& summary);

// Threads: one.
class DryRun {
 public:
  // What became of one unit; events and facts are those of each event it states. Valid during the call.
  struct Line {
    std::uint64_t number = 0;  // of its first physical line, from 1
    std::string_view dialect;
    std::string_view dropped;  // the rule, or ""
    const RedactedEvent* event = nullptr;
    const Derived* derived = nullptr;
    std::size_t part = 0;  // events before it of the same unit
    bool is_row = false;   // gives a row of its own in log_events
  };
  using Visit = std::function<void(const Line&)>;

  DryRun(Parser parser, Redactor redactor, DeriverSettings settings, FramingSettings framing, Visit visit = {});

  // All of one source, from its beginning. `name`: job of lines that state none.
  void read(std::string_view name, const std::function<bool(std::string&)>& next_line);
  const DryRunSummary& summary() const { return summary_; }
  const std::vector<std::string>& kinds() const { return redactor_.kinds(); }

 private:
  void take(const std::vector<Unit>& units);
  void take_unit(const Unit& unit);
  void fold(const RedactedEvent& event);

  Parser parser_;
  Redactor redactor_;
  const Deriver deriver_;
  const FramingSettings framing_settings_;
  const Visit visit_;
  DryRunSummary summary_;

  // Of the source being read.
  std::optional<EventIds> ids_;
  std::string job_id_;
  std::uint64_t line_number_ = 0;
  StreamMemory memory_;
  LineTime time_;
  Derived derived_;
};

}  // namespace runtail
