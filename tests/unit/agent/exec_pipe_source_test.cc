// The agent's end alone: what it makes of frames, good and bad, and how much it holds. Stack traces:
// exec_trace_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/no_descriptors.h"
#include "tests/unit/agent/exec_pipe_scene.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using ExecPipeSource = PipeScene;

TEST_F(ExecPipeSource, ABlockSaysWhatThePipelineNeeds) {
  AgentEnd agent(directory.path(), taken);
  const int fd = connect();
  std::string frames = hello() + line(0, "one");
  append_too_long(frames, 4, from_micros(2000), ExecOutput::kStderr, 5'000'000);
  append_alive(frames, 5'000'005, from_micros(3000));
  send(fd, frames);
  ASSERT_TRUE(agent.read());
  const LineBlock& block = agent.last;
  EXPECT_EQ(block.position.file,
            (FileIdentity{"agent/exec/nightly_orders", Bytes16{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}, 0}));
  EXPECT_EQ(block.position.source, "exec");
  EXPECT_EQ(block.position.resume, 5'004'101u);
  EXPECT_EQ(block.position.emitted, 5'004'101u);
  EXPECT_EQ(block.position.first_seen, from_micros(1000));
  EXPECT_EQ(block.covers, (ByteRange{0, 5'004'101}));
  EXPECT_EQ(block.default_job_id, "nightly/orders");
  EXPECT_EQ(block.default_job_rank, 3);
  EXPECT_EQ(block.wrapper_job, "nightly/orders");
  EXPECT_EQ(block.wrapper_run.bytes[0], 9);
  ASSERT_THAT(block.lines, SizeIs(2));
  EXPECT_EQ(block.lines[0].length, 4u);
  EXPECT_EQ(block.lines[0].envelope_time, from_micros(2000));
  EXPECT_TRUE(block.lines[1].too_long);
  EXPECT_EQ(block.lines[1].length, 5'000'001u);
  ASSERT_THAT(block.notes, SizeIs(1));
  EXPECT_EQ(block.notes[0].at, from_micros(3000));
  EXPECT_EQ(block.notes[0].started_at, from_micros(1000));
  close(fd);
}

TEST_F(ExecPipeSource, OnlyWhatIsCommittedIsAcknowledged) {
  AgentEnd agent(directory.path(), taken);
  const int fd = connect();
  send(fd, hello() + line(0, "one"));
  ASSERT_TRUE(agent.read());
  EXPECT_THAT(answers(fd), ElementsAre("resume 0"));
  agent.commit();
  EXPECT_THAT(answers(fd), ElementsAre("ack 4"));
  close(fd);
}

TEST_F(ExecPipeSource, AKnownPipeGoesOnAndWhatIsKnownIsSkipped) {
  Position known;
  known.file = {"agent/exec/nightly_orders", {}, 0};
  known.file.file_key.fill(7);
  known.emitted = known.resume = 8;
  taken.positions = {known};
  AgentEnd agent(directory.path(), taken);
  const int fd = connect();
  send(fd, hello() + line(0, "one") + line(4, "two") + line(8, "three"));
  ASSERT_TRUE(agent.read());
  agent.commit();
  EXPECT_THAT(answers(fd), ElementsAre("resume 8", "ack 14"));
  EXPECT_THAT(taken.lines, ElementsAre("three"));
  EXPECT_EQ(agent.last.covers, (ByteRange{8, 14}));
  close(fd);
}

TEST_F(ExecPipeSource, ABufferThatForgotCoversOnlyWhatCame) {
  AgentEnd agent(directory.path(), taken);
  const int fd = connect();
  send(fd, hello() + line(100, "late"));
  ASSERT_TRUE(agent.read());
  EXPECT_EQ(agent.last.covers, (ByteRange{100, 105}));
  close(fd);
}

TEST_F(ExecPipeSource, ASecondConnectionOfOneHolderReplacesTheFirst) {
  AgentEnd agent(directory.path(), taken);
  const int first = connect();
  send(first, hello() + line(0, "one"));
  ASSERT_TRUE(agent.read());
  const int second = connect();
  send(second, hello() + line(0, "one") + line(4, "two"));
  ASSERT_TRUE(agent.read());
  agent.commit();
  EXPECT_THAT(taken.lines, ElementsAre("one", "two"));
  EXPECT_THAT(answers(second), ElementsAre("resume 0", "ack 8"));
  close(first);
  close(second);
}

TEST_F(ExecPipeSource, WhatAHolderSentBeforeItLeftIsTaken) {
  AgentEnd agent(directory.path(), taken);
  const int fd = connect();
  send(fd, hello() + line(0, "one"));
  close(fd);
  ASSERT_TRUE(agent.read());
  agent.commit();
  EXPECT_THAT(taken.lines, ElementsAre("one"));
  EXPECT_FALSE(agent.read());
}

