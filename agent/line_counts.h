// What single lines say of requests, pools, queues, caches, spans, conversations, documents, providers and services,
// moved into the metric table. Runs, datasets and checks: agent/run_book.h.
#pragma once

#include "agent/last_known.h"
#include "core/metric.h"
#include "derive/deriver.h"

namespace runtail {

// Threads: the pipeline's only.
class LineCounts {
 public:
  LineCounts(MetricTable& metrics, LastKnown& known) : metrics_(metrics), known_(known) {}

  // Gauges take what the line says, counters add it. `service`: of lines that state none.
  void count(const RedactedEvent& event, const Derived& derived, std::string_view service);

 private:
  void count_http(const FieldSet& fields, const Cause& cause, std::string_view service);
  void count_pool(const FieldSet& fields);
  void count_queue(const FieldSet& fields);
  void count_cache(const FieldSet& fields);
  void count_span(const SpanFact& span, const Cause& cause);
  void count_heartbeat(const HeartbeatFact& beat);

  // Sets the gauge if the line has the field, in units of `scale`.
  void set(Metric metric, std::string_view label, const FieldSet& fields, Field field, double scale = 1);

  MetricTable& metrics_;  // not owned, outlives this
  LastKnown& known_;      // not owned, outlives this
};

}  // namespace runtail
