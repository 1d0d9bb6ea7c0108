// Spans, chats, documents, synchronisations, heartbeats and aggregates on a real server: the same rows whatever the
// order, the batches and the repeats their lines come in.
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "core/own_facts.h"
#include "tests/support/scale.h"
#include "tests/unit/sinks/postgres_fixture.h"

namespace runtail::test {
namespace {

constexpr const char* kTables[] = {"traces",
                                   "spans",
                                   "chat_messages",
                                   "document_events",
                                   "provider_sync_status",
                                   "service_heartbeats",
                                   "metrics_aggregates"};

// Not to be compressed; beyond 2,704 bytes no index takes it.
std::string random_letters(int count) {
  std::string text;
  std::mt19937 random(1);
  for (int i = 0; i < count; ++i) text += static_cast<char>('a' + random() % 26);
  return text;
}

LogFile::Change text(Field field, std::string value) {
  return [field, value](RedactedEvent& event) { event.fields.put_text(field, value); };
}

std::string trace_id(std::size_t number) { return "4bf92f3577b34da6a3ce929d0e0e470" + std::to_string(number); }
std::string span_id(std::size_t number) {
  std::string digits = std::to_string(number);
  return "ab" + std::string(14 - digits.size(), 'c') + digits;
}
std::string line_at(const std::string& time, const std::string& event, const std::string& members) {
  return "\"ts\":\"" + time + R"(","level":"INFO","msg":"m","event":")" + event + "\"," + members;
}
std::string span_line(std::size_t trace, std::size_t span, const std::string& members,
                      const std::string& time = "2026-03-01T00:00:05Z") {
  return line_at(time, "span",
                 R"("trace_id":")" + trace_id(trace) + R"(","span_id":")" + span_id(span) + "\"," + members);
}

// Lines of all those kinds, with few distinct values, so that facts meet.
class Lines {
 public:
  explicit Lines(std::uint64_t seed) : random_(seed) {}
  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  std::mt19937_64& random() { return random_; }

  std::string line() {
    if (!spans_.empty() && one_in(20)) return spans_[below(spans_.size())];  // printed twice
    std::string more = R"("job_id":"job)" + std::to_string(below(3)) + '"';
    const auto maybe = [&](std::size_t n, const std::string& name, const std::string& value) {
      if (one_in(n)) more += ",\"" + name + "\":" + value;
    };
    const auto text = [](const std::string& value) { return '"' + value + '"'; };
    maybe(3, "run_id", text("run" + std::to_string(below(4))));
    maybe(3, "user_id", std::to_string(below(3)));
    maybe(3, "session_id", text("s" + std::to_string(below(3))));
    maybe(3, "correlation_id", text("c" + std::to_string(below(3))));
    maybe(4, "request_id", text(pick({"A", "a", "\xC3\xA4", "z"})));  // byte order is not that of a language
    maybe(3, "tokens_in", std::to_string(below(1000)));
    maybe(3, "tokens_out", std::to_string(below(1000)));
    maybe(3, "cost_usd", "0." + std::to_string(100'000 + below(900'000)));
    maybe(3, "duration_ms", std::to_string(below(90'000)) + ".5");
    maybe(4, "error_message", text(pick({"upstream away", "disk full"})));
    maybe(3, "service", text(pick({"etl", "api"})));
    maybe(5, "env", text(pick({"prod", "dev"})));
    switch (below(7)) {
      case 5:
        return line_at(
            time(), "http",
            more + R"(,"method":"GET","route":")" + pick({"/a", "/b"}) + R"(","http_status":)" + pick({"200", "503"}));
      case 6:
        return line_at(time(), "run.finished",
                       more + R"(,"run_id":"r)" + std::to_string(below(500)) + R"(","status":")" +
                           pick({"success", "failed"}) + '"');
      case 0: {
        maybe(2, "parent_span_id", text(span_id(below(50))));
        maybe(2, "status", text(pick({"ok", "error", "so so"})));
        maybe(2, "name", text(pick({"ask", "find", "embed"})));
        maybe(2, "start", text(time()));
        maybe(2, "operation_type", text(pick({"qa", "ingest"})));
        maybe(2, "span_type", text(pick({"llm", "embedding", "retrieval"})));
        spans_.push_back(span_line(below(9), spans_.size(), more, time()));
        return spans_.back();
      }
      case 1:
        return line_at(time(), "chat", more + R"(,"role":"user","content":"hello","session_id":"s1","turn":3)");
      case 2:
        return line_at(time(), "document",
                       more + R"(,"document_id":"d1","status":"success","event_type":")" +
                           pick({"parse", "chunk", "embed"}) + '"');
      case 3:
        maybe(2, "cursor", text("page " + std::to_string(below(5))));
        maybe(2, "records_synced", std::to_string(below(100)));
        maybe(2, "resource", text(pick({"contacts", "deals"})));
        return line_at(time(), "provider_sync",
                       more + R"(,"provider":"crm","status":")" + pick({"idle", "running", "success", "error"}) + '"');
      default:
        maybe(2, "instance", text("i" + std::to_string(below(2))));
        maybe(2, "uptime_seconds", std::to_string(below(100)) + ".25");
        maybe(2, "fds", std::to_string(below(100)));
        return line_at(time(), "heartbeat",
                       more + R"(,"version":"1.)" + std::to_string(below(3)) + R"(","status":")" +
                           pick({"ok", "degraded", "down"}) + '"');
    }
  }

 private:
  std::string pick(std::vector<std::string> from) { return from[below(from.size())]; }
  // Two days, so that traces lie in two buckets; few distinct seconds, so that stamps are equal.
  std::string time() {
    return (one_in(2) ? "2026-02-28T23:59:0" : "2026-03-01T00:00:0") + std::to_string(below(6)) + "Z";
  }
  std::mt19937_64 random_;
  std::vector<std::string> spans_;
};

