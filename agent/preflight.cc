#include "agent/preflight.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "config/variable.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

// "" if this process may use `path` so, else the system's reason.
std::string refusal(const fs::path& path, int mode) {
  return faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0 ? "" : std::strerror(errno);
}

bool leads_to_directory(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// A directory that is needed with the rights `need`; `until` says what does not work without it.
void check_directory(const std::string& about, const fs::path& directory, int need, const std::string& until,
                     std::vector<std::string>& found) {
  if (!leads_to_directory(directory)) {
    found.push_back(about + ": no such directory; " + until + " until it exists");
  } else if (const std::string reason = refusal(directory, need); !reason.empty()) {
    found.push_back(about + ": " + reason + "; let this user " +
                    (need & W_OK   ? "write to it"
                     : need & R_OK ? "list and enter it"
                                   : "enter it"));
  }
}

void check_source(const SourceConfig& source, std::vector<std::string>& found) {
  const auto check = [&](const char* key, const fs::path& directory, int need, const std::string& until) {
    check_directory("source " + source.name + ": " + key + directory.string(), directory, need, until, found);
  };
  for (const std::string& glob : source.include) {
    check("", fixed_directory(glob), R_OK | X_OK, "nothing matches " + glob);
  }
  for (const std::string& root : source.roots) check("roots: ", root, R_OK | X_OK, "nothing is read from there");
  if (!source.socket.empty()) check("socket: ", source.socket.parent_path(), W_OK | X_OK, "nobody can connect");
  if (!source.journal_directory.empty()) {
    check("journal_directory: ", source.journal_directory, R_OK | X_OK, "nothing is read");
  }
  const char* unseen = "the worker's death is not seen";
  if (!source.worker.pid_file.empty()) {
    check("worker.pid_file: ", source.worker.pid_file.parent_path(), X_OK, unseen);
  }
  if (!source.worker.cgroup.empty()) check("worker.cgroup: ", source.worker.cgroup, X_OK, unseen);
}

void check_buffer(const fs::path& directory, std::vector<std::string>& found) {
  std::error_code ignored;
  fs::path existing = fs::absolute(directory, ignored);
  while (!fs::exists(existing, ignored) && existing.has_relative_path()) existing = existing.parent_path();
  const std::string about = "buffer.directory " + directory.string() + ": ";
  if (!leads_to_directory(existing)) {
    found.push_back(about + existing.string() + " is no directory; name another place");
  } else if (const std::string reason = refusal(existing, W_OK | X_OK); !reason.empty()) {
    found.push_back(about + existing.string() + ": " + reason +
                    "; make it writable for this user, or name another place");
  }
}

std::vector<std::string> variable_names() {
  std::vector<std::string> names;
  for (char** each = environ; *each; ++each) names.emplace_back(*each, std::strcspn(*each, "="));
  return names;
}

void check_file(const char* key, const fs::path& path, std::vector<std::string>& found) {
  if (path.empty()) return;
  const std::string reason = leads_to_directory(path) ? "Is a directory" : refusal(path, R_OK);
  if (!reason.empty()) found.push_back(key + (" " + path.string()) + ": " + reason + "; name a readable file");
}

}  // namespace

fs::path fixed_directory(const std::string& glob) {
  const std::size_t wild = glob.find_first_of("*?[");
  const std::size_t slash = glob.rfind('/', wild);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : glob.substr(0, slash);
}

std::vector<std::string> preflight(const Config& config) {
  std::vector<std::string> found;
  if (config.sources.empty()) {
    found.push_back("sources: none, so the agent follows no file; set sources, or RUNTAIL_SOURCE_INCLUDE");
  }
  for (const SourceConfig& source : config.sources) check_source(source, found);
  check_buffer(config.buffer.directory, found);
  check_file("postgres.password_file", config.postgres.password_file, found);
  check_file("identity.key_file", config.identity.key_file, found);
  if (config.ndjson.path.starts_with('/')) {
    const fs::path directory = fs::path(config.ndjson.path).parent_path();
    check_directory("ndjson.path: " + directory.string(), directory, W_OK | X_OK, "nothing is written", found);
  }
  for (std::string& unknown : unknown_variables(config, variable_names())) found.push_back(std::move(unknown));
  return found;
}

}  // namespace runtail
