// What the agent says of itself, by a clock turned by hand, through the pipeline into a real buffer.
#include "agent/self_source.h"

#include <gmock/gmock.h>

#include <map>
#include <random>

#include "core/event_codec.h"
#include "tests/support/scale.h"
#include "tests/unit/agent/pipeline_scene.h"

namespace runtail {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

class SelfSourceTest : public PipelineScene {
 protected:
  struct Told {
    std::vector<std::pair<TimePoint, std::string>> beats;     // when, status
    std::vector<std::pair<std::string, std::string>> series;  // key, members of the row
  };

  SelfSourceTest() { restart(); }
  // Another agent on what is durable.
  void restart() {
    open();
    source_ = std::make_unique<SelfSource>(settings_, buffer_->positions(), buffer_->get(SelfSource::kStateKey),
                                           [this] { return condition_; });
  }
  // What is told after so much time.
  Told after(std::chrono::microseconds time) {
    now_ += time;
    while (const auto block = source_->read(now_)) pipeline_->add(*block);
    return commit();
  }
  Told at_end() {
    if (const auto block = source_->last_words(now_)) pipeline_->add(*block);
    return commit();
  }
  // As the sink reads it.
  Told commit() {
    const Sequence before = buffer_->appended().sequence;
    EXPECT_TRUE(pipeline_->commit());
    Told told;
    if (buffer_->appended().sequence == before) return told;
    DeriverSettings settings;
    settings.agent_id = "agent";
    const Deriver deriver(settings);
    const auto chunks = buffer_->read_after(before, 1000);
    EXPECT_TRUE(chunks);
    for (const SequencedChunk& each : *chunks) {
      const Chunk& chunk = each.chunk;
      if (!chunk.file.stream.ends_with("/self")) continue;
      EXPECT_EQ(chunk.lines, 0u);
      const EventIds ids(chunk.file);
      EventReader reader(chunk.events);
      RecordCounts records;
      while (reader.next()) {
        EXPECT_FALSE(reader.event().stored) << "no log line goes with it";
        Derived derived;
        deriver.derive(reader.event(), {&ids, reader.offset_in(chunk.covers.from), "job", 4}, derived);
        for (std::size_t i = 0; i < kTableCount; ++i) records.by_table[i] += derived.tables >> i & 1;
        EXPECT_TRUE(ids_.insert(ids.at(reader.offset_in(chunk.covers.from))).second) << "an id came twice";
        if (const auto* beat = std::get_if<HeartbeatFact>(&derived.own)) {
          told.beats.emplace_back(beat->at, beat->status);
          last_members_ = beat->agent_members;
        } else if (const auto* snapshot = std::get_if<SnapshotFact>(&derived.own)) {
          told.series.emplace_back(reader.event().fields.text(Field::kMetric), snapshot->members);
          EXPECT_TRUE(ids_.insert(snapshot->id).second) << "a row came twice";
        }
      }
      EXPECT_FALSE(reader.corrupt());
      EXPECT_EQ(records, chunk.records);
    }
    return told;
  }

