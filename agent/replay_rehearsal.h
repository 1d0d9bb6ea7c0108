// Whether the agent's own store is what files say: what they would write goes into a store of its own in a temporary
// directory, and is held against what is there. Nothing is changed, and an agent may be running, but to make runs anew.
#pragma once

#include <memory>

#include "agent/replay_store.h"
#include "config/config.h"

namespace runtail {

class ReplayRehearsal {
 public:
  // kNotFound: nothing is stored yet. kInUse: an agent runs, and runs are to be made anew. kUnavailable: the disk
  // refuses.
  static Result<std::unique_ptr<ReplayRehearsal>> open(const Config& config, const ReplayWish& wish);
  ~ReplayRehearsal();
  ReplayRehearsal(const ReplayRehearsal&) = delete;
  ReplayRehearsal& operator=(const ReplayRehearsal&) = delete;

  ReplayStart start() const;
  // For the one worker there is; outlived by this. Its differences are of
  //   job_runs    runs with attempts and tasks. Extra are those of the same jobs within the time of the files, as long
  //               as no other stream was read into the store
  //   log_events  the lines that are kept of these files: WARN and above, with wish.is_full all
  std::unique_ptr<ReplayStore> store(const DeriverSettings& settings);

  struct State;

 private:
  explicit ReplayRehearsal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace runtail