class PostgresRecordsTest : public PostgresSinkTest {
 protected:
  std::vector<std::string> records() {
    std::vector<std::string> all;
    for (const char* table : kTables) {
      auto some = rows(std::string("SELECT to_jsonb(r) FROM ") + table + " r ORDER BY 1");
      all.insert(all.end(), some.begin(), some.end());
    }
    auto sums = rows("SELECT run_id, tokens_in, tokens_out, cost_usd FROM job_runs ORDER BY 1");
    all.insert(all.end(), sums.begin(), sums.end());
    return all;
  }
  // What the rows say, against all durations at once.
  void expect_aggregates(const LogFile (&files)[2]) {
    std::map<std::string, std::vector<double>> durations;
    std::map<std::string, std::pair<int, std::int64_t>> errors_and_tokens;
    for (const LogFile& file : files) {
      file.each_event(0, file.lines(), [&](const RedactedEvent& event, const Derived& derived, std::size_t) {
        if (!derived.sample) return;
        const Sample& sample = *derived.sample;
        std::string key = to_rfc3339(aggregate_bucket_of(event.ts)).substr(0, 16);
        key += '|' + std::string(spec_of(sample.of).metric) + '|' + std::string(sample.environment);
        for (const std::string_view value : sample.dimensions) key += '|' + std::string(value);
        durations[key].push_back(static_cast<double>(sample.micros) / 1e6);
        errors_and_tokens[key].first += sample.error;
        errors_and_tokens[key].second += sample.tokens.value_or(0);
      });
    }
    auto found = look_.exec(
        "SELECT to_char(bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI'), metric, dimensions->>'environment', "
        "coalesce(dimensions->>'job_id', dimensions->>'phase', dimensions->>'route', dimensions->>'span_type', ''), "
        "coalesce(dimensions->>'status', dimensions->>'method', ''), count, sum, min, max, p50, p95, p99, error_count, "
        "coalesce(tokens, 0), buckets FROM observability.metrics_aggregates");
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(static_cast<std::size_t>(found->rows()), durations.size());
    for (int row = 0; row < found->rows(); ++row) {
      std::string key;
      for (int column = 0; column < 5; ++column) {
        key += (column == 0 ? "" : "|") + std::string(found->text(row, column));
      }
      SCOPED_TRACE(key);
      std::vector<double> values = durations[key];
      ASSERT_FALSE(values.empty());
      std::sort(values.begin(), values.end());
      const auto real = [&](int column) { return std::stod(std::string(found->text(row, column))); };
      EXPECT_EQ(found->integer(row, 5), static_cast<std::int64_t>(values.size()));
      EXPECT_NEAR(real(6), std::accumulate(values.begin(), values.end(), 0.0), 1e-6);
      EXPECT_EQ(real(7), values.front());
      EXPECT_EQ(real(8), values.back());
      const Aggregate of = found->text(row, 1) == spec_of(Aggregate::kJobDuration).metric ? Aggregate::kJobDuration
                           : found->text(row, 1) == spec_of(Aggregate::kRequestDuration).metric
                               ? Aggregate::kRequestDuration
                               : Aggregate::kSpanDuration;
      const auto bounds = spec_of(of).bounds;
      for (const auto& [column, q] : {std::pair(9, 0.5), {10, 0.95}, {11, 0.99}}) {
        // In the bucket that holds the value of that rank.
        const double exact = values[static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size()))) - 1];
        const auto high = std::lower_bound(bounds.begin(), bounds.end(), exact);
        EXPECT_GE(real(column), high == bounds.begin() ? 0 : *(high - 1)) << q << " of which is " << exact;
        EXPECT_LE(real(column), high == bounds.end() ? values.back() : *high) << q << " of which is " << exact;
      }
      EXPECT_EQ(found->integer(row, 12), errors_and_tokens[key].first);
      EXPECT_EQ(found->integer(row, 13), errors_and_tokens[key].second);
    }
  }
  void clear() {
    rows(
        "TRUNCATE source_files, source_facts, run_ids, job_runs, run_attempts, task_runs, run_state_changes, "
        "log_events, traces, spans, chat_messages, document_events, provider_sync_status, service_heartbeats, "
        "metrics_aggregates, dead_letters CASCADE");
  }
};

