// Journals made for a test: files written by systemd-journal-remote, entry by entry, and a systemd-journald of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/child_process.h"

namespace runtail::test {

struct JournalEntry {
  std::string message;  // any bytes
  std::string unit = "etl.service";
  std::string pid = "100";
  std::vector<std::string> more = {};  // further fields: "PRIORITY=3"
  std::int64_t micros = 0;             // since the journal began; 0: one millisecond after the entry before
};

// One journal file being written. Entries are numbered 1, 2, 3, ...; opened again, the numbers go on.
class JournalFile {
 public:
  // `boot`: the machine's boot, another digit another boot. `began`: time of micros == 0, since 1970 in microseconds.
  explicit JournalFile(const std::filesystem::path& path, char boot = '1', std::int64_t began = an_hour_ago());
  ~JournalFile();  // closes it
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;

  void append(const JournalEntry& entry);  // on its way: it is in the file a moment later
  void close();                            // everything appended is in the file
  static std::int64_t an_hour_ago();

 private:
  std::unique_ptr<ChildProcess> process_;
  int fifo_ = -1;
  const char boot_;
  const std::int64_t began_;
  std::int64_t micros_ = 1'000'000;
};

// systemd-journald in a mount namespace of its own; its /run is a directory of the test.
class PrivateJournald {
 public:
  explicit PrivateJournald(const std::filesystem::path& directory);
  // Why there is none: no right to make a namespace, no journald installed. "" if it runs.
  const std::string& refusal() const { return refusal_; }

  std::filesystem::path journal() const { return run_ / "log/journal"; }
  void send(const std::string& message);  // by its native socket, one entry
  // Runs a command with its output connected to the journal, through systemd-cat.
  void run_under_cat(const std::string& shell_command);
  void rotate();                                              // what was sent is in the file that is archived now
  std::vector<std::filesystem::path> archived_files() const;  // oldest first

 private:
  const std::filesystem::path run_;
  std::unique_ptr<ChildProcess> process_;
  std::string refusal_, last_sent_;
};

}  // namespace runtail::test
