#include "agent/file_source.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fnmatch.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

namespace runtail {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::size_t kConfirmBytes = 1024;  // HMAC of the <= 1 KiB before the covered end
constexpr std::chrono::seconds kRenamedGrace{30}, kIdleGrace{300};
constexpr std::size_t kOpenFilesMany = 128;
// A line without end is looked through in pieces of this many reads, so that others get their turn.
constexpr int kLongLineReads = 64;

std::int64_t mtime_ns(const struct stat& status) {
  return static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

// Reads up to `size` bytes at `offset`; less only at the end of the file. -1 with errno on an error.
ssize_t read_at(int fd, char* into, std::size_t size, std::uint64_t offset) {
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = pread(fd, into + have, size - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return static_cast<ssize_t>(have);
}

}  // namespace

bool is_packed(std::string_view name) {
  for (const std::string_view suffix : {".gz", ".zst", ".xz", ".bz2", ".lz4"}) {
    if (name.ends_with(suffix)) return true;
  }
  return false;
}

bool is_rotated_sibling(std::string_view name, std::string_view live) {
  if (name.size() < live.size() + 2 || !name.starts_with(live) || is_packed(name)) return false;
  const std::string_view suffix = name.substr(live.size());
  return (suffix[0] == '.' || suffix[0] == '-') && suffix[1] >= '0' && suffix[1] <= '9';
}

ReadBuffer::ReadBuffer(std::size_t line_bytes_max)
    : bytes_(new char[std::max(kReadBytes, line_bytes_max + 2) + kConfirmBytes]),
      size_(std::max(kReadBytes, line_bytes_max + 2) + kConfirmBytes) {}

struct FileSource::File {
  ~File() {
    if (fd >= 0) close(fd);
  }
  int fd = -1;
  Inode inode{};
  std::string path;
  bool live_name = true;  // found under a name the include patterns match
  bool present = true;    // seen by the last scan
  bool identified = false;
  Position position;                // emitted: next byte to read
  std::string tail;                 // the <= 1 KiB before position.emitted
  std::uint64_t size = 0;           // at the last look
  TimePoint grown_at{};             // when it last had something new
  std::int64_t mtime_ns = 0;        // when it was last found read to its end
  std::uint64_t long_line_end = 0;  // while in a line that is too long: scanned up to here; 0: not in one
};

FileSource::FileSource(FileSourceSettings settings, std::vector<Position> positions, ReadBuffer& buffer,
                       MetricTable& metrics)
    : settings_(std::move(settings)), buffer_(buffer), metrics_(metrics) {
  for (Position& position : positions) {
    if (position.file.stream == settings_.source.stream)
      positions_[position.file.file_key].push_back(std::move(position));
  }
}

FileSource::~FileSource() = default;

void FileSource::scan(TimePoint now) {
  ++scans_;
  for (auto& file : files_) file->present = false;
  faults_.clear();
  std::set<std::string> live;
  bool looked_everywhere = true;
  for (const std::string& pattern : settings_.source.include) {
    glob_t found{};
    const int globbed = glob(pattern.c_str(), GLOB_NOSORT | GLOB_ERR, nullptr, &found);
    if (globbed != 0 && globbed != GLOB_NOMATCH) {
      faults_[pattern] =
          "look for " + pattern + ": " + std::strerror(errno) + "; let the user of runtail list that directory";
      looked_everywhere = false;
    }
    if (globbed == 0) {
      for (std::size_t i = 0; i < found.gl_pathc; ++i) {
        const std::string path = found.gl_pathv[i];
        if (is_packed(path)) continue;
        const auto excluded = [&](const std::string& exclude) {
          return fnmatch(exclude.c_str(), path.c_str(), 0) == 0;
        };
        if (std::none_of(settings_.source.exclude.begin(), settings_.source.exclude.end(), excluded)) live.insert(path);
      }
    }
    globfree(&found);
  }
  for (const std::string& path : live) look_at(path, true, now);

  // Rotated siblings, so that what was renamed while nobody looked is found.
  std::map<fs::path, std::vector<std::string>> names;
  for (const std::string& path : live) names[fs::path(path).parent_path()].push_back(fs::path(path).filename());
  for (const std::string& pattern : settings_.source.include) {
    // A pattern without wildcards names its file even while that does not exist.
    if (pattern.find_first_of("*?[") == std::string::npos && !live.contains(pattern)) {
      names[fs::path(pattern).parent_path()].push_back(fs::path(pattern).filename());
    }
  }
  for (const auto& [directory, live_names] : names) {
    std::error_code error;
    std::vector<std::pair<fs::file_time_type, std::string>> siblings;
    for (fs::directory_iterator at(directory.empty() ? "." : directory, error), end; !error && at != end;
         at.increment(error)) {
      const std::string name = at->path().filename();
      const auto rotated = [&](const std::string& each) { return is_rotated_sibling(name, each); };
      if (live.contains(at->path()) || std::none_of(live_names.begin(), live_names.end(), rotated)) continue;
      std::error_code gone;
      siblings.emplace_back(at->last_write_time(gone), at->path());
    }
    std::sort(siblings.begin(), siblings.end());  // oldest first
    for (const auto& [time, path] : siblings) look_at(path, false, now);
  }

  for (auto& file : files_) {
    struct stat status {};
    // A file that shrank keeps the size it was seen with: the next read counts what is lost.
    if (fstat(file->fd, &status) == 0 && static_cast<std::uint64_t>(status.st_size) > file->size) {
      file->size = static_cast<std::uint64_t>(status.st_size);
      file->grown_at = now;
    }
    // A directory that could not be listed says nothing about its files.
    if (!file->present && looked_everywhere) file->live_name = false;
  }
  // A renamed file may still be written to for a while; any other that rests is opened again when it grows. Many open
  // files rest for a shorter time.
  const auto rest = files_.size() > kOpenFilesMany ? kRenamedGrace : kIdleGrace;
  for (auto& file : files_) {
    if (file->position.emitted >= file->size && now - file->grown_at > (file->live_name ? rest : kRenamedGrace))
      let_go(*file);
  }
  std::erase_if(files_, [](const auto& file) { return file->fd < 0; });
  std::erase_if(done_, [&](const auto& done) { return done.second.seen_in != scans_; });
}

void FileSource::look_at(const std::string& path, bool is_live_name, TimePoint now) {
  for (const fs::path& own : settings_.never) {
    if (path.starts_with(own.string() + "/")) return;
  }
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) faults_[path] = "look at " + path + ": " + std::strerror(errno);
    return;
  }
  if (!S_ISREG(status.st_mode)) return;
  const Inode inode{status.st_dev, status.st_ino};
  for (auto& file : files_) {
    if (file->inode != inode) continue;
    file->path = path;
    file->present = true;
    file->live_name = is_live_name;
    return;
  }
  if (const auto done = done_.find(inode); done != done_.end()) {
    if (done->second.size == static_cast<std::uint64_t>(status.st_size) && done->second.mtime_ns == mtime_ns(status)) {
      done->second.seen_in = scans_;
      return;
    }
    done_.erase(done);
  } else {
    const auto age = now - from_micros(mtime_ns(status) / 1000);
    if (age > settings_.ignore_older) return;
  }
  auto file = std::make_unique<File>();
  file->fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->fd < 0) {
    if (errno != ENOENT)
      faults_[path] = "open " + path + ": " + std::strerror(errno) + "; give the user of runtail the right to read it";
    return;
  }
  struct stat opened {};
  if (fstat(file->fd, &opened) != 0 || !S_ISREG(opened.st_mode)) return;
  file->inode = {opened.st_dev, opened.st_ino};
  file->path = path;
  file->live_name = is_live_name;
  file->size = static_cast<std::uint64_t>(opened.st_size);
  file->grown_at = now;
  files_.push_back(std::move(file));
}

