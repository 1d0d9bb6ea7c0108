// Where lines come from: files, pods, pipes, sockets, the journal. The intake asks each in turn.
#pragma once

#include <poll.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/line_block.h"
#include "core/result.h"

namespace runtail {

struct SourceStatus {
  std::string name;                        // "": not shown
  std::uint64_t lag_bytes = 0;             // seen by size and not yet read; 0 where no size is known
  std::optional<TimePoint> oldest_unread;  // when the oldest unread bytes were first seen; nothing: all is read
  std::uint64_t open_files = 0;            // descriptors held for inputs
  std::vector<std::string> faults;         // of our own, for health: "open /var/log/etl.log: Permission denied; ..."
};

// Threads: one, all calls. No call waits for anything outside.
class Source {
 public:
  virtual ~Source() = default;

  // Before the first read. kInvalidInput: a person must act.
  virtual Result<void> start() { return {}; }
  // Looks around: once a second, and when a watched directory changes.
  virtual void scan(TimePoint) {}
  // The next block of whole units of one file, pipe or journal; std::nullopt: all is read for now. The block's views
  // live until the next call of any member but status(). Reading goes on behind it at once: whoever fails to commit
  // makes the source anew from what is durable.
  virtual std::optional<LineBlock> read(TimePoint now) = 0;
  // Everything read so far is durable.
  virtual void committed() {}

  // A replay reads old files past the sources. Whether this one has that file open: then the replay leaves it alone.
  virtual bool follows(const FileIdentity&) const { return false; }
  // It was read that far by a replay, durably.
  virtual void was_replayed(const Position&) {}

  // What to wait for, and what happened: the same descriptors in the same order.
  virtual void fill(std::vector<pollfd>&) const {}
  virtual void on_ready(std::span<const pollfd>) {}
  // Directories to watch for changes, and what came of it: a name in one of them grew, or something else happened to
  // it. True: a scan is due.
  virtual std::vector<std::string> directories() const { return {}; }
  virtual bool changed(const std::string& /*path*/, bool /*only_grown*/) { return false; }
  // When read() has something to do though nothing comes in: an open stack trace is whole then.
  virtual std::optional<TimePoint> due() const { return std::nullopt; }
  // The clock was set forward, or the machine slept, for so long: waits that are under way go on as if it had not.
  virtual void clock_stepped(std::chrono::microseconds /*by*/) {}
  // Nothing will ever come again and everything is read (standard input at its end).
  virtual bool has_ended() const { return false; }

  // The agent ends in good order: what is still to be said, after everything that was read. Nothing is read after it.
  virtual std::optional<LineBlock> last_words(TimePoint /*now*/) { return std::nullopt; }

  virtual SourceStatus status() const = 0;
};

}  // namespace runtail
