// The loop between the buffer and one sink, on a real buffer: where it begins, what it keeps, what it counts.
#include "agent/delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;

// Takes everything and writes down what it saw.
class Recorder final : public Sink {
 public:
  explicit Recorder(const DurableBuffer& buffer) : buffer_(buffer) {}
  std::string_view name() const override { return "recorder"; }
  Delivery deliver(std::span<const SequencedChunk> chunks, bool, TableSet) override {
    kept_marks.push_back(buffer_.get("n/recorder").value_or(""));
    if (std::exchange(refusals, std::max(refusals - 1, 0)) > 0) return {};
    Delivery delivery;
    delivery.status = Delivery::Status::kDelivered;
    for (const SequencedChunk& each : chunks) {
      sequences.push_back(each.sequence);
      delivery.outcomes.applied += each.chunk.records;
    }
    delivery.internal_errors = internal_errors;
    return delivery;
  }
  std::string mark() override { return has_mark ? "begins behind " + std::to_string(sequences.size()) : ""; }
  void resume(std::string_view mark) override { resumed = mark; }

  const DurableBuffer& buffer_;
  std::vector<Sequence> sequences;
  std::vector<std::string> kept_marks;  // as the buffer had them when a delivery began
  std::string resumed = "never";
  bool has_mark = false;
  int refusals = 0;
  std::uint64_t internal_errors = 0;  // of each delivery
};

class DeliveryTest : public testing::Test {
 protected:
  DeliveryTest() {
    BufferConfig config;
    config.directory = directory / "buffer";
    buffer = std::move(*DurableBuffer::open(config));
  }
  void append(int chunks) {
    for (int i = 0; i < chunks; ++i) {
      Commit commit;
      commit.chunks.emplace_back();
      commit.chunks.back().lines = 1;
      commit.chunks.back().records[Table::kLogEvents] = 1;
      ASSERT_TRUE(buffer->append(commit));
    }
  }
  // One life of a loop, until everything appended is delivered.
  void deliver(Recorder& sink) {
    DeliveryLoop loop(*buffer, sink, published, clock, {}, [this] { ++delivered; });
    std::jthread thread([&](std::stop_token stop) { loop.run(stop, [](bool, const std::string&) {}); });
    EXPECT_TRUE(wait_until([&] { return loop.delivered() == buffer->appended().sequence; }));
    thread.request_stop();
    thread.join();
    EXPECT_EQ(loop.imbalance(), 0u);
    EXPECT_EQ(loop.status().records_pending, 0u);
  }
  double records(std::string_view outcome) const {
    double sum = 0;
    for (const Series& series : published.snapshot()) {
      if (series.metric == Metric::kRecordsTotal && series.labels[2] == outcome) sum += series.value;
    }
    return sum;
  }

  TempDir directory;
  SystemClock clock;
  PublishedMetrics published;
  std::unique_ptr<DurableBuffer> buffer;
  int delivered = 0;
};

TEST_F(DeliveryTest, EachChunkIsDeliveredOnceOverSeveralLives) {
  append(2);
  Recorder first(*buffer);
  deliver(first);
  append(1);
  Recorder second(*buffer);
  deliver(second);
  EXPECT_THAT(first.sequences, ElementsAre(1u, 2u));
  EXPECT_THAT(second.sequences, ElementsAre(3u));
  EXPECT_EQ(delivered, 2);
  EXPECT_EQ(records("applied"), 3);
}

TEST_F(DeliveryTest, WhatASinkGotOverIsCounted) {
  const auto counted = [this] {
    double sum = -1;
    for (const Series& series : published.snapshot()) {
      if (series.metric == Metric::kInternalErrorsTotal) sum = series.value;
    }
    return sum;
  };
  for (const double wanted : {0.0, 2.0, 4.0}) {
    append(1);
    Recorder sink(*buffer);
    sink.internal_errors = wanted > 0 ? 2 : 0;
    deliver(sink);
    EXPECT_EQ(counted(), wanted) << "over all lives";
  }
}

