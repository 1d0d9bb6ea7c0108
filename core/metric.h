// The metric families, declared on one page: name, help, labels, buckets. docs/metrics.md is checked against it.
// Values live in MetricTable: the pipeline's working copy changes with each chunk, is persisted with it, and only then
// shown.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/time.h"
#include "core/uuid.h"

namespace runtail {

enum class MetricType : std::uint8_t { kCounter, kGauge, kHistogram };
std::string_view to_string(MetricType type);  // "counter", as every exposition spells it

// Upper bounds in seconds, without +Inf. Jobs run from seconds to a day; the bounds are where operators set their
// alerts (1 min, 1 h, 8 h). Spans are requests that may wait for a model.
inline constexpr double kJobBuckets[] = {1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400};
inline constexpr double kRequestBuckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
inline constexpr double kOperationBuckets[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5};
inline constexpr double kSpanBuckets[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120};

// X(enumerator, name, type, labels separated by ',', help)
// trialsync_*: what the lines say. runtail_*: what runtail says of itself. Persisted: counters and histograms.
#define RUNTAIL_METRICS(X)                                                                                             \
  X(kJobsTotal, "trialsync_jobs_total", kCounter, "job_id,status",                                                     \
    "Runs that reached a final verdict, once for each attempt that ended the run")                                     \
  X(kJobFailuresTotal, "trialsync_job_failures_total", kCounter, "job_id,error_category",                              \
    "Failed runs by error category")                                                                                   \
  X(kJobAttemptFailuresTotal, "trialsync_job_attempt_failures_total", kCounter, "job_id,error_category",               \
    "Failed attempts, also those a retry mended")                                                                      \
  X(kJobRetriesTotal, "trialsync_job_retries_total", kCounter, "job_id", "Attempts after the first")                   \
  X(kJobDuration, "trialsync_job_duration_seconds", histogram(kJobBuckets), "job_id,status",                           \
    "Duration of finished runs")                                                                                       \
  X(kJobLastSuccess, "trialsync_job_last_success_timestamp_seconds", kGauge, "job_id", "When the job last succeeded")  \
  X(kJobRunsTotal, "trialsync_job_runs_total", kCounter, "job_id",                                                     \
    "Runs that reached a verdict, once for each attempt that ended the run")                                           \
  X(kJobRunFailuresTotal, "trialsync_job_run_failures_total", kCounter, "job_id",                                      \
    "Those whose verdict is, or was, failed")                                                                          \
  X(kRecordsLoadedTotal, "trialsync_records_loaded_total", kCounter, "job_id,table",                                   \
    "Records loaded: line amounts, and at the end of a run what its total exceeds them by")                            \
  X(kTaskDuration, "trialsync_task_duration_seconds", histogram(kJobBuckets), "phase", "Duration of finished tasks")   \
  X(kDqSchemaDriftTotal, "trialsync_dq_schema_drift_total", kCounter, "job_id,table",                                  \
    "Column lists that differ from the one before")                                                                    \
  X(kDqNullRate, "trialsync_dq_null_rate", kGauge, "job_id,table,column", "Null rate as last logged")                  \
  X(kApiRequestsTotal, "trialsync_api_requests_total", kCounter, "route,method,status_code",                           \
    "HTTP requests logged by the worker")                                                                              \
  X(kApiRequestDuration, "trialsync_api_request_duration_seconds", histogram(kRequestBuckets), "route,method",         \
    "Duration of HTTP requests logged by the worker")                                                                  \
  X(kDbPoolInUse, "trialsync_db_pool_in_use", kGauge, "component", "Connections in use, as last logged")               \
  X(kDbPoolSize, "trialsync_db_pool_size", kGauge, "component", "Connections in the pool, as last logged")             \
  X(kDbPoolWaiters, "trialsync_db_pool_waiters", kGauge, "component",                                                  \
    "Callers waiting for a connection, as last logged")                                                                \
  X(kLogEventsTotal, "trialsync_log_events_total", kCounter, "service,level", "Lines by level")                        \
  X(kDatasetLastSuccess, "trialsync_dataset_last_success_timestamp_seconds", kGauge, "dataset",                        \
    "When the dataset was last updated with success")                                                                  \
  X(kDatasetRecords, "trialsync_dataset_records", kGauge, "dataset", "Records in the dataset, as last logged")         \
  X(kQueueJobsTotal, "trialsync_queue_jobs_total", kCounter, "queue,job_type,event",                                   \
    "Runs that name a queue: enqueued, retry, success, failure")                                                       \
  X(kQueueJobsActive, "trialsync_queue_jobs_active", kGauge, "queue,job_type", "Runs of the queue that run")           \
  X(kJobsRunning, "trialsync_jobs_running", kGauge, "job_id", "Runs of the job that run")                              \
  X(kJobStalled, "trialsync_job_stalled", kGauge, "job_id",                                                            \
    "1 while a run of the job is open and silent for 15 minutes")                                                      \
  X(kDqCheckStatus, "trialsync_dq_check_status", kGauge, "job_id,table,check",                                         \
    "Result of the check as last logged: 0 pass, 1 warn, 2 fail")                                                      \
  X(kDbPoolWait, "trialsync_db_pool_wait_seconds", kGauge, "component", "Wait for a connection, as last logged")       \
  X(kDbSlowQueriesTotal, "trialsync_db_slow_queries_total", kCounter, "component",                                     \
    "Slow queries: what the lines say, added up")                                                                      \
  X(kDbRollbacksTotal, "trialsync_db_rollbacks_total", kCounter, "component", "Rollbacks: what the lines say, added")  \
  X(kHttpRequestsActive, "trialsync_http_requests_active", kGauge, "service", "Requests in work, as last logged")      \
  X(kQueueBacklog, "trialsync_queue_backlog", kGauge, "queue", "Entries waiting, as last logged")                      \
  X(kQueueOldestAge, "trialsync_queue_oldest_age_seconds", kGauge, "queue",                                            \
    "Age of the oldest entry waiting, as last logged")                                                                 \
  X(kQueueDeadLetters, "trialsync_queue_dead_letters", kGauge, "queue", "Entries given up, as last logged")            \
  X(kQueueUp, "trialsync_queue_up", kGauge, "queue", "1 when the queue answered, as last logged")                      \
  X(kQueueOperation, "trialsync_queue_operation_seconds", histogram(kOperationBuckets), "queue",                       \
    "Latency of queue operations logged by the worker")                                                                \
  X(kCacheUp, "trialsync_cache_up", kGauge, "cache", "1 when the cache answered, as last logged")                      \
  X(kCacheOperation, "trialsync_cache_operation_seconds", histogram(kOperationBuckets), "cache,op",                    \
    "Latency of cache operations logged by the worker")                                                                \
  X(kSpanDuration, "trialsync_span_duration_seconds", histogram(kSpanBuckets), "span_type", "Duration of spans")       \
  X(kLlmTokensTotal, "trialsync_llm_tokens_total", kCounter, "direction", "Tokens that spans state, in and out")       \
  X(kLlmCostTotal, "trialsync_llm_cost_usd_total", kCounter, "", "Cost that spans state")                              \
  X(kChatMessagesTotal, "trialsync_chat_messages_total", kCounter, "role", "Messages of conversations")                \
  X(kDocumentEventsTotal, "trialsync_document_events_total", kCounter, "event_type,status",                            \
    "Steps in the processing of documents")                                                                            \
  X(kProviderSyncTotal, "trialsync_provider_sync_total", kCounter, "provider,status",                                  \
    "States of synchronisations with providers, as logged")                                                            \
  X(kProcessCpuTotal, "trialsync_process_cpu_seconds_total", kCounter, "service",                                      \
    "CPU time of the service's instances, as their heartbeats say")                                                    \
  X(kProcessMemory, "trialsync_process_resident_memory_bytes", kGauge, "service", "Resident memory, as last logged")   \
  X(kProcessFds, "trialsync_process_open_fds", kGauge, "service", "Open descriptors, as last logged")                  \
  X(kProcessThreads, "trialsync_process_threads", kGauge, "service", "Threads, as last logged")                        \
  X(kUptimeSeconds, "trialsync_uptime_seconds", kGauge, "service", "Seconds since start")                              \
  X(kBuildInfo, "trialsync_build_info", kGauge, "service,version,git_sha",                                             \
    "1: the labels say what runs; 0: it ran before")                                                                   \
  X(kLinesReadTotal, "runtail_lines_read_total", kCounter, "source", "Lines taken from the source")                    \
  X(kLinesTotal, "runtail_lines_total", kCounter, "source,outcome", "What became of each line read")                   \
  X(kLinesDroppedTotal, "runtail_lines_dropped_total", kCounter, "rule", "Lines of outcome dropped, by rule")          \
  X(kDeadLettersTotal, "runtail_dead_letters_total", kCounter, "reason", "Lines and records set aside")                \
  X(kLostBytesTotal, "runtail_lost_bytes_total", kCounter, "source,reason", "Bytes seen by size and never read")       \
  X(kLostEntriesTotal, "runtail_lost_entries_total", kCounter, "source,reason",                                        \
    "Journal entries that were vacuumed or damaged before they were read")                                             \
  X(kTruncationsUnaccountedTotal, "runtail_truncations_unaccounted_total", kCounter, "source",                         \
    "Truncations: what was written between the last look and the cut cannot be known")                                 \
  X(kRedactionsTotal, "runtail_redactions_total", kCounter, "kind,action", "Spans redacted")                           \
  X(kRedactionFailedClosedTotal, "runtail_redaction_failed_closed_total", kCounter, "reason",                          \
    "Lines that could not be redacted: after an error the envelope was kept, over budget all but a text")              \
  X(kUnlistedFieldsTotal, "runtail_unlisted_fields_total", kCounter, "",                                               \
    "Members of lines dropped because neither the log contract nor redaction.allow names them")                        \
  X(kContractViolationsTotal, "runtail_contract_violations_total", kCounter, "field",                                  \
    "Lines that lack what the log contract asks for")                                                                  \
  X(kUnknownStatusTotal, "runtail_unknown_status_total", kCounter, "dialect",                                          \
    "Status words that no list knows; they change no state")                                                           \
  X(kFieldConflictsTotal, "runtail_field_conflicts_total", kCounter, "field",                                          \
    "Set-once fields of a run that met a second value")                                                                \
  X(kVerdictCorrectionsTotal, "runtail_verdict_corrections_total", kCounter, "from,to",                                \
    "Verdicts of an attempt changed by a later fact")                                                                  \
  X(kTotalDisagreementsTotal, "runtail_total_disagreements_total", kCounter, "",                                       \
    "Totals below the sum already counted")                                                                            \
  X(kRecordsTotal, "runtail_records_total", kCounter, "sink,table,outcome", "What became of each record")              \
  X(kRecordsPending, "runtail_records_pending", kGauge, "sink", "Records derived that have no outcome yet")            \
  X(kLedgerImbalance, "runtail_ledger_imbalance", kGauge, "",                                                          \
    "Lines and records without exactly one outcome; must be 0")                                                        \
  X(kPositionConflictsTotal, "runtail_position_conflicts_total", kCounter, "",                                         \
    "Ranges found already covered by another writer")                                                                  \
  X(kBufferSize, "runtail_buffer_size_bytes", kGauge, "", "Buffer on disk")                                            \
  X(kBufferLimit, "runtail_buffer_limit_bytes", kGauge, "", "Where files pause")                                       \
  X(kBufferOldest, "runtail_buffer_oldest_timestamp_seconds", kGauge, "",                                              \
    "When the oldest undelivered record was read; 0: all is delivered")                                                \
  X(kBufferDegraded, "runtail_buffer_degraded", kGauge, "", "1 while the buffer cannot be written")                    \
  X(kBufferLostTotal, "runtail_buffer_lost_total", kCounter, "", "Buffers set aside as corrupt or found missing")      \
  X(kSinkUp, "runtail_sink_up", kGauge, "sink", "1 when the last delivery worked")                                     \
  X(kSinkLastSuccess, "runtail_sink_last_success_timestamp_seconds", kGauge, "sink", "When the last delivery worked")  \
  X(kSourceLagBytes, "runtail_source_lag_bytes", kGauge, "source", "Written and not yet read")                         \
  X(kSourceOldestUnread, "runtail_source_oldest_unread_timestamp_seconds", kGauge, "source",                           \
    "Time of the oldest line not yet read; 0: all is read")                                                            \
  X(kSourceOpenFiles, "runtail_source_open_files", kGauge, "source", "Files held open, deleted ones included")         \
  X(kPushFailuresTotal, "runtail_push_failures_total", kCounter, "", "Pushes to the gateway that failed, since start") \
  X(kPushLastSuccess, "runtail_push_last_success_timestamp_seconds", kGauge, "", "When a push last worked")            \
  X(kStalled, "runtail_stalled", kGauge, "", "1: work waiting and no progress for 60 s")                               \
  X(kSeriesFoldedTotal, "runtail_series_folded_total", kCounter, "family", "Label sets folded into __other__")         \
  X(kInternalErrorsTotal, "runtail_internal_errors_total", kCounter, "", "Faults of runtail itself that it got over")  \
  X(kConfigReloadSuccessful, "runtail_config_last_reload_successful", kGauge, "",                                      \
    "1: the configuration in force is the one read last")                                                              \
  X(kConfigReloadTime, "runtail_config_last_reload_success_timestamp_seconds", kGauge, "",                             \
    "When the configuration in force was read")                                                                        \
  X(kAccessLogLostTotal, "runtail_access_log_lost_total", kCounter, "",                                                \
    "Answers of the history API that left no row in access_log")                                                       \
  X(kFleetJobsTotal, "trialsync_fleet_jobs_total", kCounter, "job_id,status",                                          \
    "Verdicts of runs that all agents stored in the database; the same from each server")                              \
  X(kFleetFailuresTotal, "trialsync_fleet_job_failures_total", kCounter, "job_id,error_category",                      \
    "Those of them that are failures")                                                                                 \
  X(kFleetCorrectionsTotal, "trialsync_fleet_verdict_corrections_total", kCounter, "from,to",                          \
    "Verdicts among them that a later line corrected or took back")                                                    \
  X(kEvaluationRoundsTotal, "runtail_evaluation_rounds_total", kCounter, "outcome",                                    \
    "Rounds of judging data and raising alerts: ok, failed")                                                           \
  X(kEvaluationSeconds, "runtail_evaluation_seconds", kGauge, "", "How long the last round took")                      \
  X(kEvaluationLastSuccess, "runtail_evaluation_last_success_timestamp_seconds", kGauge, "",                           \
    "When a round last ended well")                                                                                    \
  X(kAlertDeliveriesTotal, "runtail_alert_deliveries_total", kCounter, "channel,outcome",                              \
    "Attempts to tell of an alert: sent, failed")                                                                      \
  X(kAlertDeliveriesPending, "runtail_alert_deliveries_pending", kGauge, "",                                           \
    "Deliveries that are wanted and not made, of all servers")                                                         \
  X(kAlertChannelUp, "runtail_alert_channel_up", kGauge, "channel", "1: the last delivery to the channel worked")      \
  X(kOwnCpuTotal, "process_cpu_seconds_total", kCounter, "", "CPU time of this process, user and system")              \
  X(kOwnMemory, "process_resident_memory_bytes", kGauge, "", "Resident memory of this process")                        \
  X(kOwnFds, "process_open_fds", kGauge, "", "Open descriptors of this process")                                       \
  X(kOwnFdsMax, "process_max_fds", kGauge, "", "Descriptors this process may have open")                               \
  X(kOwnThreads, "process_threads", kGauge, "", "Threads of this process")                                             \
  X(kOwnStart, "process_start_time_seconds", kGauge, "", "When this process started")                                  \
  X(kRuntailBuildInfo, "runtail_build_info", kGauge, "version,git_sha", "Always 1; the labels say what runs")

enum class Metric : std::uint8_t {
#define RUNTAIL_ENUM(enumerator, name, type, labels, help) enumerator,
  RUNTAIL_METRICS(RUNTAIL_ENUM)
#undef RUNTAIL_ENUM
};
#define RUNTAIL_COUNT(enumerator, name, type, labels, help) +1
inline constexpr std::size_t kMetricCount = 0 RUNTAIL_METRICS(RUNTAIL_COUNT);
#undef RUNTAIL_COUNT

// Values the label may have beside "none"; empty: any that is spelled like a label. A status_code is 100 to 599.
std::span<const std::string_view> closed_set_of(std::string_view label);

struct MetricFamilySpec {
  std::string_view name;
  MetricType type;
  std::string_view labels;  // "job_id,status"
  std::string_view help;
  std::span<const double> buckets;  // of a histogram: upper bounds, without +Inf
};
std::span<const MetricFamilySpec> metric_families();
const MetricFamilySpec& spec_of(Metric metric);
inline std::span<const double> buckets_of(Metric metric) { return spec_of(metric).buckets; }

// The run and trace behind an update; a nil run or an empty trace: none.
struct Cause {
  Uuid run_id;
  std::string_view trace_id;
  TimePoint at{};
};

// The latest update of a counter or bucket whose cause is known. Not persisted: a pointer for who looks now.
struct Exemplar {
  std::size_t bucket = 0;  // index into Series::buckets; 0 of a counter
  Uuid run_id;
  std::string trace_id;  // at most 64 characters of a label value: with the run's id below OpenMetrics' 128
  double value = 0;      // observed or added
  TimePoint at{};
};

// One label set of one family.
struct Series {
  Metric metric{};
  std::vector<std::string> labels;       // values, in the order of MetricFamilySpec::labels
  double value = 0;                      // counter, gauge
  double sum = 0;                        // histogram
  std::vector<std::uint64_t> buckets;    // histogram: per bucket (not cumulative), the last is +Inf
  std::vector<Exemplar> exemplars = {};  // at most one each
};

// All series of one agent. Threads: one writer; publish() hands copies to readers.
class MetricTable {
 public:
  explicit MetricTable(std::uint32_t max_series) : max_series_(max_series) {}