TEST_F(PostgresRecordsTest, AnyOrderAndBatchGiveTheRowsOfOneDelivery) {
  const int rounds = by_scale(1, 40);
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed()) + " round " + std::to_string(round));
    Lines lines(seed() + static_cast<std::uint64_t>(round));
    LogFile files[2] = {LogFile("agent-1/a"), LogFile("agent-1/b", 8)};
    const std::size_t count = by_scale<std::size_t>(500, 3000);
    for (std::size_t i = 0; i < count; ++i) files[lines.below(2)].add(lines.line());

    clear();
    DrivenSink at_once = make_sink(config());
    const RecordOutcomes outcomes =
        deliver(at_once, {files[0].chunk(0, files[0].lines()), files[1].chunk(0, files[1].lines())});
    const std::vector<std::string> want = records();
    ASSERT_EQ(one("SELECT count(*) FROM dead_letters"), "0");
    // Spans printed twice are one span, and their trace has them once.
    EXPECT_EQ(std::to_string(outcomes.applied[Table::kSpans]), one("SELECT count(*) FROM spans"));
    EXPECT_EQ(outcomes.applied[Table::kTraces], outcomes.applied[Table::kSpans]);
    EXPECT_GT(outcomes.duplicate[Table::kSpans], 0u);
    EXPECT_EQ(rows("SELECT trace_id, bucket, span_count, error_count, tokens_in, tokens_out, cost_usd, started_at, "
                   "ended_at FROM traces ORDER BY 1, 2"),
              rows("SELECT trace_id, date_trunc('day', ts, 'UTC'), count(*), count(*) FILTER (WHERE status = 'error'), "
                   "sum(tokens_in), sum(tokens_out), sum(cost_usd), min(ts), "
                   "max(ts + coalesce(duration_ms, 0) * interval '1 millisecond') FROM spans GROUP BY 1, 2 "
                   "ORDER BY 1, 2"));
    EXPECT_EQ(one("SELECT count(*) FROM service_heartbeats h WHERE last_seen_at <> (SELECT max(ts) FROM log_events e "
                  "WHERE e.message = 'm' AND e.event_id = (h.details->>'event_id')::uuid)"),
              "0");

    expect_aggregates(files);

    std::vector<SequencedChunk> chunks;
    for (const LogFile& file : files) {
      for (std::size_t from = 0; from < file.lines();) {
        const std::size_t to = std::min(file.lines(), from + 1 + lines.below(40));
        chunks.push_back(file.chunk(from, to));
        if (lines.one_in(5)) chunks.push_back(chunks.back());
        from = to;
      }
    }
    std::shuffle(chunks.begin(), chunks.end(), lines.random());
    clear();
    DrivenSink sinks[2] = {make_sink(config()), make_sink(config())};
    for (std::size_t from = 0; from < chunks.size();) {
      const std::size_t to = std::min(chunks.size(), from + 1 + lines.below(12));
      DrivenSink& sink = sinks[lines.below(2)];
      sink.apart = lines.one_in(2);
      deliver(sink,
              {chunks.begin() + static_cast<std::ptrdiff_t>(from), chunks.begin() + static_cast<std::ptrdiff_t>(to)});
      from = to;
    }
    EXPECT_EQ(one("SELECT count(*) FROM dead_letters"), "0");
    EXPECT_EQ(records(), want);
  }
}

