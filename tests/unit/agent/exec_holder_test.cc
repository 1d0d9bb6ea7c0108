// The holder against an agent's end in the test. Workers are shell scripts.
#include "agent/exec/holder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>

#include "core/exit_code.h"
#include "tests/support/child_process.h"
#include "tests/unit/agent/exec_scene.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// A sanitizer keeps freed memory for a while.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

class ExecHolder : public testing::Test {
 protected:
  HolderSettings shell(const std::string& script) const {
    HolderSettings settings = shell_under(directory.path(), script);
    settings.ack_wait = settings.hopeless_wait = settings.unanswered_after = std::chrono::seconds(60);
    return settings;
  }
  void hold(const HolderSettings& settings) { worker.emplace(settings, directory / "out", directory / "err"); }
  std::string output() const { return read_file(directory / "out"); }
  std::string errors() const { return read_file(directory / "err"); }
  void touch(const std::string& name) const { std::ofstream(directory / name) << "go\n"; }
  // For a script: waits until the test touches the file.
  std::string until(const std::string& name) const {
    // Ends with the test, too: the directory is gone then.
    return "while [ -d " + directory.path().string() + " ] && [ ! -e " + (directory / name).string() +
           " ]; do sleep 0.01; done; ";
  }

  TempDir directory;
  Taken taken;
  std::optional<HeldWorker> worker;
};

TEST_F(ExecHolder, EveryLineArrivesWithItsOffsetAndPassesThroughUnchanged) {
  AgentEnd agent(directory.path(), taken);
  hold(shell("printf 'one\\n\\nthree'"));
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 0);
  EXPECT_EQ(output(), "one\n\nthree");
  EXPECT_EQ(errors(), "");
  EXPECT_THAT(taken.lines, ElementsAre("one", "", "three"));  // the last one without a newline
  EXPECT_THAT(taken.offsets, ElementsAre(0, 4, 5));
  ASSERT_THAT(taken.notes, SizeIs(1));
  EXPECT_EQ(taken.notes[0].offset, 11u);
  EXPECT_EQ(taken.positions[0].emitted, 11u + 4096u);
}

TEST_F(ExecHolder, TheExitCodeIsReportedAndReturned) {
  AgentEnd agent(directory.path(), taken);
  hold(shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 7"));
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 7);
  EXPECT_EQ(taken.notes[0].exit.exit_code, 7);
  EXPECT_EQ(taken.notes[0].exit.exit_signal, 0);
  EXPECT_GT(taken.notes[0].exit.cpu_us, 1'000) << "of the loop";
  EXPECT_GT(taken.notes[0].exit.max_rss_bytes, 100'000);
}

TEST_F(ExecHolder, ASignalIsReportedAndReturnedAs128AndItsNumber) {
  AgentEnd agent(directory.path(), taken);
  hold(shell("kill -9 $$"));
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 137);
  EXPECT_EQ(taken.notes[0].exit.exit_code, 0);
  EXPECT_EQ(taken.notes[0].exit.exit_signal, 9);
}

TEST_F(ExecHolder, ACommandThatIsNotThereGives127AndNamesIt) {
  AgentEnd agent(directory.path(), taken);
  HolderSettings settings = shell("");
  settings.command = {"/no/such/worker"};
  hold(settings);
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), kExitNotFound);
  EXPECT_THAT(errors(), HasSubstr("/no/such/worker: No such file or directory"));
  EXPECT_EQ(taken.notes[0].exit.exit_code, kExitNotFound);
}

TEST_F(ExecHolder, AFileThatIsNoProgramGives126) {
  AgentEnd agent(directory.path(), taken);
  touch("text");
  HolderSettings settings = shell("");
  settings.command = {directory / "text"};
  hold(settings);
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), kExitNotExecutable);
}

TEST_F(ExecHolder, SignalsReachTheWorker) {
  AgentEnd agent(directory.path(), taken);
  hold(shell("trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.01; done"));
  ASSERT_TRUE(wait_until([&] { return output() == "ready\n"; }));
  kill(worker->pid(), SIGTERM);
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 3);
  EXPECT_THAT(taken.lines, ElementsAre("ready", "asked"));
}

TEST_F(ExecHolder, TheWorkerFindsRunAndJobInItsEnvironmentAndItsSignalsAsUsual) {
  AgentEnd agent(directory.path(), taken);
  HolderSettings settings = shell(
      "echo $RUNTAIL_RUN_ID $RUNTAIL_JOB_ID; grep -E 'SigBlk|SigIgn' /proc/self/status | grep -c 0000000000000000");
  settings.hello.job = "nightly";
  hold(settings);
  ASSERT_TRUE(agent.take_all());
  EXPECT_THAT(taken.lines, ElementsAre(to_string(settings.hello.run) + " nightly", "2"));
}

