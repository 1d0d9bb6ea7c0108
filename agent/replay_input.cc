#include "agent/replay_input.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "agent/file_names.h"
#include "agent/journal_export.h"
#include "agent/line_defaults.h"
#include "agent/pod_path.h"
#include "agent/source_framing.h"
#include "parsers/parser.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

// Lines at the head that are looked at for a time: a banner, a stack trace.
constexpr int kLinesForTime = 200;

// A name says little of what was renamed; these bytes begin no line of a log.
Packing packing_of_bytes(std::string_view head) {
  if (head.starts_with("\x1f\x8b")) return Packing::kGzip;
  if (head.starts_with("\x28\xb5\x2f\xfd")) return Packing::kZstd;
  return Packing::kNone;
}

// What the sources of the configuration call their files.
class Owners {
 public:
  explicit Owners(const Config& config) : config_(config) {
    std::map<std::string, std::string> faults;  // of directories nobody asked for
    for (const SourceConfig& source : config.sources) {
      if (source.type != "files" && source.type != "kubernetes") continue;
      for (const FoundName& name : FileNames(source.include, source.exclude).look(faults)) {
        found_.emplace(fs::weakly_canonical(name.path), std::pair(&source, name));
      }
    }
  }

  // The source `path` belongs to by its name, and what that makes of the name. Without a match: the only source there
  // is. Null: nobody knows.
  std::pair<const SourceConfig*, const FoundName*> of(const std::string& path) const {
    std::error_code ignored;
    const auto found = found_.find(fs::weakly_canonical(path, ignored));
    if (found != found_.end()) return {found->second.first, &found->second.second};
    const SourceConfig* only = nullptr;
    for (const SourceConfig& source : config_.sources) {
      if (source.type != "files") continue;
      if (only) return {nullptr, nullptr};
      only = &source;
    }
    return {only, nullptr};
  }
  // The source that has this stream; null: none.
  const SourceConfig* of_stream(const std::string& stream) const {
    const auto found = std::find_if(config_.sources.begin(), config_.sources.end(),
                                    [&](const SourceConfig& source) { return source.stream == stream; });
    return found == config_.sources.end() ? nullptr : &*found;
  }

 private:
  const Config& config_;
  std::map<fs::path, std::pair<const SourceConfig*, FoundName>> found_;
};

Result<ReplayLog> log_of(const SourceConfig* source, const std::string& stream, const std::string& live_path,
                         const Config& config) {
  SourceConfig settings = source ? *source : SourceConfig{};
  if (!stream.empty()) settings.stream = stream;
  const auto defaults = line_defaults(settings);
  if (!defaults) return defaults.error();
  ReplayLog log{source ? source->name : "replay",           settings.stream, settings.stream, 4, *defaults,
                framing_of(settings, config.line_bytes_max)};
  const auto pod = settings.type == "kubernetes" && stream.empty() ? parse_pod_path(live_path) : std::nullopt;
  if (pod) name_pod(*pod, log.stream, log.default_job, log.defaults);
  if (!settings.job_id.empty()) {
    log.default_job = settings.job_id;
    log.default_job_rank = 3;
  }
  return log;
}

// The path, or what lies below it.
Result<std::set<std::string>> walk(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    return Error{ErrorCode::kInvalidInput, path + ": there is no such file or directory"};
  }
  if (status.type() != fs::file_type::directory) return std::set{path};
  std::set<std::string> found;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator at(path, options, error), end; !error && at != end; at.increment(error)) {
    const bool is_hidden = at->path().filename().string().starts_with('.');
    std::error_code gone;
    if (is_hidden && at->is_directory(gone)) at.disable_recursion_pending();
    if (!is_hidden && at->is_regular_file(gone)) found.insert(at->path().string());
  }
  if (error) return Error{ErrorCode::kUnavailable, "read directory " + path + ": " + error.message()};
  return found;
}

// The first line, and the time its first lines state.
void look_at_head(ReplayInput& input, FileBytes& bytes, Parser& parser, ReadBuffer& buffer,
                  std::size_t line_bytes_max) {
  const BytesRead read = bytes.read_at(buffer.data(), buffer.size(), 0);
  if (read.size == 0 && !read.fault.empty()) input.fault = "read " + input.path + ": " + read.fault;
  if (read.size == 0 && read.is_cut) input.fault = "read " + input.path + ": it ends inside of the archive's head";
  const std::string_view all(buffer.data(), read.size);
  const std::size_t end = all.find('\n');
  input.head = sha256(all.substr(0, std::min({end, all.size(), line_bytes_max})));

  Framing framing(input.log ? input.log->framing : FramingSettings{});
  std::vector<Unit> units;
  std::size_t at = 0;
  for (int lines = 0; lines < kLinesForTime && at < all.size() && !input.begins; ++lines) {
    const std::size_t stop = std::min(all.find('\n', at), all.size());
    units.clear();
    framing.add(at, stop + 1 - at, all.substr(at, stop - at), TimePoint{}, units);
    for (const Unit& unit : units) {
      const auto stated = parser.parse(unit.bytes).ts;
      if (!input.begins && (stated || unit.envelope_time)) input.begins = stated ? stated : unit.envelope_time;
    }
    at = stop + 1;
  }
}

