// The agent's end alone: what it makes of frames, good and bad, and how much it holds. Stack traces:
// exec_trace_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

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