TEST_F(ExecHolder, BothStreamsArriveWithoutTornLines) {
  AgentEnd agent(directory.path(), taken);
  HolderSettings settings = shell(
      "seq 1 20000 | sed -u 's/.*/out-&-abcdefghijklmnopqrstuvwxyz/' & "
      "seq 1 20000 | sed -u 's/.*/err-&-abcdefghijklmnopqrstuvwxyz/' >&2; wait");
  worker.emplace(settings, directory / "both", directory / "both");  // as with 2>&1
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 0);
  std::map<std::string, int> next;
  for (const std::string& line : taken.lines) {
    const std::string stream = line.substr(0, 3);
    ASSERT_EQ(line, stream + "-" + std::to_string(++next[stream]) + "-abcdefghijklmnopqrstuvwxyz");
  }
  EXPECT_EQ(next["out"], 20000);
  EXPECT_EQ(next["err"], 20000);
  std::ifstream both(directory / "both");
  std::map<std::string, int> passed;
  for (std::string line; std::getline(both, line);) {
    const std::string stream = line.substr(0, 3);
    ASSERT_EQ(line, stream + "-" + std::to_string(++passed[stream]) + "-abcdefghijklmnopqrstuvwxyz");
  }
  EXPECT_EQ(passed["out"] + passed["err"], 40000);
}

TEST_F(ExecHolder, ALineOverTheLimitIsReportedByItsLengthAndStillPassesThrough) {
  AgentEnd agent(directory.path(), taken);
  hold(shell(
      "echo before; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after; head -c 2000000 /dev/zero | tr '\\0' y"));
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 0);
  EXPECT_THAT(taken.lines, ElementsAre("before", "after"));
  EXPECT_THAT(taken.too_long, ElementsAre(3'000'001, 2'000'001));
  EXPECT_THAT(taken.offsets, ElementsAre(0, 7, 3'000'008, 3'000'014));
  EXPECT_THAT(output(), SizeIs(7 + 3'000'001 + 6 + 2'000'000));
}

TEST_F(ExecHolder, ALongRunningWorkerIsReportedAliveOnce) {
  AgentEnd agent(directory.path(), taken);
  HolderSettings settings = shell(until("go") + "echo done");
  settings.alive_after = std::chrono::milliseconds(1);
  hold(settings);
  ASSERT_TRUE(wait_until([&] {
    if (agent.read()) agent.commit();
    return !taken.notes.empty();
  }));
  EXPECT_EQ(taken.notes[0].kind, WorkerNote::Kind::kAlive);
  touch("go");
  ASSERT_TRUE(agent.take_all());
  EXPECT_THAT(taken.notes, SizeIs(2));
  EXPECT_THAT(taken.offsets, ElementsAre(4096));
}

TEST_F(ExecHolder, WhatAnAgentDidNotMakeDurableIsSentToTheNextAndNothingTwice) {
  auto agent = std::make_unique<AgentEnd>(directory.path(), taken);
  hold(shell("seq 1 30000; " + until("second") + "seq 30001 60000; " + until("third") + "seq 60001 90000"));
  const auto read_lines = [&](std::size_t count) {
    return wait_until([&] {
      if (agent->read()) agent->commit();
      return taken.lines.size() >= count;
    });
  };
  ASSERT_TRUE(read_lines(30000));
  touch("second");
  ASSERT_TRUE(wait_until([&] { return agent->read(); }));  // read and never committed
  agent.reset();
  agent = std::make_unique<AgentEnd>(directory.path(), taken);
  ASSERT_TRUE(read_lines(60000));
  agent.reset();
  touch("third");
  agent = std::make_unique<AgentEnd>(directory.path(), taken);
  ASSERT_TRUE(agent->take_all());
  EXPECT_EQ(worker->wait(), 0);
  std::vector<std::string> want(90000);
  for (std::size_t i = 0; i < want.size(); ++i) want[i] = std::to_string(i + 1);
  EXPECT_TRUE(taken.lines == want) << taken.lines.size();
  EXPECT_TRUE(std::is_sorted(taken.offsets.begin(), taken.offsets.end()));
}

TEST_F(ExecHolder, AnAgentThatComesLateGetsEverything) {
  hold(shell("echo early; exit 2"));
  ASSERT_TRUE(wait_until([&] { return output() == "early\n"; }));
  AgentEnd agent(directory.path(), taken);
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 2);
  EXPECT_THAT(taken.lines, ElementsAre("early"));
}

