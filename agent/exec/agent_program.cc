#include "agent/exec/agent_program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>
#include <system_error>

#include "core/exit_code.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

constexpr off_t kLogBytesMax = 1 << 20;  // a longer one is begun anew

bool is_program(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

fs::path find_agent_program(const EnvironmentLookup& environment) {
  if (const char* named = environment("RUNTAIL_AGENT"); named && *named) return is_program(named) ? named : fs::path();
  std::error_code failure;
  const fs::path self = fs::read_symlink("/proc/self/exe", failure);
  if (!failure && is_program(self.parent_path() / "runtail")) return self.parent_path() / "runtail";
  const char* path = environment("PATH");
  for (std::string_view rest = path ? path : ""; !rest.empty();) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
    if (directory.starts_with('/') && is_program(fs::path(directory) / "runtail"))
      return fs::path(directory) / "runtail";
  }
  return {};
}

pid_t start_agent(const fs::path& program, const fs::path& directory, const std::string& config_path) {
  const pid_t self = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != self) _exit(kExitUnreachable);
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  std::error_code ignored;
  fs::create_directories(directory, ignored);  // not before: a disk may take its time
  const fs::path log = directory / "agent.log";
  struct stat status {};
  const bool is_long = stat(log.c_str(), &status) == 0 && status.st_size > kLogBytesMax;
  int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | (is_long ? O_TRUNC : 0), 0600);
  if (out < 0) out = open("/dev/null", O_WRONLY);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  if (const int null = open("/dev/null", O_RDONLY); null >= 0) dup2(null, STDIN_FILENO);
  setenv("RUNTAIL_BUFFER_DIRECTORY", directory.c_str(), 1);
  if (config_path.empty()) {
    execl(program.c_str(), "runtail", "agent", nullptr);
  } else {
    execl(program.c_str(), "runtail", "agent", "--config", config_path.c_str(), nullptr);
  }
  _exit(kExitUnreachable);
}

}  // namespace runtail
