#include "agent/worker_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "agent/log_holders.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct WatchedSource final : Source {
  std::optional<LineBlock> read(TimePoint) override { return std::nullopt; }
  SourceStatus status() const override { return {"etl", lag, {}, 0, {}}; }
  std::uint64_t lag = 0;
};

test::Command sleeper() {
  test::Command command;
  command.argv = {"sleep", "1000"};
  return command;
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::trunc) << text;
}

// The watch of one source, made anew at will from what it left durable; its clock is turned by hand.
class WorkerWatchTest : public testing::Test {
 protected:
  WorkerWatchTest() {
    source_.name = "etl";
    source_.stream = "agent/etl";
    source_.include = {(dir_ / "etl.log").string()};
  }
  void start() {
    watch_.reset();
    watch_ = std::make_unique<WorkerWatch>(source_, watched_, positions_, known_, root_);
  }
  // What is told after so much time.
  std::vector<WorkerGone> after(std::chrono::milliseconds time) {
    now_ += time;
    watch_->scan(now_);
    return take();
  }
  std::vector<WorkerGone> take() {
    std::vector<WorkerGone> told;
    while (const auto block = watch_->read(now_)) {
      EXPECT_GT(block->covers.to, block->covers.from);
      EXPECT_EQ(block->position.emitted, block->covers.to);
      if (!positions_.empty()) {
        EXPECT_EQ(block->covers.from, positions_.front().emitted);
        EXPECT_EQ(block->position.file, positions_.front().file);
      }
      for (const WorkerNote& note : block->notes) {
        EXPECT_GE(note.offset, block->covers.from);
        EXPECT_EQ(note.kind, WorkerNote::Kind::kGone);
        told.push_back(note.gone);
      }
      positions_ = {block->position};
      for (const StateEntry& entry : block->state) {
        EXPECT_EQ(entry.key, "k/etl");
        known_ = entry.value;
      }
    }
    return told;
  }
  // True if the watch's descriptors report something.
  bool wakes(test::Deadline deadline) {
    return test::wait_until(
        [&] {
          std::vector<pollfd> fds;
          watch_->fill(fds);
          if (poll(fds.data(), fds.size(), 0) <= 0) return false;
          watch_->on_ready(fds);
          return true;
        },
        deadline);
  }
  void write_pid(pid_t pid) { write(pid_file(), std::to_string(pid) + "\n"); }
  fs::path pid_file() const { return dir_ / "etl.pid"; }
  void kill(test::ChildProcess& process) {
    process.signal(SIGKILL);
    process.wait();
  }

  test::TempDir dir_;
  fs::path root_ = dir_ / "cgroup";
  SourceConfig source_;
  WatchedSource watched_;
  TimePoint now_ = SystemClock().now();
  std::vector<Position> positions_;
  std::optional<std::string> known_;
  std::unique_ptr<WorkerWatch> watch_;
};

TEST_F(WorkerWatchTest, AProcessThatEndsIsToldOnce) {
  source_.worker.pid_file = pid_file();
  test::ChildProcess worker(sleeper());
  write_pid(worker.pid());
  start();
  EXPECT_TRUE(after(1s).empty());
  EXPECT_TRUE(after(24h).empty()) << "silence is no death";
  EXPECT_FALSE(wakes(0ms));
  kill(worker);
  ASSERT_TRUE(wakes(10s));
  EXPECT_TRUE(take().empty()) << "the source has not been looked at since";
  const TimePoint died_at = now_;
  const auto told = after(1s);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].at, died_at);
  EXPECT_EQ(told[0].next_at, std::nullopt);
  // Older kernels do not say how a process ended that is not one's child.
  if (told[0].exit_signal != 0) {
    EXPECT_EQ(told[0].exit_signal, SIGKILL);
    EXPECT_EQ(told[0].reason, EndReason::kSignal);
  } else {
    EXPECT_EQ(told[0].reason, EndReason::kLost);
  }
  EXPECT_TRUE(after(60s).empty());
  start();
  EXPECT_TRUE(after(60s).empty()) << "told again after a restart";
}

