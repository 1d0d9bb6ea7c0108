// From line to metric: what one line, or a few, move in each family. Lines go through the whole pipeline.
#include "agent/line_counts.h"

#include "tests/unit/agent/pipeline_scene.h"

namespace runtail {
namespace {

struct Case {
  const char* name;
  std::vector<std::string> lines;  // members beside ts, level, msg and service
  struct Sample {
    std::string name;
    test::Labels labels;
    double value;
  };
  std::vector<Sample> samples;
};

std::string with(const std::string& members) {
  return R"({"ts":"2026-03-01T00:00:00Z","level":"INFO","msg":"m","service":"etl",)" + members + "}";
}

std::string beat(int second, const std::string& members) {
  return R"({"ts":"2026-03-01T00:00:0)" + std::to_string(second) +
         R"(Z","level":"INFO","msg":"m","service":"etl","event":"heartbeat",)" + members + "}";
}

const std::string kTrace = R"("trace_id":"0af7651916cd43dd8448eb211c80319c",)";

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"Http",
       {with(R"("event":"http","route":"/v1/items","method":"get","http_status":200,"duration_ms":12.5,"active":4)"),
        with(R"("event":"http","route":"/v1/items","method":"GET","http_status":503,"duration_ms":1500,"active":2)"),
        with(R"("event":"http","active":3)")},
       {{"trialsync_api_requests_total", {{"route", "/v1/items"}, {"method", "GET"}, {"status_code", "200"}}, 1},
        {"trialsync_api_requests_total", {{"status_code", "503"}}, 1},
        {"trialsync_api_requests_total", {}, 2},
        {"trialsync_api_request_duration_seconds_sum", {{"route", "/v1/items"}}, 1.5125},
        {"trialsync_api_request_duration_seconds_bucket", {{"le", "0.025"}}, 1},
        {"trialsync_http_requests_active", {{"service", "etl"}}, 3}}},
      {"HttpOutsideTheSets",
       {with(R"("event":"http","route":"/v1","method":"BREW","http_status":200)"),
        with(R"("event":"http","route":"/v1","method":"GET","http_status":999)")},
       {{"trialsync_api_requests_total", {{"method", "__invalid__"}, {"status_code", "200"}}, 1},
        {"trialsync_api_requests_total", {{"method", "GET"}, {"status_code", "none"}}, 1}}},
      {"Pool",
       {with(
            R"("event":"pool","component":"api","in_use":3,"size":10,"waiters":1,"wait_ms":250,"slow_queries":2,"rollbacks":1)"),
        with(
            R"("event":"pool","component":"api","in_use":5,"size":10,"waiters":0,"wait_ms":12.5,"slow_queries":3,"rollbacks":0)")},
       {{"trialsync_db_pool_in_use", {{"component", "api"}}, 5},
        {"trialsync_db_pool_size", {{"component", "api"}}, 10},
        {"trialsync_db_pool_waiters", {{"component", "api"}}, 0},
        {"trialsync_db_pool_wait_seconds", {{"component", "api"}}, 0.0125},
        {"trialsync_db_slow_queries_total", {{"component", "api"}}, 5},
        {"trialsync_db_rollbacks_total", {{"component", "api"}}, 1}}},
      {"Queue",
       {with(
           R"("event":"queue","queue":"loads","backlog":7,"oldest_age_ms":90000,"dead_letters":2,"up":true,"latency_ms":3)")},
       {{"trialsync_queue_backlog", {{"queue", "loads"}}, 7},
        {"trialsync_queue_oldest_age_seconds", {{"queue", "loads"}}, 90},
        {"trialsync_queue_dead_letters", {{"queue", "loads"}}, 2},
        {"trialsync_queue_up", {{"queue", "loads"}}, 1},
        {"trialsync_queue_operation_seconds_bucket", {{"queue", "loads"}, {"le", "0.0025"}}, 0},
        {"trialsync_queue_operation_seconds_bucket", {{"queue", "loads"}, {"le", "0.005"}}, 1}}},
      {"Cache",
       {with(R"("event":"cache","cache":"redis","op":"get","up":true,"latency_ms":0.4)"),
        with(R"("event":"cache","cache":"redis","op":"get","up":false)")},
       {{"trialsync_cache_up", {{"cache", "redis"}}, 0},
        {"trialsync_cache_operation_seconds_count", {{"cache", "redis"}, {"op", "get"}}, 1},
        {"trialsync_cache_operation_seconds_bucket", {{"op", "get"}, {"le", "0.0005"}}, 1}}},
      {"Heartbeat",
       {beat(
            1,
            R"("instance":"a","version":"1.0","git_sha":"abc","uptime_seconds":60,"cpu_seconds":5,"rss_bytes":1000,"fds":9,"threads":4)"),
        beat(3, R"("instance":"a","version":"1.1","git_sha":"abd","uptime_seconds":2,"cpu_seconds":1)"),
        beat(4, R"("instance":"b","cpu_seconds":10,"rss_bytes":2000)"),
        beat(2, R"("instance":"a","version":"1.0","git_sha":"abc","uptime_seconds":61,"cpu_seconds":6)"),
        beat(5, R"("instance":"b","cpu_seconds":12.5)")},
       {{"trialsync_process_cpu_seconds_total", {{"service", "etl"}}, 18.5},  // 5, started again: 1, other: 10, 2.5
        {"trialsync_process_resident_memory_bytes", {{"service", "etl"}}, 2000},
        {"trialsync_process_open_fds", {{"service", "etl"}}, 9},
        {"trialsync_process_threads", {{"service", "etl"}}, 4},
        {"trialsync_uptime_seconds", {{"service", "etl"}}, 2},
        {"trialsync_build_info", {{"service", "etl"}, {"version", "1.0"}}, 0},
        {"trialsync_build_info", {{"service", "etl"}, {"version", "1.1"}, {"git_sha", "abd"}}, 1}}},
      {"Span",
       {with(
            R"("event":"span",)" + kTrace +
            R"("span_id":"b7ad6b7169203331","name":"ask","span_type":"llm","duration_ms":1200,"tokens_in":100,"tokens_out":40,"cost_usd":0.0125)"),
        with(R"("event":"span",)" + kTrace +
             R"("span_id":"b7ad6b7169203332","name":"find","span_type":"retrieval","duration_ms":30)"),
        with(R"("event":"span",)" + kTrace +
             R"("span_id":"b7ad6b7169203333","name":"ask","span_type":"llm","tokens_in":11,"cost_usd":0.5)")},
       {{"trialsync_span_duration_seconds_sum", {{"span_type", "llm"}}, 1.2},
        {"trialsync_span_duration_seconds_bucket", {{"span_type", "retrieval"}, {"le", "0.05"}}, 1},
        {"trialsync_llm_tokens_total", {{"direction", "in"}}, 111},
        {"trialsync_llm_tokens_total", {{"direction", "out"}}, 40},
        {"trialsync_llm_cost_usd_total", {}, 0.5125}}},
      {"Chat",
       {with(R"("event":"chat","session_id":"s1","role":"user","content":"hi")"),
        with(R"("event":"chat","session_id":"s1","role":"assistant","content":"ho")"),
        with(R"("event":"chat","session_id":"s1","role":"user","content":"why")")},
       {{"trialsync_chat_messages_total", {{"role", "user"}}, 2},
        {"trialsync_chat_messages_total", {{"role", "assistant"}}, 1}}},
      {"Document",
       {with(R"("event":"document","document_id":"d1","event_type":"parse","status":"done")"),
        with(R"("event":"document","document_id":"d1","event_type":"embed","status":"failed")")},
       {{"trialsync_document_events_total", {{"event_type", "parse"}, {"status", "success"}}, 1},
        {"trialsync_document_events_total", {{"event_type", "embed"}, {"status", "failed"}}, 1}}},
      {"ProviderSync",
       {with(R"("event":"provider_sync","provider":"shop","resource":"orders","status":"running")"),
        with(R"("event":"provider_sync","provider":"shop","resource":"orders","status":"success")")},
       {{"trialsync_provider_sync_total", {{"provider", "shop"}, {"status", "running"}}, 1},
        {"trialsync_provider_sync_total", {{"provider", "shop"}, {"status", "success"}}, 1}}},
      {"DqCheck",
       {with(R"("event":"dq","job_id":"orders","table":"t","check":"fresh","status":"pass")"),
        with(R"("event":"dq","job_id":"orders","table":"t","check":"fresh","status":"fail")"),
        with(R"("event":"dq","job_id":"orders","table":"t","check":"unique","status":"warn")")},
       {{"trialsync_dq_check_status", {{"job_id", "orders"}, {"table", "t"}, {"check", "fresh"}}, 2},
        {"trialsync_dq_check_status", {{"check", "unique"}}, 1}}},
      {"JobsRunning",
       {with(R"("event":"run.started","job_id":"orders","run_id":"r1")"),
        with(R"("event":"run.started","job_id":"orders","run_id":"r2")"),
        with(R"("event":"run.queued","job_id":"orders","run_id":"r3")"), with(R"("job_id":"orders","run_id":"r1")"),
        with(R"("event":"run.finished","job_id":"orders","run_id":"r2","status":"failed")")},
       {{"trialsync_jobs_running", {{"job_id", "orders"}}, 1}, {"trialsync_queue_jobs_active", {}, 0}}},
      {"FieldConflicts",
       {with(R"("job_id":"orders","run_id":"r1","dataset":"a","correlation_id":"c1")"),
        with(R"("job_id":"orders","run_id":"r1","dataset":"b","correlation_id":"c1")"),
        with(R"("job_id":"orders","run_id":"r1","dataset":"a","correlation_id":"c2")")},
       {{"runtail_field_conflicts_total", {{"field", "dataset"}}, 1},
        {"runtail_field_conflicts_total", {{"field", "correlation_id"}}, 1},
        {"runtail_field_conflicts_total", {}, 2}}},
      {"QueueJobs",
       {with(R"("event":"run.queued","job_id":"orders","run_id":"r1","queue":"loads","job_type":"batch")"),
        with(R"("event":"run.queued","job_id":"orders","run_id":"r1","queue":"loads","job_type":"batch")"),
        with(R"("event":"run.started","job_id":"orders","run_id":"r1")"),
        with(R"("event":"attempt.finished","job_id":"orders","run_id":"r1","status":"failed")"),
        with(R"("event":"attempt.started","job_id":"orders","run_id":"r1","attempt":2)"),
        with(R"("event":"run.finished","job_id":"orders","run_id":"r1","attempt":2,"status":"success")"),
        with(R"("event":"run.queued","job_id":"orders","run_id":"r2","queue":"loads","job_type":"batch")"),
        with(R"("event":"run.started","job_id":"orders","run_id":"r2")"),
        with(R"("event":"run.started","job_id":"orders","run_id":"r3")")},
       {{"trialsync_queue_jobs_total", {{"queue", "loads"}, {"job_type", "batch"}, {"event", "enqueued"}}, 2},
        {"trialsync_queue_jobs_total", {{"queue", "loads"}, {"event", "retry"}}, 1},
        {"trialsync_queue_jobs_total", {{"queue", "loads"}, {"event", "failure"}}, 1},
        {"trialsync_queue_jobs_total", {{"queue", "loads"}, {"event", "success"}}, 1},
        {"trialsync_queue_jobs_active", {{"queue", "loads"}, {"job_type", "batch"}}, 1},
        {"trialsync_jobs_running", {{"job_id", "orders"}}, 2}}},
  };
  return kCases;
}