TEST_F(ExecPipeSource, TwoWorkersAreTwoPipes) {
  AgentEnd agent(directory.path(), taken);
  const int first = connect(), second = connect();
  send(first, hello("a", 1) + line(0, "from a"));
  send(second, hello("b", 2) + line(0, "from b"));
  ASSERT_TRUE(wait_until([&] {
    if (agent.read()) agent.commit();
    return taken.lines.size() == 2;
  }));
  EXPECT_THAT(agent.covered, ElementsAre(ByteRange{0, 7}, ByteRange{0, 7}));
  close(first);
  close(second);
}

TEST_F(ExecPipeSource, AConnectionThatBreaksTheProtocolIsClosedAndOthersGoOn) {
  AgentEnd agent(directory.path(), taken);
  std::string wrong_version = hello();
  ++wrong_version[5];
  std::string huge(5, '\0');
  huge[3] = 0x7F;
  for (const std::string& bad : {line(0, "no hello"), wrong_version, huge, std::string("GET / HTTP/1.1\r\n\r\n")}) {
    const int fd = connect();
    send(fd, bad);
    EXPECT_FALSE(agent.read());
    EXPECT_THAT(answers(fd), ElementsAre("closed"));
    close(fd);
  }
  const int torn = connect();
  send(torn, hello("torn", 1) + line(0, "one") + line(2, "overlaps"));
  ASSERT_TRUE(agent.read());
  agent.commit();
  const int good = connect();
  send(good, hello("good", 2) + line(0, "two"));
  ASSERT_TRUE(agent.read());
  agent.commit();
  EXPECT_THAT(taken.lines, ElementsAre("one", "two"));
  EXPECT_THAT(answers(torn), ElementsAre("resume 0"));
  EXPECT_THAT(answers(torn), ElementsAre("closed"));
  close(torn);
  close(good);
}