  SelfSettings settings_{"agent", "prod", "d1g3st", true, kStart};
  AgentCondition condition_;
  std::unique_ptr<SelfSource> source_;
  static constexpr TimePoint kStart = TimePoint(std::chrono::seconds(1'772'323'200));
  TimePoint now_ = kStart;
  std::string last_members_;
  std::set<Uuid> ids_;
};

TEST_F(SelfSourceTest, ItsHeartComesEveryFifteenSeconds) {
  EXPECT_EQ(after(0s).beats.size(), 1u) << "at once: a short life is seen, too";
  EXPECT_THAT(after(14s).beats, IsEmpty());
  ASSERT_EQ(after(1s).beats.size(), 1u);
  EXPECT_EQ(source_->due(), now_ + 15s);
  const Told late = after(10min);
  ASSERT_EQ(late.beats.size(), 1u) << "what was slept through is not made up for";
  EXPECT_EQ(late.beats[0], std::pair(now_, std::string("ok")));
  condition_ = {true, 4096, 7, 11, now_ - 5s};
  EXPECT_EQ(after(60s).beats[0].second, "degraded");
  EXPECT_EQ(last_members_, R"("config_digest":"d1g3st","lag_bytes":4096,"lag_seconds":65,"buffer_bytes":7,"lost_bytes":11)");
  EXPECT_EQ(value("trialsync_uptime_seconds", {{"service", "runtail"}}), 15 + 600 + 60);
  EXPECT_GT(value("trialsync_process_resident_memory_bytes", {{"service", "runtail"}}), 1e6);
  EXPECT_GE(value("trialsync_process_threads", {{"service", "runtail"}}), 1);
  EXPECT_GT(value("trialsync_process_open_fds", {{"service", "runtail"}}), 3);
  EXPECT_EQ(at_end().beats[0].second, "stopping");
}

TEST_F(SelfSourceTest, AClockThatIsSetDoesNotSilenceIt) {
  after(0s);
  EXPECT_EQ(after(-24h).beats.size(), 1u) << "set back";
  EXPECT_EQ(after(60s).beats.size(), 1u);
  // Set forward by an hour: the wait goes on as if it had not been.
  source_->clock_stepped(1h);
  EXPECT_THAT(after(1h + 10s).beats, IsEmpty());
  EXPECT_EQ(after(5s).beats.size(), 1u);
}

TEST_F(SelfSourceTest, ASnapshotHoldsWhatChanged) {
  after(0s);
  feed({line(R"("event":"run.started")", 0),
        line(R"("event":"run.finished","status":"success","duration_ms":2000)", 9)});
  EXPECT_THAT(after(14min).series, IsEmpty());
  std::map<std::string, std::string> first;
  for (auto& [key, members] : after(1min).series) first[key] = members;
  EXPECT_EQ(
      first["trialsync_jobs_total{job_id=orders,status=success}"],
      R"("name":"trialsync_jobs_total","value_type":"counter","labels":{"job_id":"orders","status":"success"},"value":1)");
  EXPECT_EQ(
      first["trialsync_job_duration_seconds{job_id=orders,status=success}"],
      R"("name":"trialsync_job_duration_seconds","value_type":"histogram",)"
      R"("labels":{"job_id":"orders","status":"success"},"sum":2,"count":1,"buckets":[0,1,0,0,0,0,0,0,0,0,0,0,0,0,0])");
  EXPECT_TRUE(first.contains("trialsync_jobs_total{job_id=orders,status=failed}")) << "what is 0 is a value, too";
  EXPECT_TRUE(first.contains("trialsync_uptime_seconds{service=runtail}"));
  for (const auto& [key, members] : first) EXPECT_TRUE(key.starts_with("trialsync_")) << key;

  // An hour of nothing but its own heart.
  for (const auto& [key, members] : after(15min).series) EXPECT_THAT(key, HasSubstr("service=runtail")) << members;
  feed({line(R"("event":"run.finished","status":"failed")", 20)});
  restart();
  std::set<std::string> keys;
  for (const auto& [key, members] : at_end().series) keys.insert(key);
  EXPECT_TRUE(keys.contains("trialsync_jobs_total{job_id=orders,status=failed}")) << "a clean end leaves none out";
  EXPECT_FALSE(keys.contains("trialsync_jobs_total{job_id=orders,status=success}")) << "after a restart, unchanged";
}

TEST_F(SelfSourceTest, SnapshotsCanBeSwitchedOff) {
  settings_.with_snapshots = false;
  restart();
  after(0s);
  EXPECT_THAT(after(16min).series, IsEmpty());
  EXPECT_THAT(at_end().series, IsEmpty());
}

// Whatever moment it dies at: the rows so far, newest last, give each series as it was at the last snapshot.
TEST_F(SelfSourceTest, SnapshotsAreWholeAcrossCrashes) {
  std::mt19937_64 random(test::seed());
  SCOPED_TRACE("seed " + std::to_string(test::seed()));
  std::map<std::string, std::string> rows;
  int second = 0, repeated = 0;
  after(0s);
  for (int step = 0; step < test::by_scale(60, 1000); ++step) {
    for (std::uint64_t lines = random() % 3; lines > 0; --lines) {
      feed({line(R"("event":"run.finished","status":"success","records_loaded":)" + std::to_string(random() % 3) +
                     R"(,"attempt":)" + std::to_string(1 + random() % 30),
                 second++ % 3600)});
    }
    if (random() % 4 == 0) {
      // It had begun to tell, and nothing of that was durable.
      now_ += 15min;
      if (const auto block = source_->read(now_)) pipeline_->add(*block);
      restart();
    }
    const bool ends = random() % 3 == 0;
    const Told told = ends ? at_end() : after(15min);
    for (const auto& [key, members] : told.series) {
      repeated += rows[key] == members;
      rows[key] = members;
    }
    std::map<std::string, std::string> now;
    pipeline_->metrics().for_each([&](const Series& series) {
      OwnFacts facts;
      const RedactedEvent& event = facts.snapshot(series, now_);
      const std::string_view object = event.context;
      if (object.find("\"trialsync_") != std::string_view::npos) {
        now[series_key(series)] = object.substr(1, object.size() - 2);
      }
    });
    ASSERT_EQ(rows, now) << "step " << step;
    if (ends) restart();
    now_ += 1s;
  }
  EXPECT_EQ(repeated, 0) << "an unchanged series was told again";
}

TEST_F(SelfSourceTest, NoLineSpeaksForIt) {
  feed({R"({"ts":"2026-03-01T00:00:01Z","event":"heartbeat","service":"runtail","instance":"agent","version":"9.9"})",
        R"({"ts":"2026-03-01T00:00:01Z","event":"agent.heartbeat","service":"runtail","instance":"agent"})",
        R"({"ts":"2026-03-01T00:00:01Z","event":"metric.snapshot","metric":"trialsync_jobs_total","service":"x"})"});
  const auto chunks = buffer_->read_after(0, 1000);
  ASSERT_TRUE(chunks);
  RecordCounts records;
  for (const SequencedChunk& each : *chunks) records += each.chunk.records;
  EXPECT_EQ(records[Table::kLogEvents], 3u);
  EXPECT_EQ(records[Table::kServiceHeartbeats], 0u);
  EXPECT_EQ(records[Table::kMetricSnapshots], 0u);
  EXPECT_EQ(value("trialsync_build_info", {{"version", "9.9"}}), 0);
}

}  // namespace
}  // namespace runtail
