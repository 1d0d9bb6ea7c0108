#include "sinks/ndjson.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/sinks/postgres_fixture.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class Ndjson : public testing::Test {
 protected:
  Ndjson() : path(directory / "out.ndjson") {
    for (int i = 0; i < 4; ++i) {
      log.add(R"("ts":"2026-03-02T10:00:0)" + std::to_string(i) + R"(Z","level":"INFO","msg":"line )" +
              std::to_string(i) + R"( of ann.mail@example.com","job_id":"orders")");
    }
  }
  // Lines [from, to) in one chunk each; sequences are line numbers from 1 on.
  std::vector<SequencedChunk> lines(std::size_t from, std::size_t to) const {
    std::vector<SequencedChunk> out;
    for (std::size_t i = from; i < to; ++i) {
      out.push_back(log.chunk(i, i + 1));
      out.back().sequence = i + 1;
    }
    return out;
  }
  NdjsonSink make() const {
    static const std::vector<std::string> kKinds = Redactor::make({})->kinds();
    return NdjsonSink(path, kKinds);
  }
  // As the delivery does it. Gives the mark from before.
  std::string deliver(NdjsonSink& sink, std::size_t from, std::size_t to) const {
    const std::string mark = sink.mark();
    const Delivery delivery = sink.deliver(lines(from, to), false, kAllTables);
    EXPECT_EQ(delivery.status, Delivery::Status::kDelivered) << delivery.reason;
    return mark;
  }
  // What a process after a crash makes of it.
  void deliver_again(const std::string& mark, std::size_t from, std::size_t to) const {
    NdjsonSink sink = make();
    sink.resume(mark);
    deliver(sink, from, to);
  }
  std::string text() const { return read_file(path); }
  void put(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }

  TempDir directory;
  const std::filesystem::path path;
  LogFile log;
};

TEST_F(Ndjson, ALineSaysIdStreamAndTheRedactedEvent) {
  NdjsonSink sink = make();
  deliver(sink, 0, 1);
  EXPECT_THAT(text(), testing::StartsWith("{\"id\":\"" + to_string(EventIds(log.identity()).at(0)) +
                                          R"(","stream":"agent-1/etl","redacted":true,"state":"masked",)"));
  EXPECT_THAT(text(), HasSubstr(R"("job_id":"orders")"));
  EXPECT_THAT(text(), Not(HasSubstr("ann.mail")));
  EXPECT_THAT(text(), testing::EndsWith("}\n"));
}

TEST_F(Ndjson, TheFileIsForItsUserAlone) {
  NdjsonSink sink = make();
  deliver(sink, 0, 1);
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Ndjson, EveryRecordOfAChunkCountsAsApplied) {
  NdjsonSink sink = make();
  sink.mark();
  const auto chunks = lines(0, 4);
  const Delivery delivery = sink.deliver(chunks, false, kAllTables);
  RecordCounts all;
  for (const SequencedChunk& each : chunks) all += each.chunk.records;
  EXPECT_EQ(delivery.outcomes.applied, all);
}

TEST_F(Ndjson, CutAtAnyByteOfADeliveryItIsCompletedAndNothingComesTwice) {
  NdjsonSink whole = make();
  deliver(whole, 0, 1);
  const std::string before = text();
  const std::string mark = deliver(whole, 1, 4);
  const std::string after = text();
  whole.idle();
  for (std::size_t size = before.size(); size <= after.size(); ++size) {
    // The same file, by its number.
    ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(size)), 0);
    deliver_again(mark, 1, 4);
    ASSERT_EQ(text(), after) << "cut at " << size;
  }
}

TEST_F(Ndjson, ACrashAfterADeliveryAddsNothing) {
  NdjsonSink sink = make();
  deliver(sink, 0, 2);
  const std::string mark = sink.mark();
  const std::string before = text();
  sink.idle();
  deliver_again(mark, 2, 4);
  deliver_again(mark, 2, 4);
  EXPECT_EQ(text().substr(0, before.size()), before);
  EXPECT_EQ(std::ranges::count(text(), '\n'), 4);
}

TEST_F(Ndjson, ADeliveryRepeatedWithMoreChunksGoesOnWhereItEnded) {
  NdjsonSink reference = make();
  deliver(reference, 0, 4);
  const std::string whole = text();
  reference.idle();
  std::filesystem::remove(path);
  NdjsonSink sink = make();
  const std::string mark = deliver(sink, 0, 2);
  sink.idle();
  deliver_again(mark, 0, 4);
  EXPECT_EQ(text(), whole);
}

TEST_F(Ndjson, OnceEvenIfTheFileWasRenamedAfterTheCrash) {
  NdjsonSink sink = make();
  deliver(sink, 0, 1);
  const std::string mark = deliver(sink, 1, 4);
  const std::string whole = text();
  sink.idle();
  const std::filesystem::path old = directory / "out.ndjson.1";
  for (std::size_t size = whole.find('\n') + 1; size <= whole.size(); size += 7) {
    put(whole.substr(0, size));
    std::filesystem::rename(path, old);
    struct stat status {};
    ASSERT_EQ(stat(old.c_str(), &status), 0);
    const std::string place = std::to_string(status.st_dev) + ' ' + std::to_string(status.st_ino) + ' ';
    deliver_again(place + std::to_string(whole.find('\n') + 1), 1, 4);
    ASSERT_EQ(read_file(old) + text(), whole) << "cut at " << size;
    std::filesystem::remove(path);
  }
  EXPECT_FALSE(mark.empty());
}

