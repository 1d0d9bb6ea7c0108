#include "agent/pipe_source.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "agent/accept_fault.h"
#include "agent/cover.h"

namespace runtail {
namespace {

constexpr std::size_t kReceiveBytes = 64 << 10;
// A connection with so much of it waiting holds a whole frame, and is not read on.
constexpr std::size_t kWaitingBytesMax = kExecFrameBytesMax;
// A holder looks for the agent every second at most: one that stayed away so long has ended.
constexpr std::chrono::hours kForgetAfter{1};
constexpr std::size_t kNoteBytes = 64;  // more than a frame has beside its bytes
constexpr std::size_t kRedactedBytesMax = 8 << 20;
// How often the sinks are looked at while a holder waits for them.
constexpr std::chrono::milliseconds kSinksEvery{20};

// What a holder may say of its surroundings.
constexpr Field kIdFields[] = {Field::kJobId,   Field::kRunId,       Field::kTask,    Field::kTaskRunId,
                               Field::kAttempt, Field::kTaskAttempt, Field::kTraceId, Field::kSpanId};

std::vector<std::pair<Field, std::string>> fields_of(const std::vector<ExecId>& ids) {
  std::vector<std::pair<Field, std::string>> fields;
  for (const ExecId& id : ids) {
    const auto field = find_field(id.field);
    if (!field || std::find(std::begin(kIdFields), std::end(kIdFields), *field) == std::end(kIdFields)) continue;
    if (is_id_value(id.value)) fields.emplace_back(*field, id.value);
  }
  return fields;
}

// Its lines say which stream they came by, and nothing else.
const LineDefaults kDefaults;

FramingSettings framing_settings(std::uint64_t line_bytes_max) {
  FramingSettings settings;
  settings.envelope = FramingSettings::Envelope::kNone;
  settings.unit_bytes_max = line_bytes_max;
  return settings;
}

}  // namespace

struct PipeSource::Connection {
  explicit Connection(int number) : fd(number) {}
  ~Connection() {
    if (fd >= 0) close(fd);
  }
  std::string_view waiting() const { return std::string_view(in).substr(taken); }

  int fd;          // -1: hung up
  std::string in;  // what came; the first `taken` bytes of it are in blocks already handed out
  std::size_t taken = 0;
  std::string out;       // what the socket had no room for
  Pipe* pipe = nullptr;  // null before Hello
  std::uint64_t acked = 0;
  std::uint64_t delivered = 0;  // told
};

PipeSource::PipeSource(const std::filesystem::path& buffer_directory, const std::string& agent_name,
                       std::vector<Position> positions, MetricTable& metrics, std::uint64_t line_bytes_max,
                       DeliveryProgress progress, const std::function<bool(const FileIdentity&)>& has_open_worker)
    : socket_(exec_socket_path(buffer_directory)),
      stream_(agent_name + "/exec/"),
      line_bytes_max_(line_bytes_max),
      metrics_(metrics),
      progress_(std::move(progress)) {
  notes_.file.stream = stream_ + "(gone)";  // as no job's pipe is called
  (void)!getrandom(notes_.file.file_key.data(), notes_.file.file_key.size(), 0);
  notes_.source = "exec";
  for (Position& position : positions) {
    if (!position.file.stream.starts_with(stream_)) continue;
    if (position.file.stream == notes_.file.stream) {
      notes_ = std::move(position);
      continue;
    }
    Pipe& pipe = pipes_[position.file.file_key];
    pipe.durable = position.resume;
    if (progress_.appended) pipe.sequence = progress_.appended();
    pipe.may_be_done = !has_open_worker || !has_open_worker(position.file);
    pipe.position = std::move(position);
  }
}

PipeSource::~PipeSource() {
  if (listener_ < 0) return;
  close(listener_);
  unlink(socket_.c_str());
}

Result<void> PipeSource::start() {
  const auto address = exec_socket_address(socket_);
  if (!address) return address.error();
  const auto failure = [&](const char* what) {
    return Error{ErrorCode::kInvalidInput, "exec socket " + socket_.string() + ": " + what + ": " +
                                               std::strerror(errno) + "; make buffer.directory writable for this user"};
  };
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener_ < 0) return failure("socket");
  // Before bind(), which gives the file the socket's mode: so it is never wider than this, not even for a moment.
  if (fchmod(listener_, 0600) != 0) return failure("fchmod");
  if (unlink(socket_.c_str()) != 0 && errno != ENOENT) return failure("unlink");
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) return failure("bind");
  if (::listen(listener_, kConnectionsMax) != 0) return failure("listen");
  return {};
}