TEST_F(WorkerWatchTest, UnreadLinesComeFirst) {
  source_.worker.pid_file = pid_file();
  test::ChildProcess worker(sleeper());
  write_pid(worker.pid());
  start();
  after(1s);
  kill(worker);
  watched_.lag = 1000;
  EXPECT_TRUE(after(1s).empty());
  for (; watched_.lag > 0; watched_.lag -= 20) EXPECT_TRUE(after(1s).empty()) << watched_.lag << " bytes unread";
  EXPECT_EQ(take().size(), 1u);
}

TEST_F(WorkerWatchTest, ASourceThatStandsStillHoldsNoVerdictBack) {
  source_.worker.pid_file = pid_file();
  test::ChildProcess worker(sleeper());
  write_pid(worker.pid());
  start();
  after(1s);
  kill(worker);
  watched_.lag = 7;  // a last line without newline
  after(1s);
  EXPECT_TRUE(after(1s).empty());
  EXPECT_TRUE(after(9s).empty());
  EXPECT_EQ(after(2s).size(), 1u);
  EXPECT_TRUE(after(60s).empty());
}

TEST_F(WorkerWatchTest, ADeathWhileNobodyLookedIsToldByTheNext) {
  source_.worker.pid_file = pid_file();
  test::ChildProcess worker(sleeper());
  write_pid(worker.pid());
  start();
  after(1s);
  watch_.reset();
  kill(worker);
  fs::remove(pid_file());
  start();
  watched_.lag = 5;
  EXPECT_TRUE(after(3600s).empty());
  watched_.lag = 0;
  const auto told = take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].at, std::nullopt) << "nobody knows when";
  start();
  EXPECT_TRUE(after(60s).empty());
}

TEST_F(WorkerWatchTest, ANoteThatDidNotBecomeDurableIsToldAgain) {
  source_.worker.pid_file = pid_file();
  test::ChildProcess worker(sleeper());
  write_pid(worker.pid());
  start();
  after(1s);
  kill(worker);
  after(0s);
  const auto positions = positions_;
  const auto known = known_;
  EXPECT_EQ(after(1s).size(), 1u);
  positions_ = positions;
  known_ = known;
  start();
  EXPECT_EQ(after(1s).size(), 1u);
}

TEST_F(WorkerWatchTest, TheNextWorkersPidFileDoesNotHideTheFirstOnesEnd) {
  source_.worker.pid_file = pid_file();
  test::ChildProcess first(sleeper());
  write_pid(first.pid());
  start();
  after(1s);
  test::ChildProcess next(sleeper());
  write_pid(next.pid());
  EXPECT_TRUE(after(1s).empty()) << "the first still lives";
  kill(first);
  after(0s);
  auto told = after(1s);
  ASSERT_EQ(told.size(), 1u);
  ASSERT_TRUE(told[0].next_at);
  EXPECT_LE(std::chrono::abs(*told[0].next_at - started_at(*life_of(next.pid()))), 10ms);
  EXPECT_LT(std::chrono::abs(*told[0].next_at - SystemClock().now()), 60s);
  kill(next);
  after(0s);
  told = after(1s);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].next_at, std::nullopt);
}

TEST_F(WorkerWatchTest, AStalePidFileCountsOnceTheLogRests) {
  source_.worker.pid_file = pid_file();
  {
    test::ChildProcess worker(sleeper());
    write_pid(worker.pid());
    kill(worker);
  }
  write(dir_ / "etl.log", "{}\n");
  start();
  EXPECT_TRUE(after(1s).empty());
  EXPECT_TRUE(after(8s).empty()) << "somebody still writes: its worker may be in another PID namespace";
  EXPECT_TRUE(after(2s).empty());
  EXPECT_EQ(after(1s).size(), 1u);
  start();
  EXPECT_TRUE(after(60s).empty());
}

// Another process with the number of the worker, or the worker after the clock was set forward by an hour.
TEST_F(WorkerWatchTest, AProcessYoungerThanThePidFileProvesNothingUntilItEnds) {
  source_.worker.pid_file = pid_file();
  test::ChildProcess process(sleeper());
  write_pid(process.pid());
  const timespec hour_ago{::time(nullptr) - 3600, 0};
  const timespec times[2] = {hour_ago, hour_ago};
  ASSERT_EQ(utimensat(AT_FDCWD, pid_file().c_str(), times, 0), 0);
  start();
  EXPECT_TRUE(after(1s).empty());
  EXPECT_TRUE(after(3600s).empty()) << "the log rests, and the process runs";
  ASSERT_EQ(watch_->status().faults.size(), 1u);
  EXPECT_NE(watch_->status().faults[0].find("the clock was set"), std::string::npos);
  kill(process);
  after(1s);
  EXPECT_EQ(after(1s).size(), 1u);
  EXPECT_TRUE(watch_->status().faults.empty());
}

