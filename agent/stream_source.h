// Lines that come once and cannot be read again: standard input, and the connections workers make to a unix socket.
//
// Identity:  each pipe has a random one from its first sight on; offsets count its bytes.
// Time:      a line that states none, and whose envelope has none, has that of the moment it was read.
// Full:      a buffer without room reads nothing, and the writer waits in its write(). `runtail exec` is the mode that
//            never makes a worker wait.
// Crash:     what was read and not yet committed is lost, and with a connection what the kernel held for it, too. How
//            much that was nobody can say. A buffer that fails and is opened again costs standard input nothing.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "agent/held_lines.h"
#include "agent/source.h"
#include "config/config.h"
#include "core/metric.h"
#include "parsers/framing.h"

namespace runtail {

struct StreamSourceSettings {
  SourceConfig source;  // name, stream, job_id, envelope, join_traces; socket, unless it is for standard input
  std::uint64_t line_bytes_max = 1 << 20;
  LineDefaults defaults;
};

// Threads: one. Never waits for a writer.
class StreamSource final : public Source {
 public:
  static constexpr std::size_t kConnectionsMax = 128;

  // One pipe, which outlives this and may have been read by another before. `positions`: the durable ones.
  StreamSource(StreamSourceSettings settings, HeldLines& pipe, const std::vector<Position>& positions);
  // Listens on settings.source.socket, mode 0600; only this user and root get in. Where it cannot, it says so in
  // status() and tries again at each scan().
  StreamSource(StreamSourceSettings settings, const std::vector<Position>& positions);
  ~StreamSource() override;
  StreamSource(const StreamSource&) = delete;
  StreamSource& operator=(const StreamSource&) = delete;

  void scan(TimePoint now) override;
  std::optional<LineBlock> read(TimePoint now) override;
  void committed() override;
  void fill(std::vector<pollfd>& fds) const override;
  void on_ready(std::span<const pollfd> fds) override;
  std::optional<TimePoint> due() const override;
  void clock_stepped(std::chrono::microseconds by) override;
  bool has_ended() const override;
  SourceStatus status() const override;

 private:
  struct Pipe;
  StreamSource(StreamSourceSettings settings);
  void add_pipe(HeldLines& lines, std::unique_ptr<HeldLines> own);
  Result<void> listen();
  bool listens() const { return listener_ >= 0 && !refuses_ && pipes_.size() < kConnectionsMax; }
  void accept_all(TimePoint now);
  std::optional<LineBlock> block_of(Pipe& pipe, TimePoint now);
  void forget(const FileIdentity& file);

  const StreamSourceSettings settings_;
  const std::string default_job_;
  const std::int16_t default_job_rank_;
  int listener_ = -1;
  bool refuses_ = false;  // a connection waits and cannot be taken: tried again at the next scan
  std::string fault_, accept_fault_;
  std::vector<std::unique_ptr<Pipe>> pipes_;
  std::size_t turn_ = 0;                // pipes take turns
  std::vector<std::string> forgotten_;  // positions of pipes that are gone, for the next block to take along
  std::vector<Unit> units_;             // of the block handed out
};

}  // namespace runtail
