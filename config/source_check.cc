#include "config/source_check.h"

#include <algorithm>
#include <utility>

namespace runtail {
namespace {

class SourceCheck {
 public:
  SourceCheck(const std::vector<SourceConfig>& sources, const KeyPlaces& places, std::vector<ConfigProblem>& problems)
      : sources_(sources), places_(places), problems_(problems), found_before_(problems.size()) {}

  void check(std::size_t at) {
    at_ = at;
    const SourceConfig& source = sources_[at];
    if (source.name.empty()) complain("name", "missing; choose one for good, it is part of every identity");
    check_type(source);
    for (std::size_t other = 0; other < at; ++other) compare(source, sources_[other], other);
  }

 private:
  void check_type(const SourceConfig& source) {
    if (is_refused("type")) return;
    const bool files = source.type == "files", kubernetes = source.type == "kubernetes";
    const bool journald = source.type == "journald", socket = source.type == "socket";
    if (files && source.include.empty()) {
      complain("include", "missing; list the files to follow, as in [/var/log/etl/*.log]");
    }
    if (socket && source.socket.empty()) {
      complain("socket", "missing; name the unix socket to listen on, as in /run/runtail/etl.sock");
    }
    const auto only = [&](const char* key, bool given, bool fits, const char* owners) {
      if (!given || fits) return;
      complain(key, std::string("belongs to type ") + owners + ", and this source is of type " + source.type +
                        "; remove it, or change type");
    };
    only("include", !source.include.empty(), files || kubernetes, "files or kubernetes");
    only("exclude", !source.exclude.empty(), files || kubernetes, "files or kubernetes");
    only("roots", !source.roots.empty(), files || kubernetes, "files or kubernetes");
    only("socket", !source.socket.empty(), socket, "socket");
    only("units", !source.units.empty(), journald, "journald");
    only("journal_directory", !source.journal_directory.empty(), journald, "journald");
    // A pod's log is held open by the container runtime, and its directory has many workers.
    only("worker.pid_file", !source.worker.pid_file.empty(), !kubernetes, "files, journald or socket");
    only("worker.unit", !source.worker.unit.empty(), !kubernetes, "files, journald or socket");
    only("worker.cgroup", !source.worker.cgroup.empty(), !kubernetes, "files, journald or socket");
    only("worker.holds_file", source.worker.holds_file, files, "files");
  }

  void compare(const SourceConfig& source, const SourceConfig& before, std::size_t index) {
    const std::string other = "sources[" + std::to_string(index) + "]";
    const auto differ = [&](const char* key, const std::string& value, const std::string& taken) {
      if (value.empty() || value != taken) return;
      complain(key, '"' + value + "\" is taken by " + other + "; each needs its own");
    };
    differ("name", source.name, before.name);
    // The default follows from the name: one problem, not two.
    const bool own_stream = source.name != before.name || places_.contains(key_of("stream"));
    if (own_stream) differ("stream", source.stream, before.stream);
    differ("socket", source.socket, before.socket);
    for (const std::string& glob : source.include) {
      if (std::find(before.include.begin(), before.include.end(), glob) == before.include.end()) continue;
      complain("include", '"' + glob + "\" is followed by " + other + " (" + before.name +
                              ") too, so each line would be stored twice; remove it from one of them");
    }
  }

  bool is_refused(const std::string& name) const {
    const std::string key = key_of(name);
    return std::any_of(problems_.begin(), problems_.begin() + static_cast<std::ptrdiff_t>(found_before_),
                       [&](const ConfigProblem& problem) {
                         return problem.key == key || problem.key.starts_with(key + "[") || problem.key == source_key();
                       });
  }

  std::string source_key() const { return "sources[" + std::to_string(at_) + "]"; }
  std::string key_of(const std::string& name) const { return source_key() + "." + name; }

  void complain(const std::string& name, std::string message) {
    if (is_refused(name)) return;
    const std::string key = key_of(name);
    auto place = places_.find(key);
    if (place == places_.end()) place = places_.find(source_key());
    problems_.push_back({place->second, key, std::move(message)});
  }

  const std::vector<SourceConfig>& sources_;
  const KeyPlaces& places_;
  std::vector<ConfigProblem>& problems_;
  const std::size_t found_before_;
  std::size_t at_ = 0;
};

}  // namespace

void check_sources(const std::vector<SourceConfig>& sources, const KeyPlaces& places,
                   std::vector<ConfigProblem>& problems) {
  SourceCheck check(sources, places, problems);
  for (std::size_t i = 0; i < sources.size(); ++i) check.check(i);
}

}  // namespace runtail