  // Label values must match ^[A-Za-z0-9_.:/-]{1,128}$ and be in the label's closed set where it has one (method,
  // status_code, level, ...: closed_set_of), else they become "__invalid__" ("" becomes "none"). Beyond
  // max_series label sets of a family all go to one whose values are "__other__"; each update that does is counted in
  // kSeriesFoldedTotal. The first call for a label set makes its series, so add(…, 0) shows it at 0.
  // Counters and histograms never go down: a negative amount or observation is ignored, NaN and infinity always are.
  // With a `cause` the update becomes the exemplar of its counter or bucket, unless that has a later one.
  void add(Metric metric, std::initializer_list<std::string_view> labels, double amount, const Cause* cause = nullptr);
  void set(Metric metric, std::initializer_list<std::string_view> labels, double value);
  void raise(Metric metric, std::initializer_list<std::string_view> labels, double value);  // max of old and new
  void observe(Metric metric, std::initializer_list<std::string_view> labels, double value,
               const Cause* cause = nullptr);
  // Puts a series back as it was kept, whatever the limit. It does not count as changed.
  void restore(Series series);

  // Series changed since the last call, for persistence with the chunk and then for publication.
  std::vector<Series> take_changed();
  bool has_changed() const { return !changed_.empty(); }
  // Calls visit(series) for each, in the order they came.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Series& series : series_) visit(series);
  }
  // 0 for a series that does not exist; of a histogram the number of observations.
  double value(Metric metric, std::initializer_list<std::string_view> labels) const;

