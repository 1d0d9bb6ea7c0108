// A replay into the agent's own store: the buffer directory of an agent that has no PostgreSQL and does not run now.
#pragma once

#include <memory>

#include "agent/replay_store.h"
#include "buffer/durable_buffer.h"
#include "config/config.h"

namespace runtail {

// Whether one of these lines of `file`, by ids and times of their events, is kept there: another file that begins alike
// may have a line at the same place.
Result<bool> holds_any(const DurableBuffer& buffer, const FileIdentity& file, std::span<const LineTrace> lines);

// Shared by the workers of one replay.
class EmbeddedReplay {
 public:
  // Takes the directory. kInUse: an agent runs there. kUnavailable: the disk refuses. kInvalidInput: the key is not as
  // it should be.
  static Result<std::unique_ptr<EmbeddedReplay>> open(const Config& config);
  ~EmbeddedReplay();
  EmbeddedReplay(const EmbeddedReplay&) = delete;
  EmbeddedReplay& operator=(const EmbeddedReplay&) = delete;

  ReplayStart start() const;
  // One for a worker; outlived by this.
  std::unique_ptr<ReplayStore> store(const DeriverSettings& settings);

  struct State;

 private:
  explicit EmbeddedReplay(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace runtail
