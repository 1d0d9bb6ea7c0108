// The reader in a thread, on journals written by systemd-journal-remote: what it tells of them, whatever happens to
// them.
#include "agent/journal_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include "agent/journal_header.h"
#include "core/time.h"
#include "tests/support/journal_files.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {
namespace {

struct Told {
  std::vector<std::string> messages, units;
  std::vector<std::uint64_t> numbers, too_long;
  std::vector<JournalRequest::Known> passed;  // next: number of the entry passed
  struct Missing {
    std::uint64_t from, until;
    bool unreadable;
    bool operator==(const Missing&) const = default;
  };
  std::vector<Missing> missing;
  std::string fault, cursor;
  std::map<Numbering, std::uint64_t> next;  // by numbering: where reading goes on
};

class Reading {
 public:
  explicit Reading(const JournalRequest& request) : request_(request) {
    if (pipe2(input_, O_CLOEXEC) != 0 || pipe2(output_, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    thread_ = std::thread([this] {
      exit_code_ = read_journal(request_, input_[0], output_[1]);
      ::close(output_[1]);
    });
  }
  ~Reading() { end(); }

  // Reads on until `enough` holds, and it is caught up. False: it ended, or took too long.
  bool until(const std::function<bool(const Told&)>& enough) {
    while (!(is_caught_up_ && enough(told))) {
      if (!receive()) return false;
    }
    return true;
  }
  bool until_messages(std::size_t count) {
    return until([count](const Told& all) { return all.messages.size() >= count; });
  }
  // As if the agent ended; returns the exit code.
  int end() {
    if (!thread_.joinable()) return exit_code_;
    ::close(input_[1]);
    while (receive()) {
    }
    thread_.join();
    ::close(input_[0]);
    ::close(output_[0]);
    return exit_code_;
  }

  Told told;

 private:
  bool receive() {
    pollfd fd{output_[0], POLLIN, 0};
    if (poll(&fd, 1, 30'000) <= 0) return false;
    char bytes[65536];
    const ssize_t got = ::read(output_[0], bytes, sizeof bytes);
    if (got <= 0) return false;
    in_.append(bytes, static_cast<std::size_t>(got));
    JournalFrame frame;
    std::size_t taken = 0;
    for (std::size_t size = 0;; taken += size) {
      const FrameRead read = read_frame(std::string_view(in_).substr(taken), frame, size);
      EXPECT_NE(read, FrameRead::kBroken);
      if (read != FrameRead::kWhole) break;
      take(frame);
    }
    in_.erase(0, taken);
    return true;
  }
  void take(const JournalFrame& frame) {
    is_caught_up_ = frame.type == JournalFrameType::kCaughtUp;
    if (frame.type == JournalFrameType::kEntry) {
      if (frame.too_long) {
        told.too_long.push_back(frame.length);
      } else {
        told.messages.emplace_back(frame.text);
      }
      told.units.emplace_back(frame.unit);
      told.numbers.push_back(frame.number);
    } else if (frame.type == JournalFrameType::kPassed) {
      told.passed.push_back({frame.numbering, frame.number});
    } else if (frame.type == JournalFrameType::kMissing) {
      told.missing.push_back({frame.number, frame.until, frame.unreadable});
    } else if (frame.type == JournalFrameType::kFault) {
      told.fault = frame.text;
    }
    if (!frame.cursor.empty()) {
      told.cursor = frame.cursor;
      told.next[frame.numbering] = frame.number + 1;
    }
  }

  const JournalRequest request_;
  int input_[2], output_[2];
  std::string in_;
  bool is_caught_up_ = false;
  int exit_code_ = -1;
  std::thread thread_;
};

class JournalReaderTest : public testing::Test {
 protected:
  JournalReaderTest() {
    std::filesystem::create_directory(directory / "journal");
    request.directory = directory / "journal";
    request.oldest = SystemClock().now() - std::chrono::hours(24);
  }
  std::filesystem::path path(const std::string& name = "a") const {
    return directory / ("journal/" + name + ".journal");
  }
  static std::string text(int i) { return "line " + std::to_string(i); }
  static void append(JournalFile& file, int from, int to) {
    for (int i = from; i < to; ++i) file.append({text(i)});
  }
  // A reader that begins where `told` ends.
  void go_on_after(const Told& told) {
    request.cursor = told.cursor;
    request.known.clear();
    for (const auto& [numbering, next] : told.next) request.known.push_back({numbering, next});
  }
  static std::vector<std::string> texts(int from, int to) {
    std::vector<std::string> all;
    for (int i = from; i < to; ++i) all.push_back(text(i));
    return all;
  }
  TempDir directory;
  JournalRequest request;
};

TEST_F(JournalReaderTest, EntriesComeInOrderWithNumberUnitAndAnyBytes) {
  JournalFile file(path());
  file.append({"first"});
  file.append({std::string("two\nlines\0\xff\n", 12), "other.service"});
  Reading reading(request);
  ASSERT_TRUE(reading.until_messages(2));
  file.append({"third"});  // while it watches
  ASSERT_TRUE(reading.until_messages(3));
  EXPECT_EQ(reading.told.messages, (std::vector<std::string>{"first", std::string("two\nlines\0\xff\n", 12), "third"}));
  EXPECT_EQ(reading.told.numbers, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(reading.told.units, (std::vector<std::string>{"etl.service", "other.service", "etl.service"}));
  EXPECT_EQ(reading.end(), 0);
}

TEST_F(JournalReaderTest, GoesOnBehindTheCursorAndNotAtIt) {
  JournalFile file(path());
  append(file, 0, 100);
  Told before;
  {
    Reading reading(request);
    ASSERT_TRUE(reading.until_messages(100));
    before = reading.told;
  }
  append(file, 100, 150);
  go_on_after(before);
  Reading reading(request);
  ASSERT_TRUE(reading.until_messages(50));
  EXPECT_EQ(reading.told.messages, texts(100, 150));
  EXPECT_TRUE(reading.told.missing.empty());
}

TEST_F(JournalReaderTest, WithoutACursorTheNumbersSayWhatIsKnown) {
  JournalFile file(path());
  append(file, 0, 100);
  Told before;
  {
    Reading reading(request);
    ASSERT_TRUE(reading.until_messages(100));
    before = reading.told;
  }
  append(file, 100, 150);
  go_on_after(before);
  for (const std::string cursor : {"", "rubbish",
                                   "s=0123456789abcdef0123456789abcdef;i=5;b=0123456789abcdef0123456789abcdef;"
                                   "m=7fffffffffff;t=7fffffffffffff;x=1"}) {
    request.cursor = cursor;  // the last one is of a journal that is gone, from the future
    Reading reading(request);
    ASSERT_TRUE(reading.until_messages(50));
    EXPECT_EQ(reading.told.messages, texts(100, 150)) << cursor;
    EXPECT_TRUE(reading.told.missing.empty());
  }
}

TEST_F(JournalReaderTest, OnlyTheUnitsAskedForAndWhatIsSaidAboutThem) {
  JournalFile file(path());
  file.append({"etl"});
  file.append({"other", "other.service"});
  file.append({"manager about it", "init.scope", "1", {"UNIT=etl.service"}});
  file.append({"forged", "other.service", "77", {"UNIT=etl.service"}});
  file.append({"root about it", "x.service", "88", {"_UID=0", "OBJECT_SYSTEMD_UNIT=etl.service"}});
  file.append({"instance", "etl-nightly@3.service"});
  file.append({"user's", "user@1000.service", "9", {"_SYSTEMD_USER_UNIT=etl-mine.service"}});
  file.append({"end", "other.service"});
  request.units = {"etl.service", "etl-nightly@3.service", "etl-mine.service"};
  Reading reading(request);
  ASSERT_TRUE(reading.until_messages(5));
  EXPECT_EQ(reading.told.messages,
            (std::vector<std::string>{"etl", "manager about it", "root about it", "instance", "user's"}));
  EXPECT_EQ(reading.told.units.back(), "etl-mine.service");
}

TEST_F(JournalReaderTest, EntriesOfTwoBootsAndTwoFilesComeOnceEach) {
  const std::int64_t began = JournalFile::an_hour_ago();
  {
    JournalFile first(path(), '1', began);
    append(first, 0, 50);
  }
  {
    JournalFile second(path(), '2', began + 600'000'000);  // its clock since the boot begins anew
    append(second, 50, 100);
  }
  JournalFile other(path("b"), '3', began + 1'200'000'000);
  append(other, 100, 150);
  Reading reading(request);
  ASSERT_TRUE(reading.until_messages(150));
  EXPECT_EQ(reading.told.messages, texts(0, 150));
  EXPECT_EQ(reading.told.next.size(), 2u);
  EXPECT_TRUE(reading.told.missing.empty());
}

TEST_F(JournalReaderTest, EntriesOfAnotherMachineThatArriveLateAreRead) {
  const std::int64_t began = JournalFile::an_hour_ago();
  JournalFile fast(path("fast"), '1', began), slow(path("slow"), '2', began);
  fast.append({"fast 1", "etl.service", "1", {}, 10'000'000});
  slow.append({"slow 1", "etl.service", "1", {}, 11'000'000});
  Reading reading(request);
  ASSERT_TRUE(reading.until_messages(2));
  fast.append({"fast 2", "etl.service", "1", {}, 90'000'000});
  ASSERT_TRUE(reading.until_messages(3));
  // Older than what was read last: in the journal's order these lie behind.
  slow.append({"slow 2", "etl.service", "1", {}, 20'000'000});
  slow.append({"slow 3", "etl.service", "1", {}, 21'000'000});
  slow.append({"slow 4", "etl.service", "1", {}, 91'000'000});
  ASSERT_TRUE(reading.until_messages(6));
  // A machine that shows up for the first time.
  JournalFile fresh(path("fresh"), '3', began);
  fresh.append({"fresh 1", "etl.service", "1", {}, 30'000'000});
  fresh.append({"fresh 2", "etl.service", "1", {}, 92'000'000});
  ASSERT_TRUE(reading.until_messages(8));
  std::vector<std::string> sorted = reading.told.messages;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, (std::vector<std::string>{"fast 1", "fast 2", "fresh 1", "fresh 2", "slow 1", "slow 2", "slow 3",
                                              "slow 4"}));
  EXPECT_TRUE(reading.told.missing.empty());
}

TEST_F(JournalReaderTest, EntriesOlderThanAskedForAreLeftAtFirstSight) {
  const std::int64_t began = JournalFile::an_hour_ago();
  JournalFile file(path(), '1', began);
  file.append({"old", "etl.service", "1", {}, 1'000'000});
  file.append({"young", "etl.service", "1", {}, 1'000'000'000});
  request.oldest = from_micros(began + 500'000'000);
  Reading reading(request);
  ASSERT_TRUE(reading.until_messages(1));
  EXPECT_EQ(reading.told.messages, std::vector<std::string>{"young"});
  EXPECT_TRUE(reading.told.missing.empty());
}

TEST_F(JournalReaderTest, EntriesOlderThanAskedForAreNotMissingWhereReadingHasNotBegun) {
  const std::int64_t began = JournalFile::an_hour_ago();
  JournalFile file(path(), '1', began);
  file.append({"old", "etl.service", "1", {}, 1'000'000});
  file.append({"young", "etl.service", "1", {}, 1'000'000'000});
  file.close();
  request.oldest = from_micros(began + 500'000'000);
  const JournalRange head = journal_ranges(request.directory).at(0);
  request.known = {{head.numbering, head.first, false}};
  Reading reading(request);
  ASSERT_TRUE(reading.until_messages(1));
  EXPECT_EQ(reading.told.messages, std::vector<std::string>{"young"});
  EXPECT_TRUE(reading.told.missing.empty());
}

TEST_F(JournalReaderTest, ALongMessageIsToldByItsLengthOnly) {
  JournalFile file(path());
  file.append({std::string(5000, 'x')});
  file.append({std::string(5001, 'x')});
  file.append({"after"});
  request.line_bytes_max = 5000;
  Reading reading(request);
  ASSERT_TRUE(reading.until_messages(2));
  EXPECT_EQ(reading.told.messages, (std::vector<std::string>{std::string(5000, 'x'), "after"}));
  EXPECT_EQ(reading.told.too_long, std::vector<std::uint64_t>{5001});
}

TEST_F(JournalReaderTest, WhatWasPassedIsToldAgainAndAgain) {
  JournalFile file(path());
  for (int i = 0; i < 9'000; ++i) file.append({"x", "other.service"});
  file.close();
  request.units = {"etl.service"};
  Reading reading(request);
  ASSERT_TRUE(reading.until([](const Told&) { return true; }));
  ASSERT_EQ(reading.told.passed.size(), 1u);
  EXPECT_EQ(reading.told.passed[0].next, 8'193u);
}

TEST_F(JournalReaderTest, NothingToReadIsExplained) {
  request.directory = directory / "journal";
  {
    Reading reading(request);
    EXPECT_FALSE(reading.until_messages(1));
    EXPECT_NE(reading.told.fault.find("no journal files in " + request.directory), std::string::npos)
        << reading.told.fault;
    EXPECT_EQ(reading.end(), 0);
  }
  request.directory = directory / "nowhere";
  Reading reading(request);
  EXPECT_FALSE(reading.until_messages(1));
  EXPECT_NE(reading.told.fault.find("nowhere"), std::string::npos) << reading.told.fault;
}

TEST_F(JournalReaderTest, AfterDeathsAtOnePlaceReadingGoesOnBehindItAndSaysWhatIsMissing) {
  const std::int64_t began = JournalFile::an_hour_ago();
  JournalFile file(path(), '1', began);
  append(file, 0, 10);
  Told before;
  {
    Reading reading(request);
    ASSERT_TRUE(reading.until_messages(10));
    before = reading.told;
  }
  append(file, 10, 100);  // a millisecond each
  file.close();
  go_on_after(before);
  request.deaths = 3 + 5;  // 32 ms further
  Reading reading(request);
  ASSERT_TRUE(reading.until_messages(1));
  EXPECT_EQ(reading.told.messages, texts(41, 100));
  EXPECT_EQ(reading.told.missing, (std::vector<Told::Missing>{{11, 42, false}}));
}

TEST_F(JournalReaderTest, DamageInAFileEndsNothing) {
  {
    JournalFile file(path());
    append(file, 0, 2000);
  }
  {
    JournalFile other(path("b"), '2', JournalFile::an_hour_ago() + 600'000'000);
    append(other, 2000, 2100);
  }
  std::fstream bytes(path(), std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekg(0, std::ios::end);
  // Behind the head and the hash tables, in the middle of what was written.
  const std::string content = read_file(path());
  const std::size_t middle = content.find("line 1000");
  ASSERT_NE(middle, std::string::npos);
  bytes.seekp(static_cast<std::streamoff>(middle - 64));
  bytes << std::string(4096, '\xff');
  bytes.close();
  Reading reading(request);
  ASSERT_TRUE(
      reading.until([](const Told& told) { return !told.messages.empty() && told.messages.back() == text(2099); }));
  EXPECT_GE(reading.told.messages.size(), 1000u);
  std::vector<std::string> sorted = reading.told.messages;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::adjacent_find(sorted.begin(), sorted.end()), sorted.end());
}

// Three archived files and one being written, of one numbering: "line 0" and more, "line 1" and more, ...
class RotatedJournalTest : public JournalReaderTest {
 protected:
  RotatedJournalTest() : journald(directory.path()) {}
  void SetUp() override {
    if (!journald.refusal().empty()) GTEST_SKIP() << journald.refusal();
    for (int i = 0; i < 4; ++i) {
      if (i > 0) journald.rotate();
      for (int line = 0; line < 5; ++line) journald.send(text(i));
    }
    archived = journald.archived_files();
    ASSERT_EQ(archived.size(), 3u);
    for (const auto& path : archived) ranges.push_back(journal_range(path).value());
    request.directory = journald.journal();
  }
  // Everything up to the end of the n-th file was read before.
  void was_read_to_the_end_of(std::size_t file) {
    request.known = {{ranges[file].numbering, ranges[file].last + 1, true}};
  }
  static void write_at(const std::filesystem::path& path, std::streamoff offset, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file << bytes;
  }
  static bool has_last(const Told& told) { return !told.messages.empty() && told.messages.back() == text(3); }
  PrivateJournald journald;
  std::vector<std::filesystem::path> archived;
  std::vector<JournalRange> ranges;
};

TEST_F(RotatedJournalTest, WhatWasVacuumedBeforeTheFirstLookIsMissing) {
  request.known = {{ranges[0].numbering, 1, false}};
  for (const auto& file : archived) std::filesystem::remove(file);
  Reading reading(request);
  ASSERT_TRUE(reading.until(has_last)) << reading.told.fault;
  EXPECT_EQ(reading.told.missing, (std::vector<Told::Missing>{{1, ranges[2].last + 1, false}}));
  EXPECT_EQ(reading.told.numbers.front(), ranges[2].last + 1);
}

TEST_F(RotatedJournalTest, AFileThatIsGoneBetweenTwoThatAreThereIsMissing) {
  was_read_to_the_end_of(1);
  std::filesystem::remove(archived[2]);
  Reading reading(request);
  ASSERT_TRUE(reading.until(has_last)) << reading.told.fault;
  EXPECT_EQ(reading.told.missing, (std::vector<Told::Missing>{{ranges[1].last + 1, ranges[2].last + 1, false}}));
}

TEST_F(RotatedJournalTest, NumbersThatEntriesOfUsersTookAreNotMissing) {
  was_read_to_the_end_of(1);
  std::filesystem::remove(archived[0]);
  std::filesystem::remove(archived[2]);
  // As if the numbers of the first file had all been users'.
  write_at(archived[1], 168, std::string("\1\0\0\0\0\0\0\0", 8));
  Reading reading(request);
  ASSERT_TRUE(reading.until(has_last)) << reading.told.fault;
  EXPECT_TRUE(reading.told.missing.empty());
}

TEST_F(RotatedJournalTest, AFileThatIsThereAndCannotBeReadIsCountedAsUnreadable) {
  was_read_to_the_end_of(1);
  write_at(archived[2], 4096, std::string(std::filesystem::file_size(archived[2]) - 4096, '\xff'));
  Reading reading(request);
  ASSERT_TRUE(reading.until(has_last)) << reading.told.fault;
  EXPECT_EQ(reading.told.missing, (std::vector<Told::Missing>{{ranges[1].last + 1, ranges[2].last + 1, true}}));
}

}  // namespace
}  // namespace runtail::test
