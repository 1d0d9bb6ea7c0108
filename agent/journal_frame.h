// What the agent and its journal reader say to each other: the reader is a process of its own (see journal_reader.h).
//
//   agent -> reader, once:   a request
//   reader -> agent:         frames
// Each: u32 size of what follows, then core/bytes.h's encoding. Both are the same binary, so there is no version in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/time.h"

namespace runtail {

// A journal numbers its entries 1, 2, 3, ... under an id of its own (systemd: seqnum id); files of one journal share
// it. Several numberings appear where journals of other machines lie beside, and where a journal lives in memory only.
using Numbering = Bytes16;

struct JournalRequest {
  std::string directory;           // of journal files; empty: this machine's
  std::vector<std::string> units;  // full names, as in journalctl -u; empty: every entry
  std::uint64_t line_bytes_max = 1 << 20;
  TimePoint oldest{};        // older entries are not read, where nothing of their numbering was read before
  std::string cursor;        // of the last entry read; empty: unknown
  std::uint32_t deaths = 0;  // readers that ended badly in a row without a single entry read
  struct Known {
    Numbering numbering{};
    std::uint64_t next = 0;  // number of the first entry not read
    bool begun = true;       // false: nothing was read yet, and `next` is the first entry that was there to be read
  };
  std::vector<Known> known;
};

enum class JournalFrameType : std::uint8_t {
  kEntry = 1,  // an entry with a MESSAGE that is asked for
  kPassed,     // everything up to this entry was looked at and is not asked for
  kMissing,    // entries numbered [number, until) are not there any more; a kEntry or kPassed of `until` follows
  kCaughtUp,   // everything there is was looked at
  kFault,      // what a person has to mend; the reader ends
};

// Views point into the bytes that were read.
struct JournalFrame {
  JournalFrameType type = JournalFrameType::kCaughtUp;
  Numbering numbering{};
  std::uint64_t number = 0;
  std::uint64_t until = 0;     // kMissing
  TimePoint at{};              // kEntry: when the journal took it
  std::string_view cursor;     // kEntry, kPassed
  std::string_view unit, pid;  // kEntry; "" where the journal knows none
  std::uint64_t length = 0;    // kEntry: of the MESSAGE
  bool too_long = false;       // kEntry: longer than line_bytes_max, `text` is empty
  bool unreadable = false;     // kMissing: it is there and damaged
  std::string_view text;       // kEntry: the MESSAGE, any bytes; kFault: for a person
};

std::string encode_request(const JournalRequest& request);
std::optional<JournalRequest> decode_request(std::string_view payload);  // without its size

void append_frame(std::string& out, const JournalFrame& frame);

enum class FrameRead { kWhole, kPartial, kBroken };
// The frame at the beginning of `bytes`; `size` becomes what it takes of them.
FrameRead read_frame(std::string_view bytes, JournalFrame& frame, std::size_t& size);

}  // namespace runtail
