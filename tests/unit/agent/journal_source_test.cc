// Frames to blocks, with a script in the reader's place: what it says, how it dies, what it is asked then.
#include "agent/journal_source.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <memory>

#include "core/time.h"
#include "tests/support/child_process.h"
#include "tests/support/journal_files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace runtail::test {
namespace {

Numbering numbering(std::uint8_t digit) {
  Numbering id;
  id.fill(digit);
  return id;
}

JournalFrame entry(std::uint64_t number, std::string_view text, std::string_view unit = "etl.service",
                   std::uint8_t of = 1) {
  static std::vector<std::unique_ptr<std::string>> cursors;
  JournalFrame frame;
  frame.type = JournalFrameType::kEntry;
  frame.numbering = numbering(of);
  frame.number = number;
  frame.at = from_micros(1'000'000 * static_cast<std::int64_t>(number));
  cursors.push_back(std::make_unique<std::string>("cursor " + std::to_string(number)));
  frame.cursor = *cursors.back();
  frame.unit = unit;
  frame.pid = "7";
  frame.text = text;
  frame.length = text.size();
  return frame;
}

JournalFrame passed(std::uint64_t number) {
  JournalFrame frame = entry(number, "");
  frame.type = JournalFrameType::kPassed;
  return frame;
}

JournalFrame missing(std::uint64_t from, std::uint64_t until, bool unreadable = false) {
  JournalFrame frame;
  frame.type = JournalFrameType::kMissing;
  frame.numbering = numbering(1);
  frame.number = from;
  frame.until = until;
  frame.unreadable = unreadable;
  return frame;
}

JournalFrame fault(std::string_view text) {
  JournalFrame frame;
  frame.type = JournalFrameType::kFault;
  frame.text = text;
  return frame;
}

// Of the entries numbered [from, until): two for each.
ByteRange entries(std::uint64_t from, std::uint64_t until) { return {2 * from, 2 * until}; }

struct Seen {
  ByteRange covers;
  std::vector<std::string> lines;
  std::string context, cursor;
  Position position;
};

class JournalSourceTest : public testing::Test {
 protected:
  JournalSourceTest() {
    // What it writes at its n-th start is in frames.n; where there is a die.n it dies then.
    script(
        "n=$(cat starts 2>/dev/null || echo 0); echo $((n+1)) > starts\n"
        "cat frames.$n 2>/dev/null\n"
        "[ -e die.$n ] && kill -ABRT $$\n"
        "cat > request.$n\n:\n");
    BufferConfig config;
    config.directory = directory / "buffer";
    auto opened = DurableBuffer::open(config);
    if (!opened) throw std::runtime_error(opened.error().message);
    buffer = std::move(*opened);
    settings.source.name = "syslog";
    settings.source.stream = "agent/syslog";
    settings.source.journal_directory = directory / "journal";
    settings.line_bytes_max = 1000;
    settings.reader = directory / "reader";
  }
  void script(const std::string& text) {
    std::ofstream(directory / "reader") << "#!/bin/sh\ncd " << directory.path().string() << "\n" << text;
    std::filesystem::permissions(directory / "reader", std::filesystem::perms(0755));
  }
  void say(int start, const std::vector<JournalFrame>& frames) {
    std::string bytes;
    for (const JournalFrame& frame : frames) append_frame(bytes, frame);
    std::ofstream(directory / ("frames." + std::to_string(start)), std::ios::binary) << bytes;
  }
  void die(int start) { std::ofstream(directory / ("die." + std::to_string(start))) << ""; }
  void make() { source = std::make_unique<JournalSource>(settings, *buffer, metrics); }

