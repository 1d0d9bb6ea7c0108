// Lines and spans of a run in the chunks that an agent keeps.
//   Memory   of a page the places only while chunks are read, then its rows; one chunk at a time.
//   Time     as many chunks as the run has lines in are unpacked; kUnavailable at `until`.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "history/history_store.h"
#include "history/kept_state.h"
#include "history/line_rows.h"

namespace runtail {

class KeptLines {
 public:
  // All outlive this. `kinds`: Redactor::kinds().
  KeptLines(const KeptState& kept, const Deriver& deriver, const std::vector<std::string>& kinds)
      : kept_(kept), deriver_(deriver), kinds_(kinds) {}

  using Deadline = std::chrono::steady_clock::time_point;
  // By ts and id. Lines without a project, and those of `projects`.
  Result<Listing<LogEventRow>> lines(const Uuid& run_id, const Projects& projects, const Slice& slice,
                                     Deadline until) const;
  Result<Listing<SpanRow>> spans(const Uuid& run_id, const Slice& slice, Deadline until) const;

 private:
  const KeptState& kept_;
  const Deriver& deriver_;
  const std::vector<std::string>& kinds_;
};

}  // namespace runtail
