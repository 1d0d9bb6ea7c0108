// What the files of a journal say of themselves in their first bytes. Read without libsystemd, which ends its process
// on some damaged files. The layout is public and stable: https://systemd.io/JOURNAL_FILE_FORMAT/
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "agent/journal_frame.h"
#include "core/time.h"

namespace runtail {

struct JournalFiles {
  std::vector<std::filesystem::path> files;  // *.journal
  std::vector<std::string> roots;            // where they were looked for
  std::string refused;                       // a directory that we may not list; "": none
};
// `directory`, or where this machine's journal lies if it is empty, and the directories in it.
JournalFiles find_journal_files(const std::string& directory);

// Which entries are in one file.
struct JournalRange {
  std::filesystem::path path;
  Numbering numbering{};
  // Numbers of its first and its last entry. Without entries `first` is the number to come.
  std::uint64_t first = 0, last = 0;
  std::uint64_t count = 0;  // of entries: less than the numbers where journals of users count with the system's
  TimePoint last_at{};      // time of the last entry; TimePoint::max(): there is none yet
};
// std::nullopt: it is gone, damaged or not ours to read.
std::optional<JournalRange> journal_range(const std::filesystem::path& path);
// Of all files. A file that is rotated meanwhile is not missed, and any may be there twice.
std::vector<JournalRange> journal_ranges(const std::string& directory);

}  // namespace runtail
