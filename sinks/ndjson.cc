#include "sinks/ndjson.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/event_codec.h"
#include "core/event_json.h"
#include "core/identity.h"
#include "core/json_text.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWriteBytes = 1 << 20;
// Each is a crash and a rotation within one delivery.
constexpr std::size_t kPlacesMax = 8;

// Calls `use` with each line of the chunks, newline included.
template <typename Use>
Result<void> for_each_line(std::span<const SequencedChunk> chunks, const std::vector<std::string>& kinds, Use use) {
  std::string line;
  for (const SequencedChunk& each : chunks) {
    const EventIds ids(each.chunk.file);
    EventReader reader(each.chunk.events);
    while (reader.next()) {
      if (!reader.event().stored) continue;
      line = "{\"id\":\"";
      line += to_string(ids.at(reader.offset_in(each.chunk.covers.from)));
      line += "\",\"stream\":";
      append_json_string(line, each.chunk.file.stream);
      const std::size_t at = line.size();
      append_event_json(line, reader.event(), kinds);
      line[at] = ',';  // its members are ours
      line += '\n';
      if (const auto used = use(line); !used) return used;
    }
  }
  return {};
}

// std::nullopt: all is written; else the error number. `written` grows by what was.
std::optional<int> write_all(int fd, std::string_view bytes, std::uint64_t& written) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
      written += static_cast<std::uint64_t>(put);
    } else if (errno == EAGAIN) {
      pollfd ready{fd, POLLOUT, 0};
      poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return std::nullopt;
}

std::uint64_t size_of(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

// A file of that directory by its number, or -1.
int open_by_inode(const fs::path& directory, dev_t device, ino_t inode) {
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    struct stat status {};
    if (lstat(at->path().c_str(), &status) != 0 || status.st_dev != device || status.st_ino != inode) continue;
    return open(at->path().c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  }
  return -1;
}

}  // namespace

// What stands in one file from where the delivery began there.
class NdjsonSink::Trail {
 public:
  Trail(int fd, std::uint64_t begin) : fd_(fd), at_(begin), end_(size_of(fd)) {
    if (end_ < at_) at_ = 0;  // cut shorter meanwhile: what is there was written after that
  }

  // Is `line` the next one here? A part of it at the end is cut off.
  bool takes(std::string_view line) {
    if (at_ >= end_) return false;
    found_.resize(std::min<std::uint64_t>(line.size(), end_ - at_));
    const ssize_t got = pread(fd_, found_.data(), found_.size(), static_cast<off_t>(at_));
    if (got != static_cast<ssize_t>(found_.size()) || !line.starts_with(found_)) {
      at_ = end_;
      return false;
    }
    if (found_.size() == line.size()) {
      at_ += line.size();
      return true;
    }
    if (ftruncate(fd_, static_cast<off_t>(at_)) == 0) end_ = at_;
    at_ = end_;
    return false;
  }

 private:
  const int fd_;
  std::uint64_t at_, end_;
  std::string found_;
};

NdjsonSink::NdjsonSink(std::string path, std::vector<std::string> kinds)
    : path_(std::move(path)), kinds_(std::move(kinds)) {}

NdjsonSink::~NdjsonSink() { idle(); }

void NdjsonSink::idle() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

Error NdjsonSink::failure(const char* what) const {
  const int number = errno;
  std::string remedy = "let this user write it, or set ndjson.path";
  if (number == ENOSPC || number == EDQUOT) remedy = "make room there";
  if (number == ENOENT) remedy = "make its directory, or set ndjson.path";
  if (number == EWOULDBLOCK) remedy = "another process writes it: give each agent its own ndjson.path";
  return {ErrorCode::kUnavailable,
          std::string(what) + " " + (path_ == "-" ? "stdout" : path_) + ": " + std::strerror(number) + "; " + remedy};
}

void NdjsonSink::resume(std::string_view mark) {
  places_.clear();
  const char* at = mark.data();
  const char* const end = mark.data() + mark.size();
  const auto number = [&](auto& value) {
    while (at != end && *at == ' ') ++at;
    const auto [next, error] = std::from_chars(at, end, value);
    at = next;
    return error == std::errc();
  };
  for (Place place; number(place.device) && number(place.inode) && number(place.begin);) places_.push_back(place);
  in_hand_ = !places_.empty();
}

std::string NdjsonSink::mark() {
  if (path_ == "-") return {};
  const auto there = look_at_path();
  fault_ = there ? "" : there.error().message;
  std::string mark;
  for (const Place& place : places_) {
    mark += std::to_string(place.device) + ' ' + std::to_string(place.inode) + ' ' + std::to_string(place.begin) + ' ';
  }
  return mark;
}

