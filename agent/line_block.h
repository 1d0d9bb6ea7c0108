// Whole units of one file, pipe or journal, as a source hands them to the pipeline.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "buffer/durable_buffer.h"
#include "core/chunk.h"
#include "core/own_facts.h"
#include "core/position.h"
#include "core/time_zone.h"
#include "parsers/framing.h"

namespace runtail {

// One unit: usually one physical line, else what framing joined.
struct Line {
  std::uint64_t offset = 0;     // of its first byte in the source
  std::uint64_t length = 0;     // to the end of its last line, with the newline if there was one
  std::string_view bytes = {};  // peeled, without the newline; empty if too_long or orphan
  bool too_long = false;        // longer than line_bytes_max: set aside, never held in memory
  bool orphan = false;          // a piece that lacks its first part: counted, not stored
  std::uint32_t lines = 1;      // physical lines it was made of
  Output output = Output::kUnknown;
  std::optional<TimePoint> envelope_time = {};
  std::uint64_t own_bytes = 0;  // of its physical lines, newlines included: other lines may lie between them
};

// What became known about the worker, as part of the source's byte range.
struct WorkerNote {
  enum class Kind { kAlive, kEnded, kGone } kind = Kind::kAlive;
  std::uint64_t offset = 0;  // its place among the lines
  TimePoint at{};
  TimePoint started_at{};
  WorkerExit exit{};  // kEnded
  WorkerGone gone{};  // kGone
};

// The agent speaks of itself. The views live until the source reads again.
struct AgentNote {
  AgentBeat beat;
  bool with_snapshot = false;  // and of its metrics, as they are with what was committed together with this
};

// What a source says about lines that do not say it themselves.
struct LineDefaults {
  std::vector<std::pair<Field, std::string>> fields;  // contract fields, put where the line has none
  std::string context;                // members of log_events.context: "\"k8s.pod\":\"a\",\"team\":\"etl\"", or ""
  std::string process;                // which process printed them, for tools that name no run; "": the file says
  std::string dialect;                // the lines are in; "": they tell by their members
  std::optional<TimeZone> time_zone;  // for times without offset; nothing: UTC
};

// The views live until the source reads again.
struct LineBlock {
  Position position;  // after this block, but for last_ts
  std::optional<TimePoint>* last_ts =
      nullptr;                    // the file's last stated time: the source keeps it, the pipeline moves it on
  ByteRange covers;               // each unit ends in it; it may have begun before
  std::vector<Line> lines;        // in order of their ends
  std::vector<WorkerNote> notes;  // in order of offset
  std::string default_job_id;
  std::int16_t default_job_rank = 4;
  const LineDefaults* defaults = nullptr;  // the source keeps them; null: none
  bool has_many_processes = false;         // one position, lines of many processes: a journal
  bool with_next = false;                  // durable only together with the source's next block
  std::vector<StateEntry> state;           // the source's own entries, durable with the block
  std::vector<std::string> forget;         // keys of entries the source needs no more, gone with the block
  std::optional<AgentNote> agent_note;     // its events lie anywhere in `covers`
  Uuid wrapper_run;                        // run the wrapper made for its worker; nil: no wrapper
  std::string wrapper_job;                 // --job, or ""
  bool wrapper_is_task = false;            // the worker is one task of a run: its end ends that, never the run
  // The notes are of the pipe of this identity, not of `position.file`: it has no bytes for what nobody sent.
  std::optional<FileIdentity> wrapper_pipe;
  // Ids of the wrapper's surroundings, as it found them: not redacted. The source keeps them; null: none.
  const std::vector<std::pair<Field, std::string>>* wrapper_ids = nullptr;
  // Takes each line as redacted JSON (core/event_json.h), "" for an empty line; null: nobody asked for it.
  const std::function<void(const Line&, std::string_view json)>* on_redacted = nullptr;
};

}  // namespace runtail
