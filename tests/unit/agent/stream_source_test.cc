#include "agent/stream_source.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "tests/support/no_descriptors.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kLineBytesMax = 1000;

// What a pipeline made durable of a source.
struct Committed {
  std::vector<std::string> lines;
  std::vector<std::uint64_t> offsets, too_long;
  std::vector<Position> positions;  // the newest of each pipe
  std::vector<std::string> forgotten;
  std::map<Bytes16, std::uint64_t> covered;  // by pipe
};

// Reads a round as the intake does; commits it if asked.
bool round(StreamSource& source, TimePoint now, Committed& out, bool commit = true) {
  Committed read = out;
  bool any = false;
  while (auto block = source.read(now)) {
    any = true;
    std::uint64_t& covered = read.covered[block->position.file.file_key];
    EXPECT_TRUE(covered == 0 || block->covers.from == covered) << "a hole or an overlap at " << covered;
    covered = block->covers.to;
    for (const Line& line : block->lines) {
      if (line.too_long) {
        read.too_long.push_back(line.length);
      } else {
        read.lines.emplace_back(line.bytes);
      }
      read.offsets.push_back(line.offset);
      EXPECT_GT(line.offset + line.length, block->covers.from);
      EXPECT_LE(line.offset + line.length, block->covers.to + 1);
    }
    std::erase_if(read.positions, [&](const Position& each) { return each.file == block->position.file; });
    read.positions.push_back(block->position);
    for (const std::string& key : block->forget) read.forgotten.push_back(key);
  }
  if (commit) {
    out = read;
    source.committed();
  }
  return any;
}