  // Reads until `enough` holds.
  bool read_until(const std::function<bool()>& enough) {
    return wait_until([&] {
      while (auto block = source->read(now)) {
        Seen& one = seen.emplace_back();
        one.covers = block->covers;
        for (const Line& line : block->lines) {
          const std::uint64_t last = line.offset + line.length - 2;  // as delivery asks whether it was delivered before
          EXPECT_TRUE(block->covers.from <= last && last < block->covers.to) << line.offset << '+' << line.length;
          one.lines.emplace_back(line.too_long ? "too long" : line.bytes);
        }
        if (!block->lines.empty()) times.push_back(block->lines.front().envelope_time.value_or(TimePoint{}));
        if (block->defaults) one.context = block->defaults->context;
        one.cursor = block->state.at(0).value;
        one.position = block->position;
        Commit commit;
        commit.positions = {block->position};
        commit.state = block->state;
        if (!buffer->append(commit)) return true;
      }
      return enough();
    });
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    for (const Seen& block : seen) all.insert(all.end(), block.lines.begin(), block.lines.end());
    return all;
  }
  // What the reader was asked at its n-th start.
  JournalRequest request(int start) {
    std::optional<JournalRequest> asked;
    read_until([&] {
      const std::string bytes = read_file(directory / ("request." + std::to_string(start)));
      if (bytes.size() > 4) asked = decode_request(std::string_view(bytes).substr(4));
      return asked.has_value();
    });
    return asked.value();
  }