void PipeSource::fill(std::vector<pollfd>& fds) const {
  if (listens()) fds.push_back({listener_, POLLIN, 0});
  for (const auto& connection : connections_) {
    short events = 0;
    if (connection->waiting().size() < kWaitingBytesMax) events |= POLLIN;
    if (!connection->out.empty()) events |= POLLOUT;
    // A descriptor with no events would still report a hang-up, again and again.
    if (connection->fd >= 0 && events != 0) fds.push_back({connection->fd, events, 0});
  }
}

void PipeSource::scan(TimePoint now) {
  refuses_ = false;
  // While one waits to be let in, it may be any.
  const bool all_are_in = accept_fault_.empty() && connections_.size() < kConnectionsMax;
  for (auto& [instance, pipe] : pipes_) {
    const auto is_of_this = [&](const auto& connection) { return connection->pipe == &pipe; };
    if (pipe.may_be_done || !all_are_in || std::any_of(connections_.begin(), connections_.end(), is_of_this)) {
      pipe.away_since = {};
    } else if (pipe.away_since == TimePoint{} || now < pipe.away_since) {
      pipe.away_since = now;
    } else if (now - pipe.away_since >= kHolderPatience &&
               std::find(gone_.begin(), gone_.end(), &pipe) == gone_.end()) {
      gone_.push_back(&pipe);
    }
  }
}

void PipeSource::on_ready(std::span<const pollfd> fds) {
  if (std::any_of(fds.begin(), fds.end(), [](const pollfd& each) { return each.revents != 0; })) receive_all();
}

void PipeSource::receive_all() {
  accept_all();
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    if (connections_[i]->fd >= 0) receive(*connections_[i]);
    if (connections_[i]->fd >= 0) answer(*connections_[i]);
  }
}

void PipeSource::accept_all() {
  while (listens()) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0) {
      refuses_ = errno != EAGAIN;
      accept_fault_ = refuses_ ? accept_fault(socket_, errno) : "";
      return;
    }
    auto connection = std::make_unique<Connection>(fd);
    if (peer_is_own_user_or_root(fd)) connections_.push_back(std::move(connection));
  }
}

void PipeSource::receive(Connection& connection) {
  connection.in.erase(0, std::exchange(connection.taken, 0));
  while (connection.in.size() < kWaitingBytesMax) {
    const std::size_t have = connection.in.size();
    connection.in.resize(have + kReceiveBytes);
    const ssize_t got = recv(connection.fd, connection.in.data() + have, kReceiveBytes, 0);
    connection.in.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      hang_up(connection);  // what came before is still handed on
      break;
    }
  }
  if (connection.pipe || connection.in.empty()) return;
  ExecFrame frame;
  std::size_t size = 0;
  const ExecRead read = read_frame(connection.in, frame, size);
  if (read == ExecRead::kPartial) return;
  if (read == ExecRead::kWhole && frame.type == ExecFrameType::kHello) {
    connection.taken = size;
    greet(connection, frame.hello);
  } else {
    hang_up(connection);
    connection.in.clear();
  }
}