TEST_F(ExecPipeSource, WhatNobodyTakesIsLeftWithTheHolder) {
  AgentEnd agent(directory.path(), taken);
  const int fd = connect();
  send(fd, hello());
  std::uint64_t sent = 0, offset = 0;
  const std::string bytes(60'000, 'x');
  std::string pending;
  // The agent's end receives and never reads on: as when its buffer is full.
  for (int quiet = 0; quiet < 3;) {
    std::vector<pollfd> fds;
    agent.source.fill(fds);
    poll(fds.data(), fds.size(), 0);
    agent.source.on_ready(fds);
    if (pending.empty()) {
      pending = line(offset, bytes);
      offset += bytes.size() + 1;
    }
    const ssize_t put = ::send(fd, pending.data(), pending.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    quiet = put > 0 ? 0 : quiet + 1;
    if (put <= 0) continue;
    pending.erase(0, static_cast<std::size_t>(put));
    sent += static_cast<std::uint64_t>(put);
    ASSERT_LT(sent, 8u << 20);
  }
  EXPECT_GT(sent, 1u << 20);
  close(fd);
}

TEST_F(ExecPipeSource, WithoutADescriptorToSpareItSaysSoAndTriesAgainAtTheNextScan) {
  AgentEnd agent(directory.path(), taken);
  const int fd = connect();
  send(fd, hello() + line(0, "one"));
  const auto fds = [&] {
    std::vector<pollfd> all;
    agent.source.fill(all);
    return all;
  };
  {
    const NoDescriptors none;
    EXPECT_FALSE(agent.read());
    EXPECT_THAT(fds(), testing::IsEmpty()) << "the connection that waits would wake the loop for ever";
    agent.source.scan(agent.now);
    EXPECT_FALSE(agent.read());
    EXPECT_THAT(agent.source.status().faults, ElementsAre(testing::HasSubstr("Too many open files")));
  }
  EXPECT_FALSE(agent.read()) << "not before it looks again";
  agent.source.scan(agent.now);
  EXPECT_TRUE(agent.read());
  EXPECT_THAT(agent.source.status().faults, testing::IsEmpty());
  close(fd);
}

// A second of the intake, as often as given.
void pass(AgentEnd& agent, int seconds) {
  for (int i = 0; i < seconds; ++i) {
    agent.now += std::chrono::seconds(1);
    agent.source.scan(agent.now);
    if (agent.read()) agent.commit();
  }
}

TEST_F(ExecPipeSource, AHolderThatLeavesWithoutTheWorkersEndIsToldGoneOnce) {
  AgentEnd agent(directory.path(), taken);
  const int fd = connect();
  send(fd, hello() + line(0, "one"));
  pass(agent, 12);
  EXPECT_THAT(taken.notes, testing::IsEmpty()) << "it is there";
  close(fd);
  const TimePoint left = agent.now;
  pass(agent, 9);
  EXPECT_THAT(taken.notes, testing::IsEmpty()) << "it may come back";
  pass(agent, 5);
  ASSERT_THAT(taken.notes, SizeIs(1));
  const WorkerNote& note = taken.notes[0];
  EXPECT_EQ(note.kind, WorkerNote::Kind::kGone);
  EXPECT_EQ(note.started_at, from_micros(1000));
  EXPECT_EQ(note.gone.reason, EndReason::kLost);
  ASSERT_TRUE(note.gone.at);
  EXPECT_LE(*note.gone.at - left, std::chrono::seconds(2));
  EXPECT_EQ(agent.last.default_job_id, "nightly/orders");
  EXPECT_EQ(agent.last.default_job_rank, 3);
  EXPECT_EQ(agent.last.wrapper_run.bytes[0], 9);
  EXPECT_EQ(agent.last.wrapper_pipe->stream, "agent/exec/nightly_orders");
  EXPECT_NE(agent.last.position.file, *agent.last.wrapper_pipe) << "the pipe's own bytes are the holder's to give";
  agent.now += std::chrono::hours(2);
  pass(agent, 12);
  EXPECT_THAT(taken.notes, SizeIs(1));
}

TEST_F(ExecPipeSource, AHolderThatComesBackInTimeIsNotGoneAndOneThatComesLaterGoesOn) {
  AgentEnd agent(directory.path(), taken);
  int fd = connect();
  send(fd, hello() + line(0, "one"));
  pass(agent, 1);
  close(fd);
  pass(agent, 9);
  fd = connect();
  send(fd, hello());
  pass(agent, 12);
  EXPECT_THAT(taken.notes, testing::IsEmpty());
  close(fd);
  pass(agent, 12);
  ASSERT_THAT(taken.notes, SizeIs(1));
  fd = connect();
  std::string end = hello() + line(4, "two");
  append_exit(end, 8, agent.now, {});
  send(fd, end);
  pass(agent, 1);
  EXPECT_THAT(taken.lines, ElementsAre("one", "two"));
  EXPECT_TRUE(taken.ended());
  close(fd);
  pass(agent, 12);
  EXPECT_THAT(taken.notes, SizeIs(2)) << "its worker's end was told";
}

TEST_F(ExecPipeSource, OfManyHoldersWhoeverMayBeWaitingToBeLetInIsNotGone) {
  AgentEnd agent(directory.path(), taken);
  const int fd = connect();
  send(fd, hello());
  pass(agent, 1);
  close(fd);
  std::vector<int> others;
  for (std::size_t i = 0; i < PipeSource::kConnectionsMax; ++i) others.push_back(connect());
  pass(agent, 12);
  EXPECT_THAT(taken.notes, testing::IsEmpty());
  for (const int other : others) close(other);
  pass(agent, 12);
  EXPECT_THAT(taken.notes, SizeIs(1));
}

TEST_F(ExecPipeSource, AnAgentThatTakesOverWaitsForTheHoldersOfOpenWorkersAlone) {
  for (const char* job : {"open", "ended"}) {
    Position known;
    known.file = {std::string("agent/exec/") + job, {}, 0};
    known.file.file_key.fill(job[0] == 'o' ? 1 : 2);
    known.emitted = known.resume = 8;
    taken.positions.push_back(known);
  }
  MetricTable metrics{10};
  const auto make = [&] {
    auto source =
        std::make_unique<PipeSource>(directory.path(), "agent", taken.positions, metrics, 1000, DeliveryProgress{},
                                     [](const FileIdentity& pipe) { return pipe.stream == "agent/exec/open"; });
    EXPECT_TRUE(source->start());
    return source;
  };
  auto source = make();
  TimePoint now = from_micros(1'772'000'000'000'000);
  std::vector<LineBlock> told;
  const auto pass_20 = [&] {
    for (int i = 0; i < 20; ++i) {
      now += std::chrono::seconds(1);
      source->scan(now);
      while (auto block = source->read(now)) told.push_back(*block);
    }
  };
  pass_20();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].wrapper_pipe->stream, "agent/exec/open");
  EXPECT_EQ(told[0].default_job_id, "open");
  EXPECT_EQ(told[0].default_job_rank, 4);
  EXPECT_EQ(told[0].notes.at(0).gone.at, std::nullopt) << "nobody saw it go";
  EXPECT_TRUE(told[0].wrapper_run.is_nil());
  // What is durable of the notes is no pipe, and goes on where it was.
  taken.positions.push_back(told[0].position);
  source.reset();
  source = make();
  pass_20();
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[1].covers.from, told[0].covers.to);
  EXPECT_EQ(told[1].position.file, told[0].position.file);
}

TEST_F(ExecPipeSource, TheSocketIsForItsUserAloneAndAStaleOneIsReplaced) {
  { AgentEnd agent(directory.path(), taken); }
  EXPECT_FALSE(std::filesystem::exists(exec_socket_path(directory.path())));
  std::filesystem::create_directory(directory / "x");
  const int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = *exec_socket_address(exec_socket_path(directory.path()));
  ASSERT_EQ(bind(stale, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  close(stale);
  AgentEnd agent(directory.path(), taken);
  struct stat status {};
  ASSERT_EQ(stat(exec_socket_path(directory.path()).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(ExecPipeSource, APathTheSystemDoesNotAllowIsAnErrorWithARemedy) {
  MetricTable metrics{10};
  PipeSource source(directory.path() / std::string(200, 'd'), "agent", {}, metrics);
  const auto listening = source.start();
  ASSERT_FALSE(listening);
  EXPECT_EQ(listening.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(listening.error().message, testing::HasSubstr("buffer.directory"));
}

}  // namespace
}  // namespace runtail::test
