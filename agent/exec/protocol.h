// What the holder of a worker's pipes (`runtail exec`, `runtail-exec`) and the agent say to each other, over a unix
// stream socket in the agent's buffer directory.
//
// A frame: u32 length of what follows, u8 type, payload; integers little-endian, texts varint length and bytes.
//   holder -> agent                                            place taken in the pipe's own byte space
//     Hello    version u32, instance 16, run 16, job, command,  none; first frame of each connection
//              started_at i64, scope u8, wants_redacted u8,
//              count varint, as many pairs of field and value
//     Line     offset u64, time i64, output u8, bytes to the    bytes + 1
//              end
//     TooLong  offset u64, time i64, output u8, length u64      length + 1: a line over 1 MiB, its bytes not kept
//     Lost     offset u64, bytes u64                            4096: the queue was full, so many bytes of lines are
//                                                               gone
//     Alive    offset u64, time i64                             4096: still running 2 s after the start
//     Exit     offset u64, time i64, code i32, signal i32,      4096: the last frame
//              duration_ms i64, cpu_us i64, max_rss_bytes i64
//   agent -> holder
//     Resume    emitted u64                                     answer to Hello: durable up to here, 0 if unknown
//     Redacted  span u64, output u8, bytes to the end           a durable line as JSON; only if wanted, before its Ack;
//                                                               no bytes: an empty line
//     Ack       emitted u64                                     after each durable write
//     Delivered emitted u64                                     all sinks have everything up to here
//
// Frames follow each other without holes. The holder keeps what is not acknowledged and sends it again on the next
// connection; the agent skips what ends at or before its own offset. So a line arrives once by (instance, offset),
// whoever of the two was away. Only the holder's end loses what no agent had acknowledged by then. A Redacted line that
// its connection did not live to carry is not sent again. An agent closes a connection of another version at once.
#pragma once

#include <sys/un.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/own_facts.h"
#include "core/result.h"
#include "core/time.h"
#include "core/uuid.h"

namespace runtail {

inline constexpr std::uint32_t kExecVersion = 3;
inline constexpr std::size_t kExecLineBytesMax = 1 << 20;
inline constexpr std::uint64_t kExecNoteSpan = 4096;  // the pipeline numbers the facts of a note inside
inline constexpr std::size_t kExecFrameBytesMax = kExecLineBytesMax + 64;
// A redacted line may be longer than the line: names of fields, escapes, what stands for what was masked.
inline constexpr std::size_t kExecRedactedBytesMax = 8 * kExecLineBytesMax;
inline constexpr std::size_t kExecIdsMax = 16, kExecIdBytesMax = 255;

std::filesystem::path exec_socket_path(const std::filesystem::path& buffer_directory);
// kInvalidInput: longer than the system allows, with the remedy.
Result<sockaddr_un> exec_socket_address(const std::filesystem::path& socket);
// Is the other end of this unix socket the same user as we, or root?
bool peer_is_own_user_or_root(int fd);

// What the worker's exit ends.
enum class ExecScope : std::uint8_t { kRun, kTask };

// What the holder knows from where it was started, for lines that do not say it themselves.
struct ExecId {
  std::string field;  // of the log contract: "run_id"
  std::string value;  // is_id_value()
  bool operator==(const ExecId&) const = default;
};
// 1 to kExecIdBytesMax printable characters of ASCII.
bool is_id_value(std::string_view text);

struct ExecHello {
  Bytes16 instance{};   // of this holder: the key of the pipe's identity
  Uuid run;             // the run the wrapper makes for its worker
  std::string job;      // --job, or ""
  std::string command;  // base name of the worker's program
  TimePoint started_at{};
  ExecScope scope = ExecScope::kRun;
  bool wants_redacted = false;  // each line back as JSON
  std::vector<ExecId> ids;      // at most kExecIdsMax
};

// 1 to 128 of letters, digits and "_.:/-", as metric labels have it.
bool is_job_name(std::string_view text);
// At most 128 bytes of letters, digits and "_.-"; everything else becomes '_'.
std::string safe_name(std::string_view text);

enum class ExecFrameType : std::uint8_t {
  kHello = 1,
  kLine = 2,
  kTooLong = 3,
  kLost = 4,
  kAlive = 5,
  kExit = 6,
  kResume = 16,
  kAck = 17,
  kRedacted = 18,
  kDelivered = 19,
};

// Which of the worker's streams a line came by.
enum class ExecOutput : std::uint8_t { kStdout = 1, kStderr = 2 };

// Each appends one frame.
void append_hello(std::string& out, const ExecHello& hello);
void append_line(std::string& out, std::uint64_t offset, TimePoint at, ExecOutput output, std::string_view bytes);
void append_too_long(std::string& out, std::uint64_t offset, TimePoint at, ExecOutput output, std::uint64_t length);
void append_lost(std::string& out, std::uint64_t offset, std::uint64_t bytes);
void append_alive(std::string& out, std::uint64_t offset, TimePoint at);
void append_exit(std::string& out, std::uint64_t offset, TimePoint at, const WorkerExit& exit);
void append_resume(std::string& out, std::uint64_t emitted);
void append_redacted(std::string& out, std::uint64_t span, ExecOutput output, std::string_view json);
void append_ack(std::string& out, std::uint64_t emitted);
void append_delivered(std::string& out, std::uint64_t emitted);

// One frame as it was read. Only the members of its type are set.
struct ExecFrame {
  ExecFrameType type = ExecFrameType::kHello;
  std::uint64_t offset = 0;  // kLine to kExit
  std::uint64_t span = 0;    // bytes it takes in the pipe's space; kRedacted: its line's
  TimePoint at{};
  ExecOutput output = ExecOutput::kStdout;  // kLine, kTooLong, kRedacted
  std::string_view bytes;                   // kLine, kRedacted; into what was read
  std::uint64_t length = 0;                 // kTooLong, kLost: in bytes
  WorkerExit exit;                          // kExit
  ExecHello hello;                          // kHello
  std::uint64_t emitted = 0;                // kResume, kAck, kDelivered
};

enum class ExecRead { kWhole, kPartial, kBroken };
// Reads the frame at the beginning of `bytes`; `size` becomes the bytes it has there. kPartial: more has to come.
// kBroken: no frame of this protocol and version; the connection is of no use.
ExecRead read_frame(std::string_view bytes, ExecFrame& frame, std::size_t& size);

}  // namespace runtail
