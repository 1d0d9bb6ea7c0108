#include "agent/journal_header.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <system_error>

#include "core/bytes.h"

namespace runtail {
namespace {

constexpr std::string_view kSignature = "LPKSHHRH";
constexpr std::size_t kNumberingAt = 72, kCountAt = 152, kLastNumberAt = 160, kFirstNumberAt = 168, kLastTimeAt = 192;
constexpr std::size_t kHeaderBytes = 200;  // as much as we look at

std::uint64_t number_at(std::string_view header, std::size_t offset) {
  return ByteReader(header.substr(offset)).fixed<std::uint64_t>();
}

}  // namespace

JournalFiles find_journal_files(const std::string& directory) {
  namespace fs = std::filesystem;
  JournalFiles found;
  found.roots = directory.empty() ? std::vector<std::string>{"/var/log/journal", "/run/log/journal"}
                                  : std::vector<std::string>{directory};
  for (const std::string& root : found.roots) {
    std::vector<fs::path> folders{root};
    for (std::size_t i = 0; i < folders.size(); ++i) {
      const fs::path folder = folders[i];
      std::error_code failure;
      for (fs::directory_iterator at(folder, failure), end; !failure && at != end; at.increment(failure)) {
        std::error_code ignored;
        if (i == 0 && at->is_directory(ignored)) folders.push_back(at->path());
        if (at->path().extension() == ".journal") found.files.push_back(at->path());
      }
      if (failure == std::errc::permission_denied) found.refused = folder.string();
    }
  }
  return found;
}

std::optional<JournalRange> journal_range(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  char bytes[kHeaderBytes];
  const ssize_t got = pread(fd, bytes, sizeof bytes, 0);
  close(fd);
  const std::string_view header(bytes, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (header.size() < kHeaderBytes || !header.starts_with(kSignature)) return std::nullopt;
  JournalRange range;
  range.path = path;
  std::copy_n(header.begin() + kNumberingAt, range.numbering.size(), range.numbering.begin());
  range.count = number_at(header, kCountAt);
  range.last = number_at(header, kLastNumberAt);
  range.first = range.count == 0 ? range.last + 1 : number_at(header, kFirstNumberAt);
  range.last_at =
      range.count == 0 ? TimePoint::max() : from_micros(static_cast<std::int64_t>(number_at(header, kLastTimeAt)));
  if (range.first == 0) return std::nullopt;  // there is no entry 0
  return range;
}

std::vector<JournalRange> journal_ranges(const std::string& directory) {
  std::vector<JournalRange> ranges;
  // A file that is renamed while we look may be missed: its new name stays, and is found by looking again.
  for (int look = 0; look < 2; ++look) {
    for (const std::filesystem::path& path : find_journal_files(directory).files) {
      if (auto range = journal_range(path)) ranges.push_back(std::move(*range));
    }
  }
  return ranges;
}

}  // namespace runtail
