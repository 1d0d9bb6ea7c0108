// Both ends of `runtail exec` in a test: a holder in a process of its own, and an agent's end that reads what it sends.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "agent/exec/holder.h"
#include "agent/pipe_source.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace runtail::test {

// hold_worker() in a forked process, its stdout and stderr in files.
class HeldWorker {
 public:
  HeldWorker(const HolderSettings& settings, const std::filesystem::path& output, const std::filesystem::path& errors)
      : pid_((std::fflush(nullptr), fork())) {
    if (pid_ != 0) return;
    if (!freopen(output.c_str(), "a", stdout) || !freopen(errors.c_str(), "a", stderr)) _exit(99);
    _exit(hold_worker(settings));
  }
  ~HeldWorker() {
    if (!result_) kill(pid_, SIGKILL);
    wait();
  }
  HeldWorker(const HeldWorker&) = delete;
  HeldWorker& operator=(const HeldWorker&) = delete;

  pid_t pid() const { return pid_; }
  bool has_ended() {
    if (!result_ && wait4(pid_, &status_, WNOHANG, &usage_) == pid_) result_ = WEXITSTATUS(status_);
    return result_.has_value();
  }
  int wait() {
    if (!result_ && wait4(pid_, &status_, 0, &usage_) == pid_) result_ = WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
    return result_.value_or(-1);
  }
  long peak_kib() const { return usage_.ru_maxrss; }  // after its end

 private:
  pid_t pid_;
  int status_ = 0;
  std::optional<int> result_;
  rusage usage_{};
};

// What an agent made durable.
struct Taken {
  std::vector<std::string> lines;
  std::vector<std::uint64_t> offsets;
  std::vector<Output> outputs;
  std::vector<std::uint64_t> too_long;  // lengths
  std::vector<WorkerNote> notes;
  std::vector<Position> positions;  // as the buffer would give them to the next agent

  bool ended() const { return !notes.empty() && notes.back().kind == WorkerNote::Kind::kEnded; }
};

// The agent's end. What it read and did not commit is forgotten with it.
class AgentEnd {
 public:
  // `delivered`: how far the sinks are, if all that is durable does not count; `commits` is what they can reach.
  AgentEnd(const std::filesystem::path& directory, Taken& taken, std::function<Sequence()> delivered = {})
      : taken_(taken),
        source(directory, "agent", taken.positions, metrics, kExecLineBytesMax,
               delivered ? DeliveryProgress{[this] { return commits; }, std::move(delivered)} : DeliveryProgress{}) {
    const auto listening = source.start();
    if (!listening) throw std::runtime_error(listening.error().message);
  }

  // One round: waits a little for something to come, reads all there is. Returns whether anything came.
  bool read() {
    std::vector<pollfd> fds;
    source.fill(fds);
    poll(fds.data(), fds.size(), 20);
    source.on_ready(fds);
    bool any = false;
    while (auto block = source.read(now)) {
      any = true;
      last = LineBlock{*block};
      for (Line& line : block->lines) {
        // A sink takes an event only if the chunk it is in covers its end: the byte before the newline.
        if (line.too_long || !line.bytes.empty()) {
          const std::uint64_t ends_in = line.offset + std::max<std::uint64_t>(line.length, 2) - 2;
          EXPECT_GE(ends_in, block->covers.from);
          EXPECT_LT(ends_in, block->covers.to);
        }
        if (line.too_long) {
          read_.too_long.push_back(line.length);
        } else {
          read_.lines.emplace_back(line.bytes);
        }
        read_.offsets.push_back(line.offset);
        read_.outputs.push_back(line.output);
        if (block->on_redacted) (*block->on_redacted)(line, "<" + std::string(line.bytes) + ">");
      }
      for (const WorkerNote& note : block->notes) read_.notes.push_back(note);
      read_.positions = {block->position};
      covered.push_back(block->covers);
    }
    return any;
  }
  void commit() {
    for (auto [from, to] : {std::pair(&read_.lines, &taken_.lines)}) to->insert(to->end(), from->begin(), from->end());
    taken_.outputs.insert(taken_.outputs.end(), read_.outputs.begin(), read_.outputs.end());
    for (auto [from, to] : {std::pair(&read_.offsets, &taken_.offsets), std::pair(&read_.too_long, &taken_.too_long)}) {
      to->insert(to->end(), from->begin(), from->end());
    }
    taken_.notes.insert(taken_.notes.end(), read_.notes.begin(), read_.notes.end());
    if (!read_.positions.empty()) taken_.positions = read_.positions;
    read_ = {};
    ++commits;
    source.committed();
  }
  // Until the worker's end is durable.
  bool take_all() {
    return wait_until([&] {
      if (read()) commit();
      return taken_.ended();
    });
  }

 private:
  Taken& taken_;
  Taken read_;

 public:
  MetricTable metrics{100};
  TimePoint now = SystemClock().now();  // stands still
  Sequence commits = 0;
  PipeSource source;
  LineBlock last;  // but for its lines' bytes
  std::vector<ByteRange> covered;
};

inline HolderSettings shell_under(const std::filesystem::path& directory, const std::string& script) {
  HolderSettings settings;
  settings.program = "runtail exec";
  settings.command = {"sh", "-c", script};
  settings.socket = exec_socket_path(directory);
  settings.hello.instance.fill(7);
  settings.hello.run.bytes.fill(9);
  settings.hello.command = "sh";
  return settings;
}

}  // namespace runtail::test
