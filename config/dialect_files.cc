#include "config/dialect_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "config/text_file.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

// The file itself, or those of a directory, by name. Hidden ones are none: Kubernetes keeps its own beside those of a
// ConfigMap.
std::vector<std::string> files_at(const std::string& path, std::string& reason) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return {path};
  std::vector<std::string> files;
  for (fs::directory_iterator each(path, error), end; !error && each != end; each.increment(error)) {
    const fs::path name = each->path().filename();
    const bool is_yaml = name.extension() == ".yaml" || name.extension() == ".yml";
    if (is_yaml && !name.string().starts_with('.')) files.push_back(each->path().string());
  }
  if (error) reason = error.message();
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<DialectProblem> read_dialect_files(DialectsConfig& config) {
  std::vector<DialectProblem> problems;
  config.own.clear();
  for (std::size_t i = 0; i < config.files.size(); ++i) {
    const std::string key = "dialects.files[" + std::to_string(i) + "]";
    std::string reason;
    const std::vector<std::string> files = files_at(config.files[i], reason);
    if (!reason.empty()) problems.push_back({"", key, '"' + config.files[i] + "\": " + reason});
    for (const std::string& file : files) {
      const std::optional<std::string> text = read_text_file(file, reason);
      if (!text) {
        problems.push_back({"", key, '"' + file + "\": " + reason + "; name a readable dialect file"});
        continue;
      }
      ReadDialect read = read_dialect(*text, file, DialectOrigin::kOwn);
      const auto same = std::find_if(config.own.begin(), config.own.end(),
                                     [&](const DialectSpec& other) { return other.name == read.spec.name; });
      if (read.problems.empty() && same != config.own.end()) {
        problems.push_back({file, "name", '"' + same->name + "\" is taken by " + same->file + "; rename one of them"});
      } else if (read.problems.empty()) {
        config.own.push_back(std::move(read.spec));
      }
      for (DialectProblem& problem : read.problems) problems.push_back(std::move(problem));
    }
  }
  return problems;
}

std::vector<DialectSpec> dialects_of(const DialectsConfig& config) {
  std::vector<DialectSpec> dialects = built_in_dialects();
  for (const DialectSpec& own : config.own) {
    const auto same = std::find_if(dialects.begin(), dialects.end(),
                                   [&](const DialectSpec& other) { return other.name == own.name; });
    if (same == dialects.end()) {
      dialects.push_back(own);
    } else {
      *same = own;
    }
  }
  return dialects;
}

}  // namespace runtail