// Counters do not depend on how lines fall into commits, nor on a restart in between.
class LineCountsTest : public PipelineScene, public testing::WithParamInterface<int> {};

TEST_P(LineCountsTest, EachFamilyHoldsWhatItsLinesSay) {
  for (const Case& each : cases()) {
    SCOPED_TRACE(each.name);
    if (GetParam() == 0) {
      feed(each.lines);
    } else {
      for (std::size_t i = 0; i < each.lines.size(); ++i) {
        feed({each.lines[i]});
        if (i == 0) open();
      }
    }
    for (const Case::Sample& sample : each.samples) {
      EXPECT_DOUBLE_EQ(value(sample.name, sample.labels), sample.value) << sample.name;
    }
    fresh();
  }
}
INSTANTIATE_TEST_SUITE_P(Commits, LineCountsTest, testing::Values(0, 1));

TEST_F(PipelineScene, ARunThatChangesItsNameLeavesTheGaugeUnderTheOldOne) {
  feed({R"({"ts":"2026-03-01T00:00:00Z","level":"INFO","msg":"m","run_id":"12345678-1234-4234-8234-123456789012"})"});
  EXPECT_EQ(value("trialsync_jobs_running", {{"job_id", "agent/etl"}}), 1);
  feed(
      {R"({"ts":"2026-03-01T00:00:01Z","level":"INFO","msg":"m","job_id":"orders","run_id":"12345678-1234-4234-8234-123456789012"})"});
  EXPECT_EQ(value("trialsync_jobs_running", {{"job_id", "agent/etl"}}), 0);
  EXPECT_EQ(value("trialsync_jobs_running", {{"job_id", "orders"}}), 1);
}

}  // namespace
}  // namespace runtail