class StandardInput : public testing::Test {
 protected:
  StandardInput() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    writer = ends[1];
    held.emplace(ends[0], kLineBytesMax, start);
    settings.source.name = settings.source.type = "stdin";
    settings.source.stream = "agent/stdin";
    settings.line_bytes_max = kLineBytesMax;
    make();
  }
  ~StandardInput() override { end(); }

  // As an engine that was made anew.
  void make() { source = std::make_unique<StreamSource>(settings, *held, committed.positions); }
  void send(std::string_view bytes) const {
    ASSERT_EQ(write(writer, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void end() {
    if (writer >= 0) close(std::exchange(writer, -1));
  }
  bool take(bool commit = true) { return round(*source, now, committed, commit); }

  const TimePoint start = from_micros(1'772'000'000'000'000);
  TimePoint now = start + std::chrono::seconds(5);
  int writer = -1;
  StreamSourceSettings settings;
  std::optional<HeldLines> held;
  std::unique_ptr<StreamSource> source;
  Committed committed;
};

TEST_F(StandardInput, LinesComeInOrderWithTheirOffsetsAndTheMomentTheyWereRead) {
  send("one\n\nthree\n");
  const auto block = source->read(now);
  ASSERT_TRUE(block);
  ASSERT_THAT(block->lines, SizeIs(3));
  EXPECT_EQ(block->lines[0].bytes, "one");
  EXPECT_EQ(block->lines[1].bytes, "");
  EXPECT_EQ(block->lines[2].bytes, "three");
  EXPECT_EQ(block->lines[2].offset, 5u);
  EXPECT_EQ(block->lines[2].length, 6u);
  EXPECT_EQ(block->lines[2].envelope_time, now);
  EXPECT_EQ(block->covers, (ByteRange{0, 11}));
  EXPECT_EQ(block->position.file.stream, "agent/stdin");
  EXPECT_EQ(block->position.file.file_key, held->instance());
  EXPECT_EQ(block->position.first_seen, start);
  EXPECT_EQ(block->default_job_id, "agent/stdin");
  EXPECT_FALSE(source->read(now));
}

TEST_F(StandardInput, TheTimeOfAnEnvelopeWins) {
  send(R"({"log":"hello\n","stream":"stderr","time":"2026-03-01T00:00:01Z"})"
       "\n");
  const auto block = source->read(now);
  ASSERT_TRUE(block);
  ASSERT_THAT(block->lines, SizeIs(1));
  EXPECT_EQ(block->lines[0].bytes, "hello");
  EXPECT_EQ(block->lines[0].envelope_time, parse_rfc3339("2026-03-01T00:00:01Z"));
}

TEST_F(StandardInput, APartOfALineWaitsForTheRest) {
  send("on");
  EXPECT_FALSE(take());
  send("e\ntw");
  EXPECT_TRUE(take());
  EXPECT_THAT(committed.lines, ElementsAre("one"));
}

TEST_F(StandardInput, TheLastLineNeedsNoNewline) {
  send("one\ntwo");
  end();
  take();
  EXPECT_THAT(committed.lines, ElementsAre("one", "two"));
  EXPECT_EQ(committed.positions.at(0).emitted, 7u);
}

TEST_F(StandardInput, ItHasEndedOnceAllOfItIsCommitted) {
  send("one\n");
  take();
  EXPECT_FALSE(source->has_ended());
  send("two");
  end();
  take(false);
  EXPECT_FALSE(source->has_ended());
  source->committed();
  EXPECT_TRUE(source->has_ended());
  std::vector<pollfd> fds;
  source->fill(fds);
  EXPECT_THAT(fds, IsEmpty());
}

TEST_F(StandardInput, ATraceIsOneUnitWholeAtTheEnd) {
  send("Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nValueError: x");
  EXPECT_FALSE(take());
  EXPECT_FALSE(source->has_ended());
  end();
  EXPECT_TRUE(take());
  EXPECT_THAT(committed.lines, SizeIs(1));
  EXPECT_TRUE(source->has_ended());
}

TEST_F(StandardInput, ATraceThatRestsIsWholeWhenItIsDue) {
  send("Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n");
  EXPECT_FALSE(take());
  ASSERT_TRUE(source->due());
  now = *source->due();
  EXPECT_TRUE(take());
  EXPECT_THAT(committed.lines, SizeIs(1));
}

TEST_F(StandardInput, AnEngineMadeAnewMissesNothingAndRepeatsNothing) {
  send("one\n");
  take();
  send("two\nthree\nfo");
  take(false);
  make();
  send("ur\n");
  take();
  EXPECT_THAT(committed.lines, ElementsAre("one", "two", "three", "four"));
  EXPECT_THAT(committed.offsets, ElementsAre(0u, 4u, 8u, 14u));
}

TEST_F(StandardInput, AnEngineMadeAnewInsideATraceKeepsItWhole) {
  send("one\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n");
  take();
  make();
  send("ValueError: x\n");
  end();
  take();
  ASSERT_THAT(committed.lines, SizeIs(2));
  EXPECT_THAT(committed.lines[1], HasSubstr("ValueError"));
  EXPECT_THAT(committed.lines[1], HasSubstr("Traceback"));
}

TEST_F(StandardInput, AnEngineMadeAnewBetweenPiecesRepeatsNothingThatStoodBetweenThem) {
  const auto piece = [](const std::string& text, const std::string& output) {
    return R"({"log":")" + text + R"(","stream":")" + output + R"(","time":"2026-03-01T00:00:01Z"})" + "\n";
  };
  send(piece(R"({\"msg\":)", "stdout") + piece(R"(oops\n)", "stderr"));
  take();
  EXPECT_THAT(committed.lines, ElementsAre("oops"));
  make();
  send(piece(R"(\"x\"}\n)", "stdout"));
  take();
  EXPECT_THAT(committed.lines, ElementsAre("oops", R"({"msg":"x"})"));
}

TEST_F(StandardInput, AWriteThatReportedAFailureAndHappenedIsNotRepeated) {
  send("one\ntwo\n");
  Committed durable;
  round(*source, now, durable);  // the source hears of it, and is thrown away all the same
  committed = durable;
  make();
  EXPECT_FALSE(take());
  EXPECT_THAT(committed.lines, ElementsAre("one", "two"));
}

TEST_F(StandardInput, ABufferThatWasLostGetsWhatIsStillHeld) {
  send("one\n");
  take();
  send("two\n");
  take(false);
  committed.positions.clear();
  make();
  take();
  EXPECT_THAT(committed.lines, ElementsAre("one", "two"));
  EXPECT_EQ(committed.offsets.back(), 4u);
}

TEST_F(StandardInput, ALongLineIsCountedAndNeverHeld) {
  const std::size_t length = by_scale(64 << 20, 1 << 30);
  std::thread job([&] {
    const std::string block(1 << 16, 'x');
    for (std::size_t sent = 0; sent < length; sent += block.size()) send(block);
    send("\nshort\n");
    end();
  });
  std::uint64_t most = 0;
  while (!source->has_ended()) {
    std::vector<pollfd> fds;
    source->fill(fds);
    poll(fds.data(), fds.size(), 100);
    take();
    most = std::max(most, held->bytes());
  }
  job.join();
  EXPECT_THAT(committed.too_long, ElementsAre(length + 1));
  EXPECT_THAT(committed.lines, ElementsAre("short"));
  EXPECT_LT(most, 1u << 20);
}

TEST_F(StandardInput, ALineOfTheLimitIsALineAndOneMoreByteIsTooLong) {
  const std::string fits(kLineBytesMax, 'a');
  send(fits + "\n" + fits + "b\n");
  take();
  EXPECT_THAT(committed.lines, ElementsAre(fits));
  EXPECT_THAT(committed.too_long, ElementsAre(kLineBytesMax + 2));
}

TEST_F(StandardInput, WithoutACommitItStopsReadingAndTheWriterWaits) {
  const int size = fcntl(writer, F_SETPIPE_SZ, 4096);
  ASSERT_GT(size, 0);
  fcntl(writer, F_SETFL, O_NONBLOCK);
  const std::string line(499, 'x');
  const auto push = [&] {
    std::size_t sent = 0;
    for (ssize_t put; (put = write(writer, (line + "\n").data(), 500)) > 0;) {
      sent += static_cast<std::size_t>(put);
      round(*source, now, committed, false);
      if (sent > 100u << 20) break;
    }
    return sent;
  };
  const std::size_t first = push();
  EXPECT_LT(first, 1u << 20);
  std::vector<pollfd> fds;
  source->fill(fds);
  EXPECT_THAT(fds, IsEmpty()) << "a full source must not wake the loop";
  source->committed();
  round(*source, now, committed, false);
  EXPECT_GT(push(), 0u);
}

TEST_F(StandardInput, PositionsOfEarlierRunsAreForgotten) {
  Position old;
  old.file = {"agent/stdin", {9}, 0};
  Position other;
  other.file = {"agent/etl", {9}, 0};
  committed.positions = {old, other};
  make();
  send("one\n");
  take();
  EXPECT_THAT(committed.forgotten, ElementsAre(position_key(old.file)));
}

TEST_F(StandardInput, AConfiguredJobIsTheDefaultOfLinesWithout) {
  settings.source.job_id = "nightly";
  make();
  send("one\n");
  const auto block = source->read(now);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->default_job_id, "nightly");
  EXPECT_EQ(block->default_job_rank, 3);
}

TEST_F(StandardInput, WhateverTheCutsAndRestartsEveryLineComesOnceAtItsPlace) {
  std::mt19937_64 random(seed());
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  std::string text;
  std::vector<std::string> want;
  std::vector<std::uint64_t> offsets;
  for (int i = 0; i < by_scale(3'000, 100'000); ++i) {
    const std::string line = "line " + std::to_string(i) + ' ' + std::string(below(below(20) == 0 ? 900 : 60), 'x');
    offsets.push_back(text.size());
    want.push_back(line);
    text += line + '\n';
  }
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = std::min<std::size_t>(text.size() - at, below(5'000) + 1);
    send(std::string_view(text).substr(at, size));
    at += size;
    const bool fails = below(8) == 0;
    if (below(3) > 0) take(!fails);
    if (fails) make();
  }
  end();
  make();
  while (!source->has_ended()) take();
  EXPECT_EQ(committed.lines, want);
  EXPECT_EQ(committed.offsets, offsets);
}

class SocketSource : public testing::Test {
 protected:
  SocketSource() {
    settings.source.name = "api";
    settings.source.type = "socket";
    settings.source.stream = "agent/api";
    settings.source.socket = directory / "api.sock";
    settings.line_bytes_max = kLineBytesMax;
    make();
  }
  void make() {
    source.reset();
    source = std::make_unique<StreamSource>(settings, committed.positions);
    source->scan(now);
  }
  int connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    settings.source.socket.native().copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << std::strerror(errno);
    return fd;
  }
  static void send(int fd, const std::string& bytes) {
    EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  bool take() { return round(*source, now, committed); }

  TempDir directory;
  const TimePoint now = from_micros(1'772'000'000'000'000);
  StreamSourceSettings settings;
  std::unique_ptr<StreamSource> source;
  Committed committed;
};

TEST_F(SocketSource, EachConnectionIsAPipeOfItsOwn) {
  const int one = connect(), two = connect();
  send(one, "a\nb\n");
  send(two, "c\n");
  take();
  std::ranges::sort(committed.lines);
  EXPECT_THAT(committed.lines, ElementsAre("a", "b", "c"));
  ASSERT_THAT(committed.positions, SizeIs(2));
  EXPECT_NE(committed.positions[0].file.file_key, committed.positions[1].file.file_key);
  close(one);
  close(two);
}

TEST_F(SocketSource, WithoutADescriptorToSpareItSaysSoAndTriesAgainAtTheNextScan) {
  const int fd = connect();
  send(fd, "one\n");
  {
    const NoDescriptors none;
    EXPECT_FALSE(take());
    std::vector<pollfd> fds;
    source->fill(fds);
    EXPECT_THAT(fds, IsEmpty()) << "the connection that waits would wake the loop for ever";
    source->scan(now);
    EXPECT_FALSE(take());
    EXPECT_THAT(source->status().faults, ElementsAre(HasSubstr("Too many open files")));
  }
  EXPECT_FALSE(take()) << "not before it looks again";
  source->scan(now);
  EXPECT_TRUE(take());
  EXPECT_THAT(committed.lines, ElementsAre("one"));
  EXPECT_THAT(source->status().faults, IsEmpty());
  close(fd);
}

TEST_F(SocketSource, AConnectionThatSentNothingLeavesNothingToForget) {
  for (int i = 0; i < 20; ++i) {
    close(connect());
    take();
    take();
  }
  const int fd = connect();
  send(fd, "one\n");
  close(fd);
  take();
  take();
  EXPECT_THAT(committed.forgotten, IsEmpty());
  close(connect());
  const int next = connect();
  send(next, "two\n");
  take();
  EXPECT_THAT(committed.forgotten, SizeIs(1)) << "the one whose line was durable";
  close(next);
}

TEST_F(SocketSource, AConnectionThatDiesMidLineLeavesWhatItSent) {
  const int fd = connect();
  send(fd, "whole\nhal");
  close(fd);
  take();
  EXPECT_THAT(committed.lines, ElementsAre("whole", "hal"));
}

TEST_F(SocketSource, PipesThatAreGoneLeaveNoPosition) {
  const int first = connect();
  send(first, "one\n");
  close(first);
  take();
  take();
  const Position gone = committed.positions.at(0);
  const int second = connect();
  send(second, "two\n");
  take();
  EXPECT_THAT(committed.forgotten, ElementsAre(position_key(gone.file)));
  EXPECT_EQ(source->status().open_files, 2u);  // the listener and one connection
  close(second);
}

TEST_F(SocketSource, OnlyItsUserMayConnect) {
  struct stat status {};
  ASSERT_EQ(stat(settings.source.socket.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(SocketSource, ManyConnectionsAreServedUpToTheLimitAndTheRestInTheirTurn) {
  std::vector<int> fds;
  const auto come = [&](std::size_t many) {
    for (std::size_t i = 0; i < many; ++i) {
      fds.push_back(connect());
      send(fds.back(), "line\n");
    }
  };
  come(StreamSource::kConnectionsMax);
  take();
  come(20);  // the system holds them for us
  take();
  EXPECT_EQ(source->status().open_files, StreamSource::kConnectionsMax + 1);
  EXPECT_THAT(committed.lines, SizeIs(StreamSource::kConnectionsMax));
  for (const int fd : fds) close(fd);
  for (int i = 0; i < 3; ++i) take();
  EXPECT_THAT(committed.lines, SizeIs(StreamSource::kConnectionsMax + 20));
  EXPECT_EQ(source->status().open_files, 1u);
}

TEST_F(SocketSource, ASlowPeerHoldsUpNobody) {
  const int slow = connect(), quick = connect();
  send(slow, "part of a");
  send(quick, "whole\n");
  take();
  EXPECT_THAT(committed.lines, ElementsAre("whole"));
  send(slow, " line\n");
  take();
  EXPECT_THAT(committed.lines, ElementsAre("whole", "part of a line"));
  close(slow);
  close(quick);
}

TEST_F(SocketSource, GarbageIsLinesLikeAnyOther) {
  const int fd = connect();
  const std::string garbage("\0\xff\xfe{\"a\":\n\0\0\n", 12);
  send(fd, garbage);
  take();
  EXPECT_THAT(committed.lines, SizeIs(2));
  EXPECT_EQ(committed.positions.at(0).emitted, garbage.size());
  close(fd);
}

TEST_F(SocketSource, AStaleSocketIsReplacedAndALiveOneIsNot) {
  StreamSource second(settings, {});
  second.scan(now);
  EXPECT_THAT(second.status().faults, ElementsAre(HasSubstr("another process listens there")));
  EXPECT_NO_FATAL_FAILURE(close(connect()));
  source.reset();
  {
    // What an agent that was killed leaves.
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    settings.source.socket.native().copy(address.sun_path, sizeof address.sun_path - 1);
    const int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    close(dead);
  }
  second.scan(now);
  EXPECT_THAT(second.status().faults, IsEmpty());
  close(connect());
}

TEST_F(SocketSource, AFileInItsPlaceIsNotRemoved) {
  source.reset();
  std::ofstream(settings.source.socket) << "mine";
  make();
  EXPECT_THAT(source->status().faults, ElementsAre(HasSubstr("no socket: remove it")));
  EXPECT_TRUE(std::filesystem::exists(settings.source.socket));
}

TEST_F(SocketSource, AMissingDirectoryIsAFaultUntilItIsThere) {
  settings.source.socket = directory / "later" / "api.sock";
  make();
  EXPECT_THAT(source->status().faults, ElementsAre(HasSubstr("its directory must be there")));
  std::filesystem::create_directory(directory / "later");
  source->scan(now);
  EXPECT_THAT(source->status().faults, IsEmpty());
  close(connect());
}

TEST_F(SocketSource, ItNeverEnds) { EXPECT_FALSE(source->has_ended()); }

}  // namespace
}  // namespace runtail::test