void PipeSource::greet(Connection& connection, const ExecHello& hello) {
  const std::string job = hello.job.empty() || is_job_name(hello.job) ? hello.job : safe_name(hello.job);
  const auto [at, is_new] = pipes_.try_emplace(hello.instance);
  Pipe& pipe = at->second;
  // An older connection of the same holder is gone, only we have not seen it yet; what came by it is sent again.
  for (auto& other : connections_) {
    if (other->pipe != &pipe) continue;
    hang_up(*other);
    other->in.clear();
    other->taken = 0;
    other->pipe = nullptr;
  }
  pipe.job = job;
  pipe.default_job = job.empty() ? safe_name(hello.command) : job;
  pipe.run = hello.run;
  pipe.is_task = hello.scope == ExecScope::kTask;
  pipe.ids = fields_of(hello.ids);
  pipe.wants_redacted = hello.wants_redacted;
  pipe.redacted.clear();
  pipe.on_redacted = [&pipe](const Line& line, std::string_view json) {
    if (json.size() > kExecRedactedBytesMax - kNoteBytes) return;  // not shown, as the holder counts
    append_redacted(pipe.redacted, line.own_bytes,
                    line.output == Output::kStderr ? ExecOutput::kStderr : ExecOutput::kStdout, json);
  };
  std::erase(gone_, &pipe);
  pipe.away_since = {};
  if (is_new) {
    pipe.may_be_done = false;
    pipe.position.file = {stream_ + safe_name(pipe.default_job), hello.instance, 0};
    pipe.position.first_seen = hello.started_at;
  }
  pipe.position.source = "exec";
  if (!pipe.framing) {
    pipe.framing.emplace(framing_settings(line_bytes_max_));
    pipe.next = pipe.position.resume;
    // While a trace was open, the last byte was left out (agent/cover.h).
    pipe.handed_out = pipe.position.emitted + (pipe.position.resume < pipe.position.emitted);
    pipe.open_bytes = 0;
  }
  connection.pipe = &pipe;
  connection.acked = pipe.durable;
  append_resume(connection.out, pipe.durable);
}

std::optional<LineBlock> PipeSource::read(TimePoint now) {
  auto block = next_block(now, false);
  if (!block) {
    receive_all();
    block = next_block(now, true);
  }
  if (!block) {
    std::erase_if(connections_, [](const auto& connection) {
      if (connection->fd >= 0) return false;
      Pipe* const pipe = connection->pipe;
      if (pipe && pipe->has_open() && !pipe->is_behind()) return false;  // until it is whole
      if (pipe) pipe->framing.reset();
      return true;
    });
  }
  if (!block) block = gone_block(now);
  read_at_ = now;
  tell_delivered();
  forget_ended(now);
  return block;
}

std::optional<LineBlock> PipeSource::next_block(TimePoint now, bool is_received) {
  for (std::size_t tried = 0; tried < connections_.size(); ++tried) {
    if (auto block = block_of(*connections_[turn_++ % connections_.size()], now, is_received)) return block;
  }
  return std::nullopt;
}

std::uint64_t PipeSource::take_frames(Connection& connection, TimePoint now, LineBlock& block) {
  Pipe& pipe = *connection.pipe;
  Framing& framing = *pipe.framing;
  const std::uint64_t begin = pipe.next;
  std::uint64_t noted = 0;  // end of the last note
  ExecFrame frame;
  for (std::size_t size = 0;; connection.taken += size) {
    const ExecRead read = read_frame(connection.waiting(), frame, size);
    if (read == ExecRead::kPartial) break;
    const std::uint64_t end = frame.offset + frame.span;
    const bool is_of_the_pipe = frame.type >= ExecFrameType::kLine && frame.type <= ExecFrameType::kExit;
    if (read == ExecRead::kWhole && is_of_the_pipe && frame.offset < end && end <= pipe.next) continue;  // known
    const bool is_hole = frame.offset > pipe.next;
    if (read == ExecRead::kBroken || !is_of_the_pipe || end <= frame.offset || frame.offset < pipe.next ||
        (is_hole && framing.has_open())) {
      hang_up(connection);
      connection.in.resize(connection.taken);
      break;
    }
    // A hole: an agent acknowledged what this one does not know of, as when its buffer was deleted.
    if (is_hole && pipe.next > begin) break;
    if (is_hole) pipe.position.emitted = pipe.position.resume = std::max(pipe.position.emitted, frame.offset);
    pipe.next = end;
    pipe.may_be_done = frame.type == ExecFrameType::kExit;

    const std::size_t had = units_.size();
    const Output output = frame.output == ExecOutput::kStderr ? Output::kStderr : Output::kStdout;
    const bool is_line = frame.type == ExecFrameType::kLine || frame.type == ExecFrameType::kTooLong;
    if (is_line && (frame.type == ExecFrameType::kTooLong || frame.bytes.size() > line_bytes_max_)) {
      framing.add_too_long(frame.offset, frame.span, now, units_, output);
    } else if (is_line) {
      framing.add(frame.offset, frame.span, frame.bytes, now, units_, output, frame.at);
    } else if (frame.type != ExecFrameType::kAlive) {
      framing.finish(units_);  // nothing follows, or not what followed
    }
    pipe.open_bytes = framing.has_open() ? pipe.open_bytes + size : 0;
    if (pipe.open_bytes > kOpenBytesMax) {
      framing.finish(units_);
      pipe.open_bytes = 0;
    }
    if (end <= pipe.handed_out) {
      units_.resize(had);
      continue;
    }
    ends_.resize(units_.size(), is_line ? end : frame.offset);
    if (is_line) continue;
    take_note(pipe, frame, block);
    noted = end;
  }
  return noted;
}

