#include "derive/sample.h"

#include <cmath>

namespace runtail {
namespace {

// Two dimensions of this length and the environment fit into the kilobyte that a row may have.
constexpr std::size_t kDimensionBytesMax = 200;

bool too_long(const Sample& sample) {
  return sample.environment.size() > kDimensionBytesMax || sample.dimensions[0].size() > kDimensionBytesMax ||
         sample.dimensions[1].size() > kDimensionBytesMax;
}

}  // namespace

void derive_sample(const RedactedEvent& event, const Origin& origin, const DeriverSettings& settings, Derived& out) {
  const FieldSet& fields = event.fields;
  const auto duration_ms = fields.real(Field::kDurationMs);
  if (!duration_ms || *duration_ms < 0) return;
  Sample sample;
  switch (event.kind) {
    case EventKind::kRunFinished:
      if (!out.run || !out.run->status || !is_terminal(*out.run->status)) return;
      sample.of = Aggregate::kJobDuration;
      sample.dimensions = {fields.has(Field::kJobId) ? fields.text(Field::kJobId) : origin.default_job_id,
                           to_string(*out.run->status)};
      sample.error = out.run->status == RunStatus::kFailed;
      break;
    case EventKind::kTaskFinished:
      if (!out.run || !out.run->task_status || !is_terminal(*out.run->task_status)) return;
      sample.of = Aggregate::kTaskDuration;
      sample.dimensions = {fields.text(Field::kPhase), {}};
      sample.error = out.run->task_status == RunStatus::kFailed;
      break;
    case EventKind::kHttp:
      sample.of = Aggregate::kRequestDuration;
      sample.dimensions = {fields.text(Field::kRoute), fields.text(Field::kMethod)};
      sample.error = fields.text(Field::kOutcome) == "error";
      break;
    case EventKind::kSpan: {
      const auto* span = std::get_if<SpanFact>(&out.own);
      if (!span) return;
      sample.of = Aggregate::kSpanDuration;
      sample.dimensions = {span->type, {}};
      sample.error = span->status == "error";
      if (span->tokens_in || span->tokens_out) {
        sample.tokens = span->tokens_in.value_or(0) + span->tokens_out.value_or(0);
      }
      sample.cost_micros = span->cost_micros;
      break;
    }
    default:
      return;
  }
  sample.environment = fields.has(Field::kEnv) ? fields.text(Field::kEnv) : std::string_view(settings.environment);
  sample.micros = std::llround(*duration_ms * 1000);
  if (too_long(sample)) return;
  out.sample = sample;
  out.tables |= set_of(Table::kMetricsAggregates);
}

}  // namespace runtail
