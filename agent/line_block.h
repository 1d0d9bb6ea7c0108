// Complete lines of one file (or pipe), as a source hands them to the pipeline.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/chunk.h"
#include "core/own_facts.h"
#include "core/position.h"

namespace runtail {

struct Line {
  std::uint64_t offset = 0;  // of its first byte in the source
  std::uint64_t length = 0;  // with the newline, if there was one
  std::string_view bytes;    // without the newline; empty if too_long
  bool too_long = false;     // longer than line_bytes_max: set aside, never held in memory
  std::optional<TimePoint> envelope_time;
};

// What a wrapper told about its worker, as part of the pipe's byte range.
struct WorkerNote {
  enum class Kind { kAlive, kEnded } kind = Kind::kAlive;
  std::uint64_t offset = 0;  // its place among the lines
  TimePoint at{};
  TimePoint started_at{};
  WorkerExit exit;  // kEnded
};

// The views live until the source reads again.
struct LineBlock {
  Position position;  // after this block, but for last_ts
  std::optional<TimePoint>* last_ts =
      nullptr;  // the file's last stated time: the source keeps it, the pipeline moves it on
  ByteRange covers;
  std::vector<Line> lines;        // in order of offset
  std::vector<WorkerNote> notes;  // in order of offset; only from a wrapper
  std::string default_job_id;
  std::int16_t default_job_rank = 4;
  Uuid wrapper_run;         // run the wrapper made for its worker; nil: no wrapper
  std::string wrapper_job;  // --job, or ""
};

}  // namespace runtail
