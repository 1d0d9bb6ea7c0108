// Follows the files of one configured source through rotation, truncation and compression.
//
// A file is known by content (agent/known_files.h): so it survives rename, copy, compression and inode reuse.
// Rotation:   etl.log.1 [==read==|late]   etl.log [new..]   both stay open; the renamed one is read to its end, and let
//             go after 30 s without growth, since its worker may still hold it.
// While away: rotated siblings (etl.log.1, etl.log-20260301, etl.log.2.gz) are looked at like the file itself; what is
//             known is not read again, what is unread is.
// Copies:     a copy or archive of a file that is still open waits until that is let go or starts anew.
// Truncation: a file shorter than what was read, or whose bytes before the offset changed, starts anew as another
//             identity; bytes seen by size and not read are counted as lost, unless a copy has them.
// Limits:     so many files open at a time; the others take turns. Deleted files that nobody can open again are held up
//             to max_unread_deleted_bytes.
// Polling is the truth (inotify only wakes the loop), so network and overlay file systems work.
#pragma once

#include <sys/types.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/file_names.h"
#include "agent/file_opener.h"
#include "agent/known_files.h"
#include "agent/source.h"
#include "agent/tailed_file.h"
#include "config/config.h"
#include "core/digest.h"
#include "core/metric.h"
#include "core/result.h"

namespace runtail {

struct FileSourceSettings {
  SourceConfig source;
  HashKey key;
  std::uint64_t line_bytes_max = 1 << 20;
  std::chrono::hours ignore_older{24 * 7};
  std::vector<std::filesystem::path> never;  // directories and files of our own: runtail never tails itself
  std::size_t open_files_max = 512;
  LineDefaults defaults;
};

// Threads: one.
class FileSource final : public Source {
 public:
  // `positions`: durable ones, of any stream. `metrics` takes losses.
  FileSource(FileSourceSettings settings, std::vector<Position> positions, std::shared_ptr<ReadBuffer> buffer,
             MetricTable& metrics);
  ~FileSource() override;

  void scan(TimePoint now) override;
  std::optional<LineBlock> read(TimePoint now) override;
  std::vector<std::string> directories() const override { return names_.directories(); }
  bool changed(const std::string& path, bool only_grown) override;
  std::optional<TimePoint> due() const override;
  void clock_stepped(std::chrono::microseconds by) override;
  SourceStatus status() const override;
  bool follows(const FileIdentity& file) const override { return open_as(file) != nullptr; }
  void was_replayed(const Position& position) override { known_.remember(position); }

 private:
  // What all files of one log share.
  struct Log {
    std::string stream;
    std::string default_job;
    std::int16_t default_job_rank = 4;
    LineDefaults defaults;
    bool was_known = false;  // before this start
  };
  struct File;
  struct Rested {  // a file that was closed: it can give nothing more unless it grows
    std::uint64_t size = 0;
    std::int64_t mtime_ns = 0;
    std::uint64_t at_stake = 0;  // of an unfinished last line
    std::int64_t born_ns = 0;
    std::optional<FileIdentity> identity;
    std::string directory, fault;
    std::uint64_t seen_in = 0;  // scan that last saw it
  };
  using Inode = std::pair<dev_t, ino_t>;

  std::shared_ptr<Log> log_of(const std::string& path);
  std::vector<FoundName> look();
  void look_at(const FoundName& name, TimePoint now);
  bool is_own(const FoundName& name) const;
  bool is_too_old(const FoundName& name, TimePoint now);
  void wake(const std::string& path);
  bool make_room(TimePoint now);
  std::shared_ptr<File> before(const File& file, TimePoint now);
  std::shared_ptr<File> after(const File& file, TimePoint now);
  void limit_deleted();
  void let_rest(TimePoint now);
  std::optional<LineBlock> read_file(const std::shared_ptr<File>& file, TimePoint now);
  bool identify(File& file, TimePoint now);
  FileBytes* open_as(const FileIdentity& identity) const;
  bool is_over(File& file, TimePoint now) const;
  void was_cut(File& file, std::uint64_t unread, TimePoint now);
  void was_truncated(const File& file, std::uint64_t lost);
  LineBlock of_this_source(File& file, LineBlock block);
  LineBlock with_those_before(File& file, LineBlock block);
  void take_back_before(File& file);
  void let_go(std::shared_ptr<File>& file);
  void forget(std::shared_ptr<File>& file);
  void count_lost(std::uint64_t bytes, std::string_view reason);

  const FileSourceSettings settings_;
  const TailSettings tail_settings_;
  const FileNames names_;
  const FileOpener opener_;
  const std::shared_ptr<ReadBuffer> buffer_;
  MetricTable& metrics_;  // not owned, outlives this
  KnownFiles known_;
  std::map<std::string, std::shared_ptr<Log>> logs_;  // by live path; for files one for all: ""
  std::vector<std::shared_ptr<File>> files_;          // open files, oldest first
  std::map<Inode, File*> open_;                       // the same
  std::map<std::string, std::weak_ptr<File>> by_path_;
  std::map<std::string, std::weak_ptr<File>> newest_;  // of each log, by live path
  std::map<Inode, Rested> rested_;
  std::set<Inode> seen_;                       // by the last scan
  std::set<Inode> own_;                        // our own output
  std::vector<std::filesystem::path> never_;   // as in the settings, links followed
  std::weak_ptr<File> unpacking_;              // one archive at a time
  std::map<std::string, std::string> faults_;  // by path
  std::deque<LineBlock> together_;             // the rest of blocks that belong together
  std::size_t turn_ = 0;                       // files take turns
  std::uint64_t scans_ = 0;
  std::uint64_t waiting_bytes_ = 0;          // of files for which there is no room
  std::set<std::string> logs_without_room_;  // by live path
  std::optional<TimePoint> waiting_since_;
};

}  // namespace runtail
