#include "agent/exec/protocol.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/bytes.h"

namespace runtail {
namespace {

constexpr std::size_t kNameBytesMax = 128;

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

// Writes the length when the frame is complete.
class FrameWriter {
 public:
  FrameWriter(std::string& out, ExecFrameType type) : out_(out), begin_(out.size()), writer_(out) {
    writer_.fixed(std::uint32_t{0});
    writer_.u8(static_cast<std::uint8_t>(type));
  }
  ~FrameWriter() {
    const auto length = static_cast<std::uint32_t>(out_.size() - begin_ - sizeof(std::uint32_t));
    std::memcpy(out_.data() + begin_, &length, sizeof length);
  }
  FrameWriter(const FrameWriter&) = delete;
  FrameWriter& operator=(const FrameWriter&) = delete;
  ByteWriter* operator->() { return &writer_; }

 private:
  std::string& out_;
  const std::size_t begin_;
  ByteWriter writer_;
};

}  // namespace

std::filesystem::path exec_socket_path(const std::filesystem::path& buffer_directory) {
  return buffer_directory / "exec.sock";
}

Result<sockaddr_un> exec_socket_address(const std::filesystem::path& socket) {
  sockaddr_un address{};
  const std::string& name = socket.native();
  if (name.empty() || name.size() >= sizeof address.sun_path) {
    return Error{ErrorCode::kInvalidInput, "exec socket " + name + ": the path has " + std::to_string(name.size()) +
                                               " bytes, the system allows 1 to " +
                                               std::to_string(sizeof address.sun_path - 1) +
                                               ": set a shorter buffer.directory"};
  }
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path, name.size());
  return address;
}

bool peer_is_own_user_or_root(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

bool is_job_name(std::string_view text) {
  const auto may_stand = [](char c) { return is_plain(c) || c == ':' || c == '/'; };
  return !text.empty() && text.size() <= kNameBytesMax && std::all_of(text.begin(), text.end(), may_stand);
}

bool is_id_value(std::string_view text) {
  const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
  return !text.empty() && text.size() <= kExecIdBytesMax && std::all_of(text.begin(), text.end(), is_printable);
}

std::string safe_name(std::string_view text) {
  std::string name(text.substr(0, kNameBytesMax));
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !is_plain(c); }, '_');
  return name;
}

void append_hello(std::string& out, const ExecHello& hello) {
  FrameWriter frame(out, ExecFrameType::kHello);
  frame->fixed(kExecVersion);
  frame->raw(hello.instance.data(), hello.instance.size());
  frame->raw(hello.run.bytes.data(), hello.run.bytes.size());
  frame->text(hello.job);
  frame->text(hello.command);
  frame->fixed(to_micros(hello.started_at));
  frame->u8(static_cast<std::uint8_t>(hello.scope));
  frame->u8(hello.wants_redacted);
  frame->varint(hello.ids.size());
  for (const ExecId& id : hello.ids) {
    frame->text(id.field);
    frame->text(id.value);
  }
}

void append_line(std::string& out, std::uint64_t offset, TimePoint at, ExecOutput output, std::string_view bytes) {
  FrameWriter frame(out, ExecFrameType::kLine);
  frame->fixed(offset);
  frame->fixed(to_micros(at));
  frame->u8(static_cast<std::uint8_t>(output));
  frame->raw(bytes.data(), bytes.size());
}

void append_too_long(std::string& out, std::uint64_t offset, TimePoint at, ExecOutput output, std::uint64_t length) {
  FrameWriter frame(out, ExecFrameType::kTooLong);
  frame->fixed(offset);
  frame->fixed(to_micros(at));
  frame->u8(static_cast<std::uint8_t>(output));
  frame->fixed(length);
}

void append_lost(std::string& out, std::uint64_t offset, std::uint64_t bytes) {
  FrameWriter frame(out, ExecFrameType::kLost);
  frame->fixed(offset);
  frame->fixed(bytes);
}

void append_alive(std::string& out, std::uint64_t offset, TimePoint at) {
  FrameWriter frame(out, ExecFrameType::kAlive);
  frame->fixed(offset);
  frame->fixed(to_micros(at));
}

void append_exit(std::string& out, std::uint64_t offset, TimePoint at, const WorkerExit& exit) {
  FrameWriter frame(out, ExecFrameType::kExit);
  frame->fixed(offset);
  frame->fixed(to_micros(at));
  frame->fixed(static_cast<std::int32_t>(exit.exit_code));
  frame->fixed(static_cast<std::int32_t>(exit.exit_signal));
  frame->fixed(exit.duration_ms);
  frame->fixed(exit.cpu_us);
  frame->fixed(exit.max_rss_bytes);
}

