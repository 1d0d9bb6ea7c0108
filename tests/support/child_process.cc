#include "tests/support/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/support/temp_dir.h"

extern char** environ;

namespace runtail::test {
namespace {

int open_or_stop(const std::filesystem::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error("open " + path.string() + ": " + std::strerror(errno));
  return fd;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& extra) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (!extra.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : extra) all.push_back(name + '=' + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

ChildProcess::ChildProcess(const Command& command) {
  std::vector<std::string> arguments = command.argv;
  std::vector<std::string> variables = environment_with(command.environment);
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(variables);
  const int in = open_or_stop(command.input.empty() ? "/dev/null" : command.input, O_RDONLY);
  const int out = command.output.empty() ? -1 : open_or_stop(command.output, O_WRONLY | O_CREAT | O_APPEND);
  const int err = command.errors.empty() ? -1 : open_or_stop(command.errors, O_WRONLY | O_CREAT | O_APPEND);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {  // only async-signal-safe calls: another thread may hold any lock
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    ::dup2(in, 0);
    if (out >= 0) ::dup2(out, 1);
    if (err >= 0) ::dup2(err, 2);
    if (!command.directory.empty() && ::chdir(command.directory.c_str()) != 0) ::_exit(126);
    ::execvpe(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(in);
  if (out >= 0) ::close(out);
  if (err >= 0) ::close(err);
  if (pid_ < 0) throw std::runtime_error("fork: " + std::string(std::strerror(errno)));
}

ChildProcess::~ChildProcess() {
  if (!running()) return;
  signal(SIGKILL);
  wait();
}

bool ChildProcess::running() {
  if (result_) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
  result_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return false;
}

void ChildProcess::signal(int number) const {
  if (result_) return;
  ::kill(pid_, number);
  if (number != SIGSTOP) return;
  siginfo_t stopped{};
  ::waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED | WEXITED | WNOWAIT);
}

std::optional<int> ChildProcess::wait(Deadline deadline) {
  wait_until([this] { return !running(); }, deadline, Deadline(1));
  return result_;
}

Finished run_to_end(Command command, Deadline deadline) {
  const TempDir directory;
  command.output = directory / "output";
  command.errors = directory / "errors";
  Finished finished;
  {
    ChildProcess child(command);
    finished.exit_code = child.wait(deadline).value_or(-1);
  }
  finished.output = read_file(command.output);
  finished.errors = read_file(command.errors);
  return finished;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace runtail::test