TEST_F(DeliveryTest, ANewSinkBeginsAtTheOldestChunkKeptAndCountsTheRestAsExpired) {
  append(5);
  buffer->release(3);
  Recorder sink(*buffer);
  deliver(sink);
  EXPECT_THAT(sink.sequences, ElementsAre(4u, 5u));
  EXPECT_EQ(records("applied"), 2);
  EXPECT_EQ(records("expired"), 3);
}

TEST_F(DeliveryTest, ASinkThatComesBackAfterItsChunksWentDoesTheSame) {
  append(2);
  Recorder before(*buffer);
  deliver(before);
  append(4);
  buffer->release(4);
  Recorder after(*buffer);
  deliver(after);
  EXPECT_THAT(after.sequences, ElementsAre(5u, 6u));
  EXPECT_EQ(records("expired"), 2);
}

TEST_F(DeliveryTest, WithNothingLeftInTheBufferANewSinkWaitsForWhatComes) {
  append(3);
  buffer->release(3);
  Recorder sink(*buffer);
  deliver(sink);
  EXPECT_THAT(sink.sequences, ElementsAre());
  append(1);
  deliver(sink);
  EXPECT_THAT(sink.sequences, ElementsAre(4u));
}

TEST_F(DeliveryTest, AMarkIsDurableBeforeItsDeliveryAndGivenToTheNextLife) {
  append(1);
  Recorder first(*buffer);
  first.has_mark = true;
  first.refusals = 1;
  deliver(first);
  EXPECT_EQ(first.resumed, "");
  EXPECT_THAT(first.kept_marks, ElementsAre("begins behind 0", "begins behind 0"));
  Recorder second(*buffer);
  second.has_mark = true;
  deliver(second);
  EXPECT_EQ(second.resumed, "begins behind 1");
}

// Run facts may go ahead; now and then a delivery fails, or its answer is lost, or it is the last thing a process does.
class TwoStreams final : public Sink {
 public:
  explicit TwoStreams(std::uint64_t seed) : random_(seed) {}
  std::string_view name() const override { return "two"; }
  TableSet ahead_tables() const override { return kAllTables & ~set_of(Table::kLogEvents); }
  Delivery deliver(std::span<const SequencedChunk> chunks, bool maybe_delivered, TableSet tables) override {
    const std::lock_guard lock(mutex_);
    const std::uint64_t luck = random_() % 8;
    Delivery delivery;
    if (luck == 0) return delivery;
    for (const SequencedChunk& each : chunks) {
      for (const Table table : {Table::kLogEvents, Table::kJobRuns}) {
        if ((tables & set_of(table)) == 0) continue;
        std::set<Sequence>& has = table == Table::kLogEvents ? lines : facts;
        const bool fresh = has.insert(each.sequence).second;
        const RecordCounts records = each.chunk.records.of(set_of(table));
        (fresh || maybe_delivered ? delivery.outcomes.applied : delivery.outcomes.duplicate) += records;
        // Facts first: where a line is, its facts are.
        if (table == Table::kLogEvents && !facts.contains(each.sequence) && (tables & ahead_tables()) == 0)
          lines_before_facts = true;
      }
      apart = apart || tables != kAllTables;
    }
    if (luck == 1) {
      delivery.unknown = true;
      delivery.outcomes = {};
      return delivery;
    }
    delivery.status = Delivery::Status::kDelivered;
    return delivery;
  }

  std::set<Sequence> lines, facts;
  bool lines_before_facts = false, apart = false;

 private:
  std::mutex mutex_;
  std::mt19937_64 random_;
};