TEST_F(PostgresRecordsTest, ATraceCountsASpanOnceThoughPositionsAndLinesAreLost) {
  LogFile file;
  for (std::size_t i = 0; i < 10; ++i) file.add(span_line(i % 2, i, R"("tokens_in":10,"cost_usd":0.5)"));
  file.add(line_at("2026-03-01T00:00:01Z", "chat", R"("session_id":"s","content":"hi")"));
  file.add(line_at("2026-03-01T00:00:01Z", "document", R"("document_id":"d","event_type":"parse")"));
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 6, 12}));
  const auto before = records();
  rows("TRUNCATE source_files, source_facts, log_events");
  DrivenSink again = make_sink(config());
  const RecordOutcomes outcomes = deliver(again, chunks_of(file, {0, 4, 12}));
  EXPECT_EQ(records(), before);
  EXPECT_EQ(one("SELECT sum(span_count), sum(tokens_in), sum(cost_usd) FROM traces"), "10|100|5.000000");
  EXPECT_EQ(outcomes.duplicate[Table::kSpans], 10u);
  EXPECT_EQ(outcomes.duplicate[Table::kTraces], 10u);
  EXPECT_EQ(outcomes.duplicate[Table::kChatMessages], 1u);
  EXPECT_EQ(outcomes.duplicate[Table::kDocumentEvents], 1u);
}

TEST_F(PostgresRecordsTest, ARowThatIsRefusedIsSetAsideAndItsNeighboursArrive) {
  const std::string wide = random_letters(12'000);
  LogFile file;
  std::size_t spans = 0;
  const auto neighbour = [&] { file.add(span_line(1, spans++, R"("tokens_in":1)")); };
  std::vector<std::string> want;
  const auto poison = [&](const std::string& line, const std::string& refused, LogFile::Change change) {
    neighbour();
    want.push_back(std::to_string(file.offset(file.lines())) + "|" + refused);
    file.add(line, std::move(change));
    neighbour();
  };
  // Which of two indexes is asked first is PostgreSQL's own business: a span's or its trace's.
  poison(span_line(1, 100, R"("tokens_in":1000)"), "bad_value|22P02",
         [](RedactedEvent& event) { event.context = "{\"a\":oops}"; });
  poison(span_line(1, 101, R"("tokens_in":1000)"), "too_large|54000", text(Field::kSessionId, wide));
  poison(line_at("2026-03-01T00:00:01Z", "chat", R"("session_id":"s","content":"hi")"), "too_large|54000",
         text(Field::kSessionId, wide));
  poison(line_at("2026-03-01T00:00:01Z", "document", R"("document_id":"d","event_type":"parse")"), "too_large|54000",
         text(Field::kDocumentId, wide));
  poison(line_at("2026-03-01T00:00:01Z", "provider_sync", R"("provider":"p","status":"ok")"), "too_large|54000",
         text(Field::kProvider, wide));
  poison(line_at("2026-03-01T00:00:01Z", "heartbeat", R"("instance":"i")"), "too_large|54000",
         text(Field::kInstance, wide));
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 7, file.lines()}));
  EXPECT_EQ(rows("SELECT byte_offset, reason, sqlstate FROM dead_letters ORDER BY byte_offset"), want);
  EXPECT_EQ(one("SELECT span_count, tokens_in FROM traces"), std::to_string(spans) + "|" + std::to_string(spans));
  EXPECT_EQ(one("SELECT count(*) FROM spans"), std::to_string(spans));
  EXPECT_EQ(one("SELECT count(*) FROM chat_messages"), "0");
}