TEST_F(Ndjson, ASecondCrashAfterTheRenameStillAddsNothing) {
  NdjsonSink first = make();
  const std::string mark = deliver(first, 0, 2);
  first.idle();
  const std::string old_lines = text();
  const std::filesystem::path old = directory / "out.ndjson.1";
  std::filesystem::rename(path, old);
  NdjsonSink second = make();
  second.resume(mark);
  const std::string second_mark = deliver(second, 0, 4);
  const std::string new_lines = text();
  second.idle();
  deliver_again(second_mark, 0, 4);
  EXPECT_EQ(read_file(old), old_lines);
  EXPECT_EQ(text(), new_lines);
}

TEST_F(Ndjson, ARenamedFileIsLetGoAndTheNewOneUsed) {
  NdjsonSink sink = make();
  deliver(sink, 0, 2);
  const std::string first = text();
  std::filesystem::rename(path, directory / "out.ndjson.1");
  deliver(sink, 2, 4);
  EXPECT_EQ(read_file(directory / "out.ndjson.1"), first);
  EXPECT_EQ(std::ranges::count(text(), '\n'), 2);
}

TEST_F(Ndjson, AFileCutShortBetweenDeliveriesBeginsAnew) {
  NdjsonSink sink = make();
  deliver(sink, 0, 3);
  ASSERT_EQ(truncate(path.c_str(), 0), 0);
  deliver(sink, 3, 4);
  EXPECT_EQ(std::ranges::count(text(), '\n'), 1);
  EXPECT_THAT(text(), HasSubstr("line 3"));
}

TEST_F(Ndjson, ACrashAfterTheFileWasCutShortAddsNothing) {
  NdjsonSink sink = make();
  const std::string mark = [&] {
    deliver(sink, 0, 3);
    return sink.mark();
  }();
  sink.idle();
  ASSERT_EQ(truncate(path.c_str(), 0), 0);
  deliver_again(mark, 3, 4);
  const std::string once = text();
  deliver_again(mark, 3, 4);
  EXPECT_EQ(text(), once);
}

TEST_F(Ndjson, WhatStoodInTheFileStays) {
  put("somebody else's\n");
  NdjsonSink sink = make();
  deliver(sink, 0, 1);
  EXPECT_THAT(text(), testing::StartsWith("somebody else's\n{\"id\""));
}

TEST_F(Ndjson, BytesOfOthersBehindACrashStayAndOurLinesBeginOnTheirOwn) {
  put("");
  NdjsonSink sink = make();
  const std::string mark = sink.mark();
  sink.idle();
  put("no newline");
  deliver_again(mark, 0, 1);
  EXPECT_THAT(text(), testing::StartsWith("no newline\n{\"id\""));
}

TEST_F(Ndjson, AMissingDirectoryIsNamedWithItsRemedyAndTriedAgain) {
  NdjsonSink sink(directory / "not" / "there", {});
  EXPECT_EQ(sink.mark(), "");
  const Delivery refused = sink.deliver(lines(0, 1), false, kAllTables);
  EXPECT_EQ(refused.status, Delivery::Status::kRetry);
  EXPECT_THAT(refused.reason, HasSubstr("not/there: No such file or directory; make its directory"));
  std::filesystem::create_directory(directory / "not");
  sink.mark();
  EXPECT_EQ(sink.deliver(lines(0, 1), false, kAllTables).status, Delivery::Status::kDelivered);
}

TEST_F(Ndjson, AFileAnotherProcessWritesIsLeftAlone) {
  put("");
  const int other = open(path.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  NdjsonSink sink = make();
  sink.mark();
  EXPECT_THAT(sink.deliver(lines(0, 1), false, kAllTables).reason, HasSubstr("give each agent its own ndjson.path"));
  EXPECT_EQ(text(), "");
  close(other);
}

TEST_F(Ndjson, ADeviceOrFifoIsNoPlaceForLines) {
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  NdjsonSink sink = make();
  sink.mark();
  EXPECT_THAT(sink.deliver(lines(0, 1), false, kAllTables).reason, HasSubstr("is no regular file"));
}

// The system's limit on file sizes stands for a full disk: the write stops in the middle.
class SizeLimit {
 public:
  explicit SizeLimit(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit now{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
  }
  ~SizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

TEST_F(Ndjson, AWriteThatStopsInTheMiddleLeavesWholeLinesAndIsRepeated) {
  NdjsonSink sink = make();
  deliver(sink, 0, 1);
  const std::string before = text();
  {
    const SizeLimit limit(before.size() + 100);
    sink.mark();
    const Delivery refused = sink.deliver(lines(1, 4), false, kAllTables);
    EXPECT_EQ(refused.status, Delivery::Status::kRetry);
    EXPECT_THAT(refused.reason, HasSubstr("write " + path.string() + ": File too large"));
    EXPECT_EQ(text(), before);
  }
  deliver(sink, 1, 4);
  EXPECT_EQ(std::ranges::count(text(), '\n'), 4);
}

TEST_F(Ndjson, StdoutGetsTheLinesAndNeedsNoMark) {
  const std::filesystem::path out = directory / "stdout";
  std::fflush(stdout);
  const int saved = dup(STDOUT_FILENO);
  const int fd = open(out.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  dup2(fd, STDOUT_FILENO);
  NdjsonSink sink("-", {});
  const std::string mark = sink.mark();
  const Delivery delivery = sink.deliver(lines(0, 4), false, kAllTables);
  dup2(saved, STDOUT_FILENO);
  close(fd);
  close(saved);
  EXPECT_EQ(mark, "");
  EXPECT_EQ(delivery.status, Delivery::Status::kDelivered);
  EXPECT_EQ(std::ranges::count(read_file(out), '\n'), 4);
}

}  // namespace
}  // namespace runtail::test