// 64 MB and nobody to take them: the worker ends, memory stays, and the agent that comes later is told what is missing.
TEST_F(ExecHolder, AFullQueueDropsAndCountsAndNeverHoldsTheWorkerUp) {
  HolderSettings settings =
      shell("seq 1 8000000; echo done > " + (directory / "done").string() + "; " + until("go") + "echo last");
  settings.pass_output = PassOutput::kNone;
  hold(settings);
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(directory / "done"); }));
  AgentEnd agent(directory.path(), taken);
  ASSERT_TRUE(wait_until([&] {
    if (agent.read()) agent.commit();
    return taken.lines.size() > 100'000;
  }));
  touch("go");
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 0);
  std::uint64_t kept = 0, whole = std::string("last\n").size();
  for (const std::string& line : taken.lines) kept += line.size() + 1;
  for (int i = 1; i <= 8'000'000; ++i) whole += static_cast<std::uint64_t>(std::snprintf(nullptr, 0, "%d", i)) + 1;
  EXPECT_EQ(kept + static_cast<std::uint64_t>(agent.metrics.value(Metric::kLostBytesTotal, {"exec", "queue_full"})),
            whole);
  EXPECT_LT(kept, 8u << 20);
  EXPECT_EQ(taken.lines[0], "1");
  EXPECT_THAT(errors(), HasSubstr("did not get " + std::to_string(whole - kept) + " bytes"));
  if (!kIsSanitized) {
    EXPECT_LT(worker->peak_kib(), 64 << 10);
  }
}

TEST_F(ExecHolder, LinesSayWhichStreamTheyCameBy) {
  AgentEnd agent(directory.path(), taken);
  hold(shell("echo out; " + until("go") + "echo err >&2"));
  ASSERT_TRUE(wait_until([&] {
    if (agent.read()) agent.commit();
    return taken.lines.size() == 1;
  }));
  touch("go");
  ASSERT_TRUE(agent.take_all());
  EXPECT_THAT(taken.outputs, ElementsAre(Output::kStdout, Output::kStderr));
}

TEST_F(ExecHolder, RedactedLinesGoToTheStreamTheyCameByAndNothingElseDoes) {
  AgentEnd agent(directory.path(), taken);
  HolderSettings settings = shell("echo out; echo err >&2; echo more");
  settings.pass_output = PassOutput::kRedacted;
  hold(settings);
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 0);
  EXPECT_EQ(output(), "<out>\n<more>\n");
  EXPECT_EQ(errors(), "<err>\n");
}

TEST_F(ExecHolder, RedactedLinesThatNoAgentGaveAreCounted) {
  HolderSettings settings = shell("echo out; exit 4");
  settings.pass_output = PassOutput::kRedacted;
  settings.ack_wait = std::chrono::milliseconds(50);
  hold(settings);
  EXPECT_EQ(worker->wait(), 4);
  EXPECT_EQ(output(), "");
  EXPECT_THAT(errors(), HasSubstr("4 bytes of output are not shown"));
}

TEST_F(ExecHolder, ItWaitsForTheSinksAndNotLonger) {
  std::atomic<Sequence> delivered = 0;
  AgentEnd agent(directory.path(), taken, [&] { return delivered.load(); });
  HolderSettings settings = shell("echo out; exit 4");
  settings.drain = std::chrono::seconds(60);
  hold(settings);
  ASSERT_TRUE(agent.take_all());
  for (int round = 0; round < 5; ++round) agent.read();
  EXPECT_FALSE(worker->has_ended());
  delivered = agent.commits;
  ASSERT_TRUE(wait_until([&] {
    agent.read();
    return worker->has_ended();
  }));
  EXPECT_EQ(worker->wait(), 4);
  EXPECT_EQ(errors(), "");
}

TEST_F(ExecHolder, TheWaitForTheSinksEndsWithItsTime) {
  AgentEnd agent(directory.path(), taken, [] { return Sequence{0}; });
  HolderSettings settings = shell("exit 4");
  settings.drain = std::chrono::milliseconds(50);
  hold(settings);
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 4);
}

TEST_F(ExecHolder, AnAgentOfAnotherVersionIsNamedOnceAndDoneWithout) {
  const sockaddr_un address = *exec_socket_address(exec_socket_path(directory.path()));
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  HolderSettings settings = shell(until("go") + "exit 4");
  settings.ack_wait = std::chrono::milliseconds(50);
  hold(settings);
  ASSERT_TRUE(wait_until([&] {
    if (const int fd = accept(listener, nullptr, nullptr); fd >= 0) close(fd);
    return errors().find("is it of another version?") != std::string::npos;
  }));
  touch("go");
  EXPECT_EQ(worker->wait(), 4);
  EXPECT_EQ(errors().find("another version"), errors().rfind("another version"));
  close(listener);
}

