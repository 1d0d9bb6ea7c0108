#include "tests/support/log_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace runtail::test {

LogFile::LogFile(std::filesystem::path path) : path_(std::move(path)) { open(); }

LogFile::~LogFile() { ::close(fd_); }

void LogFile::open() {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) throw std::runtime_error("open " + path_.string() + ": " + std::strerror(errno));
}

void LogFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0) throw std::runtime_error("write " + path_.string() + ": " + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void LogFile::append_line(std::string_view line) {
  std::string bytes(line);
  bytes += '\n';
  append(bytes);
}

void LogFile::rotate() {
  const auto numbered = [this](int number) { return path_.string() + '.' + std::to_string(number); };
  for (int number = rotations_; number > 0; --number) std::filesystem::rename(numbered(number), numbered(number + 1));
  std::filesystem::rename(path_, numbered(1));
  ++rotations_;
  ::close(fd_);
  open();
}

void LogFile::truncate() {
  if (::ftruncate(fd_, 0) != 0) throw std::runtime_error("truncate " + path_.string() + ": " + std::strerror(errno));
}

LogWriter::LogWriter(std::filesystem::path path, Workload& workload, WriterSettings settings)
    : file_(std::move(path)), workload_(workload), settings_(settings), thread_([this] { run(); }) {}

LogWriter::~LogWriter() { stop(); }

void LogWriter::allow(std::uint64_t lines) {
  {
    const std::lock_guard lock(mutex_);
    allowance_ += lines;
  }
  changed_.notify_one();
}

void LogWriter::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void LogWriter::run() {
  constexpr std::size_t kWriteBytes = 16 << 10;  // a worker's buffered stdout
  std::string line, pending;
  std::uint64_t lines = 0;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (allowance_ == 0 && !pending.empty()) {
        lock.unlock();
        file_.append(pending);
        pending.clear();
        written_ = lines;
        lock.lock();
      }
      changed_.wait(lock, [this] { return allowance_ > 0 || stopping_; });
      if (stopping_) break;
      --allowance_;
    }
    if (!workload_.next(line)) break;
    ++lines;
    line += '\n';
    if (settings_.partial_every > 0 && lines % settings_.partial_every == 0) {
      file_.append(pending.append(line, 0, line.size() / 2));
      pending.assign(line, line.size() / 2);
    } else {
      pending += line;
    }
    const bool rotates = settings_.rotate_every > 0 && lines % settings_.rotate_every == 0;
    if (pending.size() >= kWriteBytes || rotates) {
      file_.append(pending);
      pending.clear();
      written_ = lines;
    }
    if (rotates) file_.rotate();
  }
  file_.append(pending);
  written_ = lines;
  done_ = true;
}

void write_all(const std::filesystem::path& path, Workload& workload) {
  constexpr std::size_t kWriteBytes = 1 << 20;
  LogFile file(path);
  std::string line, pending;
  while (workload.next(line)) {
    pending += line;
    pending += '\n';
    if (pending.size() < kWriteBytes) continue;
    file.append(pending);
    pending.clear();
  }
  file.append(pending);
}

}  // namespace runtail::test
