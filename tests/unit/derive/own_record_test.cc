// What spans, chats, documents, synchronisations and heartbeats state, from the text of a line by the real parser and
// redactor.
#include "derive/own_record.h"

#include <gtest/gtest.h>

#include "parsers/parser.h"
#include "redaction/redactor.h"

namespace runtail {
namespace {

constexpr const char* kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";

class OwnRecordTest : public testing::Test {
 protected:
  OwnRecordTest() {
    DeriverSettings settings;
    settings.agent_id = "agent";
    settings.environment = "prod";
    settings.service = "etl";
    deriver_.emplace(settings);
  }
  const Derived& derive(std::string_view members) {
    line_ = R"({"ts":"2026-03-01T00:00:10Z","level":"INFO","msg":"m",)" + std::string(members) + "}";
    const LogEvent& parsed = parser_.parse(line_);
    RedactedEvent& event = redactor_.redact(parsed);
    event.ts = *parsed.ts;
    deriver_->derive(event, {&ids_, 100, "default-job", 3}, derived_);
    return derived_;
  }
  template <typename Fact>
  const Fact* fact(std::string_view members) {
    return std::get_if<Fact>(&derive(members).own);
  }
  const SpanFact* span(std::string_view members) {
    return fact<SpanFact>(
        R"("event":"span","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7",)" +
        std::string(members));
  }
  static TimePoint at(const char* text) { return *parse_rfc3339(text); }