  TempDir directory;
  TimePoint now = from_micros(1'700'000'000'000'000);
  std::unique_ptr<DurableBuffer> buffer;
  MetricTable metrics{100};
  JournalSettings settings;
  std::vector<Seen> seen;
  std::vector<TimePoint> times;
  std::unique_ptr<JournalSource> source;
};

TEST(JournalFrames, ComeBackAsTheyWere) {
  JournalRequest request;
  request.directory = "/j";
  request.units = {"a", "b"};
  request.line_bytes_max = 77;
  request.oldest = from_micros(-5);
  request.cursor = "c";
  request.deaths = 4;
  request.known = {{numbering(3), 9, false}};
  const std::string bytes = encode_request(request);
  const auto back = decode_request(std::string_view(bytes).substr(4));
  ASSERT_TRUE(back);
  EXPECT_EQ(encode_request(*back), bytes);
  EXPECT_EQ(back->known.at(0).next, 9u);
  EXPECT_FALSE(back->known.at(0).begun);

  std::string frames;
  for (const JournalFrame& frame :
       {entry(1, std::string_view("a\0b", 3)), passed(2), missing(3, 9, true), fault("f")}) {
    append_frame(frames, frame);
  }
  std::string again;
  JournalFrame frame;
  std::string_view rest = frames;
  for (std::size_t size = 0; !rest.empty(); rest.remove_prefix(size)) {
    ASSERT_EQ(read_frame(rest, frame, size), FrameRead::kWhole);
    for (std::size_t part = 0; part < size; ++part) {
      JournalFrame none;
      std::size_t unused = 0;
      EXPECT_EQ(read_frame(rest.substr(0, part), none, unused), FrameRead::kPartial);
    }
    append_frame(again, frame);
  }
  EXPECT_EQ(again, frames);
  std::size_t size = 0;
  EXPECT_EQ(read_frame(std::string_view("\1\0\0\0\x63", 5), frame, size), FrameRead::kBroken);
  EXPECT_EQ(read_frame(std::string_view("\0\0\0\0", 4), frame, size), FrameRead::kBroken);
}

TEST_F(JournalSourceTest, EntriesBecomeLinesWithTimeUnitAndARangeWithoutHoles) {
  say(0, {entry(5, "one"), entry(8, "two"), passed(20), entry(21, "other", "x.service"), entry(22, "three")});
  make();
  ASSERT_TRUE(read_until([&] { return lines().size() == 4; }));
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].lines, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(seen[0].covers, entries(5, 21));
  EXPECT_EQ(seen[0].context, "\"journal.unit\":\"etl.service\"");
  EXPECT_EQ(seen[1].covers, entries(21, 22));
  EXPECT_EQ(seen[1].context, "\"journal.unit\":\"x.service\"");
  EXPECT_EQ(seen[2].covers, entries(22, 23));
  EXPECT_EQ(seen[2].cursor, "cursor 22");
  EXPECT_EQ(seen[2].position.file.file_key, numbering(1));
  EXPECT_EQ(times.at(0), from_micros(5'000'000));
}

TEST_F(JournalSourceTest, AConfiguredJobOutranksTheStream) {
  const auto rank = [&] {
    std::optional<LineBlock> block;
    wait_until([&] { return (block = source->read(now)).has_value(); });
    return block ? std::pair(block->default_job_id, block->default_job_rank) : std::pair(std::string(), std::int16_t{});
  };
  say(0, {entry(5, "a")});
  make();
  EXPECT_EQ(rank(), std::pair(std::string("agent/syslog"), std::int16_t{4}));
  std::filesystem::remove(directory / "starts");
  settings.source.job_id = "nightly";
  make();
  EXPECT_EQ(rank(), std::pair(std::string("nightly"), std::int16_t{3}));
}

TEST_F(JournalSourceTest, GoesOnFromWhatIsDurable) {
  say(0, {entry(5, "one"), entry(1, "far", "etl.service", 2)});
  make();
  ASSERT_TRUE(read_until([&] { return lines().size() == 2; }));
  make();
  const JournalRequest asked = request(1);
  EXPECT_EQ(asked.cursor, "cursor 1");
  ASSERT_EQ(asked.known.size(), 2u);
  EXPECT_EQ(asked.known[0].next, 6u);
  EXPECT_TRUE(asked.known[0].begun);
  EXPECT_EQ(asked.known[1].next, 2u);
}

TEST_F(JournalSourceTest, WhatOnlyTheDatabaseKnowsIsGoneOnFromTheEndOfWhatItCovers) {
  Commit commit;
  commit.positions.resize(1);
  commit.positions[0].file = {"agent/syslog", numbering(1), 0};
  commit.positions[0].emitted = entries(1, 77).to;  // and nothing is said of what was open
  ASSERT_TRUE(buffer->append(commit));
  make();
  EXPECT_EQ(request(0).known.at(0).next, 77u);
}

TEST_F(JournalSourceTest, AnOpenTraceIsReadAgainAfterTheReadersDeathAndComesOnce) {
  const JournalFrame before = entry(1, "before"), head = entry(2, "Traceback (most recent call last):"),
                     frame = entry(3, "  File \"a.py\", line 1, in <module>"), end = entry(4, "ValueError: bad"),
                     after = entry(5, "after");
  say(0, {before, head, frame});
  die(0);
  say(1, {head, frame, end, after});
  make();
  ASSERT_TRUE(read_until([&] { return lines().size() == 3; }));
  EXPECT_EQ(lines(),
            (std::vector<std::string>{"before",
                                      "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n"
                                      "ValueError: bad",
                                      "after"}));
  EXPECT_EQ(times.at(1), from_micros(2'000'000));
  EXPECT_EQ(seen.back().covers.to, entries(1, 6).to);
  const JournalRequest asked = request(1);
  EXPECT_EQ(asked.known.at(0).next, 2u);
  EXPECT_EQ(asked.cursor, "cursor 1");
}

TEST_F(JournalSourceTest, AnOpenTraceThatNothingFollowsIsWholeAfterAWhile) {
  say(0, {entry(1, "Traceback (most recent call last):"), entry(2, "  File \"a.py\", line 1, in <module>"),
          entry(3, "ValueError: bad")});
  make();
  ASSERT_TRUE(read_until([&] { return source->due().has_value() && *source->due() > now; }));
  EXPECT_TRUE(lines().empty());
  now = *source->due();
  ASSERT_TRUE(read_until([&] { return lines().size() == 1; }));
  EXPECT_EQ(seen.back().covers, entries(1, 4));
}

TEST_F(JournalSourceTest, NeighboursOfAnotherUnitAreNoPartOfATrace) {
  say(0, {entry(1, "Traceback (most recent call last):"), entry(2, "  File \"a.py\", line 1, in <module>", "x.service"),
          entry(3, "ValueError: bad")});
  make();
  ASSERT_TRUE(read_until([&] { return lines().size() == 2; }));
  EXPECT_EQ(lines(),
            (std::vector<std::string>{"Traceback (most recent call last):", "  File \"a.py\", line 1, in <module>"}));
  EXPECT_EQ(seen.at(0).context, "\"journal.unit\":\"etl.service\"");
  EXPECT_EQ(seen.at(0).covers, entries(1, 2));
}

TEST_F(JournalSourceTest, WhatIsMissingIsCountedWithTheRangeThatCoversIt) {
  say(0, {entry(1, "one"), missing(2, 100), entry(100, "two"), missing(101, 102, true), passed(101)});
  make();
  ASSERT_TRUE(read_until([&] { return !seen.empty() && seen.back().covers.to == entries(1, 102).to; }));
  EXPECT_EQ(lines(), (std::vector<std::string>{"one", "two"}));
  for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i].covers.from, seen[i - 1].covers.to);
  EXPECT_EQ(metrics.value(Metric::kLostEntriesTotal, {"syslog", "vacuumed"}), 98);
  EXPECT_EQ(metrics.value(Metric::kLostEntriesTotal, {"syslog", "unreadable"}), 1);
}