std::optional<LineBlock> PipeSource::gone_block(TimePoint now) {
  if (gone_.empty()) return std::nullopt;
  Pipe& pipe = *gone_.back();
  gone_.pop_back();
  const bool is_known = !pipe.run.is_nil();  // its holder was here in this agent's life
  if (notes_.first_seen == TimePoint{}) notes_.first_seen = now;
  LineBlock block;
  block.covers = {notes_.emitted, notes_.emitted + kExecNoteSpan};
  WorkerNote& note = block.notes.emplace_back();
  note.kind = WorkerNote::Kind::kGone;
  note.offset = notes_.emitted;
  note.at = now;
  note.started_at = pipe.position.first_seen;
  note.gone.evidence = "its wrapper is gone without a word of its end";
  if (is_known) note.gone.at = pipe.away_since;
  notes_.emitted = notes_.resume = block.covers.to;
  block.position = notes_;
  block.last_ts = &notes_last_ts_;
  block.wrapper_pipe = pipe.position.file;
  block.default_job_id = pipe.default_job;
  block.default_job_rank = 3;
  if (!is_known) {
    block.default_job_id = pipe.position.file.stream.substr(stream_.size());
    block.default_job_rank = 4;  // it is spelled otherwise
  }
  block.wrapper_run = pipe.run;
  block.wrapper_job = pipe.job;
  block.wrapper_is_task = pipe.is_task;
  block.wrapper_ids = &pipe.ids;
  pipe.may_be_done = true;  // as far as anybody will say
  return block;
}

void PipeSource::take_note(Pipe& pipe, const ExecFrame& frame, LineBlock& block) {
  const TimePoint started = pipe.position.first_seen;
  if (frame.type == ExecFrameType::kLost) {
    metrics_.add(Metric::kLostBytesTotal, {"exec", "queue_full"}, static_cast<double>(frame.length));
  } else if (frame.type == ExecFrameType::kAlive) {
    block.notes.push_back({WorkerNote::Kind::kAlive, frame.offset, frame.at, started, {}});
  } else {
    block.notes.push_back({WorkerNote::Kind::kEnded, frame.offset, frame.at, started, frame.exit});
  }
}

void PipeSource::flush_due(Framing& framing, TimePoint now) {
  const std::size_t had = units_.size();
  framing.flush_due(now, units_);
  // Of the two outputs' traces one went alone: there is but one byte for them to end in.
  if (units_.size() > had) framing.finish(units_);
}

std::optional<LineBlock> PipeSource::block_of(Connection& connection, TimePoint now, bool is_received) {
  if (!connection.pipe) return std::nullopt;
  Pipe& pipe = *connection.pipe;
  Framing& framing = *pipe.framing;
  framing.begin_block();
  units_.clear();
  ends_.clear();
  LineBlock block;
  const std::uint64_t noted = take_frames(connection, now, block);
  if (pipe.is_behind()) return std::nullopt;
  if (is_received) flush_due(framing, now);
  ends_.resize(units_.size(), pipe.next);
  if (!cover(units_, ends_, framing.has_open() ? noted : pipe.next, framing, pipe.position, block)) return std::nullopt;
  block.position = pipe.position;
  block.last_ts = &pipe.position.last_ts;
  block.default_job_id = pipe.default_job;
  block.default_job_rank = 3;
  block.wrapper_run = pipe.run;
  block.wrapper_job = pipe.job;
  block.wrapper_is_task = pipe.is_task;
  block.wrapper_ids = &pipe.ids;
  block.defaults = &kDefaults;
  if (pipe.wants_redacted) block.on_redacted = &pipe.on_redacted;
  if (std::find(uncommitted_.begin(), uncommitted_.end(), &pipe) == uncommitted_.end()) uncommitted_.push_back(&pipe);
  return block;
}