  Parser parser_{built_in_dialects()};
  Redactor redactor_ = *Redactor::make({});
  std::optional<Deriver> deriver_;
  EventIds ids_{FileIdentity{"agent/etl", {}, 0}};
  std::string line_;
  Derived derived_;
};

TEST_F(OwnRecordTest, ASpanHasItsOwnFieldsAndThoseItShares) {
  const SpanFact* fact = span(
      R"("parent_span_id":"00F067AA0BA902B8","name":"answer","kind":"client","span_type":"llm","status":"OK",
      "start":"2026-03-01T00:00:08Z","duration_ms":1500.25,"model":"m-1","provider":"p","tokens_in":7,"tokens_out":9,
      "cost_usd":0.0125,"session_id":"s1","operation_type":"qa","job_id":"orders","run_id":"r1","correlation_id":"c7",
      "request_id":"q1","top_score":0.5,"embedding_dims":768,"batch_size":2,"top_k":3,"results_count":4,
      "document_id":"d1","parser":"pdf","page_count":5,"chunk_count":6,"chunk_size":7)");
  ASSERT_TRUE(fact);
  EXPECT_EQ(derived_.tables, set_of(Table::kLogEvents) | set_of(Table::kJobRuns) | set_of(Table::kRunAttempts) |
                                 set_of(Table::kSpans) | set_of(Table::kTraces) | set_of(Table::kMetricsAggregates));
  EXPECT_EQ(to_hex(fact->trace_id.bytes), kTrace);
  EXPECT_EQ(to_hex(fact->span_id), "00f067aa0ba902b7");
  EXPECT_EQ(fact->id, span_uuid_of(fact->trace_id, "00f067aa0ba902b7"));
  ASSERT_TRUE(fact->parent_span_id);
  EXPECT_EQ(to_hex(*fact->parent_span_id), "00f067aa0ba902b8");
  EXPECT_FALSE(fact->is_root);
  EXPECT_EQ(fact->name, "answer");
  EXPECT_EQ(fact->kind, "client");
  EXPECT_EQ(fact->type, "llm");
  EXPECT_EQ(fact->status, "ok");
  EXPECT_EQ(fact->start, at("2026-03-01T00:00:08Z"));
  EXPECT_EQ(fact->duration_ms, 1500.25);
  EXPECT_EQ(fact->cost_micros, 12'500);
  EXPECT_EQ(fact->tokens_in, 7);
  EXPECT_EQ(fact->service, "etl");
  EXPECT_EQ(fact->environment, "prod");
  EXPECT_EQ(fact->job_id, "orders");
  EXPECT_EQ(fact->run_id, derived_.run->run_id);
  EXPECT_EQ(fact->error_category, ErrorCategory::kNone);
  EXPECT_EQ(fact->embedding_dims, 768);
  EXPECT_EQ(fact->chunk_size, 7);
  // Its tokens and cost are the run's, its start is not.
  EXPECT_EQ(derived_.run->tokens_in, 7);
  EXPECT_EQ(derived_.run->cost_micros, 12'500);
  EXPECT_FALSE(derived_.run->started_at);
  EXPECT_EQ(derived_.run->status, RunStatus::kRunning);
}

TEST_F(OwnRecordTest, ASpanThatStatesNoStartBeganItsDurationBeforeItsLine) {
  EXPECT_EQ(span(R"("duration_ms":1500)")->start, at("2026-03-01T00:00:08.5Z"));
  EXPECT_EQ(span(R"("name":"n")")->start, at("2026-03-01T00:00:10Z"));
  EXPECT_EQ(span(R"("start":"2099-01-01T00:00:00Z")")->start, at("2026-03-01T00:00:10Z"))
      << "no line tells of a span that has not begun";
}

TEST_F(OwnRecordTest, ASpanWithoutIdsIsALogLineOnly) {
  for (const char* members :
       {R"("event":"span","span_id":"00f067aa0ba902b7")",
        R"("event":"span","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736")",
        R"("event":"span","trace_id":"t1","span_id":"00f067aa0ba902b7")",
        R"("event":"span","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"7")",
        R"("event":"span","trace_id":"4bf92f3577b34da6a3ce929d0e0e473600","span_id":"00f067aa0ba902b7")",
        R"("event":"span","trace_id":"00000000000000000000000000000000","span_id":"00f067aa0ba902b7")",
        R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7")"}) {
    EXPECT_FALSE(fact<SpanFact>(members)) << members;
    EXPECT_EQ(derived_.tables, set_of(Table::kLogEvents)) << members;
  }
  // A UUID is one spelling of a trace id.
  const SpanFact* fact = this->fact<SpanFact>(
      R"("event":"span","trace_id":"4BF92F35-77b3-4da6-a3ce-929d0e0e4736","span_id":"00f067aa0ba902b7")");
  ASSERT_TRUE(fact);
  EXPECT_EQ(to_hex(fact->trace_id.bytes), kTrace);
  EXPECT_TRUE(fact->is_root);
}

TEST_F(OwnRecordTest, ASpanThatFailedHasAnError) {
  const SpanFact* fact = span(R"("status":"Failed","error_message":"upstream timeout")");
  EXPECT_EQ(fact->status, "error");
  EXPECT_EQ(fact->error_category, ErrorCategory::kApi);
  EXPECT_EQ(fact->error_message, "upstream timeout");
  EXPECT_EQ(span(R"("status":"so so")")->status, "");
  EXPECT_EQ(span(R"("status":"so so")")->error_category, ErrorCategory::kNone);
}

TEST_F(OwnRecordTest, NumbersBeyondTheirColumnSayNothing) {
  const SpanFact* fact = span(R"("embedding_dims":5000000000,"cost_usd":12345,"top_k":2147483647)");
  EXPECT_FALSE(fact->embedding_dims);
  EXPECT_FALSE(fact->cost_micros);
  EXPECT_EQ(fact->top_k, 2147483647);
}

TEST_F(OwnRecordTest, AChatIsRedactedLikeEveryText) {
  const ChatFact* fact = this->fact<ChatFact>(
      R"("event":"chat","session_id":"s1","turn":2,"role":"User","content":"mail ann.lee@example.com",
      "sources":[{"title":"a","by":"bob.ray@example.com"}],"citations":["c1"],"model":"m","tokens_in":1,"tokens_out":2,
      "cost_usd":0.5,"trace_id":"t1","span_id":"x1")");
  ASSERT_TRUE(fact);
  EXPECT_EQ(derived_.tables, set_of(Table::kLogEvents) | set_of(Table::kChatMessages));
  EXPECT_EQ(fact->id, ids_.at(100));
  EXPECT_EQ(fact->at, at("2026-03-01T00:00:10Z"));
  EXPECT_EQ(fact->role, "user");
  EXPECT_EQ(fact->turn, 2);
  EXPECT_EQ(fact->content.find("ann.lee"), std::string_view::npos) << fact->content;
  EXPECT_NE(fact->content.find("mail "), std::string_view::npos) << fact->content;
  EXPECT_EQ(fact->sources.find("bob.ray"), std::string_view::npos) << fact->sources;
  EXPECT_NE(fact->sources.find("title"), std::string_view::npos) << fact->sources;
  EXPECT_EQ(fact->citations, R"(["c1"])");
  EXPECT_TRUE(fact->redacted);
  EXPECT_FALSE(this->fact<ChatFact>(R"("event":"chat","role":"user","content":"hi")")) << "of no conversation";
}

TEST_F(OwnRecordTest, ADocumentIsOneStep) {
  const DocumentFact* fact = this->fact<DocumentFact>(
      R"("event":"document","document_id":"d1","event_type":"Parse","status":"error","duration_ms":12.6,"page_count":3,
      "chunk_count":4,"tokens":5,"bytes":6,"cost_usd":0.25,"error_code":"22001","job_id":"ingest")");
  ASSERT_TRUE(fact);
  EXPECT_EQ(derived_.tables, set_of(Table::kLogEvents) | set_of(Table::kDocumentEvents));
  EXPECT_EQ(fact->event_type, "parse");
  EXPECT_EQ(fact->status, "failed");
  EXPECT_EQ(fact->duration_ms, 13);
  EXPECT_EQ(fact->error_category, ErrorCategory::kData);
  EXPECT_EQ(fact->bytes, 6);
  EXPECT_EQ(fact->job_id, "ingest");
  EXPECT_FALSE(this->fact<DocumentFact>(R"("event":"document","document_id":"d1","event_type":"fold")"));
  EXPECT_FALSE(this->fact<DocumentFact>(R"("event":"document","event_type":"parse")"));
}

TEST_F(OwnRecordTest, ASynchronisationEndsWithItsLine) {
  const ProviderSyncFact* fact = this->fact<ProviderSyncFact>(
      R"("event":"provider_sync","provider":"crm","resource":"contacts","status":"completed","records_synced":7,
      "cursor":"page-9","duration_ms":2000)");
  ASSERT_TRUE(fact);
  EXPECT_EQ(derived_.tables, set_of(Table::kLogEvents) | set_of(Table::kProviderSyncStatus));
  EXPECT_EQ(fact->status, "success");
  EXPECT_EQ(fact->finished_at, at("2026-03-01T00:00:10Z"));
  EXPECT_EQ(fact->started_at, at("2026-03-01T00:00:08Z"));
  EXPECT_EQ(fact->success_at, fact->finished_at);
  EXPECT_EQ(fact->id, provider_sync_id_of("crm", "contacts"));
  fact = this->fact<ProviderSyncFact>(R"("event":"provider_sync","provider":"crm","status":"running")");
  EXPECT_EQ(fact->started_at, at("2026-03-01T00:00:10Z"));
  EXPECT_FALSE(fact->finished_at);
  EXPECT_FALSE(fact->success_at);
  fact = this->fact<ProviderSyncFact>(R"("event":"provider_sync","provider":"crm","status":"error")");
  EXPECT_TRUE(fact->finished_at);
  EXPECT_FALSE(fact->success_at);
  EXPECT_EQ(fact->error_category, ErrorCategory::kSystem);
  EXPECT_FALSE(this->fact<ProviderSyncFact>(R"("event":"provider_sync","provider":"crm","status":"purple")"));
  EXPECT_FALSE(this->fact<ProviderSyncFact>(R"("event":"provider_sync","status":"idle")"));
}

TEST_F(OwnRecordTest, AHeartbeatIsOfAnInstance) {
  const HeartbeatFact* fact = this->fact<HeartbeatFact>(
      R"("event":"heartbeat","service":"api","instance":"api-1","version":"1.2","git_sha":"abc1234","status":"draining",
      "uptime_seconds":8,"cpu_seconds":1.5,"rss_bytes":1000,"fds":5,"threads":6)");
  ASSERT_TRUE(fact);
  EXPECT_EQ(derived_.tables, set_of(Table::kLogEvents) | set_of(Table::kServiceHeartbeats));
  EXPECT_EQ(fact->id, heartbeat_id_of("api", "api-1"));
  EXPECT_EQ(fact->status, "stopping");
  EXPECT_EQ(fact->started_at, at("2026-03-01T00:00:02Z"));
  EXPECT_EQ(fact->threads, 6);
  fact = this->fact<HeartbeatFact>(R"("event":"heartbeat","uptime_seconds":1e300)");
  EXPECT_EQ(fact->service, "etl") << "the configured one";
  EXPECT_EQ(fact->status, "ok");
  EXPECT_FALSE(fact->started_at);
  EXPECT_EQ(this->fact<HeartbeatFact>(R"("event":"heartbeat","status":"purple")")->status, "degraded");
}

TEST_F(OwnRecordTest, LinesThatSayHowLongSomethingTookAreSamples) {
  struct Case {
    const char* members;
    std::string_view metric, first, second;
    std::int64_t micros;
    bool error;
  };
  for (const Case& each :
       {Case{R"("event":"run.finished","job_id":"j","run_id":"r","status":"failed","duration_ms":1500.5)",
             "trialsync_job_duration_seconds", "j", "failed", 1'500'500, true},
        Case{R"("event":"task.finished","run_id":"r","task":"t","phase":"load","duration_ms":2)",
             "trialsync_task_duration_seconds", "load", "", 2'000, false},
        Case{R"("event":"http","route":"/a","method":"GET","http_status":404,"duration_ms":3)",
             "trialsync_api_request_duration_seconds", "/a", "GET", 3'000, true},
        Case{R"("event":"span","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7",
             "span_type":"llm","duration_ms":0.004)",
             "trialsync_span_duration_seconds", "llm", "", 4, false}}) {
    const Derived& derived = derive(each.members);
    ASSERT_TRUE(derived.sample) << each.members;
    EXPECT_TRUE(derived.has(Table::kMetricsAggregates));
    EXPECT_EQ(spec_of(derived.sample->of).metric, each.metric);
    EXPECT_EQ(derived.sample->dimensions[0], each.first);
    EXPECT_EQ(derived.sample->dimensions[1], each.second);
    EXPECT_EQ(derived.sample->environment, "prod");
    EXPECT_EQ(derived.sample->micros, each.micros);
    EXPECT_EQ(derived.sample->error, each.error);
  }
  for (const char* members : {R"("event":"run.finished","run_id":"r","status":"success")",
                              R"("event":"run.finished","run_id":"r","status":"running","duration_ms":5)",
                              R"("event":"run.started","run_id":"r","duration_ms":5)", R"("duration_ms":5)"}) {
    EXPECT_FALSE(derive(members).sample) << members;
  }
  const std::string long_route(300, 'x');
  EXPECT_FALSE(derive(R"("event":"http","duration_ms":5,"route":")" + long_route + '"').sample);
}

}  // namespace
}  // namespace runtail
