// The systemd journal as a source: a child process reads it (journal_reader.h), this one makes blocks of its entries.
//
// A journal's entries are numbered, so the journal is a file whose bytes are its entries: FileIdentity::file_key is the
// id of the numbering, and entry n is the two bytes [2n, 2n + 2). Two, so that `emitted` can stand within the last one
// while a unit is open there, as it stands before a newline in a file. Positions are therefore durable and applied once
// like any file's, and reading goes on by them even where the cursor is lost. The cursor of the last entry read is kept
// beside ("j/<source>"): it only makes the start quick.
//
// What counts as there to be read begins with the first entry found when the source is made: from then on each entry
// that is asked for arrives, or is counted as missing.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/journal_frame.h"
#include "agent/journal_header.h"
#include "agent/source.h"
#include "buffer/durable_buffer.h"
#include "config/config.h"
#include "core/metric.h"
#include "parsers/framing.h"

namespace runtail {

struct JournalSettings {
  SourceConfig source;
  FramingSettings framing;
  LineDefaults defaults;  // the unit's name is added to its context as "journal.unit"
  std::uint64_t line_bytes_max = 1 << 20;
  std::chrono::hours ignore_older{24 * 7};
  std::string reader = "/proc/self/exe";  // the program that has the verb journal-reader
};

// Threads: one.
class JournalSource final : public Source {
 public:
  // `buffer` gives positions and cursor, and is not kept. `metrics` takes what is missing and outlives this.
  JournalSource(JournalSettings settings, const DurableBuffer& buffer, MetricTable& metrics);
  ~JournalSource() override;  // ends the reader

  std::optional<LineBlock> read(TimePoint now) override;
  void fill(std::vector<pollfd>& fds) const override;
  void on_ready(std::span<const pollfd> fds) override;
  std::optional<TimePoint> due() const override;
  void clock_stepped(std::chrono::microseconds by) override;
  SourceStatus status() const override;

 private:
  // One numbering.
  struct Journal {
    Position position;
    bool has_begun = false;            // an entry of it was looked at, in this life or before
    std::uint64_t next = 0;            // number of the first entry not looked at
    std::uint64_t behind_missing = 0;  // number of the entry that follows the last missing one
    std::optional<Framing> framing;    // made with the first entry after a reader's start
  };

  void note_beginnings(TimePoint now);
  void start_reader(TimePoint now);
  void end_reader(bool by_us);
  void receive();
  std::optional<LineBlock> next_block(TimePoint now);
  bool take(const JournalFrame& frame, TimePoint now);
  void count_missing(const JournalFrame& frame);
  void finish_units();
  std::optional<LineBlock> give();
  // Made if it is new: then reading begins with entry `first`.
  Journal& journal_of(const Numbering& numbering, std::uint64_t first, TimePoint now);
  const LineDefaults& defaults_of(const std::string& unit);
  std::string_view waiting() const { return std::string_view(in_).substr(taken_); }

  const JournalSettings settings_;
  const std::string cursor_key_;
  MetricTable& metrics_;  // not owned, outlives this
  std::map<Numbering, Journal> journals_;
  std::vector<JournalRange> found_;  // found when this was made, for the first start of the reader
  std::string cursor_;               // of the last entry taken
  std::string safe_cursor_;          // of the last entry before what is open in framing

  // Of the entries in one block: one journal, one unit.
  Journal* current_ = nullptr;
  std::string unit_, pid_;
  std::vector<Unit> units_;
  std::vector<std::uint64_t> ends_;                        // offset where reading stood when each unit became whole
  std::deque<std::pair<std::uint64_t, TimePoint>> times_;  // by number, from the oldest open entry on
  std::map<std::string, LineDefaults> defaults_;           // by unit

  pid_t pid_of_reader_ = -1;
  int to_reader_ = -1, from_reader_ = -1;  // -1: none; the latter also once it is read to its end
  std::string in_;                         // what came; the first `taken_` bytes of it are taken
  std::size_t taken_ = 0;
  std::uint32_t deaths_ = 0, starts_ = 0;  // in a row, with nothing read between
  std::chrono::steady_clock::time_point start_after_{};
  TimePoint read_at_{};  // the last call of read()
  bool is_caught_up_ = false;
  TimePoint last_at_{};  // of the last entry taken
  std::string fault_;
};

}  // namespace runtail
