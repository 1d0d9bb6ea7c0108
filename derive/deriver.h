// From a redacted line to the facts it states. Pure: same event, same facts; the sink repeats the derivation from the
// buffered events, so a chunk can be cut anywhere.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/aggregate.h"
#include "core/chunk.h"
#include "core/event.h"
#include "core/identity.h"
#include "core/line_fact.h"
#include "core/run_state.h"
#include "derive/id_memory.h"

namespace runtail {

// Where a line came from.
struct Origin {
  const EventIds* ids = nullptr;      // of the line's file
  std::uint64_t offset = 0;           // of the line's first byte in that file
  std::string_view default_job_id;    // configured for the source, else the stream; never empty
  std::int16_t default_job_rank = 4;  // 3 configured, 4 stream
};

enum class DqKind : std::uint8_t { kRowCount, kNullRates, kColumns, kReported };
std::string_view to_string(DqKind kind);  // "row_count"

struct DqFact {
  DqKind kind = DqKind::kRowCount;
  std::string_view table;  // never empty
  std::optional<std::int64_t> row_count;
  std::string_view data;  // JSON of null_rates or columns
  // kReported only:
  std::string_view column, check, metric;
  DqStatus status = DqStatus::kPass;
  std::optional<double> value, threshold;
};

struct DatasetFact {
  std::string_view dataset;
  std::optional<TimePoint> success_at;  // a success is stated
  std::optional<std::int64_t> record_count;
  std::string_view status;  // "success", "failed", "cancelled" or "skipped"; "" if the line states no such outcome
};

// What one line says. Views point into the event: valid as long as it is.
struct Derived {
  TableSet tables = 0;  // those that get a record
  std::optional<RunFact> run;
  std::vector<DqFact> dq;  // several kinds may stand on one line; each kind at most once
  std::optional<DatasetFact> dataset;
  OwnRecord own;  // a span gives two records: its own and what it adds to its trace
  std::optional<Sample> sample;
  bool has(Table table) const { return tables & set_of(table); }
};

// Of the line `derived` was made of.
inline Uuid event_id_of(const Derived& derived, const Origin& origin) {
  return derived.run ? derived.run->event_id : origin.ids->at(origin.offset);
}

struct DeriverSettings {
  Uuid run_namespace = default_run_namespace();
  std::string agent_id;
  std::string ruleset;      // digest of the redaction rules in force
  std::string environment;  // of lines that state none
  std::string service;      // of lines that state none
};

class Deriver {
 public:
  explicit Deriver(DeriverSettings settings) : settings_(std::move(settings)) {}
  // `out` is overwritten. With a `memory`, ids of runs and tasks are made once as long as lines repeat them; it is used
  // with this deriver only.
  void derive(const RedactedEvent& event, const Origin& origin, Derived& out, IdMemory* memory = nullptr) const;
  const DeriverSettings& settings() const { return settings_; }

 private:
  const DeriverSettings settings_;
};

// The category of an error by the first hit of: the word itself, error_code, http_status >= 400, error_type, words of
// the message, System.
ErrorCategory categorise_error(const FieldSet& fields);

}  // namespace runtail
