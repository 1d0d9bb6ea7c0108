// The worker's side: a log file that is written, rotated, truncated, and a thread that does so while the test goes on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "tests/support/workload.h"

namespace runtail::test {

// Unbuffered: what a call wrote is in the file when it returns.
class LogFile {
 public:
  explicit LogFile(std::filesystem::path path);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  void append(std::string_view bytes);
  void append_line(std::string_view line);
  // Rename and create: etl.log.1 becomes etl.log.2 and so on, etl.log becomes etl.log.1, a new etl.log begins.
  void rotate();
  // To zero, as copytruncate does; what was not read before is gone.
  void truncate();
  const std::filesystem::path& path() const { return path_; }

 private:
  void open();
  const std::filesystem::path path_;
  int fd_ = -1;
  int rotations_ = 0;
};

struct WriterSettings {
  std::uint64_t rotate_every = 0;   // lines; 0: never
  std::uint32_t partial_every = 0;  // every so many lines one goes out in two pieces; 0: never
};

// Writes a workload to a file as fast as its allowance lets it.
// Threads: the workload belongs to the writer until stop() or all is written.
class LogWriter {
 public:
  LogWriter(std::filesystem::path path, Workload& workload, WriterSettings settings);
  ~LogWriter();

  void allow(std::uint64_t lines);  // that many more
  void allow_all() { allow(UINT64_MAX / 2); }
  std::uint64_t written() const { return written_; }
  bool done() const { return done_; }  // the workload has no more lines
  void stop();                         // ends after the line in hand; harmless to repeat

 private:
  void run();
  LogFile file_;
  Workload& workload_;  // not owned
  const WriterSettings settings_;
  std::atomic<std::uint64_t> written_{0};
  std::atomic<bool> done_{false};
  std::mutex mutex_;  // guards the two below
  std::condition_variable changed_;
  std::uint64_t allowance_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

// All lines of a workload into one file.
void write_all(const std::filesystem::path& path, Workload& workload);

}  // namespace runtail::test
