// Which files a replay reads, and what is known of each before it is read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/file_bytes.h"
#include "agent/line_block.h"
#include "config/config.h"
#include "core/digest.h"
#include "core/result.h"
#include "core/time.h"
#include "parsers/parser.h"

namespace runtail {

// The log a file belongs to: what the live agent would say of its lines.
struct ReplayLog {
  std::string source;  // name of the source, "replay" where none is configured
  std::string stream;
  std::string default_job;
  std::int16_t default_job_rank = 4;
  LineDefaults defaults;
  FramingSettings framing;
};

struct ReplayInput {
  std::string path;                  // "-": standard input
  std::uint64_t size = 0;            // on disk
  std::int64_t mtime_ns = 0;         // when it was last written
  bool is_live = false;              // by the name a worker writes to: its last line may still grow
  std::optional<ReplayLog> log;      // nothing: no source of the configuration says whose it is
  std::optional<TimePoint> begins;   // the time its first lines state
  Bytes32 head{};                    // digest of its first line: files that begin alike
  std::shared_ptr<OpenedFile> held;  // standard input out of a pipe, held in memory; null: it is opened by its path
  std::string fault;                 // why it is not read
};

struct ReplayWish {
  std::vector<std::string> paths;     // files, directories, "-"
  std::string stream;                 // --stream; "": the configuration says
  std::optional<TimePoint> from, to;  // lines of that time only: [from, to)
  std::optional<std::string> level;   // plain lines from this level on; nothing: WARN
  bool is_full = false;               // every line the configuration keeps, in covered ranges too
  bool is_dry = false;                // reads everything, writes nothing
  bool is_verify = false;             // the same, and holds what is stored against it
  bool is_rebuild = false;            // a verification that then makes runs anew that differ
  std::string openmetrics_path;       // the history of metrics goes there, and nothing to the store; "": it does not
};

// Standard input out of a pipe is held in memory up to so many bytes; longer input is asked for as a file.
inline constexpr std::uint64_t kHeldInputBytesMax = 256 << 20;

// Opens one for reading; a file that is gone, unreadable or no file says so.
Result<FileBytes> open_input(const ReplayInput& input);

// All files of `wish`, each once, in order of what they say: by stream, then by the time of their first lines. Those
// that cannot be read stand there with their fault. Directories are walked; in them, names that begin with a dot and
// what is no regular file are passed over. kInvalidInput: a path that is not there, a time zone the machine does not
// have.
Result<std::vector<ReplayInput>> find_inputs(const ReplayWish& wish, const Config& config, Parser& parser,
                                             ReadBuffer& buffer);

}  // namespace runtail
