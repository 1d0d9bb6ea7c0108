#include "agent/stream_source.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/accept_fault.h"
#include "agent/cover.h"
#include "agent/exec/protocol.h"

namespace runtail {
namespace {

constexpr std::uint64_t kBlockBytes = 256 << 10;

FramingSettings framing_settings(const StreamSourceSettings& settings) {
  using Envelope = FramingSettings::Envelope;
  FramingSettings framing;
  for (const auto& [name, envelope] :
       {std::pair("none", Envelope::kNone), std::pair("docker", Envelope::kDocker), std::pair("cri", Envelope::kCri),
        std::pair("journald", Envelope::kJournald), std::pair("fluent", Envelope::kFluent)}) {
    if (settings.source.envelope == name) framing.envelope = envelope;
  }
  framing.join_traces = settings.source.join_traces;
  framing.unit_bytes_max = settings.line_bytes_max;
  return framing;
}

}  // namespace

struct StreamSource::Pipe {
  Pipe(HeldLines& held, const FramingSettings& settings) : lines(held), framing(settings) {}
  bool is_over() const { return lines.has_ended() && lines.all_taken() && !framing.has_open(); }
  bool is_committed() const { return committed == position.emitted; }
  // What is open fills all the room, and nothing that can be committed would give some back.
  bool is_stuck() const {
    return !lines.has_ended() && !lines.wants_more() && lines.all_taken() && framing.has_open() && is_committed();
  }
  bool has_work(TimePoint now) const {
    const auto due = framing.due();
    return !lines.all_taken() || (lines.has_ended() && framing.has_open()) || (due && *due <= now) || is_stuck();
  }

  HeldLines& lines;
  std::unique_ptr<HeldLines> own;  // null: somebody else's
  Framing framing;
  Position position;            // as far as handed out
  std::uint64_t next = 0;       // after the last line taken
  std::uint64_t committed = 0;  // of position.emitted
};

StreamSource::StreamSource(StreamSourceSettings settings)
    : settings_(std::move(settings)),
      default_job_(settings_.source.job_id.empty() ? settings_.source.stream : settings_.source.job_id),
      default_job_rank_(settings_.source.job_id.empty() ? 4 : 3) {}

StreamSource::StreamSource(StreamSourceSettings settings, HeldLines& pipe, const std::vector<Position>& positions)
    : StreamSource(std::move(settings)) {
  add_pipe(pipe, nullptr);
  Pipe& only = *pipes_.front();
  for (const Position& position : positions) {
    if (position.file.stream != settings_.source.stream) continue;
    if (position.file == only.position.file) {
      only.position = position;
    } else {
      forget(position.file);
    }
  }
  pipe.rewind();
  pipe.forget_before(only.position.resume);
  only.committed = only.position.emitted;
  only.next = only.position.resume;
  if (only.position.resume == only.position.emitted) return;
  // A unit was open, so the last line's newline was left out of `emitted`.
  only.framing.skip_to(only.position.emitted + 1);
}

StreamSource::StreamSource(StreamSourceSettings settings, const std::vector<Position>& positions)
    : StreamSource(std::move(settings)) {
  for (const Position& position : positions) {
    if (position.file.stream == settings_.source.stream) forget(position.file);
  }
}

StreamSource::~StreamSource() {
  if (listener_ < 0) return;
  close(listener_);
  unlink(settings_.source.socket.c_str());
}

// Nobody will ever send these bytes again.
void StreamSource::forget(const FileIdentity& file) { forgotten_.push_back(position_key(file)); }

void StreamSource::add_pipe(HeldLines& lines, std::unique_ptr<HeldLines> own) {
  auto pipe = std::make_unique<Pipe>(lines, framing_settings(settings_));
  pipe->own = std::move(own);
  pipe->position.file = {settings_.source.stream, lines.instance(), 0};
  pipe->position.first_seen = lines.first_seen();
  pipe->position.source = settings_.source.name;
  pipe->position.emitted = pipe->position.resume = pipe->committed = pipe->next = lines.begin();
  pipes_.push_back(std::move(pipe));
}

Result<void> StreamSource::listen() {
  const std::string path = settings_.source.socket.string();
  const auto failure = [&](const std::string& why) {
    return Error{ErrorCode::kUnavailable, "socket " + path + ": " + why};
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure("the path is too long: 107 bytes at most");
  path.copy(address.sun_path, path.size());
  const auto* to = reinterpret_cast<const sockaddr*>(&address);

  struct stat found {};
  if (lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) return failure("the path is taken by a file that is no socket: remove it");
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool is_stale = connect(probe, to, sizeof address) != 0 && errno == ECONNREFUSED;
    close(probe);
    if (!is_stale) return failure("another process listens there: stop it, or choose another path");
    unlink(path.c_str());
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  // Before bind(), which gives the file the socket's mode: so it is never wider than this, not even for a moment.
  if (fd < 0 || fchmod(fd, 0600) != 0 || bind(fd, to, sizeof address) != 0 || ::listen(fd, kConnectionsMax) != 0) {
    const std::string why = std::strerror(errno);
    if (fd >= 0) close(fd);
    return failure(why + "; its directory must be there and writable for this user");
  }
  listener_ = fd;
  return {};
}

void StreamSource::scan(TimePoint) {
  refuses_ = false;
  if (settings_.source.socket.empty() || listener_ >= 0) return;
  const auto listening = listen();
  fault_ = listening ? "" : listening.error().message;
}

void StreamSource::accept_all(TimePoint now) {
  while (listens()) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0) {
      refuses_ = errno != EAGAIN;
      accept_fault_ = refuses_ ? accept_fault(settings_.source.socket, errno) : "";
      return;
    }
    auto lines = std::make_unique<HeldLines>(fd, settings_.line_bytes_max, now);
    if (!peer_is_own_user_or_root(fd)) continue;
    HeldLines& held = *lines;
    add_pipe(held, std::move(lines));
  }
}