TEST_F(WorkerWatchTest, AFileWrittenAnewEndsTheDoubt) {
  source_.worker.pid_file = pid_file();
  test::ChildProcess worker(sleeper());
  write_pid(worker.pid());
  const timespec hour_ago{::time(nullptr) - 3600, 0};
  const timespec times[2] = {hour_ago, hour_ago};
  ASSERT_EQ(utimensat(AT_FDCWD, pid_file().c_str(), times, 0), 0);
  start();
  EXPECT_TRUE(after(1s).empty());
  EXPECT_EQ(watch_->status().faults.size(), 1u);
  write_pid(worker.pid());
  EXPECT_TRUE(after(1s).empty());
  EXPECT_TRUE(watch_->status().faults.empty());
  kill(worker);
  after(0s);
  EXPECT_EQ(after(1s).size(), 1u);
}

TEST_F(WorkerWatchTest, APidFileThatHoldsNoProcessIdIsReportedAndNoEvidence) {
  source_.worker.pid_file = pid_file();
  for (const char* text : {"worker\n", "-1", "0", "99999999999999999999", "12ab"}) {
    write(pid_file(), text);
    start();
    EXPECT_TRUE(after(60s).empty()) << text;
    ASSERT_EQ(watch_->status().faults.size(), 1u) << text;
    EXPECT_NE(watch_->status().faults[0].find(pid_file()), std::string::npos);
  }
  for (const char* text : {"", "\n", "  "}) {
    write(pid_file(), text);
    EXPECT_TRUE(after(60s).empty());
    fs::remove(pid_file());
    EXPECT_TRUE(after(60s).empty());
    EXPECT_TRUE(watch_->status().faults.empty());
  }
}

// A tree of files as cgroup v2 shows them.
class ControlGroupTest : public WorkerWatchTest {
 protected:
  void write_group(const fs::path& group, const std::string& pids, bool populated, int oom_kills) {
    write(group / "cgroup.procs", pids);
    write(group / "cgroup.events", std::string("populated ") + (populated ? "1" : "0") + "\nfrozen 0\n");
    write(group / "memory.events",
          "low 0\nhigh 0\nmax 5\noom 5\noom_kill " + std::to_string(oom_kills) + "\noom_group_kill 0\n");
  }
  fs::path group_ = root_ / "system.slice" / "etl.service";
};

TEST_F(ControlGroupTest, AnEmptyGroupIsTheWorkersEnd) {
  source_.worker.cgroup = group_;
  test::ChildProcess worker(sleeper());
  write_group(group_, std::to_string(worker.pid()) + "\n", true, 3);
  start();
  EXPECT_TRUE(after(1s).empty());
  EXPECT_TRUE(after(60s).empty());
  kill(worker);
  write_group(group_, "", false, 3);
  EXPECT_TRUE(after(1s).empty());
  const auto told = after(1s);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, EndReason::kLost) << "it was not killed for memory since the watch began";
  EXPECT_TRUE(after(60s).empty());
  start();
  EXPECT_TRUE(after(60s).empty());
}

TEST_F(ControlGroupTest, ACountOfKillsThatRoseMeansOom) {
  source_.worker.cgroup = group_;
  source_.worker.pid_file = pid_file();
  test::ChildProcess worker(sleeper());
  write_pid(worker.pid());
  write_group(group_, std::to_string(worker.pid()) + "\n", true, 3);
  start();
  after(1s);
  kill(worker);
  write_group(group_, "", false, 4);
  after(1s);
  const auto told = after(1s);
  ASSERT_EQ(told.size(), 2u) << "process and group";
  EXPECT_EQ(told[0].reason, EndReason::kOom);
  EXPECT_EQ(told[1].reason, EndReason::kOom);
}