 private:
  // Index into series_; makes the series if need be.
  std::size_t at(Metric metric, std::initializer_list<std::string_view> labels);
  std::size_t first_sight(Metric metric, std::initializer_list<std::string_view> labels);
  std::size_t append(const std::string& key, Series series);
  void touch(std::size_t position);

  const std::uint32_t max_series_;
  std::unordered_map<std::string, std::size_t> index_;  // key -> series_
  std::vector<Series> series_;
  std::vector<bool> dirty_;                                      // beside series_
  std::vector<std::size_t> changed_;                             // indexes of the dirty ones
  std::array<std::uint32_t, kMetricCount> series_per_family_{};  // without __other__
  std::string key_;                                              // kept for its memory
};

// What a scrape reads: only what has been published. Threads: any. Whoever publishes never waits for who reads: what
// comes while the series are being read lies in the inbox, which the next one to find them free empties.
class PublishedMetrics {
 public:
  void publish(std::vector<Series> changed);
  // For gauges that are no part of a chunk: sizes, up or down, build info.
  void set(Metric metric, std::initializer_list<std::string_view> labels, double value);
  // Calls visit(series) for each, ordered by family, then labels, and keeps other readers out meanwhile. It must not
  // publish.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    const std::lock_guard lock(mutex_);
    empty_inbox();
    for (const auto& [key, series] : series_) visit(series);
  }
  std::vector<Series> snapshot() const;

 private:
  void post(std::vector<Series> changed);
  void empty_inbox() const;  // mutex_ is held

  mutable std::mutex mutex_;  // guards series_
  mutable std::map<std::string, Series> series_;
  mutable std::mutex inbox_mutex_;                  // guards inbox_; held for a move only
  mutable std::vector<std::vector<Series>> inbox_;  // oldest first
};

// Bytes of a series, for the buffer's state. The key names family and labels and so is stable across versions:
// `trialsync_jobs_total{job_id=etl-orders,status=success}`.
std::string series_key(const Series& series);
std::string encode_series(const Series& series);
// False: the family is unknown, has other labels, another type or other buckets by now, or the bytes are damaged.
bool decode_series(std::string_view key, std::string_view bytes, Series& out);

}  // namespace runtail
