// Watches the worker that a source's settings name, and tells the pipeline when it is gone.
//
// Evidence:  its process ended (pidfd) > its control group has no process left > nobody has its log open any more.
//            Silence alone is none. Lack of memory is said only where the control group's own counter says so.
// Order:     a death is told after the lines written before it: a later line may hold the real verdict.
// Crash:     what was seen alive is durable, so a death while no agent ran is told by the next one; the note is durable
//            together with what it changed, so it is told once.
// Limits:    a pid file needs the worker's PID namespace. cgroup v1 is looked at once a second.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/control_group.h"
#include "agent/file_names.h"
#include "agent/source.h"
#include "agent/worker_process.h"
#include "config/config.h"

namespace runtail {

// Whether anything is set by which a worker's death could be known.
bool names_worker(const WorkerConfig& worker);

// Threads: one.
class WorkerWatch final : public Source {
 public:
  // The buffer's state entry of a source's watch.
  static std::string state_key(const std::string& source);

  // `watched` reads the worker's lines; it outlives this and is scanned before it. `positions` and `known` (the state
  // entry): what is durable.
  WorkerWatch(const SourceConfig& source, const Source& watched, const std::vector<Position>& positions,
              const std::optional<std::string>& known, const std::filesystem::path& cgroup_root = "/sys/fs/cgroup");

  void scan(TimePoint now) override;
  std::optional<LineBlock> read(TimePoint now) override;
  void fill(std::vector<pollfd>& fds) const override;
  void on_ready(std::span<const pollfd> fds) override;
  bool has_ended() const override { return watched_.has_ended(); }
  SourceStatus status() const override;

 private:
  enum class Sign { kPidFile, kControlGroup, kLog };
  struct Death {
    Sign sign;
    ProcessLife life;                      // kControlGroup: the oldest process of the group
    std::optional<WorkerProcess> process;  // kPidFile, if its end was seen
    WorkerGone gone;
    TimePoint noted_at{};
    bool settled = false;  // the source was scanned after it
  };

  void look(TimePoint now);
  void look_at_pid_file(TimePoint now);
  void look_at_group(TimePoint now);
  void look_at_log(TimePoint now);
  bool log_rests(TimePoint now) const;
  std::optional<TimePoint> next_at(const Death& death) const;
  std::vector<WorkerGone> take_told(TimePoint now);
  std::string encode() const;
  void restore(std::string_view known);

  const SourceConfig source_;
  const FileNames names_;
  const Source& watched_;  // not owned, outlives this
  Position position_;      // of a file of notes that exists nowhere else
  std::optional<TimePoint> last_ts_;
  bool look_due_ = false;
  bool changed_ = false;       // what is durable differs
  std::vector<Death> deaths_;  // not told yet
  std::vector<std::string> faults_;

  std::vector<WorkerProcess> processes_;      // alive, as pid files named them; usually one
  std::pair<pid_t, TimePoint> known_file_{};  // pid file by content and time: its process was seen, or is told missing

  std::optional<ControlGroup> group_;
  std::vector<ProcessLife> members_;       // alive; life 0: processes that this PID namespace does not show
  std::vector<ProcessLife> members_then_;  // alive when the agent before this one last looked
  std::optional<ControlGroup::OomKills> oom_kills_;
  std::optional<TimePoint> oom_at_;  // when the count was last seen to rise

  TimePoint log_told_{};  // last write of the log that nobody had open when it was told

  // While a death waits for the source to be read to its end.
  std::optional<std::uint64_t> lag_;
  TimePoint lag_since_{};
};

}  // namespace runtail
