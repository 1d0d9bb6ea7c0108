#include "agent/file_names.h"

#include <dirent.h>
#include <fnmatch.h>
#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

namespace runtail {
namespace {

namespace fs = std::filesystem;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Where a rotation's mark may begin, ".1" or "-20260301-101112Z", the longest first.
std::vector<std::size_t> marks_of(std::string_view name) {
  std::vector<std::size_t> marks;
  for (std::size_t at = name.size(); at > 1; --at) {
    const char c = name[at - 1];
    const bool is_before_digit = at < name.size() && is_digit(name[at]);
    if ((c == '.' || c == '-') && is_before_digit) marks.insert(marks.begin(), at - 1);
    const bool may_stand =
        is_digit(c) || (c == 'Z' && at == name.size()) || (std::strchr(".-_T:", c) && is_before_digit);
    if (!may_stand) break;
  }
  return marks;
}

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(), [&](std::string_view each) { return name.ends_with(each); });
}

std::string without_packing(std::string_view name) {
  if (ends_with_any(name, {".gz"})) name.remove_suffix(3);
  if (ends_with_any(name, {".zst"})) name.remove_suffix(4);
  return std::string(name);
}

// "./etl.log" and "etl.log" are one.
std::vector<std::string> plain(std::vector<std::string> patterns) {
  for (std::string& pattern : patterns) pattern = fs::path(pattern).lexically_normal();
  return patterns;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

}  // namespace

std::vector<std::string> names_before_rotation(std::string_view packed_name) {
  const std::string name = without_packing(packed_name);
  std::vector<std::string> before;
  for (const std::size_t mark : marks_of(name)) before.push_back(name.substr(0, mark));
  const std::size_t dot = name.rfind('.');
  if (dot != std::string::npos && dot > 0) {
    const std::string_view stem = std::string_view(name).substr(0, dot);
    for (const std::size_t mark : marks_of(stem)) before.push_back(name.substr(0, mark) + name.substr(dot));
  }
  if (name.size() < packed_name.size()) before.push_back(name);
  return before;
}

void sort_oldest_first(std::vector<FoundName>& rotated) {
  // By log, and in it by number: etl.log.9 before etl.log.10.
  const auto by_number = [](const FoundName& a, const FoundName& b) {
    return std::tuple(std::string_view(a.log), a.path.size(), std::string_view(a.path)) <
           std::tuple(std::string_view(b.log), b.path.size(), std::string_view(b.path));
  };
  const auto written_at = [](const FoundName& name) {
    return std::pair(name.status.st_mtim.tv_sec, name.status.st_mtim.tv_nsec);
  };
  std::sort(rotated.begin(), rotated.end(), by_number);
  for (auto first = rotated.begin(); first != rotated.end();) {
    const auto end = std::find_if(first, rotated.end(), [&](const FoundName& each) { return each.log != first->log; });
    if (written_at(*first) >= written_at(*std::prev(end))) std::reverse(first, end);
    first = end;
  }
  std::stable_sort(rotated.begin(), rotated.end(),
                   [&](const FoundName& a, const FoundName& b) { return written_at(a) < written_at(b); });
}

FileNames::FileNames(std::vector<std::string> include, std::vector<std::string> exclude)
    : include_(plain(std::move(include))), exclude_(std::move(exclude)) {}

bool FileNames::is_excluded(const std::string& path) const {
  const auto matches = [&](const std::string& pattern) { return fnmatch(pattern.c_str(), path.c_str(), 0) == 0; };
  return std::any_of(exclude_.begin(), exclude_.end(), matches);
}

bool FileNames::is_included(const std::string& path) const {
  const auto matches = [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0;
  };
  return std::any_of(include_.begin(), include_.end(), matches) && !is_excluded(path);
}

bool FileNames::may_be_ours(const std::string& path) const {
  if (is_included(path)) return true;
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  const std::vector<std::string> befores = names_before_rotation(path.substr(directory.size()));
  return std::any_of(befores.begin(), befores.end(),
                     [&](const std::string& name) { return is_included(directory + name); });
}

std::vector<FoundName> FileNames::look(std::map<std::string, std::string>& faults) const {
  std::vector<FoundName> found;
  for (const std::string& directory : directories()) {
    const std::unique_ptr<DIR, CloseDirectory> opened(opendir(directory.c_str()));
    if (!opened) {
      if (errno != ENOENT) {
        faults[directory] =
            "look into " + directory + ": " + std::strerror(errno) + "; let the user of runtail list that directory";
      }
      continue;
    }
    const std::string prefix = directory == "/" ? "/" : directory == "." ? "" : directory + "/";
    std::set<std::string> names;
    while (const dirent* entry = readdir(opened.get())) names.insert(entry->d_name);
    for (const std::string& name : names) {
      if (name == "." || name == ".." || ends_with_any(name, {".xz", ".bz2", ".lz4"})) continue;
      if (is_excluded(prefix + name)) continue;
      const bool is_ours = is_included(prefix + name);
      // worker-1.log beside worker-2.log are two logs, unless there is a worker.log they can have come from.
      const std::vector<std::string> befores = names_before_rotation(name);
      const auto before = std::find_if(befores.begin(), befores.end(), [&](const std::string& each) {
        return is_included(prefix + each) && (!is_ours || names.contains(each));
      });
      const bool was_ours = before != befores.end();
      if (!is_ours && !was_ours) continue;
      const Packing packing = packing_of(name);
      // While it is packed, and if packing was cut short, the file itself is there.
      const std::string unpacked = without_packing(name);
      if (packing != Packing::kNone && was_ours && unpacked != *before && names.contains(unpacked)) continue;
      const bool is_live = !was_ours && packing == Packing::kNone;
      FoundName seen{prefix + name, prefix + (was_ours ? *before : name), is_live, packing, {}};
      if (stat(seen.path.c_str(), &seen.status) != 0) {
        if (errno != ENOENT) faults[seen.path] = "look at " + seen.path + ": " + std::strerror(errno);
        continue;
      }
      if (!S_ISDIR(seen.status.st_mode)) found.push_back(std::move(seen));
    }
  }
  return found;
}

std::vector<std::string> FileNames::directories() const {
  std::set<std::string> out;
  for (const std::string& pattern : include_) {
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

}  // namespace runtail