TEST_F(PostgresRecordsTest, WhatIsOlderThanTheirPartitionsIsExpired) {
  LogFile file;
  file.add(span_line(1, 1, R"("start":"2025-12-01T00:00:00Z")"));
  file.add(span_line(1, 2, R"("duration_ms":5)", "2026-03-02T11:00:00Z"));
  file.add(line_at("2025-06-01T00:00:00Z", "chat", R"("session_id":"s","content":"hi")"));
  file.add(line_at("2025-06-01T00:00:00Z", "document", R"("document_id":"d","event_type":"parse")"));
  file.add(line_at("2025-06-01T00:00:00Z", "heartbeat", R"("instance":"i")"));
  DrivenSink sink = make_sink(config());
  const RecordOutcomes outcomes = deliver(sink, chunks_of(file, {0, 5}));
  EXPECT_EQ(outcomes.expired[Table::kSpans], 1u);
  EXPECT_EQ(outcomes.expired[Table::kTraces], 1u);
  EXPECT_EQ(outcomes.expired[Table::kChatMessages], 1u);
  EXPECT_EQ(outcomes.expired[Table::kDocumentEvents], 1u);
  EXPECT_EQ(outcomes.applied[Table::kServiceHeartbeats], 1u);
  EXPECT_EQ(rows("SELECT span_id FROM spans"), std::vector{span_id(2)});
}

TEST_F(PostgresRecordsTest, ASumOfCostsStopsAtWhatItsColumnHolds) {
  LogFile file;
  for (std::size_t i = 0; i < 4; ++i) file.add(span_line(1, i, R"("cost_usd":4000.5)"));
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 1, 2}));
  deliver(sink, chunks_of(file, {2, 4}));
  EXPECT_EQ(one("SELECT cost_usd, span_count FROM traces"), "9999.999999|4");
  EXPECT_EQ(one("SELECT sum(cost_usd) FROM spans"), "16002.000000");
}

TEST(PostgresRecords, OfGroupsThatWereLeftOutAreExpiredAndTheRestArrives) {
  static int count = 0;
  const std::string url = PostgresCluster::shared().create_database("left_out_" + std::to_string(++count));
  PgConnection look = connect(url);
  MigrationRequest request;
  request.without = {"traces", "chat", "documents", "aggregates", "providers"};
  ASSERT_TRUE(migrate_up(look, "observability", request));
  ASSERT_TRUE(maintain_partitions(look, "observability", kNow));
  LogFile file;
  for (std::size_t i = 0; i < 3; ++i) {
    file.add(span_line(1, i, R"("job_id":"orders","run_id":"r1","tokens_in":5,"duration_ms":3)"));
    file.add(line_at("2026-03-01T00:00:01Z", "chat", R"("session_id":"s","content":"hi")"));
    file.add(line_at("2026-03-01T00:00:01Z", "document", R"("document_id":"d","event_type":"parse")"));
    file.add(line_at("2026-03-01T00:00:01Z", "provider_sync", R"("provider":"p","status":"ok")"));
    file.add(line_at("2026-03-01T00:00:01Z", "heartbeat", R"("instance":"i")"));
  }
  PostgresConfig config;
  config.url = url;
  FixedClock clock(kNow);
  DrivenSink sink(config, settings(), {"email"}, clock);
  const auto chunks = chunks_of(file, {0, 7, 15});
  const Delivery delivery = sink.deliver(chunks, false);
  ASSERT_EQ(delivery.status, Delivery::Status::kDelivered) << delivery.reason;
  for (const Table table : {Table::kTraces, Table::kSpans, Table::kChatMessages, Table::kDocumentEvents,
                            Table::kProviderSyncStatus, Table::kMetricsAggregates}) {
    EXPECT_EQ(delivery.outcomes.expired[table], 3u) << to_string(table);
  }
  RecordCounts sum = delivery.outcomes.applied;
  sum += delivery.outcomes.expired;
  EXPECT_EQ(sum, records_of(chunks));
  const auto stored = look.exec(
      "SELECT (SELECT count(*) FROM observability.log_events), (SELECT count(*) FROM "
      "observability.service_heartbeats), "
      "(SELECT tokens_in FROM observability.job_runs)");
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(stored->integer(0, 0), 15);
  EXPECT_EQ(stored->integer(0, 1), 1);
  EXPECT_EQ(stored->integer(0, 2), 15);
}

// As the pipeline packs what the agent says of itself.
struct OwnLines {
  explicit OwnLines(LogFile& into) : file(into) {}
  void add(const std::function<const RedactedEvent&(OwnFacts&)>& make) {
    OwnFacts& facts = *all.emplace_back(std::make_unique<OwnFacts>());
    const RedactedEvent& made = make(facts);
    file.add(R"("msg":"m")", [&made](RedactedEvent& event) { event = made; });
  }
  LogFile& file;
  std::vector<std::unique_ptr<OwnFacts>> all;
};