void append_resume(std::string& out, std::uint64_t emitted) {
  FrameWriter(out, ExecFrameType::kResume)->fixed(emitted);
}

void append_redacted(std::string& out, std::uint64_t span, ExecOutput output, std::string_view json) {
  FrameWriter frame(out, ExecFrameType::kRedacted);
  frame->fixed(span);
  frame->u8(static_cast<std::uint8_t>(output));
  frame->raw(json.data(), json.size());
}

void append_ack(std::string& out, std::uint64_t emitted) { FrameWriter(out, ExecFrameType::kAck)->fixed(emitted); }

void append_delivered(std::string& out, std::uint64_t emitted) {
  FrameWriter(out, ExecFrameType::kDelivered)->fixed(emitted);
}

ExecRead read_frame(std::string_view bytes, ExecFrame& frame, std::size_t& size) {
  ByteReader head(bytes);
  const auto length = head.fixed<std::uint32_t>();
  const auto type = static_cast<ExecFrameType>(head.u8());
  if (head.failed()) return ExecRead::kPartial;
  size = sizeof length + length;
  const std::size_t size_max = type == ExecFrameType::kRedacted ? kExecRedactedBytesMax : kExecFrameBytesMax;
  if (length == 0 || size > size_max) return ExecRead::kBroken;
  if (bytes.size() < size) return ExecRead::kPartial;

  ByteReader reader(bytes.substr(sizeof length, length));
  frame.type = static_cast<ExecFrameType>(reader.u8());
  const auto read_offset = [&] { frame.offset = reader.fixed<std::uint64_t>(); };
  const auto read_output = [&] {
    frame.output =
        reader.u8() == static_cast<std::uint8_t>(ExecOutput::kStderr) ? ExecOutput::kStderr : ExecOutput::kStdout;
  };
  const auto read_time = [&] { frame.at = from_micros(reader.fixed<std::int64_t>()); };
  switch (frame.type) {
    case ExecFrameType::kHello:
      if (reader.fixed<std::uint32_t>() != kExecVersion) return ExecRead::kBroken;
      reader.raw(frame.hello.instance.data(), frame.hello.instance.size());
      reader.raw(frame.hello.run.bytes.data(), frame.hello.run.bytes.size());
      frame.hello.job = reader.text();
      frame.hello.command = reader.text();
      frame.hello.started_at = from_micros(reader.fixed<std::int64_t>());
      frame.hello.scope = reader.u8() == 0 ? ExecScope::kRun : ExecScope::kTask;
      frame.hello.wants_redacted = reader.u8() != 0;
      frame.hello.ids.clear();
      for (std::uint64_t left = reader.varint(); left > 0 && !reader.failed(); --left) {
        if (frame.hello.ids.size() == kExecIdsMax) return ExecRead::kBroken;
        ExecId& id = frame.hello.ids.emplace_back();
        id.field = reader.text();
        id.value = reader.text();
      }
      break;
    case ExecFrameType::kLine:
      read_offset();
      read_time();
      read_output();
      frame.bytes = reader.rest();
      frame.span = frame.bytes.size() + 1;
      return reader.failed() ? ExecRead::kBroken : ExecRead::kWhole;
    case ExecFrameType::kTooLong:
      read_offset();
      read_time();
      read_output();
      frame.length = reader.fixed<std::uint64_t>();
      frame.span = frame.length + 1;
      break;
    case ExecFrameType::kLost:
      read_offset();
      frame.length = reader.fixed<std::uint64_t>();
      frame.span = kExecNoteSpan;
      break;
    case ExecFrameType::kAlive:
      read_offset();
      read_time();
      frame.span = kExecNoteSpan;
      break;
    case ExecFrameType::kExit:
      read_offset();
      read_time();
      frame.exit.exit_code = reader.fixed<std::int32_t>();
      frame.exit.exit_signal = reader.fixed<std::int32_t>();
      frame.exit.duration_ms = reader.fixed<std::int64_t>();
      frame.exit.cpu_us = reader.fixed<std::int64_t>();
      frame.exit.max_rss_bytes = reader.fixed<std::int64_t>();
      frame.span = kExecNoteSpan;
      break;
    case ExecFrameType::kRedacted:
      frame.span = reader.fixed<std::uint64_t>();
      read_output();
      frame.bytes = reader.rest();
      return reader.failed() ? ExecRead::kBroken : ExecRead::kWhole;
    case ExecFrameType::kResume:
    case ExecFrameType::kAck:
    case ExecFrameType::kDelivered:
      frame.emitted = reader.fixed<std::uint64_t>();
      break;
    default:
      return ExecRead::kBroken;
  }
  return reader.failed() || !reader.at_end() ? ExecRead::kBroken : ExecRead::kWhole;
}

}  // namespace runtail
