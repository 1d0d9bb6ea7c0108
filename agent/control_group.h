// The control group of a worker, read in cgroup v2, v1 and where both are mounted side by side.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/worker_process.h"

namespace runtail {

// Reads only. Threads: one.
class ControlGroup {
 public:
  // The group a directory stands for. `root`: where control groups are mounted, usually /sys/fs/cgroup; below it the
  // memory controller's directory of the same group is found.
  static ControlGroup of_directory(const std::filesystem::path& directory, const std::filesystem::path& root);
  // The group of a systemd unit, "etl" meaning "etl.service"; looked for below the slices while it is not there.
  static ControlGroup of_unit(const std::string& unit, const std::filesystem::path& root);
  ~ControlGroup();
  ControlGroup(ControlGroup&& other) noexcept;
  ControlGroup& operator=(ControlGroup&&) = delete;

  struct Seen {
    std::vector<ProcessLife> members;  // also of groups below; oldest first
    bool populated = false;            // processes are in it, be it some this PID namespace does not show
  };
  // How many times the kernel killed a process of the group for lack of memory.
  struct OomKills {
    std::uint64_t group = 0;  // another number: the group was made anew and counts from 0
    std::uint64_t count = 0;
  };
  // What it holds now; of a group that is gone: nobody.
  Seen look();
  std::optional<OomKills> oom_kills();
  // Descriptors to poll for POLLPRI: they change when the last process leaves or one is killed. v1 has none.
  std::vector<int> descriptors() const;

 private:
  // A file of the group that is held open: the kernel tells of changes to those who have read it.
  struct Held {
    std::filesystem::path path;
    int fd = -1;
    std::string read();  // "" if it is not there
    void drop();
  };
  ControlGroup(std::string unit, std::filesystem::path root, std::vector<std::filesystem::path> places);
  void find_unit();

  std::string unit_;  // "": a directory was named
  const std::filesystem::path root_;
  std::vector<std::filesystem::path> places_;  // directories of the same group; processes are read from the first
  Held events_, memory_;
};

}  // namespace runtail
