// A process a test starts, by pid; it never outlives the test.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/wait_until.h"

namespace runtail::test {

struct Command {
  std::vector<std::string> argv;                   // argv[0] is looked up in PATH
  std::map<std::string, std::string> environment;  // beside the test's own
  std::filesystem::path directory;                 // empty: the test's own
  std::filesystem::path input, output, errors;     // files; empty: /dev/null for input, the test's own for the others
};

// Threads: start it from the test's main thread. The kernel kills the child when the thread that started it ends.
class ChildProcess {
 public:
  explicit ChildProcess(const Command& command);  // throws if the process cannot be made
  ~ChildProcess();                                // SIGKILL, if it still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  // SIGSTOP: it stands still when this returns.
  void signal(int number) const;
  // Exit code, or 128 + signal, as a shell has it; std::nullopt: still running after `deadline`.
  std::optional<int> wait(Deadline deadline = kPatience);

 private:
  pid_t pid_ = -1;
  std::optional<int> result_;
};

struct Finished {
  int exit_code = -1;  // 128 + signal; -1: did not end in time
  std::string output, errors;
};

// Runs a command to its end; `command.output` and `command.errors` must be empty.
Finished run_to_end(Command command, Deadline deadline = kPatience);

std::string read_file(const std::filesystem::path& path);  // "" if there is none

}  // namespace runtail::test