TEST_F(JournalSourceTest, WhatIsMissingBeforeAnOpenTraceIsCountedOnceWhenTheReaderDies) {
  const JournalFrame head = entry(100, "Traceback (most recent call last):");
  say(0, {entry(1, "one"), missing(2, 100), head});
  die(0);
  say(1, {head, entry(101, "ValueError: bad"), entry(102, "after")});
  make();
  EXPECT_EQ(request(1).known.at(0).next, 100u);
  ASSERT_TRUE(read_until([&] { return lines().size() == 3; }));
  EXPECT_EQ(lines(), (std::vector<std::string>{"one", "Traceback (most recent call last):\nValueError: bad", "after"}));
  EXPECT_EQ(metrics.value(Metric::kLostEntriesTotal, {"syslog", "vacuumed"}), 98);
}

// The two outputs of a container, each line in an envelope: a trace on one is open while lines of the other pass.
class JournalOfAContainer : public JournalSourceTest {
 protected:
  static std::string docker(const std::string& text, const std::string& stream) {
    return R"({"log":")" + text + R"(\n","stream":")" + stream + R"(","time":"2026-01-01T00:00:00Z"})";
  }
  const std::string trace = docker("Error: x", "stderr"), frame = docker("    at f (a.js:1:1)", "stderr"),
                    out = docker("out", "stdout"), end = docker("end", "stderr");
};

TEST_F(JournalOfAContainer, ATraceBehindALaterLineComesWhenItsTimeIsOver) {
  say(0, {entry(1, trace), entry(2, frame), entry(3, out)});
  make();
  ASSERT_TRUE(read_until([&] { return lines().size() == 1; }));
  now = source->due().value();
  ASSERT_TRUE(read_until([&] { return lines().size() == 2; }));
  EXPECT_EQ(lines(), (std::vector<std::string>{"out", "Error: x\n    at f (a.js:1:1)"}));
  EXPECT_EQ(seen.back().position.resume, entries(1, 4).to);
  EXPECT_EQ(seen.back().position.emitted, entries(1, 4).to);
}

TEST_F(JournalOfAContainer, AReaderThatDiesUnderAnOpenTraceRepeatsNothingAndLosesNothing) {
  say(0, {entry(1, trace), entry(2, frame), entry(3, out)});
  die(0);
  say(1, {entry(1, trace), entry(2, frame), entry(3, out)});
  die(1);
  say(2, {entry(1, trace), entry(2, frame), entry(3, out), entry(4, end)});
  make();
  EXPECT_EQ(request(2).known.at(0).next, 1u);
  ASSERT_TRUE(read_until([&] { return lines().size() >= 3; }));
  EXPECT_EQ(lines(), (std::vector<std::string>{"out", "Error: x\n    at f (a.js:1:1)", "end"}));
}

TEST_F(JournalOfAContainer, ATraceReadAgainComesWhenItsTimeIsOver) {
  say(0, {entry(1, trace), entry(2, frame), entry(3, out)});
  die(0);
  say(1, {entry(1, trace), entry(2, frame), entry(3, out)});
  make();
  request(1);
  ASSERT_TRUE(read_until([&] { return source->due().has_value(); }));
  now = *source->due();
  ASSERT_TRUE(read_until([&] { return lines().size() >= 2; }));
  EXPECT_EQ(lines(), (std::vector<std::string>{"out", "Error: x\n    at f (a.js:1:1)"}));
}

