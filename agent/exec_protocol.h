// What `runtail exec` (the holder of a worker's pipes) and the agent say to each other, over a unix stream socket in
// the agent's buffer directory.
//
// A frame: u32 length of what follows, u8 type, payload; integers little-endian, texts varint length and bytes.
//   holder -> agent                                            place taken in the pipe's own byte space
//     Hello    version u32, instance 16, run 16, job, command,  none; first frame of each connection
//              started_at i64
//     Line     offset u64, time i64, bytes to the end           bytes + 1
//     TooLong  offset u64, time i64, length u64                 length + 1: a line over 1 MiB, its bytes not kept
//     Lost     offset u64, bytes u64                            4096: the queue was full, so many bytes of lines are
//     gone Alive    offset u64, time i64                             4096: still running 2 s after the start Exit
//     offset u64, time i64, code i32, signal i32,      4096: the last frame
//              duration_ms i64
//   agent -> holder
//     Resume   emitted u64                                      answer to Hello: durable up to here, 0 if unknown
//     Ack      emitted u64                                      after each durable write
//
// Frames follow each other without holes. The holder keeps what is not acknowledged and sends it again on the next
// connection; the agent skips what ends at or before its own offset. So a line arrives once by (instance, offset),
// whoever of the two was away. Only the holder's end loses what no agent had acknowledged by then.
#pragma once

#include <sys/un.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/digest.h"
#include "core/own_facts.h"
#include "core/result.h"
#include "core/time.h"
#include "core/uuid.h"

namespace runtail {

inline constexpr std::uint32_t kExecVersion = 1;
inline constexpr std::size_t kExecLineBytesMax = 1 << 20;
inline constexpr std::uint64_t kExecNoteSpan = 4096;  // the pipeline numbers the facts of a note inside
inline constexpr std::size_t kExecFrameBytesMax = kExecLineBytesMax + 64;

std::filesystem::path exec_socket_path(const std::filesystem::path& buffer_directory);
// kInvalidInput: longer than the system allows, with the remedy.
Result<sockaddr_un> exec_socket_address(const std::filesystem::path& socket);
// Is the other end of this unix socket the same user as we, or root?
bool peer_is_own_user_or_root(int fd);

struct ExecHello {
  Bytes16 instance{};   // of this holder: the key of the pipe's identity
  Uuid run;             // the run the wrapper makes for its worker
  std::string job;      // --job, or ""
  std::string command;  // base name of the worker's program
  TimePoint started_at{};
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
};

// Each appends one frame.
void append_hello(std::string& out, const ExecHello& hello);
void append_line(std::string& out, std::uint64_t offset, TimePoint at, std::string_view bytes);
void append_too_long(std::string& out, std::uint64_t offset, TimePoint at, std::uint64_t length);
void append_lost(std::string& out, std::uint64_t offset, std::uint64_t bytes);
void append_alive(std::string& out, std::uint64_t offset, TimePoint at);
void append_exit(std::string& out, std::uint64_t offset, TimePoint at, const WorkerExit& exit);
void append_resume(std::string& out, std::uint64_t emitted);
void append_ack(std::string& out, std::uint64_t emitted);

// One frame as it was read. Only the members of its type are set.
struct ExecFrame {
  ExecFrameType type = ExecFrameType::kHello;
  std::uint64_t offset = 0;  // kLine to kExit
  std::uint64_t span = 0;    // bytes it takes in the pipe's space
  TimePoint at{};
  std::string_view bytes;     // kLine; into what was read
  std::uint64_t length = 0;   // kTooLong, kLost: in bytes
  WorkerExit exit;            // kExit
  ExecHello hello;            // kHello
  std::uint64_t emitted = 0;  // kResume, kAck
};

enum class ExecRead { kWhole, kPartial, kBroken };
// Reads the frame at the beginning of `bytes`; `size` becomes the bytes it has there. kPartial: more has to come.
// kBroken: no frame of this protocol and version; the connection is of no use.
ExecRead read_frame(std::string_view bytes, ExecFrame& frame, std::size_t& size);

}  // namespace runtail