TEST_F(ControlGroupTest, AKillLongBeforeExplainsNothing) {
  source_.worker.cgroup = group_;
  test::ChildProcess worker(sleeper());
  write_group(group_, std::to_string(worker.pid()) + "\n", true, 0);
  start();
  after(1s);
  write_group(group_, std::to_string(worker.pid()) + "\n", true, 1);
  after(1s);
  kill(worker);
  write_group(group_, "", false, 1);
  after(60s);
  const auto told = after(1s);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, EndReason::kLost);
}

TEST_F(ControlGroupTest, OomWhileNobodyLookedIsSeenByTheCount) {
  source_.worker.cgroup = group_;
  test::ChildProcess worker(sleeper());
  write_group(group_, std::to_string(worker.pid()) + "\n", true, 3);
  start();
  after(1s);
  watch_.reset();
  kill(worker);
  write_group(group_, "", false, 4);
  start();
  const auto told = after(3600s);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, EndReason::kOom);
}

TEST_F(ControlGroupTest, OtherProcessesInTheGroupAreTheNextWorker) {
  source_.worker.cgroup = group_;
  test::ChildProcess first(sleeper()), child(sleeper());
  write_group(group_, std::to_string(first.pid()) + "\n" + std::to_string(child.pid()) + "\n", true, 0);
  start();
  after(1s);
  kill(first);
  write_group(group_, std::to_string(child.pid()) + "\n", true, 0);
  after(1s);
  EXPECT_TRUE(after(1s).empty()) << "a process of the first's time still runs";
  test::ChildProcess next(sleeper());
  kill(child);
  write_group(group_, std::to_string(next.pid()) + "\n", true, 0);
  after(1s);
  const auto told = after(1s);
  ASSERT_EQ(told.size(), 1u);
  ASSERT_TRUE(told[0].next_at);
  EXPECT_LE(std::chrono::abs(*told[0].next_at - started_at(*life_of(next.pid()))), 10ms);
  // The same across a restart of the agent.
  watch_.reset();
  kill(next);
  test::ChildProcess last(sleeper());
  write_group(group_, std::to_string(last.pid()) + "\n", true, 0);
  start();
  const auto then = after(1s);
  ASSERT_EQ(then.size(), 1u);
  ASSERT_TRUE(then[0].next_at);
  EXPECT_LE(std::chrono::abs(*then[0].next_at - started_at(*life_of(last.pid()))), 10ms);
}

TEST_F(ControlGroupTest, AGroupThatVanishesEndedAndOneNeverSeenDidNot) {
  source_.worker.cgroup = group_;
  start();
  EXPECT_TRUE(after(60s).empty());
  EXPECT_TRUE(after(60s).empty());
  test::ChildProcess worker(sleeper());
  write_group(group_, std::to_string(worker.pid()) + "\n", true, 0);
  EXPECT_TRUE(after(1s).empty());
  kill(worker);
  fs::remove_all(group_);
  after(1s);
  EXPECT_EQ(after(1s).size(), 1u);
}

TEST_F(ControlGroupTest, ProcessesOfAnotherPidNamespaceAreCountedByTheKernelsWord) {
  source_.worker.cgroup = group_;
  write_group(group_, "0\n0\n", true, 0);
  start();
  EXPECT_TRUE(after(60s).empty());
  EXPECT_TRUE(after(60s).empty());
  write_group(group_, "", false, 0);
  after(1s);
  EXPECT_EQ(after(1s).size(), 1u);
}

TEST_F(ControlGroupTest, AUnitIsFoundBelowItsSlicesAndInGroupsOfItsOwn) {
  source_.worker.unit = "etl@a";
  test::ChildProcess worker(sleeper());
  const fs::path unit = root_ / "system.slice" / "system-etl.slice" / "etl@a.service";
  start();
  after(1s);
  write_group(unit, "", true, 0);
  write(unit / "inner" / "cgroup.procs", std::to_string(worker.pid()) + "\n");
  EXPECT_TRUE(after(1s).empty());
  EXPECT_TRUE(known_.has_value()) << "the unit was found";
  kill(worker);
  fs::remove_all(root_ / "system.slice");
  after(1s);
  EXPECT_EQ(after(1s).size(), 1u);
}