TEST_F(DeliveryTest, FactsGoAheadUnderLoadAndEachRecordHasOneOutcomeOverFailuresAndLives) {
  std::mt19937_64 random(seed());
  SCOPED_TRACE("seed " + std::to_string(seed()));
  TwoStreams sink(seed());
  std::uint64_t appended = 0;
  for (int life = 0; life < by_scale(20, 200); ++life) {
    DeliverySettings settings;
    settings.batch_lines_max = 4;
    DeliveryLoop loop(*buffer, sink, published, clock, settings, [] {});
    std::jthread thread([&](std::stop_token stop) { loop.run(stop, [](bool, const std::string&) {}); });
    for (std::uint64_t chunks = random() % 60; chunks > 0; --chunks) {
      Commit commit;
      commit.chunks.emplace_back();
      commit.chunks.back().lines = 1;
      commit.chunks.back().records[Table::kLogEvents] = 1;
      commit.chunks.back().records[Table::kJobRuns] = 2;
      ASSERT_TRUE(buffer->append(commit));
      ++appended;
      loop.wake();
    }
    // Stopped at once, or when all is there; what is stopped drains for some seconds, or not at all.
    if (random() % 2 == 0) {
      EXPECT_TRUE(wait_until([&] { return loop.delivered() == appended; }));
      EXPECT_TRUE(wait_until([&] { return loop.status().records_pending == 0; }));
    }
    thread.request_stop();
    thread.join();
    EXPECT_EQ(loop.imbalance(), 0u);
  }
  TwoStreams* last = &sink;
  DeliveryLoop loop(*buffer, *last, published, clock, {}, [] {});
  std::jthread thread([&](std::stop_token stop) { loop.run(stop, [](bool, const std::string&) {}); });
  EXPECT_TRUE(wait_until([&] { return loop.delivered() == appended; }));
  thread.request_stop();
  thread.join();
  EXPECT_EQ(sink.lines.size(), appended);
  EXPECT_EQ(sink.facts.size(), appended);
  EXPECT_FALSE(sink.lines_before_facts);
  EXPECT_TRUE(sink.apart);
  EXPECT_EQ(loop.imbalance(), 0u);
  EXPECT_EQ(loop.status().records_pending, 0u);
  EXPECT_EQ(records("applied"), static_cast<double>(3 * appended));
  EXPECT_EQ(records("duplicate"), 0);
}

// As a life leaves it of which the facts ahead were refused at its end, and the answer to all tables behind was lost.
TEST_F(DeliveryTest, WhatWasRefusedAheadIsNotRepeatedBesideADeliveryOfAllTablesWithoutAnswer) {
  Cursor main, ahead;
  TwoStreams sink(1);
  for (Sequence sequence = 1; sequence <= 6; ++sequence) {
    Commit commit;
    commit.chunks.emplace_back();
    commit.chunks.back().lines = 1;
    commit.chunks.back().records[Table::kLogEvents] = 1;
    commit.chunks.back().records[Table::kJobRuns] = 2;
    ASSERT_TRUE(buffer->append(commit));
    sink.lines.insert(sequence);
    sink.facts.insert(sequence);
  }
  main.intent = 6;
  ahead.intent = 3;
  ASSERT_TRUE(buffer->put_cursor("two", main, {}, false));
  ASSERT_TRUE(buffer->put_cursor("two/ahead", ahead, {}, false));
  DeliveryLoop loop(*buffer, sink, published, clock, {}, [] {});
  std::jthread thread([&](std::stop_token stop) { loop.run(stop, [](bool, const std::string&) {}); });
  EXPECT_TRUE(wait_until([&] { return loop.delivered() == 6; }));
  thread.request_stop();
  thread.join();
  EXPECT_EQ(records("applied"), 18);
  EXPECT_EQ(records("duplicate"), 0);
}

