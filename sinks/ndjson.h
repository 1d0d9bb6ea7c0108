// The NDJSON sink: each event as one line of JSON, redacted, in a file or on stdout, for whatever ships logs from
// there.
//   {"id":"<event id>","stream":"<agent>/<source>","redacted":true, ... as core/event_json.h has it}
//
// File:     appended to, made with 0600 if need be, synced after each delivery, one process at a time (flock).
// Twice?    Never in the file. Before a delivery the sink says where its lines will begin (mark()); after a crash the
//           same lines come again, and those found there are not written again. A line cut off in its middle is removed
//           first. Bytes that are not ours stay; we go on behind them.
// Rotation: the path is looked up before each delivery. A renamed file is let go and the new one used; what a crash
// left
//           in a renamed file is found as long as it lies in the same directory. copytruncate works between deliveries
//           only: rename instead.
// Stdout:   a line may come twice after a crash, and the id tells. A reader that does not read holds up this sink
// alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/sink.h"

namespace runtail {

// Threads: one at a time.
class NdjsonSink final : public Sink {
 public:
  // `path`: a file, or "-" for stdout. `kinds` as in Redactor::kinds(). Opens nothing yet.
  NdjsonSink(std::string path, std::vector<std::string> kinds);
  ~NdjsonSink() override;
  NdjsonSink(const NdjsonSink&) = delete;
  NdjsonSink& operator=(const NdjsonSink&) = delete;

  std::string_view name() const override { return "ndjson"; }
  Delivery deliver(std::span<const SequencedChunk> chunks, bool maybe_delivered, TableSet tables) override;
  std::string mark() override;
  void resume(std::string_view mark) override;
  // Lets go of the file: a rotated one can be removed then.
  void idle() override;

 private:
  // Where lines of the delivery in hand may be: all but the last are files that were rotated away under it.
  struct Place {
    dev_t device = 0;
    ino_t inode = 0;
    std::uint64_t begin = 0;
    bool operator==(const Place&) const = default;
  };
  class Trail;

  Result<void> look_at_path();
  Result<void> write_lines(std::span<const SequencedChunk> chunks);
  Result<void> write_to_stdout(std::span<const SequencedChunk> chunks);
  Error failure(const char* what) const;

  const std::string path_;
  const std::vector<std::string> kinds_;
  int fd_ = -1;
  std::vector<Place> places_;
  bool in_hand_ = false;          // a delivery was begun and did not end well
  std::string fault_;             // why there is no file, as of mark()
  std::uint64_t stdout_has_ = 0;  // bytes of the delivery in hand
  Sequence stdout_from_ = 0;      // its first chunk
};

}  // namespace runtail