// The v1 hierarchies of systemd and memory stand side by side.
TEST_F(ControlGroupTest, InV1TheMemoryControllersGroupTellsOfOomAndItsFailuresDoNot) {
  source_.worker.unit = "etl.service";
  test::ChildProcess worker(sleeper());
  const std::string pid = std::to_string(worker.pid()) + "\n";
  const fs::path systemd = root_ / "systemd" / "system.slice" / "etl.service";
  const fs::path memory = root_ / "memory" / "system.slice" / "etl.service";
  write(systemd / "cgroup.procs", pid);
  write(memory / "cgroup.procs", pid);
  write(memory / "memory.failcnt", "0\n");
  write(memory / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  start();
  after(1s);
  kill(worker);
  write(systemd / "cgroup.procs", "");
  write(memory / "memory.failcnt", "1680\n");
  after(1s);
  auto told = after(1s);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, EndReason::kLost);

  test::ChildProcess next(sleeper());
  write(systemd / "cgroup.procs", std::to_string(next.pid()) + "\n");
  after(1s);
  kill(next);
  write(systemd / "cgroup.procs", "");
  write(memory / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  after(1s);
  told = after(1s);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, EndReason::kOom);
}

// A directory of the v2 hierarchy of this machine.
TEST_F(WorkerWatchTest, ARealGroupWakesTheWatchWhenItsLastProcessLeaves) {
  const fs::path mounted = "/sys/fs/cgroup";
  const fs::path v2 = fs::exists(mounted / "cgroup.controllers") ? mounted : mounted / "unified";
  const fs::path group = v2 / ("runtail-test-" + std::to_string(getpid()));
  if (mkdir(group.c_str(), 0755) != 0) GTEST_SKIP() << "needs the right to make " << group;
  root_ = mounted;
  source_.worker.cgroup = group;
  {
    test::ChildProcess worker(sleeper());
    std::ofstream(group / "cgroup.procs") << worker.pid() << std::flush;
    start();
    EXPECT_TRUE(after(1s).empty());
    EXPECT_FALSE(wakes(0ms));
    kill(worker);
    EXPECT_TRUE(wakes(10s));
    after(0s);
    EXPECT_FALSE(wakes(0ms)) << "a change that was seen must not wake again";
    EXPECT_EQ(after(1s).size(), 1u);
  }
  rmdir(group.c_str());
}

class HeldFileTest : public WorkerWatchTest {
 protected:
  HeldFileTest() { source_.worker.holds_file = true; }
  int open_log(const char* name = "etl.log") {
    return open((dir_ / name).c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  }
};

TEST_F(HeldFileTest, ALogNobodyHasOpenAndThatRestsMeansItsWorkerEnded) {
  const int log = open_log();
  ASSERT_EQ(::write(log, "{}\n", 3), 3);
  if (!is_open_for_writing(dir_ / "etl.log")) GTEST_SKIP() << "this file system has no leases";
  start();
  EXPECT_TRUE(after(60s).empty()) << "it is still open";
  EXPECT_TRUE(after(3600s).empty());
  close(log);
  EXPECT_TRUE(after(1s).empty());
  EXPECT_EQ(after(1s).size(), 1u);
  EXPECT_TRUE(after(60s).empty());
  start();
  EXPECT_TRUE(after(60s).empty()) << "told again after a restart";
}

TEST_F(HeldFileTest, AWorkerThatHoldsTheRotatedFileLives) {
  const int log = open_log();
  ASSERT_EQ(::write(log, "{}\n", 3), 3);
  if (!is_open_for_writing(dir_ / "etl.log")) GTEST_SKIP() << "this file system has no leases";
  fs::rename(dir_ / "etl.log", dir_ / "etl.log.1");
  close(open_log());
  start();
  EXPECT_TRUE(after(60s).empty());
  EXPECT_TRUE(after(1s).empty());
  close(log);
  after(1s);
  EXPECT_EQ(after(1s).size(), 1u);
}

TEST_F(HeldFileTest, AShortRestIsNoEvidence) {
  close(open_log());
  start();
  EXPECT_TRUE(after(5s).empty());
  EXPECT_TRUE(after(4s).empty());
  after(2s);
  EXPECT_EQ(after(1s).size(), 1u);
}

}  // namespace
}  // namespace runtail
