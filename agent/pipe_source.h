// The agent's end of `runtail exec`: listens in the buffer directory and hands on what the holders of workers' pipes
// send (agent/exec/protocol.h).
//
// Traces:  stack traces are one unit, each output of the worker for itself. One that is open when the worker's end
// comes
//          is whole; so is one without a further line for a second, or when kOpenBytesMax came since it began.
// Memory:  about 1 MiB for each connection, at most kConnectionsMax of them: a connection whose data nobody takes is
//          not read on, and its holder keeps the rest. Open traces, at most 1 MiB for each output. Redacted lines for a
//          holder that does not take them: 8 MiB, then they are dropped; it counts them itself.
// Crash:   nothing is acknowledged before committed(), nor what lies behind the first line of an open trace; what was
//          not is sent again by its holder to the next agent, which makes the same units of it.
// Loss:    a holder that went without telling of its worker's end, and stays away for kHolderPatience, was killed: a
//          note says so (kGone). One that comes back after all goes on, and what it says of the end counts more.
#pragma once

#include <poll.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/exec/protocol.h"
#include "agent/source.h"
#include "core/metric.h"
#include "core/result.h"
#include "parsers/framing.h"

namespace runtail {

// The last chunk appended to the buffer, and the last one that every sink has. Threads: any.
struct DeliveryProgress {
  std::function<Sequence()> appended, delivered;
};

// Threads: one. Never waits for a holder.
class PipeSource final : public Source {
 public:
  static constexpr std::size_t kConnectionsMax = 128;
  // A quarter of what a holder keeps by itself: an open trace must not cost lines of the worker's other output.
  static constexpr std::size_t kOpenBytesMax = 2 << 20;
  // A holder tries again every second, and gives up an agent that does not answer after 5 s. One that stays away for
  // longer than both is gone, and the worker's end with it.
  static constexpr std::chrono::seconds kHolderPatience{10};

  // `positions`: the durable ones; those of other streams are left alone. `metrics` takes losses. `progress` tells how
  // far the sinks are; without it all that is durable counts as delivered. `has_open_worker`, asked here only: whose
  // holder must come back, or is gone.
  PipeSource(const std::filesystem::path& buffer_directory, const std::string& agent_name,
             std::vector<Position> positions, MetricTable& metrics, std::uint64_t line_bytes_max = kExecLineBytesMax,
             DeliveryProgress progress = {}, const std::function<bool(const FileIdentity&)>& has_open_worker = {});
  ~PipeSource() override;  // the holders look for another agent
  PipeSource(const PipeSource&) = delete;
  PipeSource& operator=(const PipeSource&) = delete;

  // Only for the one agent that holds the buffer directory: a socket file found there is replaced.
  Result<void> start() override;
  void scan(TimePoint now) override;
  // Appends what to wait for, and later takes what happened.
  void fill(std::vector<pollfd>& fds) const override;
  void on_ready(std::span<const pollfd> fds) override;
  // The next block of one worker's lines and notes; std::nullopt: nothing has come. Looks at the sockets by itself, so
  // a caller that never sleeps gets everything too. The block's views live until the next call of read() or on_ready(),
  // its last_ts until the pipe ended and was committed.
  std::optional<LineBlock> read(TimePoint now) override;
  // Everything read so far is durable: the holders may forget it.
  void committed() override;
  // While a holder waits for the sinks, or a trace is open.
  std::optional<TimePoint> due() const override;
  void clock_stepped(std::chrono::microseconds by) override;
  // For now: a holder may come.
  bool has_ended() const override { return connections_.empty(); }
  SourceStatus status() const override;

 private:
  struct Connection;
  struct Pipe {
    bool has_open() const { return framing && framing->has_open(); }
    // What was handed out before is being read again.
    bool is_behind() const { return next < handed_out; }

    Position position;               // as far as handed to the pipeline
    std::optional<Framing> framing;  // while a holder is connected, or something is open
    std::uint64_t next = 0;          // after the last frame taken
    std::uint64_t handed_out = 0;    // by an agent before: frames that end by there give nothing new
    std::uint64_t open_bytes = 0;    // of frames since something is open
    std::uint64_t durable = 0;       // of position.resume, as far as acknowledged
    std::string job;                 // --job, or ""
    std::string default_job;
    Uuid run;
    bool is_task = false;
    std::vector<std::pair<Field, std::string>> ids;
    bool wants_redacted = false;
    std::string redacted;     // frames, for after the commit
    Sequence sequence = 0;    // of the commit that made `durable` so, or a later one
    bool may_be_done = true;  // its worker may have ended: the holder waits for the sinks
    TimePoint away_since{};   // no connection, though the worker's end was not told; zero: there is one
    TimePoint seen_at{};      // when it last was in use
    std::function<void(const Line&, std::string_view)> on_redacted;
  };

  bool listens() const { return listener_ >= 0 && !refuses_ && connections_.size() < kConnectionsMax; }
  void accept_all();
  void receive_all();
  void receive(Connection& connection);
  void greet(Connection& connection, const ExecHello& hello);
  // `is_received`: nothing has come that was not received.
  std::optional<LineBlock> next_block(TimePoint now, bool is_received);
  std::optional<LineBlock> block_of(Connection& connection, TimePoint now, bool is_received);
  std::optional<LineBlock> gone_block(TimePoint now);
  // What the frames of a connection make of its pipe. Returns the end of the last note among them.
  std::uint64_t take_frames(Connection& connection, TimePoint now, LineBlock& block);
  void take_note(Pipe& pipe, const ExecFrame& frame, LineBlock& block);
  void flush_due(Framing& framing, TimePoint now);
  void answer(Connection& connection);
  void hang_up(Connection& connection);
  bool waits_for_sinks(const Connection& connection) const;
  void tell_delivered();
  void forget_ended(TimePoint now);

  const std::filesystem::path socket_;
  const std::string stream_;  // prefix of the streams of all pipes
  const std::uint64_t line_bytes_max_;
  MetricTable& metrics_;  // not owned, outlives this
  const DeliveryProgress progress_;
  int listener_ = -1;
  bool refuses_ = false;  // a connection waits and cannot be taken: tried again at the next scan
  std::string accept_fault_;
  std::map<Bytes16, Pipe> pipes_;  // by instance
  std::vector<std::unique_ptr<Connection>> connections_;
  std::size_t turn_ = 0;  // connections take turns
  std::vector<Pipe*> uncommitted_;
  std::vector<Pipe*> gone_;  // holders, not told yet
  Position notes_;           // of a file of notes about them that exists nowhere else
  std::optional<TimePoint> notes_last_ts_;
  std::vector<Unit> units_;          // of the block being made
  std::vector<std::uint64_t> ends_;  // where each of them became whole
  TimePoint forgot_at_{}, read_at_{};
};

}  // namespace runtail