void StreamSource::fill(std::vector<pollfd>& fds) const {
  if (listens()) fds.push_back({listener_, POLLIN, 0});
  for (const auto& pipe : pipes_) {
    if (pipe->lines.wants_more()) fds.push_back({pipe->lines.fd(), POLLIN, 0});
  }
}

void StreamSource::on_ready(std::span<const pollfd> fds) {
  for (const pollfd& each : fds) {
    if (each.revents == 0) continue;
    const auto is_it = [&](const auto& pipe) { return pipe->lines.fd() == each.fd; };
    if (const auto found = std::find_if(pipes_.begin(), pipes_.end(), is_it); found != pipes_.end()) {
      (*found)->lines.fill();
    }
  }
}

std::optional<LineBlock> StreamSource::read(TimePoint now) {
  for (const bool look : {false, true}) {
    if (look) {
      accept_all(now);
      std::vector<pollfd> fds;
      fill(fds);
      if (poll(fds.data(), fds.size(), 0) <= 0) break;
      on_ready(fds);
    }
    for (std::size_t tried = 0; tried < pipes_.size(); ++tried) {
      Pipe& pipe = *pipes_[turn_++ % pipes_.size()];
      if (!pipe.has_work(now)) continue;
      if (auto block = block_of(pipe, now)) return block;
    }
  }
  // A pipe of somebody else stays, to be asked whether it has ended.
  std::erase_if(pipes_, [&](const auto& pipe) {
    if (!pipe->own || !pipe->is_over() || !pipe->is_committed()) return false;
    if (pipe->committed > 0) forget(pipe->position.file);  // else nothing of it is durable
    return true;
  });
  return std::nullopt;
}

std::optional<LineBlock> StreamSource::block_of(Pipe& pipe, TimePoint now) {
  pipe.framing.begin_block();
  units_.clear();
  std::vector<std::uint64_t> ends;  // where each unit became whole
  for (std::uint64_t bytes = 0; bytes < kBlockBytes;) {
    const auto line = pipe.lines.next();
    if (!line) break;
    bytes += line->length;
    pipe.next = line->offset + line->length;
    if (line->too_long) {
      pipe.framing.add_too_long(line->offset, line->length, now, units_);
    } else {
      pipe.framing.add(line->offset, line->length, line->bytes, now, units_, Output::kUnknown, now);
    }
    ends.resize(units_.size(), pipe.next);
  }
  if (pipe.lines.all_taken() && (pipe.lines.has_ended() || pipe.is_stuck())) {
    pipe.framing.finish(units_);
  } else {
    pipe.framing.flush_due(now, units_);
  }
  ends.resize(units_.size(), pipe.next);

  // Covered is all up to where the last unit became whole, or all that was taken if nothing is open.
  LineBlock block;
  if (!cover(units_, ends, pipe.framing.has_open() ? 0 : pipe.next, pipe.framing, pipe.position, block)) {
    return std::nullopt;
  }
  block.position = pipe.position;
  block.last_ts = &pipe.position.last_ts;
  block.default_job_id = default_job_;
  block.default_job_rank = default_job_rank_;
  block.defaults = &settings_.defaults;
  block.forget = std::exchange(forgotten_, {});
  return block;
}

void StreamSource::committed() {
  for (const auto& pipe : pipes_) {
    pipe->committed = pipe->position.emitted;
    pipe->lines.forget_before(pipe->position.resume);
  }
}

void StreamSource::clock_stepped(std::chrono::microseconds by) {
  for (const auto& pipe : pipes_) pipe->framing.clock_stepped(by);
}

std::optional<TimePoint> StreamSource::due() const {
  std::optional<TimePoint> first;
  for (const auto& pipe : pipes_) {
    const auto due = pipe->framing.due();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

bool StreamSource::has_ended() const {
  return settings_.source.socket.empty() && std::all_of(pipes_.begin(), pipes_.end(), [](const auto& pipe) {
           return pipe->is_over() && pipe->is_committed();
         });
}

SourceStatus StreamSource::status() const {
  SourceStatus status;
  status.name = settings_.source.name;
  status.open_files = pipes_.size() + (listener_ >= 0);
  for (const std::string& fault : {fault_, accept_fault_}) {
    if (!fault.empty()) status.faults.push_back(fault);
  }
  for (const auto& pipe : pipes_) {
    if (!pipe->lines.fault().empty()) status.faults.push_back("read: " + pipe->lines.fault() + "; taken as its end");
  }
  return status;
}

}  // namespace runtail
