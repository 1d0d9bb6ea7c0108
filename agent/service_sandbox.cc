#include "agent/service_sandbox.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "agent/preflight.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStateDirectory = "/var/lib/runtail";  // StateDirectory=
constexpr const char* kSupplementary[] = {"adm", "systemd-journal"};

bool is_below(const fs::path& path, const fs::path& directory) {
  const fs::path clean = path.lexically_normal();
  return std::mismatch(directory.begin(), directory.end(), clean.begin(), clean.end()).first == directory.end();
}

struct Account {
  uid_t user = 0;
  std::vector<gid_t> groups;

  static std::optional<Account> of(const std::string& name) {
    const passwd* const entry = getpwnam(name.c_str());
    if (!entry) return std::nullopt;
    Account account{entry->pw_uid, std::vector<gid_t>(64)};
    int size = static_cast<int>(account.groups.size());
    if (getgrouplist(name.c_str(), entry->pw_gid, account.groups.data(), &size) < 0) size = 1;
    account.groups.resize(static_cast<std::size_t>(size));
    for (const char* each : kSupplementary) {
      if (const group* const found = getgrnam(each)) account.groups.push_back(found->gr_gid);
    }
    return account;
  }

  bool may(const struct stat& entry, mode_t bit) const {  // bit of "others": 4 read, 1 enter
    if (entry.st_uid == user) return entry.st_mode & (bit << 6);
    const bool is_member = std::find(groups.begin(), groups.end(), entry.st_gid) != groups.end();
    return entry.st_mode & (is_member ? bit << 3 : bit);
  }

  // The first directory on the way, or the path itself, that this account may not use; "" if none.
  std::string stops_at(const fs::path& path, mode_t bit) const {
    fs::path walked;
    for (const fs::path& part : path) {
      walked /= part;
      struct stat entry {};
      if (stat(walked.c_str(), &entry) != 0) return "";  // missing: preflight says so
      if (!may(entry, walked == path ? bit : 1)) return walked.string();
    }
    return "";
  }
};

}  // namespace

std::vector<std::string> sandbox_refusals(const Config& config, const std::string& user) {
  std::vector<std::string> found;
  const std::optional<Account> account = Account::of(user);
  if (!account)
    found.push_back("there is no user " + user + " here: the rights of the service on files were not looked at");

  const auto reads = [&](const std::string& about, const fs::path& path, mode_t bit) {
    if (path.empty()) return;
    for (const char* hidden : {"/tmp", "/var/tmp"}) {
      if (is_below(path, hidden)) {
        found.push_back(about + path.string() + ": the service has a " + hidden +
                        " of its own; in a drop-in: PrivateTmp=no");
      }
    }
    if (is_below(path, "/dev"))
      found.push_back(about + path.string() + ": devices are hidden; in a drop-in: PrivateDevices=no");
    if (!account) return;
    if (const std::string stop = account->stops_at(path, bit); !stop.empty()) {
      found.push_back(about + path.string() + ": user " + user + " may not " + (stop == path ? "read " : "enter ") +
                      stop + "; give it the group of that, in a drop-in: SupplementaryGroups=GROUP");
    }
  };
  const auto writes = [&](const std::string& about, const fs::path& path) {
    if (path.empty() || path == "-" || is_below(path, kStateDirectory) || is_below(path, "/tmp")) return;
    found.push_back(about + path.string() + ": the service writes below " + kStateDirectory +
                    " only; in a drop-in: ReadWritePaths=" + path.parent_path().string());
  };
  const auto listens = [&](const std::string& about, const std::string& address) {
    const std::string port = address.substr(address.rfind(':') + 1);
    unsigned number = 0;
    std::from_chars(port.data(), port.data() + port.size(), number);
    if (address.empty() || number == 0 || number >= 1024) return;
    found.push_back(about + address + ": ports below 1024 take AmbientCapabilities=CAP_NET_BIND_SERVICE and " +
                    "CapabilityBoundingSet=CAP_NET_BIND_SERVICE in a drop-in");
  };

  for (const SourceConfig& source : config.sources) {
    const std::string about = "source " + source.name + ": ";
    for (const std::string& glob : source.include) reads(about, fixed_directory(glob), 5);
    for (const std::string& root : source.roots) reads(about + "roots: ", root, 5);
    reads(about + "journal_directory: ", source.journal_directory, 5);
    reads(about + "worker.pid_file: ", source.worker.pid_file, 4);
    writes(about + "socket: ", source.socket);
  }
  writes("buffer.directory ", config.buffer.directory);
  writes("ndjson.path ", config.ndjson.path);
  reads("postgres.password_file ", config.postgres.password_file, 4);
  reads("redaction.hash_key_file ", config.redaction.hash_key_file, 4);
  reads("identity.key_file ", config.identity.key_file, 4);
  for (const std::string& rule : config.redaction.rules) reads("redaction.rules ", rule, 4);
  listens("http.listen ", config.http.listen);
  return found;
}

}  // namespace runtail