// A pipe cannot be read twice, and which file it is shows only far into it. In memory, as raw text is kept nowhere
// else.
Result<std::shared_ptr<OpenedFile>> hold_standard_input() {
  auto held = std::make_shared<OpenedFile>(memfd_create("runtail replay", MFD_CLOEXEC));
  std::vector<char> piece(1 << 20);
  for (std::uint64_t size = 0;;) {
    const ssize_t got = read(STDIN_FILENO, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) return held;
    const bool kept = got > 0 && write(held->fd(), piece.data(), static_cast<std::size_t>(got)) == got;
    if (!kept) return Error{ErrorCode::kUnavailable, std::string("read standard input: ") + std::strerror(errno)};
    size += static_cast<std::uint64_t>(got);
    if (size > kHeldInputBytesMax) {
      return Error{ErrorCode::kInvalidInput, "standard input is longer than the " +
                                                 std::to_string(kHeldInputBytesMax >> 20) +
                                                 " MiB that are held of a pipe; write it to a file and name that"};
    }
  }
}

}  // namespace

Result<FileBytes> open_input(const ReplayInput& input) {
  const int held = input.held ? input.held->fd() : input.path == "-" ? STDIN_FILENO : -1;
  const int fd = held >= 0 ? fcntl(held, F_DUPFD_CLOEXEC, 0)
                           : open(input.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  OpenedFile file(fd);
  struct stat status {};
  if (fd < 0 || fstat(fd, &status) != 0) {
    return Error{errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
                 "open " + input.path + ": " + std::strerror(errno)};
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::kInvalidInput, "open " + input.path + ": only regular files can be read again"};
  }
  file.size = static_cast<std::uint64_t>(status.st_size);
  file.mtime_ns = static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
  char head[4];
  const ssize_t got = pread(fd, head, sizeof head, 0);
  if (got < 0) return Error{ErrorCode::kUnavailable, "read " + input.path + ": " + std::strerror(errno)};
  FileBytes bytes(std::move(file), packing_of_bytes({head, static_cast<std::size_t>(got)}));
  char begins[kJournalExportBegins.size()];
  const BytesRead read = bytes.read_at(begins, sizeof begins, 0);
  if (std::string_view(begins, read.size) == kJournalExportBegins) bytes.read_as_export();
  return bytes;
}

Result<std::vector<ReplayInput>> find_inputs(const ReplayWish& wish, const Config& config, Parser& parser,
                                             ReadBuffer& buffer) {
  const Owners owners(config);
  std::set<std::string> paths;
  for (const std::string& path : wish.paths) {
    if (path == "-") {
      paths.insert(path);
      continue;
    }
    auto found = walk(path);
    if (!found) return found.error();
    paths.merge(*found);
  }
  std::vector<ReplayInput> inputs;
  std::set<std::pair<dev_t, ino_t>> seen;  // one file under several names is one
  for (const std::string& path : paths) {
    struct stat status {};
    const bool is_there = path == "-" ? fstat(STDIN_FILENO, &status) == 0 : stat(path.c_str(), &status) == 0;
    if (is_there && !seen.emplace(status.st_dev, status.st_ino).second) continue;
    ReplayInput& input = inputs.emplace_back();
    input.path = path;
    const auto [source, name] = owners.of(path);
    const SourceConfig* const named = wish.stream.empty() ? source : owners.of_stream(wish.stream);
    if (named || !wish.stream.empty()) {
      auto log = log_of(named, wish.stream, name ? name->log : path, config);
      if (!log) return log.error();
      input.log = std::move(*log);
    }
    input.is_live = name && name->is_live;
    if (path == "-" && is_there && !S_ISREG(status.st_mode)) {
      auto held = hold_standard_input();
      if (!held) return held.error();
      input.held = std::move(*held);
    }
    auto bytes = open_input(input);
    if (!bytes) {
      input.fault = bytes.error().message;
      continue;
    }
    const auto facts = bytes->facts();
    input.size = facts ? facts->size : 0;
    input.mtime_ns = facts ? facts->mtime_ns : 0;
    look_at_head(input, *bytes, parser, buffer, config.line_bytes_max);
    if (!input.log && input.fault.empty()) {
      input.fault = path + ": no source of the configuration says whose log this is; name its stream: --stream NAME";
    }
  }
  // Whatever their names and the order they were given in.
  std::stable_sort(inputs.begin(), inputs.end(), [](const ReplayInput& a, const ReplayInput& b) {
    const auto stream = [](const ReplayInput& input) { return input.log ? std::string_view(input.log->stream) : ""; };
    const auto key = [&](const ReplayInput& input) {
      return std::tuple(stream(input), input.begins.value_or(TimePoint::min()), input.head);
    };
    return key(a) < key(b);
  });
  return inputs;
}

}  // namespace runtail
