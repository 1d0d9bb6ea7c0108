#include "agent/control_group.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>

namespace runtail {
namespace {

namespace fs = std::filesystem;

// Units of a user lie five slices deep; groups a worker makes for itself rarely go deeper than this.
constexpr int kDepthMax = 8;

// Where hierarchies may be mounted below the root: v2 alone, v2 beside v1, and v1's own for systemd and memory.
constexpr std::string_view kHierarchies[] = {"", "unified", "systemd", "memory"};

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

template <typename Fn>
void for_each_directory(const fs::path& directory, Fn&& fn) {
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone;
    if (at->is_directory(gone) && !at->is_symlink(gone)) fn(at->path());
  }
}

std::optional<fs::path> find_below(const fs::path& directory, const std::string& unit, int depth) {
  if (is_there(directory / unit)) return directory / unit;
  std::optional<fs::path> found;
  if (depth == 0) return found;
  for_each_directory(directory, [&](const fs::path& below) {
    const std::string name = below.filename();
    if (!found && (name.ends_with(".slice") || name.starts_with("user@"))) found = find_below(below, unit, depth - 1);
  });
  return found;
}

void add_members(const fs::path& directory, int depth, std::vector<ProcessLife>& members) {
  std::ifstream in(directory / "cgroup.procs");
  for (pid_t pid = 0; in >> pid;) {
    // 0: a process of another PID namespace.
    if (const auto life = pid > 0 ? life_of(pid) : std::nullopt) members.push_back(*life);
  }
  if (depth == 0) return;
  for_each_directory(directory, [&](const fs::path& below) { add_members(below, depth - 1, members); });
}

// The number behind "key " at the beginning of a line.
std::optional<std::uint64_t> number_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    const std::string_view line = text.substr(0, end + 1);
    std::uint64_t value = 0;
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ') {
      const auto [last, error] = std::from_chars(line.data() + key.size() + 1, line.data() + line.size(), value);
      return error == std::errc() ? std::optional(value) : std::nullopt;
    }
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

}  // namespace

std::string ControlGroup::Held::read() {
  const bool was_open = fd >= 0;
  if (!was_open) fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  char text[4096];
  const ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof text, 0);
  if (got >= 0) return {text, static_cast<std::size_t>(got)};
  drop();
  return was_open ? read() : std::string();  // the group may have been made anew
}

void ControlGroup::Held::drop() {
  if (fd >= 0) close(std::exchange(fd, -1));
}

ControlGroup::ControlGroup(std::string unit, fs::path root, std::vector<fs::path> places)
    : unit_(std::move(unit)), root_(std::move(root)), places_(std::move(places)) {}

ControlGroup::ControlGroup(ControlGroup&& other) noexcept
    : unit_(other.unit_), root_(other.root_), places_(other.places_), events_(other.events_), memory_(other.memory_) {
  other.events_.fd = other.memory_.fd = -1;
}

ControlGroup::~ControlGroup() {
  events_.drop();
  memory_.drop();
}

ControlGroup ControlGroup::of_directory(const fs::path& directory, const fs::path& root) {
  std::vector<fs::path> places{directory};
  // v1: /sys/fs/cgroup/pids/etl and /sys/fs/cgroup/memory/etl are the same group to whoever made both.
  const fs::path below = directory.lexically_relative(root);
  if (auto at = below.begin(); at != below.end() && *at != ".." && std::next(at) != below.end()) {
    fs::path same = root / "memory";
    for (++at; at != below.end(); ++at) same /= *at;
    if (same != directory) places.push_back(same);
  }
  return {"", root, std::move(places)};
}

ControlGroup ControlGroup::of_unit(const std::string& unit, const fs::path& root) {
  return {unit.find('.') == std::string::npos ? unit + ".service" : unit, root, {}};
}

void ControlGroup::find_unit() {
  places_.clear();
  for (const std::string_view hierarchy : kHierarchies) {
    const fs::path top = hierarchy.empty() ? root_ : root_ / hierarchy;
    if (auto found = find_below(top, unit_, kDepthMax)) places_.push_back(std::move(*found));
  }
}

ControlGroup::Seen ControlGroup::look() {
  if (!unit_.empty() && (places_.empty() || !is_there(places_.front()))) find_unit();
  Seen seen;
  const auto place = std::find_if(places_.begin(), places_.end(), is_there);
  if (place == places_.end()) {
    events_.drop();
    return seen;
  }
  if (events_.path != *place / "cgroup.events") {
    events_.drop();
    events_.path = *place / "cgroup.events";
  }
  const std::string events = events_.read();
  add_members(*place, kDepthMax, seen.members);
  std::sort(seen.members.begin(), seen.members.end(), [](const ProcessLife& a, const ProcessLife& b) {
    return std::pair(a.start_ticks, a.pid) < std::pair(b.start_ticks, b.pid);
  });
  seen.populated = !seen.members.empty() || number_of(events, "populated") == 1u;
  return seen;
}

std::optional<ControlGroup::OomKills> ControlGroup::oom_kills() {
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (const auto count = number_of(memory_.read(), "oom_kill")) {
      struct stat status {};
      // The path, not the descriptor: a group made anew has the same name and another inode.
      if (stat(memory_.path.c_str(), &status) == 0) return OomKills{status.st_ino, *count};
    }
    memory_.drop();
    for (const fs::path& place : places_) {
      for (const char* name : {"memory.events", "memory.oom_control"}) {
        std::error_code error;
        if (!fs::exists(place / name, error)) continue;
        memory_.path = place / name;
        break;
      }
      if (memory_.path.parent_path() == place) break;
    }
  }
  return std::nullopt;
}

std::vector<int> ControlGroup::descriptors() const {
  std::vector<int> open;
  for (const Held* held : {&events_, &memory_}) {
    const std::string name = held->path.filename();
    if (held->fd >= 0 && name != "memory.oom_control") open.push_back(held->fd);
  }
  return open;
}

}  // namespace runtail