// Opens the file the path leads to now, if that is another than before.
Result<void> NdjsonSink::look_at_path() {
  struct stat status {};
  const auto is_last_place = [&] {
    return !places_.empty() && places_.back().device == status.st_dev && places_.back().inode == status.st_ino;
  };
  const bool is_there = stat(path_.c_str(), &status) == 0;
  if (fd_ < 0 || !is_there || !is_last_place()) {
    idle();
    const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0) return failure("open");
    fd_ = fd;
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const Error error = failure("lock");
      idle();
      return error;
    }
    if (fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) {
      idle();
      return Error{ErrorCode::kUnavailable, path_ + " is no regular file; set ndjson.path to one, or to - for stdout"};
    }
    if (!is_there) {
      // The name must outlive a power cut as the lines do.
      const int directory = open(fs::path(path_).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (directory >= 0) {
        fsync(directory);
        close(directory);
      }
    }
  }
  if (!is_last_place()) {
    if (!in_hand_) places_.clear();
    if (places_.size() == kPlacesMax) places_.erase(places_.begin());
    places_.push_back({status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size)});
  } else if (!in_hand_) {
    places_.back().begin = static_cast<std::uint64_t>(status.st_size);
  }
  return {};
}

Delivery NdjsonSink::deliver(std::span<const SequencedChunk> chunks, bool, TableSet) {
  Delivery delivery;
  const auto written = path_ == "-" ? write_to_stdout(chunks) : write_lines(chunks);
  if (!written) {
    delivery.reason = written.error().message;
    return delivery;
  }
  delivery.status = Delivery::Status::kDelivered;
  // An event's line says all its records say.
  for (const SequencedChunk& each : chunks) delivery.outcomes.applied += each.chunk.records;
  return delivery;
}

Result<void> NdjsonSink::write_lines(std::span<const SequencedChunk> chunks) {
  if (fd_ < 0) return Error{ErrorCode::kUnavailable, fault_};
  std::vector<Trail> trails;
  std::vector<int> opened;
  if (in_hand_) {
    for (const Place& place : places_) {
      const bool is_current = &place == &places_.back();
      const int fd = is_current ? fd_ : open_by_inode(fs::path(path_).parent_path(), place.device, place.inode);
      if (fd >= 0) trails.emplace_back(fd, place.begin);
      if (fd >= 0 && !is_current) opened.push_back(fd);
    }
  }
  in_hand_ = true;

  std::size_t trail = 0;
  std::string text;
  std::uint64_t begin = 0, written = 0;
  const auto flush = [&]() -> Result<void> {
    const auto error = write_all(fd_, text, written);
    text.clear();
    if (!error) return {};
    // Whole again, in case the file is rotated before there is room.
    (void)!ftruncate(fd_, static_cast<off_t>(begin));
    errno = *error;
    return failure("write");
  };
  const auto start_writing = [&] {
    begin = size_of(fd_);
    char last = '\n';
    if (begin > 0 && pread(fd_, &last, 1, static_cast<off_t>(begin - 1)) == 1 && last != '\n') text = '\n';
  };
  if (trails.empty()) start_writing();
  auto done = for_each_line(chunks, kinds_, [&](const std::string& line) -> Result<void> {
    while (trail < trails.size()) {
      if (trails[trail].takes(line)) return {};
      if (++trail == trails.size()) start_writing();
    }
    text += line;
    if (text.size() < kWriteBytes) return {};
    return flush();
  });
  for (const int fd : opened) close(fd);
  if (done && !text.empty()) done = flush();
  if (!done) return done;
  if (fdatasync(fd_) != 0) {
    const Error error = failure("sync");
    // What of it reached the disk is not known: it is written anew.
    if (written > 0) (void)!ftruncate(fd_, static_cast<off_t>(begin));
    return error;
  }
  in_hand_ = false;
  places_.erase(places_.begin(), places_.end() - 1);
  places_.back().begin = size_of(fd_);
  return {};
}

Result<void> NdjsonSink::write_to_stdout(std::span<const SequencedChunk> chunks) {
  // A second try goes on where the first stopped: the same chunks come first.
  if (const Sequence first = chunks.empty() ? 0 : chunks.front().sequence; first != stdout_from_) {
    stdout_from_ = first;
    stdout_has_ = 0;
  }
  std::uint64_t passed = 0;
  std::string text;
  const auto flush = [&]() -> Result<void> {
    const std::uint64_t skip = std::min<std::uint64_t>(stdout_has_ - std::min(passed, stdout_has_), text.size());
    passed += text.size();
    const auto error = write_all(STDOUT_FILENO, std::string_view(text).substr(skip), stdout_has_);
    text.clear();
    if (!error) return {};
    errno = *error;
    return failure("write");
  };
  auto done = for_each_line(chunks, kinds_, [&](const std::string& line) -> Result<void> {
    text += line;
    if (text.size() < kWriteBytes) return {};
    return flush();
  });
  if (done && !text.empty()) done = flush();
  return done;
}

}  // namespace runtail