// Which file is this? Needs its first complete line. False: not known yet.
bool FileSource::identify(File& file, TimePoint now) {
  const ssize_t have = read_at(file.fd, buffer_.data(), buffer_.size(), 0);
  if (have <= 0) return false;
  const std::string_view head(buffer_.data(), static_cast<std::size_t>(have));
  std::size_t end = head.find('\n');
  if (end == std::string_view::npos) {
    // A file nobody writes to any more is complete as it stands.
    if (head.size() <= settings_.line_bytes_max && !is_final(file, now)) return false;
    end = head.size();
  }
  // A first line too long to hold is known by as much of it as a line may have.
  const Bytes16 key = hmac16(settings_.key, head.substr(0, std::min<std::size_t>(end, settings_.line_bytes_max)));
  std::vector<Position>& same_head = positions_[key];

  // The longest read generation whose bytes before its offset are in this file, and which no open file is.
  const Position* best = nullptr;
  std::string tail;
  for (const Position& known : same_head) {
    if (known.emitted > file.size || known.emitted == 0 || (best && known.emitted <= best->emitted)) continue;
    const std::size_t size = std::min<std::uint64_t>(kConfirmBytes, known.emitted);
    std::string before(size, '\0');
    if (read_at(file.fd, before.data(), size, known.emitted - size) != static_cast<ssize_t>(size)) continue;
    if (hmac_sha256(settings_.key, before) != known.confirm) continue;
    const auto is_open = [&](const auto& other) {
      return other->fd >= 0 && other->identified && other->position.file == known.file;
    };
    if (std::any_of(files_.begin(), files_.end(), is_open)) {
      // A copy beside the file it was made from, as copytruncate makes it before it truncates: it waits. Once the
      // original starts anew, the copy is the file, and what was not read yet is read from it.
      if (!file.live_name) return false;
      continue;
    }
    best = &known;
    tail = std::move(before);
  }
  if (best) {
    file.position = *best;
    file.tail = std::move(tail);
  } else {
    std::int32_t generation = 0;
    for (const Position& known : same_head) generation = std::max(generation, known.file.generation + 1);
    file.position = {};
    file.position.file = {settings_.source.stream, key, generation};
    file.position.first_seen = now;
    file.tail.clear();
    same_head.push_back(file.position);
  }
  file.position.source = settings_.source.name;
  file.identified = true;
  return true;
}

