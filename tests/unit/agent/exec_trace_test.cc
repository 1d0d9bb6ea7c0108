// Stack traces that come through a wrapper: one unit each, whoever of the agents was killed in the middle of one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "parsers/framing.h"
#include "tests/support/scale.h"
#include "tests/unit/agent/exec_pipe_scene.h"

namespace runtail::test {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const std::string kBegin = "Traceback (most recent call last):", kFrame = "  File \"/app/load.py\", line 12",
                  kError = "ValueError: no rows";
const std::string kTrace = kBegin + '\n' + kFrame + '\n' + kError;

// A worker's output as its holder sends it: frames, and where each lies.
class WorkerOutput {
 public:
  void line(const std::string& bytes, ExecOutput output = ExecOutput::kStderr) {
    append_line(open(), end_, from_micros(2000 + static_cast<std::int64_t>(end_)), output, bytes);
    end_ += bytes.size() + 1;
  }
  void alive() {
    note([&](std::string& out) { append_alive(out, end_, from_micros(3000)); });
  }
  void lost(std::uint64_t bytes) {
    note([&](std::string& out) { append_lost(out, end_, bytes); });
  }
  void exit() {
    note([&](std::string& out) { append_exit(out, end_, from_micros(4000), {}); });
  }

  std::uint64_t end() const { return end_; }
  std::size_t frames() const { return frames_.size(); }
  // Of the first `count` frames those that end behind `from`, as on a connection that resumes there.
  std::string bytes(std::uint64_t from, std::size_t count = SIZE_MAX) const {
    std::string out;
    for (std::size_t i = 0; i < std::min(count, frames_.size()); ++i) {
      const std::uint64_t end = i + 1 < starts_.size() ? starts_[i + 1] : end_;
      if (end > from) out += frames_[i];
    }
    return out;
  }
  std::string frame(std::size_t at) const { return frames_[at]; }

 private:
  std::string& open() {
    starts_.push_back(end_);
    return frames_.emplace_back();
  }
  template <typename Append>
  void note(const Append& append) {
    append(open());
    end_ += kExecNoteSpan;
  }

  std::vector<std::string> frames_;
  std::vector<std::uint64_t> starts_;
  std::uint64_t end_ = 0;
};

class ExecTrace : public PipeScene {
 protected:
  // An agent that begins with what is durable, and a connection of the holder.
  void begin() {
    if (fd >= 0) close(fd);
    agent.reset();
    agent = std::make_unique<AgentEnd>(directory.path(), taken);
    connect_again();
  }
  void connect_again() {
    fd = connect();
    send(fd, hello());
    agent->read();
    const std::vector<std::string> first = answers(fd);
    ASSERT_FALSE(first.empty());
    ASSERT_TRUE(first[0].starts_with("resume ")) << first[0];
    resume = std::stoull(first[0].substr(7));
    send(fd, worker.bytes(resume));
  }
  // What the worker wrote by now.
  void take() {
    if (agent->read()) agent->commit();
  }
  void send_last() { send(fd, worker.frame(worker.frames() - 1)); }
  std::uint64_t acknowledged() {
    for (const std::string& answer : answers(fd)) acked = std::stoull(answer.substr(4));
    return acked;
  }
  ~ExecTrace() override {
    if (fd >= 0) close(fd);
  }