void PipeSource::committed() {
  for (auto& connection : connections_) {
    if (connection->fd < 0 || !connection->pipe) continue;
    // Before the acknowledgement: so a holder knows that no more of them come.
    std::string& redacted = connection->pipe->redacted;
    if (connection->out.size() < kRedactedBytesMax) connection->out += redacted;
    redacted.clear();
  }
  for (Pipe* pipe : uncommitted_) {
    pipe->durable = pipe->position.resume;
    pipe->redacted.clear();
    if (progress_.appended) pipe->sequence = progress_.appended();
  }
  uncommitted_.clear();
  for (auto& connection : connections_) {
    if (connection->fd >= 0) answer(*connection);
  }
  tell_delivered();
}

bool PipeSource::waits_for_sinks(const Connection& connection) const {
  return connection.fd >= 0 && connection.pipe && connection.pipe->may_be_done &&
         connection.delivered < connection.pipe->durable;
}

void PipeSource::tell_delivered() {
  std::optional<Sequence> delivered;
  for (auto& connection : connections_) {
    if (!waits_for_sinks(*connection)) continue;
    if (!delivered && progress_.delivered) delivered = progress_.delivered();
    if (delivered.value_or(0) < connection->pipe->sequence) continue;
    connection->delivered = connection->pipe->durable;
    append_delivered(connection->out, connection->delivered);
    answer(*connection);
  }
}

void PipeSource::clock_stepped(std::chrono::microseconds by) {
  for (auto& [file, pipe] : pipes_) {
    if (pipe.framing) pipe.framing->clock_stepped(by);
  }
}

std::optional<TimePoint> PipeSource::due() const {
  std::optional<TimePoint> first;
  for (const auto& connection : connections_) {
    std::optional<TimePoint> due;
    if (waits_for_sinks(*connection)) due = read_at_ + kSinksEvery;
    const Pipe* const pipe = connection->pipe;
    if (!due && pipe && pipe->has_open() && !pipe->is_behind()) due = pipe->framing->due();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

// Sends what is due. A holder that does not take it gets the newest when it does.
void PipeSource::answer(Connection& connection) {
  while (true) {
    if (connection.out.empty() && connection.pipe && connection.pipe->durable > connection.acked) {
      connection.acked = connection.pipe->durable;
      append_ack(connection.out, connection.acked);
    }
    if (connection.out.empty()) return;
    const ssize_t sent = send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
      // It left. What it sent may still be waiting to be received.
      connection.out.clear();
      connection.acked = std::numeric_limits<std::uint64_t>::max();
      return;
    }
    connection.out.erase(0, static_cast<std::size_t>(sent));
  }
}

SourceStatus PipeSource::status() const {
  SourceStatus status;
  status.name = "exec";
  status.open_files = connections_.size();
  if (!accept_fault_.empty()) status.faults.push_back(accept_fault_);
  return status;
}

void PipeSource::hang_up(Connection& connection) {
  if (connection.fd >= 0) close(std::exchange(connection.fd, -1));
  connection.out.clear();
}

void PipeSource::forget_ended(TimePoint now) {
  if (now - forgot_at_ < kForgetAfter / 4) return;
  forgot_at_ = now;
  for (auto at = pipes_.begin(); at != pipes_.end();) {
    Pipe& pipe = at->second;
    const auto is_of_this = [&](const auto& connection) { return connection->pipe == &pipe; };
    const bool in_use = !pipe.may_be_done || pipe.durable != pipe.position.resume ||
                        std::any_of(connections_.begin(), connections_.end(), is_of_this);
    if (in_use || pipe.seen_at == TimePoint{}) pipe.seen_at = now;
    at = now - pipe.seen_at > kForgetAfter ? pipes_.erase(at) : std::next(at);
  }
}

}  // namespace runtail