// The file was truncated or rewritten: what it holds now is another file.
void FileSource::restart(File& file, TimePoint now) {
  file.identified = false;
  file.position = {};
  file.position.first_seen = now;
  file.tail.clear();
  file.long_line_end = 0;
}

std::optional<LineBlock> FileSource::read(TimePoint now) {
  for (std::size_t tried = 0; tried < files_.size(); ++tried) {
    File& file = *files_[next_++ % files_.size()];
    if (auto block = read_file(file, now)) return block;
  }
  return std::nullopt;
}

std::optional<LineBlock> FileSource::read_file(File& file, TimePoint now) {
  struct stat status {};
  if (fstat(file.fd, &status) != 0) return std::nullopt;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < file.position.emitted || size < file.long_line_end) {
    const std::uint64_t seen = std::max(file.size, file.long_line_end);
    if (seen > file.position.emitted) count_lost(seen - file.position.emitted, "truncated");
    restart(file, now);
  }
  if (file.size != size) file.grown_at = now;
  file.size = size;
  if (!file.identified && !identify(file, now)) return std::nullopt;
  if (file.position.emitted == size) {
    // Nothing new, unless it was rewritten to the same length.
    if (std::exchange(file.mtime_ns, mtime_ns(status)) == mtime_ns(status) || is_unchanged(file)) return std::nullopt;
    count_lost(0, "truncated");
    restart(file, now);
    return std::nullopt;
  }
  if (file.long_line_end > 0) {
    if (is_unchanged(file)) return long_line(file, file.long_line_end, now);
    restart(file, now);
    return std::nullopt;
  }

  // The bytes before the offset come along: they show whether this is still what was read before.
  const std::uint64_t from = file.position.emitted - file.tail.size();
  const ssize_t got = read_at(file.fd, buffer_.data(), buffer_.size(), from);
  if (got < 0) {
    faults_[file.path] = "read " + file.path + " at " + std::to_string(from) + ": " + std::strerror(errno);
    return std::nullopt;
  }
  const std::string_view bytes(buffer_.data(), static_cast<std::size_t>(got));
  if (bytes.size() < file.tail.size() || bytes.substr(0, file.tail.size()) != file.tail) {
    // Truncated and already longer again: how much was written in between, nobody knows.
    count_lost(0, "truncated");
    restart(file, now);
    return std::nullopt;
  }
  const std::string_view fresh = bytes.substr(file.tail.size());
  std::size_t end = fresh.rfind('\n');
  if (end == std::string_view::npos) {
    if (fresh.size() > settings_.line_bytes_max) return long_line(file, file.position.emitted, now);
    if (fresh.empty() || !is_final(file, now)) return std::nullopt;
    end = fresh.size() - 1;
  }
  LineBlock block = block_of(file, file.position.emitted, file.position.emitted + end + 1);
  for (std::size_t at = 0; at <= end;) {
    const char* newline = static_cast<const char*>(std::memchr(fresh.data() + at, '\n', end + 1 - at));
    const std::size_t stop = newline ? static_cast<std::size_t>(newline - fresh.data()) : end + 1;
    const std::size_t next = newline ? stop + 1 : stop;
    const bool too_long = stop - at > settings_.line_bytes_max;
    block.lines.push_back({file.position.emitted + at,
                           next - at,
                           too_long ? std::string_view{} : fresh.substr(at, stop - at),
                           too_long,
                           {}});
    at = next;
  }
  const std::string_view read = bytes.substr(0, file.tail.size() + end + 1);
  file.tail = std::string(read.substr(read.size() - std::min(read.size(), kConfirmBytes)));
  file.position.emitted = file.position.resume = block.covers.to;
  file.position.confirm = hmac_sha256(settings_.key, file.tail);
  block.position = file.position;
  file.grown_at = now;
  remember(file);
  return block;
}