  WorkerOutput worker;
  std::unique_ptr<AgentEnd> agent;
  int fd = -1;
  std::uint64_t resume = 0, acked = 0;
};

TEST_F(ExecTrace, IsOneUnitWithOffsetAndTimeOfItsFirstLine) {
  for (const std::string& line : {std::string("before"), kBegin, kFrame, kError, std::string("after")}) {
    worker.line(line);
  }
  begin();
  take();
  EXPECT_THAT(taken.lines, ElementsAre("before", kTrace, "after"));
  EXPECT_THAT(taken.offsets, ElementsAre(0, 7, 7 + kTrace.size() + 1));
  EXPECT_EQ(agent->last.lines[1].own_bytes, kTrace.size() + 1);
  EXPECT_EQ(agent->last.lines[1].lines, 3u);
  EXPECT_EQ(agent->last.lines[1].envelope_time, from_micros(2007));
  EXPECT_EQ(acknowledged(), worker.end());
}

TEST_F(ExecTrace, EachOutputHasItsOwn) {
  worker.line(kBegin);
  worker.line("panic: x", ExecOutput::kStdout);
  worker.line(kFrame);
  worker.line("goroutine 1 [running]:", ExecOutput::kStdout);
  worker.line(kError);
  worker.line("out", ExecOutput::kStdout);
  worker.exit();
  begin();
  take();
  EXPECT_THAT(taken.lines, ElementsAre("panic: x\ngoroutine 1 [running]:", "out", kTrace));
  EXPECT_THAT(taken.outputs, ElementsAre(Output::kStdout, Output::kStdout, Output::kStderr));
  // For --stdout=redacted, which is told how much of the worker's output each line stands for.
  EXPECT_EQ(agent->last.lines[2].own_bytes, kTrace.size() + 1);
}

TEST_F(ExecTrace, StaysWithItsHolderWhileItIsOpen) {
  worker.line("before");
  worker.line(kBegin);
  worker.line("out", ExecOutput::kStdout);
  begin();
  take();
  EXPECT_THAT(taken.lines, ElementsAre("before", "out"));
  EXPECT_EQ(acknowledged(), 7u);
  worker.line(kFrame);
  send_last();
  take();
  EXPECT_EQ(acknowledged(), 7u);
  begin();  // the agent was killed
  EXPECT_EQ(resume, 7u);
  take();
  worker.line(kError);
  send_last();
  worker.line("after");
  send_last();
  take();
  EXPECT_THAT(taken.lines, ElementsAre("before", "out", kTrace, "after"));
  EXPECT_EQ(acknowledged(), worker.end());
}

TEST_F(ExecTrace, IsWholeAfterASecond) {
  worker.line(kBegin);
  worker.line(kFrame);
  begin();
  take();
  EXPECT_EQ(agent->source.due(), agent->now + milliseconds(1000));
  agent->now += milliseconds(999);
  take();
  EXPECT_THAT(taken.lines, IsEmpty());
  agent->now += milliseconds(1);
  take();
  EXPECT_THAT(taken.lines, ElementsAre(kBegin + '\n' + kFrame));
  EXPECT_EQ(acknowledged(), worker.end());
  EXPECT_FALSE(agent->source.due());
  worker.line(kError);  // begins a trace of its own
  send_last();
  worker.exit();
  send_last();
  take();
  EXPECT_THAT(taken.lines, ElementsAre(kBegin + '\n' + kFrame, kError));
}

TEST_F(ExecTrace, IsWholeWhenItsWorkerEnds) {
  worker.line(kBegin);
  worker.line("out", ExecOutput::kStdout);
  worker.line(kFrame);
  worker.exit();
  begin();
  take();
  EXPECT_THAT(taken.lines, ElementsAre("out", kBegin + '\n' + kFrame));
  ASSERT_THAT(taken.notes, SizeIs(1));
  EXPECT_EQ(acknowledged(), worker.end());
}

TEST_F(ExecTrace, IsWholeWhenItsHolderIsGone) {
  worker.line(kBegin);
  begin();
  close(std::exchange(fd, -1));
  take();
  EXPECT_FALSE(agent->source.has_ended());
  agent->now += milliseconds(1000);
  take();
  EXPECT_THAT(taken.lines, ElementsAre(kBegin));
  agent->read();
  EXPECT_TRUE(agent->source.has_ended());
}

TEST_F(ExecTrace, GoesOnOverANewConnection) {
  worker.line(kBegin);
  begin();
  take();
  close(fd);
  take();
  worker.line(kFrame);
  connect_again();
  EXPECT_EQ(resume, 0u);
  worker.line(kError);
  send_last();
  worker.exit();
  send_last();
  take();
  EXPECT_THAT(taken.lines, ElementsAre(kTrace));
}

TEST_F(ExecTrace, ANoteInItIsTakenOnceAndEndsNoWait) {
  worker.line(kBegin);
  worker.alive();
  begin();
  take();
  EXPECT_THAT(taken.notes, SizeIs(1));
  EXPECT_EQ(acknowledged(), 0u);
  begin();
  take();
  agent->now += milliseconds(1000);
  take();
  EXPECT_THAT(taken.notes, SizeIs(1));
  EXPECT_THAT(taken.lines, ElementsAre(kBegin));
  EXPECT_EQ(acknowledged(), worker.end());
}

TEST_F(ExecTrace, AnEmptyLineBesideItIsCountedOnceAndTakesNothingOfIt) {
  worker.line(kBegin);
  worker.line("", ExecOutput::kStdout);
  begin();
  take();
  EXPECT_THAT(taken.lines, ElementsAre(""));
  begin();
  take();
  agent->now += milliseconds(1000);
  take();
  EXPECT_THAT(taken.lines, ElementsAre("", kBegin));
  EXPECT_EQ(acknowledged(), worker.end());
}

TEST_F(ExecTrace, LinesThatWereDroppedEndIt) {
  worker.line(kBegin);
  worker.lost(100);
  worker.line(kFrame);
  worker.exit();
  begin();
  take();
  EXPECT_THAT(taken.lines, ElementsAre(kBegin, kFrame));
  EXPECT_EQ(agent->metrics.value(Metric::kLostBytesTotal, {"exec", "queue_full"}), 100);
}

TEST_F(ExecTrace, IsCutBeforeTheOtherOutputFillsItsHolder) {
  worker.line(kBegin);
  begin();
  take();
  const std::string out(60'000, 'x');
  for (std::size_t sent = 0; sent <= PipeSource::kOpenBytesMax; sent += out.size()) {
    EXPECT_EQ(acknowledged(), 0u);
    worker.line(out, ExecOutput::kStdout);
    send_last();
    take();
  }
  EXPECT_EQ(acknowledged(), worker.end());
  EXPECT_EQ(taken.lines.back(), kBegin);
  // The count begins anew.
  worker.line(kBegin);
  send_last();
  worker.line(kFrame);
  send_last();
  worker.exit();
  send_last();
  take();
  EXPECT_EQ(taken.lines.back(), kBegin + '\n' + kFrame);
}

// Lines of both outputs, notes, agents killed with and without a commit, connections that break: what is stored is what
// one reader would have made of it.
TEST_F(ExecTrace, UnitsAreTheSameWhereverAgentsStopAndStart) {
  const std::string kinds[] = {kBegin, kFrame, kFrame, kError, "", "plain", "panic: x", "goroutine 1 [running]:"};
  for (int round = 0; round < by_scale(50, 1000); ++round) {
    SCOPED_TRACE(round);
    std::mt19937_64 random(seed() + static_cast<std::uint64_t>(round));
    worker = {};
    taken = {};
    agent.reset();
    Framing reference({.envelope = FramingSettings::Envelope::kNone});
    std::vector<std::string> want;
    std::vector<Unit> units;
    const auto keep = [&] {
      for (const Unit& unit : units) want.push_back(std::to_string(unit.offset) + ' ' + std::string(unit.bytes));
      units.clear();
    };
    for (int i = 0; i < 60; ++i) {
      const auto at = worker.end();
      if (i == 20) {
        worker.alive();
      } else if (i == 40) {
        worker.lost(7);
        reference.finish(units);
      } else {
        const bool is_error = random() % 3 != 0;
        const std::string& text = kinds[random() % std::size(kinds)];
        worker.line(text, is_error ? ExecOutput::kStderr : ExecOutput::kStdout);
        reference.begin_block();
        reference.add(at, text.size() + 1, text, from_micros(1), units, is_error ? Output::kStderr : Output::kStdout);
      }
      keep();
    }
    worker.exit();
    reference.finish(units);
    keep();

    std::uint64_t covered = 0;
    for (std::size_t sent = 0; !taken.ended();) {
      if (random() % 4 == 0) agent.reset();
      if (!agent) agent = std::make_unique<AgentEnd>(directory.path(), taken);
      if (fd >= 0) close(fd);
      fd = connect();
      send(fd, hello());
      agent->read();
      const std::vector<std::string> first = answers(fd);
      ASSERT_FALSE(first.empty());
      ASSERT_TRUE(first[0].starts_with("resume "));
      sent = std::min<std::size_t>(sent + random() % 12, worker.frames());
      send(fd, worker.bytes(std::stoull(first[0].substr(7)), sent));
      agent->read();
      if (random() % 3 == 0) {
        agent.reset();  // before the commit
        continue;
      }
      agent->commit();
      for (const ByteRange& range : agent->covered) {
        EXPECT_EQ(range.from, covered);
        covered = range.to;
      }
      agent->covered.clear();
    }
    std::vector<std::string> have;
    for (std::size_t i = 0; i < taken.lines.size(); ++i) {
      have.push_back(std::to_string(taken.offsets[i]) + ' ' + taken.lines[i]);
    }
    ASSERT_EQ(have, want);
    ASSERT_THAT(taken.notes, SizeIs(2));
  }
}

}  // namespace
}  // namespace runtail::test
