// The repository as the house tests see it: text files with their paths, without build output.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace runtail::house {

struct SourceFile {
  std::string path;  // relative to the root, '/' between parts: "core/event.h"
  std::string text;
};

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Every regular file below the root but .git, build output, and the licence text.
inline std::vector<SourceFile> read_source_tree(const std::filesystem::path& root) {
  namespace fs = std::filesystem;
  std::vector<SourceFile> files;
  for (auto entry = fs::recursive_directory_iterator(root); entry != fs::recursive_directory_iterator(); ++entry) {
    const std::string name = entry->path().filename().string();
    if (entry->is_directory()) {
      if (name == ".git" || name == "build" || name == "__pycache__") entry.disable_recursion_pending();
      continue;
    }
    if (!entry->is_regular_file() || name == "LICENSE") continue;
    files.push_back({fs::relative(entry->path(), root).generic_string(), read_text(entry->path())});
  }
  return files;
}

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

inline bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings) {
    if (text.ends_with(ending)) return true;
  }
  return false;
}

}  // namespace runtail::house