TEST_F(JournalSourceTest, WhatIsThereWhenItIsMadeWasThereToBeRead) {
  std::filesystem::create_directory(directory / "journal");
  {
    JournalFile file(directory / "journal/a.journal");
    for (int i = 0; i < 3; ++i) file.append({"x"});
  }
  const JournalRange found = journal_ranges(directory / "journal").at(0);
  now = found.last_at + std::chrono::hours(1);
  make();
  std::filesystem::remove(directory / "journal/a.journal");  // vacuumed before the reader looks
  const JournalRequest asked = request(0);
  ASSERT_EQ(asked.known.size(), 1u);
  EXPECT_EQ(asked.known[0].numbering, found.numbering);
  EXPECT_EQ(asked.known[0].next, 1u);
  EXPECT_FALSE(asked.known[0].begun);
}

TEST_F(JournalSourceTest, AFileOlderThanAskedForIsNotThereToBeRead) {
  std::filesystem::create_directory(directory / "journal");
  {
    JournalFile file(directory / "journal/a.journal");
    file.append({"x"});
  }
  now = journal_ranges(directory / "journal").at(0).last_at + settings.ignore_older + std::chrono::hours(1);
  make();
  EXPECT_TRUE(request(0).known.empty());
}

TEST_F(JournalSourceTest, ADyingReaderIsNamedStartedAgainAndToldHowOftenItDied) {
  for (int start = 0; start < 3; ++start) die(start);
  say(3, {entry(1, "one")});
  make();
  ASSERT_TRUE(read_until([&] { return !source->status().faults.empty(); }));
  EXPECT_NE(source->status().faults[0].find("signal 6 (Aborted)"), std::string::npos) << source->status().faults[0];
  ASSERT_TRUE(read_until([&] { return lines().size() == 1; }));
  EXPECT_TRUE(source->status().faults.empty());
  EXPECT_EQ(request(3).deaths, 3u);
}

TEST_F(JournalSourceTest, WhatAPersonHasToMendIsAFaultUntilItIsMended) {
  script(
      "n=$(cat starts 2>/dev/null || echo 0); echo $((n+1)) > starts\ncat frames.$n\n[ $n = 0 ] && exit 0\ncat > "
      "request\n:\n");
  say(0, {fault("no journal files in /j")});
  say(1, {entry(1, "one")});
  make();
  ASSERT_TRUE(read_until([&] { return !source->status().faults.empty(); }));
  EXPECT_EQ(source->status().faults[0], "no journal files in /j");
  ASSERT_TRUE(read_until([&] { return lines().size() == 1; }));
  EXPECT_TRUE(source->status().faults.empty());
}

TEST_F(JournalSourceTest, AReaderThatTalksRubbishIsReplaced) {
  std::ofstream(directory / "frames.0", std::ios::binary) << std::string("\x05\0\0\0hello", 9);
  say(1, {entry(1, "one")});
  make();
  ASSERT_TRUE(read_until([&] { return lines().size() == 1; }));
}

TEST_F(JournalSourceTest, ALongMessageIsSetAside) {
  JournalFrame large = entry(1, "");
  large.too_long = true;
  large.length = 5000;
  say(0, {large, entry(2, "two")});
  make();
  ASSERT_TRUE(read_until([&] { return lines().size() == 2; }));
  EXPECT_EQ(lines(), (std::vector<std::string>{"too long", "two"}));
}

TEST_F(JournalSourceTest, AReaderThatCannotBeStartedIsAFault) {
  settings.reader = directory / "nowhere";
  make();
  ASSERT_TRUE(read_until([&] { return !source->status().faults.empty(); }));
  EXPECT_NE(source->status().faults[0].find("nowhere"), std::string::npos);
}

}  // namespace
}  // namespace runtail::test
