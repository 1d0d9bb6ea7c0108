// Follows the files of one configured source through rotation and truncation.
//
// A file is known by content: a keyed hash of its first complete line, a generation among files with
// the same first line, and a keyed hash of the <= 1 KiB before the offset read. So it survives rename and inode reuse.
// Copies:     a rotated copy of a file that is still open under its live name (copytruncate) waits until that starts
// anew. Rotation:   etl.log.1 [==read==|late]   etl.log [new..]   both stay open; the renamed one is read to its end,
// and let go
//             after kRenamedGrace without growth, since its worker may still hold it.
// While away: rotated siblings (etl.log.1, etl.log-20260301) are looked at like the file itself; what is known is not
//             read again, what is unread is.
// Truncation: a file shorter than what was read, or whose bytes before the offset changed, starts anew as another
//             identity; bytes seen by size and not read are counted as lost.
// Polling is the truth (inotify only wakes the loop), so network and overlay file systems work.
#pragma once

#include <sys/types.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/line_block.h"
#include "config/config.h"
#include "core/digest.h"
#include "core/metric.h"
#include "core/result.h"

namespace runtail {

// Room for one read, shared by the files of all sources of a pipeline.
class ReadBuffer {
 public:
  explicit ReadBuffer(std::size_t line_bytes_max);
  char* data() { return bytes_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<char[]> bytes_;  // not zeroed: pages that are never read into cost nothing
  std::size_t size_;
};

struct FileSourceSettings {
  SourceConfig source;
  HashKey key;
  std::uint64_t line_bytes_max = 1 << 20;
  std::chrono::hours ignore_older{24 * 7};
  std::vector<std::filesystem::path> never;  // directories of our own: runtail never tails itself
};

// Threads: one.
class FileSource {
 public:
  // `positions`: those durable for the source's stream. `metrics` takes losses.
  FileSource(FileSourceSettings settings, std::vector<Position> positions, ReadBuffer& buffer, MetricTable& metrics);
  ~FileSource();

  // Looks at the file system: new, renamed, truncated and vanished files.
  void scan(TimePoint now);
  // The next block of complete lines, at most one read's worth from one file; std::nullopt: all is read. The block's
  // views live until the next call. Reading goes on behind it at once: whoever fails to commit starts anew.
  std::optional<LineBlock> read(TimePoint now);

  const SourceConfig& config() const { return settings_.source; }
  std::uint64_t lag_bytes() const;               // seen by size at the last scan and not yet read
  std::vector<std::string> directories() const;  // to watch for changes
  // Some file is closed because it rested: its growth shows only in a scan.
  bool has_resting() const { return !done_.empty(); }
  // Faults of our own, for health: "open /var/log/etl.log: Permission denied".
  std::vector<std::string> faults() const;

 private:
  struct File;
  struct Known {  // a file read to its end and closed
    std::uint64_t size = 0;
    std::int64_t mtime_ns = 0;
    std::uint64_t seen_in = 0;  // scan that last saw it
  };
  using Inode = std::pair<dev_t, ino_t>;

  void look_at(const std::string& path, bool is_live_name, TimePoint now);
  bool identify(File& file, TimePoint now);
  void restart(File& file, TimePoint now);
  std::optional<LineBlock> read_file(File& file, TimePoint now);
  std::optional<LineBlock> long_line(File& file, std::uint64_t have, TimePoint now);
  LineBlock block_of(File& file, std::uint64_t from, std::uint64_t to);
  bool is_final(const File& file, TimePoint now) const;
  bool is_unchanged(const File& file);
  void remember(const File& file);
  void let_go(File& file);
  void count_lost(std::uint64_t bytes, std::string_view reason);

  const FileSourceSettings settings_;
  ReadBuffer& buffer_;                                  // not owned, outlives this
  MetricTable& metrics_;                                // not owned, outlives this
  std::map<Bytes16, std::vector<Position>> positions_;  // every known identity of the stream, by file_key
  std::deque<std::unique_ptr<File>> files_;             // open files, oldest first
  std::map<Inode, Known> done_;
  std::map<std::string, std::string> faults_;  // by path
  std::size_t next_ = 0;                       // files take turns
  std::uint64_t scans_ = 0;
};

// Compressed: .gz, .zst, .xz, .bz2, .lz4. Not read.
bool is_packed(std::string_view name);

// True for the names log rotation gives to a file once called `live`: live.1, live-20260301, live.2026-03-01 and
// further digits; false for compressed ones (.gz, .zst, .xz, .bz2).
bool is_rotated_sibling(std::string_view name, std::string_view live);

}  // namespace runtail