TEST_F(ExecHolder, WithoutAnAgentAndNoneToStartItSaysSoWhileTheWorkerRuns) {
  HolderSettings settings = shell(until("go") + "exit 4");
  settings.unanswered_after = std::chrono::milliseconds(1);
  settings.ack_wait = std::chrono::milliseconds(50);
  hold(settings);
  ASSERT_TRUE(wait_until([&] { return errors().find("no runtail is found to start one") != std::string::npos; }));
  touch("go");
  EXPECT_EQ(worker->wait(), 4);
}

TEST_F(ExecHolder, ANoticeThatNobodyReadsHoldsUpNoWorker) {
  const std::filesystem::path fifo = directory / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int filler = open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  while (write(filler, "full", 4) > 0) {
  }
  close(filler);
  HolderSettings settings = shell("seq 1 1000000; echo done > " + (directory / "ended").string());
  settings.pass_output = PassOutput::kNone;
  settings.unanswered_after = std::chrono::milliseconds(0);
  settings.ack_wait = std::chrono::milliseconds(50);
  worker.emplace(settings, directory / "out", fifo);
  EXPECT_TRUE(wait_until([&] { return !read_file(directory / "ended").empty(); })) << "the worker waits";
  std::string said;
  EXPECT_TRUE(wait_until([&] {
    char bytes[4096];
    for (ssize_t got; (got = read(reader, bytes, sizeof bytes)) > 0;) said.append(bytes, static_cast<std::size_t>(got));
    return worker->has_ended();
  }));
  EXPECT_THAT(said, HasSubstr("no runtail is found to start one"));
  close(reader);
}

TEST_F(ExecHolder, WithoutAnAgentItEndsAfterTheWaitAndSaysSo) {
  HolderSettings settings = shell("echo out; exit 4");
  settings.ack_wait = std::chrono::milliseconds(50);
  hold(settings);
  EXPECT_EQ(worker->wait(), 4);
  EXPECT_EQ(output(), "out\n");
  EXPECT_THAT(errors(), HasSubstr("no agent took all of this run"));
}

TEST_F(ExecHolder, FailClosedWithoutAnAgentStartsNoWorker) {
  HolderSettings settings = shell("echo started");
  settings.fail_closed = true;
  settings.agent_reach_wait = std::chrono::milliseconds(50);
  hold(settings);
  EXPECT_EQ(worker->wait(), kExitExecFailed);
  EXPECT_EQ(output(), "");
  EXPECT_THAT(errors(), HasSubstr("--fail-closed"));
}

TEST_F(ExecHolder, AReaderThatLeavesEndsTheWorkerAsWithoutAWrapper) {
  AgentEnd agent(directory.path(), taken);
  const std::filesystem::path fifo = directory / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  worker.emplace(shell("exec seq 1 100000000"), fifo, directory / "err");
  const int reader = open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
  char first[64];
  ASSERT_GT(read(reader, first, sizeof first), 0);
  close(reader);
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 128 + SIGPIPE);
}

TEST_F(ExecHolder, AChildLeftBehindDoesNotKeepTheRunOpen) {
  AgentEnd agent(directory.path(), taken);
  hold(shell("(" + until("go") + ") & echo $!; exit 5"));
  ASSERT_TRUE(agent.take_all());
  EXPECT_EQ(worker->wait(), 5);
  touch("go");
}

TEST_F(ExecHolder, AnAgentIsStartedWhenNoneAnswersAndAskedToEndAfterwards) {
  HolderSettings settings = shell("echo alone");
  const std::filesystem::path log = directory / "agent-end";
  settings.start_agent = [&] {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    // An agent that writes what it made durable once it is asked to end.
    sigset_t terminate;
    sigemptyset(&terminate);
    sigaddset(&terminate, SIGTERM);
    AgentEnd agent(directory.path(), taken);
    while (!taken.ended()) {
      if (agent.read()) agent.commit();
    }
    int number = 0;
    sigwait(&terminate, &number);
    std::ofstream(log) << taken.lines.at(0) << ' ' << number;
    _exit(0);
  };
  hold(settings);
  EXPECT_EQ(worker->wait(), 0);
  EXPECT_EQ(read_file(log), "alone " + std::to_string(SIGTERM));
  EXPECT_EQ(errors(), "");
}

}  // namespace
}  // namespace runtail::test