// Refuses all tables at once; of what goes ahead each answer is lost, until told to be well.
class RefusesThenLosesAnswers final : public Sink {
 public:
  std::string_view name() const override { return "two"; }
  TableSet ahead_tables() const override { return kAllTables & ~set_of(Table::kLogEvents); }
  Delivery deliver(std::span<const SequencedChunk> chunks, bool maybe_delivered, TableSet tables) override {
    Delivery delivery;
    if (!is_well && tables == kAllTables) {
      ++refused;
      return delivery;
    }
    for (const SequencedChunk& each : chunks) {
      for (const Table table : {Table::kLogEvents, Table::kJobRuns}) {
        if ((tables & set_of(table)) == 0) continue;
        const bool fresh = has[table].insert(each.sequence).second;
        (fresh || maybe_delivered ? delivery.outcomes.applied : delivery.outcomes.duplicate) +=
            each.chunk.records.of(set_of(table));
      }
    }
    if (is_well) {
      delivery.status = Delivery::Status::kDelivered;
    } else {
      delivery.unknown = true;
      delivery.outcomes = {};
      ++lost;
    }
    return delivery;
  }

  std::map<Table, std::set<Sequence>> has;
  std::atomic<int> refused{0}, lost{0};
  std::atomic<bool> is_well{false};
};

TEST_F(DeliveryTest, ARefusedDeliveryOfAllTablesIsForgottenOnceFactsGoAhead) {
  const auto append = [&](int count) {
    for (; count > 0; --count) {
      Commit commit;
      commit.chunks.emplace_back();
      commit.chunks.back().lines = 1;
      commit.chunks.back().records[Table::kLogEvents] = 1;
      commit.chunks.back().records[Table::kJobRuns] = 2;
      ASSERT_TRUE(buffer->append(commit));
    }
  };
  RefusesThenLosesAnswers sink;
  DeliverySettings settings;
  settings.batch_lines_max = 4;
  {
    DeliveryLoop loop(*buffer, sink, published, clock, settings, [] {});
    std::jthread thread([&](std::stop_token stop) { loop.run(stop, [](bool, const std::string&) {}); });
    append(1);
    loop.wake();
    ASSERT_TRUE(wait_until([&] { return sink.refused > 0; }));
    append(20);
    loop.wake();
    ASSERT_TRUE(wait_until([&] { return sink.lost > 0; }));
    thread.request_stop();
    thread.join();
  }
  sink.is_well = true;
  DeliveryLoop loop(*buffer, sink, published, clock, settings, [] {});
  std::jthread thread([&](std::stop_token stop) { loop.run(stop, [](bool, const std::string&) {}); });
  EXPECT_TRUE(wait_until([&] { return loop.delivered() == 21; }));
  thread.request_stop();
  thread.join();
  EXPECT_EQ(records("applied"), 63);
  EXPECT_EQ(records("duplicate"), 0);
  EXPECT_EQ(loop.imbalance(), 0u);
}

TEST_F(DeliveryTest, AStuckLineDoesNotHoldBackTheFactsBehindIt) {
  class StuckLines final : public Sink {
   public:
    std::string_view name() const override { return "stuck"; }
    TableSet ahead_tables() const override { return kAllTables & ~set_of(Table::kLogEvents); }
    Delivery deliver(std::span<const SequencedChunk> chunks, bool, TableSet tables) override {
      Delivery delivery;
      if (tables & set_of(Table::kLogEvents)) {
        delivery.reason = "no room";
        return delivery;
      }
      delivery.status = Delivery::Status::kDelivered;
      for (const SequencedChunk& each : chunks) delivery.outcomes.applied += each.chunk.records.of(tables);
      facts_until = chunks.back().sequence;
      return delivery;
    }
    std::atomic<Sequence> facts_until{0};
  } sink;
  append(20);
  DeliverySettings settings;
  settings.batch_lines_max = 4;
  DeliveryLoop loop(*buffer, sink, published, clock, settings, [] {});
  std::jthread thread([&](std::stop_token stop) { loop.run(stop, [](bool, const std::string&) {}); });
  EXPECT_TRUE(wait_until([&] { return sink.facts_until == 20; }));
  EXPECT_TRUE(wait_until([&] { return loop.status().reason == "no room"; }));
  EXPECT_EQ(loop.delivered(), 0u);
  EXPECT_FALSE(loop.status().up);
  EXPECT_EQ(loop.status().records_pending, 20u);
  EXPECT_EQ(loop.imbalance(), 0u);
}

}  // namespace
}  // namespace runtail::test