// A line longer than we hold: its end is looked for in pieces, its bytes are counted and forgotten.
std::optional<LineBlock> FileSource::long_line(File& file, std::uint64_t have, TimePoint now) {
  for (int reads = 0;; ++reads) {
    const ssize_t got = reads < kLongLineReads ? read_at(file.fd, buffer_.data(), buffer_.size(), have) : 0;
    if (got < 0) faults_[file.path] = "read " + file.path + " at " + std::to_string(have) + ": " + std::strerror(errno);
    const bool at_end = got == 0 && reads < kLongLineReads;
    if (got <= 0 && !(at_end && is_final(file, now))) {
      file.long_line_end = have;
      return std::nullopt;
    }
    const void* newline = std::memchr(buffer_.data(), '\n', static_cast<std::size_t>(got));
    if (!newline && !at_end) {
      have += static_cast<std::uint64_t>(got);
      continue;
    }
    const std::uint64_t end =
        newline ? have + static_cast<std::uint64_t>(static_cast<const char*>(newline) - buffer_.data()) + 1 : have;
    LineBlock block = block_of(file, file.position.emitted, end);
    block.lines.push_back({file.position.emitted, end - file.position.emitted, {}, true, {}});
    file.long_line_end = 0;
    const std::size_t size = std::min<std::uint64_t>(kConfirmBytes, end);
    file.tail.assign(size, '\0');
    if (read_at(file.fd, file.tail.data(), size, end - size) != static_cast<ssize_t>(size)) return std::nullopt;
    file.position.emitted = file.position.resume = end;
    file.position.confirm = hmac_sha256(settings_.key, file.tail);
    block.position = file.position;
    remember(file);
    return block;
  }
}

// Nobody writes to it any more: renamed or deleted, and quiet for a while. Its last line is complete as it stands.
bool FileSource::is_final(const File& file, TimePoint now) const {
  return !file.live_name && now - file.grown_at > kRenamedGrace / 2;
}

// The bytes before the offset are still those that were read.
bool FileSource::is_unchanged(const File& file) {
  const std::size_t size = file.tail.size();
  return read_at(file.fd, buffer_.data(), size, file.position.emitted - size) == static_cast<ssize_t>(size) &&
         std::string_view(buffer_.data(), size) == file.tail;
}

void FileSource::remember(const File& file) {
  for (Position& known : positions_[file.position.file.file_key]) {
    if (known.file == file.position.file) known = file.position;
  }
}

LineBlock FileSource::block_of(File& file, std::uint64_t from, std::uint64_t to) {
  LineBlock block;
  block.covers = {from, to};
  const bool configured = !settings_.source.job_id.empty();
  block.default_job_id = configured ? settings_.source.job_id : settings_.source.stream;
  block.default_job_rank = configured ? 3 : 4;
  block.last_ts = &file.position.last_ts;
  return block;
}

void FileSource::let_go(File& file) {
  struct stat status {};
  if (fstat(file.fd, &status) == 0) {
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (status.st_nlink > 0) done_[file.inode] = {size, mtime_ns(status), scans_};
  }
  close(file.fd);
  file.fd = -1;
}

void FileSource::count_lost(std::uint64_t bytes, std::string_view reason) {
  if (bytes > 0) metrics_.add(Metric::kLostBytesTotal, {settings_.source.name, reason}, static_cast<double>(bytes));
}

std::uint64_t FileSource::lag_bytes() const {
  std::uint64_t lag = 0;
  for (const auto& file : files_) lag += file->size > file->position.emitted ? file->size - file->position.emitted : 0;
  return lag;
}

std::vector<std::string> FileSource::directories() const {
  std::set<std::string> out;
  for (const std::string& pattern : settings_.source.include) {
    std::string directory = fs::path(pattern).parent_path();
    if (directory.empty()) directory = ".";
    glob_t found{};
    if (glob(directory.c_str(), GLOB_NOSORT | GLOB_ONLYDIR, nullptr, &found) == 0) {
      for (std::size_t i = 0; i < found.gl_pathc; ++i) out.insert(found.gl_pathv[i]);
    }
    globfree(&found);
  }
  return {out.begin(), out.end()};
}

std::vector<std::string> FileSource::faults() const {
  std::vector<std::string> out;
  for (const auto& [path, fault] : faults_) out.push_back(fault);
  return out;
}

}  // namespace runtail
