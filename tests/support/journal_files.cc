#include "tests/support/journal_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "core/bytes.h"

namespace runtail::test {
namespace {

constexpr const char* kRemote = "/usr/lib/systemd/systemd-journal-remote";
constexpr const char* kJournald = "/usr/lib/systemd/systemd-journald";

}  // namespace

std::int64_t JournalFile::an_hour_ago() {
  const auto now = std::chrono::system_clock::now() - std::chrono::hours(1);
  return std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
}

JournalFile::JournalFile(const std::filesystem::path& path, char boot, std::int64_t began)
    : boot_(boot), began_(began) {
  const std::string fifo = path.string() + ".fifo";
  ::unlink(fifo.c_str());
  if (::mkfifo(fifo.c_str(), 0600) != 0) throw std::runtime_error("mkfifo " + fifo + ": " + std::strerror(errno));
  // Both ends are open before either is used, so that no open() waits for the other.
  const int both = ::open(fifo.c_str(), O_RDWR | O_CLOEXEC);
  fifo_ = ::open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
  Command command;
  command.argv = {kRemote, "-o", path.string(), "-"};
  command.input = fifo;
  command.errors = path.string() + ".log";
  process_ = std::make_unique<ChildProcess>(command);
  ::close(both);
  if (!wait_until([&] { return std::filesystem::exists(path) || !process_->running(); }) || !process_->running()) {
    throw std::runtime_error(std::string(kRemote) + ": " + read_file(command.errors));
  }
  ::unlink(fifo.c_str());
}

JournalFile::~JournalFile() { close(); }

void JournalFile::append(const JournalEntry& entry) {
  micros_ = entry.micros == 0 ? micros_ + 1000 : entry.micros;
  std::string out = "__REALTIME_TIMESTAMP=" + std::to_string(began_ + micros_) +
                    "\n__MONOTONIC_TIMESTAMP=" + std::to_string(micros_) + "\n_BOOT_ID=" + std::string(32, boot_) +
                    "\n_SYSTEMD_UNIT=" + entry.unit + "\n_PID=" + entry.pid + "\n";
  for (const std::string& field : entry.more) out += field + "\n";
  out += "MESSAGE\n";
  ByteWriter(out).fixed(static_cast<std::uint64_t>(entry.message.size()));
  out += entry.message + "\n\n";
  for (std::string_view rest = out; !rest.empty();) {
    const ssize_t written = ::write(fifo_, rest.data(), rest.size());
    if (written < 0 && errno != EINTR) throw std::runtime_error("systemd-journal-remote is gone");
    rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
}

void JournalFile::close() {
  if (fifo_ < 0) return;
  ::close(std::exchange(fifo_, -1));
  process_->wait();
}

PrivateJournald::PrivateJournald(const std::filesystem::path& directory) : run_(directory / "run") {
  std::filesystem::create_directories(run_ / "systemd/journal");
  std::filesystem::create_directories(run_ / "systemd/journald.conf.d");
  std::filesystem::create_directories(run_ / "log/journal");
  std::ofstream(run_ / "systemd/journald.conf.d/test.conf")
      << "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nReadKMsg=no\nAudit=no\nRuntimeMaxFiles=1000\n";
  const std::filesystem::path log = directory / "journald.log";
  Command command;
  command.argv = {"unshare",
                  "-m",
                  "--propagation",
                  "private",
                  "sh",
                  "-c",
                  "mount --bind '" + run_.string() + "' /run && exec " + kJournald};
  command.output = command.errors = log;
  process_ = std::make_unique<ChildProcess>(command);
  const auto listens = [this] {
    return std::filesystem::exists(run_ / "systemd/journal/stdout") &&
           std::filesystem::exists(run_ / "systemd/journal/socket");
  };
  wait_until([&] { return listens() || !process_->running(); }, Deadline(20'000));
  if (!listens()) refusal_ = "no journald in a mount namespace here: " + read_file(log);
}

void PrivateJournald::send(const std::string& message) {
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = run_ / "systemd/journal/socket";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  std::string bytes = "PRIORITY=6\nMESSAGE\n";
  ByteWriter(bytes).fixed(static_cast<std::uint64_t>(message.size()));
  bytes += message + "\n";
  const ssize_t sent =
      ::sendto(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::close(fd);
  if (sent < 0) throw std::runtime_error("journald's socket " + path + ": " + std::strerror(errno));
  last_sent_ = message;
}

void PrivateJournald::run_under_cat(const std::string& shell_command) {
  // systemd-cat finds the journal's socket by its fixed name: in the namespace of journald.
  Command command;
  command.argv = {"nsenter", "-m", "-t", std::to_string(process_->pid()), "systemd-cat", "sh", "-c", shell_command};
  const Finished done = run_to_end(command);
  if (done.exit_code != 0) throw std::runtime_error("systemd-cat: " + done.errors);
}

std::vector<std::filesystem::path> PrivateJournald::archived_files() const {
  std::vector<std::filesystem::path> files;
  for (const auto& machine : std::filesystem::directory_iterator(journal())) {
    for (const auto& file : std::filesystem::directory_iterator(machine)) {
      if (file.path().filename().string().starts_with("system@")) files.push_back(file.path());
    }
  }
  std::sort(files.begin(), files.end());  // the first number is in the name
  return files;
}

void PrivateJournald::rotate() {
  // The signal overtakes what waits in the socket.
  Command last;
  last.argv = {"journalctl", "--directory", journal(), "--lines=1", "--output=cat", "--quiet"};
  wait_until([&] { return last_sent_.empty() || run_to_end(last).output == last_sent_ + "\n"; });
  const std::size_t before = archived_files().size();
  process_->signal(SIGUSR2);
  // The new file comes a moment after the old one got its new name.
  const auto has_rotated = [&] {
    if (archived_files().size() <= before) return false;
    const std::filesystem::directory_iterator machines(journal());
    return std::any_of(begin(machines), end(machines),
                       [](const auto& machine) { return std::filesystem::exists(machine.path() / "system.journal"); });
  };
  if (!wait_until(has_rotated)) throw std::runtime_error("journald did not rotate");
}

}  // namespace runtail::test