Series counter(double value) {
  Series series;
  series.metric = Metric::kJobsTotal;
  series.labels = {"orders", "success"};
  series.value = value;
  return series;
}

TEST_F(PostgresSinkTest, SnapshotsOfMetricsAreStoredOnce) {
  LogFile file("agent-1/runtail/self");
  OwnLines own(file);
  Series histogram;
  histogram.metric = Metric::kJobDuration;
  histogram.labels = {"orders", "success"};
  histogram.sum = 7.5;
  histogram.buckets = std::vector<std::uint64_t>(buckets_of(histogram.metric).size() + 1, 0);
  histogram.buckets[1] = 3;
  own.add([](OwnFacts& facts) -> const RedactedEvent& { return facts.snapshot(counter(4), kNow); });
  own.add([&](OwnFacts& facts) -> const RedactedEvent& { return facts.snapshot(histogram, kNow); });
  // Retention has dropped its day; nobody has made the day yet.
  clock_.at = kNow + std::chrono::hours(24 * 9);
  for (const TimePoint at : {kNow - std::chrono::hours(24 * 60), clock_.at}) {
    own.add([at](OwnFacts& facts) -> const RedactedEvent& { return facts.snapshot(counter(5), at); });
  }
  DrivenSink sink = make_sink(config());
  const RecordOutcomes first = deliver(sink, chunks_of(file, {0, 4}));
  EXPECT_EQ(first.applied[Table::kMetricSnapshots], 2u);
  EXPECT_EQ(first.expired[Table::kMetricSnapshots], 2u);
  EXPECT_EQ(one("SELECT count(*) FROM log_events"), "0");
  EXPECT_THAT(rows("SELECT ts, agent_id, name, value_type, labels->>'job_id', value, sum, count, buckets[1:3] FROM "
                   "metric_snapshots ORDER BY name"),
              testing::ElementsAre(
                  "2026-03-02 12:00:00+00|agent-1|trialsync_job_duration_seconds|histogram|orders|-|7.5|3|{0,3,0}",
                  "2026-03-02 12:00:00+00|agent-1|trialsync_jobs_total|counter|orders|4|-|-|-"));
  // Its positions were lost, its rows were not.
  rows("DELETE FROM source_facts; DELETE FROM source_files");
  DrivenSink other = make_sink(config());
  EXPECT_EQ(deliver(other, chunks_of(file, {0, 4})).duplicate[Table::kMetricSnapshots], 2u);
  EXPECT_EQ(one("SELECT count(*) FROM metric_snapshots"), "2");
}

TEST_F(PostgresSinkTest, TheAgentsOwnHeartbeatSaysHowItIs) {
  LogFile file("agent-1/runtail/self");
  OwnLines own(file);
  AgentBeat beat;
  beat.started_at = kNow;
  beat.instance = "agent-1";
  beat.environment = "prod";
  beat.version = "1.2";
  beat.git_sha = "abc";
  beat.config_digest = "d1";
  for (const char* status : {"stopping", "ok"}) {
    beat.at = kNow + std::chrono::seconds(status == std::string("ok") ? 60 : 120);
    beat.status = status;
    beat.lag_bytes = beat.at == kNow + std::chrono::seconds(60) ? 5 : 6;
    beat.lag_seconds = 1.5;
    beat.lost_bytes = 17;
    own.add([beat](OwnFacts& facts) -> const RedactedEvent& { return facts.heartbeat(beat); });
  }
  // A worker's, with the same members beside it.
  file.add(line_at("2026-03-02T12:00:00Z", "heartbeat", R"("instance":"i","lag_bytes":9,"config_digest":"x")"));
  DrivenSink sink = make_sink(config());
  deliver(sink, chunks_of(file, {0, 3}));
  EXPECT_THAT(
      rows("SELECT service, instance, environment, version, git_sha, status, started_at, uptime_seconds, "
           "agent_id, config_digest, lag_bytes, lag_seconds, buffer_bytes, lost_bytes, last_seen_at FROM "
           "service_heartbeats ORDER BY service"),
      testing::ElementsAre("etl|i|prod|-|-|ok|-|-|agent-1|-|-|-|-|-|2026-03-02 12:00:00+00",
                           "runtail|agent-1|prod|1.2|abc|stopping|2026-03-02 12:00:00+00|120|agent-1|d1|6|1.5|0|17|"
                           "2026-03-02 12:02:00+00"));
}

}  // namespace
}  // namespace runtail::test
