#include "agent/journal_export.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "agent/packed_file.h"
#include "tests/support/child_process.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using State = PackedBytes::State;

std::string binary(std::string_view name, std::string_view value) {
  std::string out(name);
  out += '\n';
  for (std::uint64_t size = value.size(), i = 0; i < 8; ++i) out += static_cast<char>(size >> (8 * i));
  return out + std::string(value) + '\n';
}

struct Read {
  std::string lines;
  const char* fault = nullptr;
  bool at_end = true;
};
Read read(std::string_view bytes) {
  Read out;
  JournalExport one;
  out.fault = one.add(bytes, out.lines);
  out.at_end = one.at_end();
  return out;
}

TEST(JournalExport, GivesAnEntryAsALineOfJson) {
  const std::string text = "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1700000000000000\nPRIORITY=6\nMESSAGE=a \"b\"=c\n\n";
  EXPECT_EQ(read(text).lines,
            "{\"__CURSOR\":\"s=1;i=2\",\"__REALTIME_TIMESTAMP\":\"1700000000000000\",\"PRIORITY\":"
            "\"6\",\"MESSAGE\":\"a \\\"b\\\"=c\"}\n");
  EXPECT_TRUE(read(text).at_end);
  EXPECT_FALSE(read(text.substr(0, text.size() - 1)).at_end);
  EXPECT_EQ(read(text.substr(0, text.size() - 1)).lines, "");
}

TEST(JournalExport, TakesBinaryFieldsOfAnyBytes) {
  EXPECT_EQ(read("A=1\n" + binary("MESSAGE", "two\nlines\n") + "\n").lines,
            "{\"A\":\"1\",\"MESSAGE\":\"two\\nlines\\n\"}\n");
  EXPECT_EQ(read(binary("MESSAGE",
                        "\xFF"
                        "a") +
                 "\n")
                .lines,
            "{\"MESSAGE\":[255,97]}\n");
  EXPECT_EQ(read(binary("MESSAGE", "") + "\n").lines, "{\"MESSAGE\":\"\"}\n");
  // What journalctl prints as null, and what is said twice.
  EXPECT_EQ(read("A=1\nA=2\nB=" + std::string(5000, 'x') + "\n" + binary("COREDUMP", std::string(100'000, '\0')) + "\n")
                .lines,
            "{\"A\":\"1\"}\n");
}

TEST(JournalExport, SaysWhatIsNone) {
  EXPECT_NE(read("MESSAGE\n\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF").fault, nullptr);
  EXPECT_NE(read("a line of some log\n").fault, nullptr);
  std::string open_end = binary("MESSAGE", "x");
  open_end.back() = 'y';
  EXPECT_NE(read(open_end).fault, nullptr);
}

// However it is packed and in which pieces it comes.
TEST(JournalExport, IsReadTheSameInAnyPieces) {
  const std::uint64_t seed = test::seed();
  std::mt19937_64 random(seed);
  const test::TempDir directory;
  for (int round = 0; round < test::by_scale(20, 500); ++round) {
    std::string text;
    for (int entry = 0; entry < 60; ++entry) {
      std::string message(random() % (random() % 20 == 0 ? 90'000 : 300), ' ');
      for (char& c : message) c = static_cast<char>(random());
      text += "__CURSOR=" + std::to_string(entry) + "\n" + binary("MESSAGE", message) +
              "_PID=" + std::to_string(random()) + "\n\n";
    }
    const std::string expected = read(text).lines;
    std::string pieces;
    JournalExport one;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + random() % (random() % 3 == 0 ? 5 : 70'000);
      ASSERT_EQ(one.add(std::string_view(text).substr(at, size), pieces), nullptr);
      at += size;
    }
    ASSERT_EQ(pieces, expected) << "seed " << seed;
    for (const char* how : {"cat", "gzip", "zstd"}) {
      const auto plain = directory / "plain", packed = directory / "packed";
      std::ofstream(plain, std::ios::binary) << text;
      test::Command command;
      command.argv = {how, "-c", plain};
      if (how == std::string_view("cat")) command.argv.erase(command.argv.begin() + 1);
      std::ofstream(packed, std::ios::binary) << test::run_to_end(std::move(command)).output;
      const int fd = ::open(packed.c_str(), O_RDONLY | O_CLOEXEC);
      const Packing packing = how[0] == 'c' ? Packing::kNone : how[0] == 'g' ? Packing::kGzip : Packing::kZstd;
      PackedFile file(as_export(packing), fd);
      std::string all(expected.size() + 10, '\0');
      std::size_t size = 0;
      PackedBytes bytes;
      while (bytes.state == PackedBytes::State::kMore) {
        bytes = file.read_at(all.data() + size, std::min<std::size_t>(1 + random() % 100'000, all.size() - size), size);
        size += bytes.size;
      }
      EXPECT_EQ(bytes.state, PackedBytes::State::kEnd) << how << bytes.message;
      ASSERT_TRUE(std::string_view(all).substr(0, size) == expected) << how << " seed " << seed;
      ::close(fd);
    }
  }
}

// A few kilobytes may hold any number of entries.
TEST(JournalExport, TakesLittleMemoryHoweverMuchIsPacked) {
  const test::TempDir directory;
  const auto plain = directory / "plain", archive = directory / "archive";
  std::string text;
  for (int entry = 0; entry < 1000; ++entry) text += "__CURSOR=1\nMESSAGE=" + std::string(200, 'x') + "\n\n";
  {
    std::ofstream out(plain, std::ios::binary);
    for (int part = 0; part < 300; ++part) out << text;
  }
  for (const auto& [tool, packing] : {std::pair("gzip", Packing::kGzip), {"zstd", Packing::kZstd}}) {
    test::Command command;
    command.argv = {tool, "-c", plain};
    std::ofstream(archive, std::ios::binary) << test::run_to_end(std::move(command)).output;
    const int fd = ::open(archive.c_str(), O_RDONLY | O_CLOEXEC);
    std::string room(100'000, 'x');
    const auto in_use = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
    const std::size_t before = in_use();
    std::size_t most = before;
    std::uint64_t size = 0;
    PackedFile file(as_export(packing), fd);
    PackedBytes bytes;
    while (bytes.state == State::kMore) {
      bytes = file.read_at(room.data(), room.size(), size);
      size += bytes.size;
      most = std::max(most, in_use());
    }
    EXPECT_EQ(bytes.state, State::kEnd) << bytes.message;
    EXPECT_EQ(size, 300'000U * read(text.substr(0, text.size() / 1000)).lines.size());
    EXPECT_LT(most - before, 6U << 20) << tool;  // zstd -3: a 2 MiB window
    ::close(fd);
  }
}

TEST(JournalExport, AMessageTooLongForALineIsNoLongerAsJson) {
  const std::string line = read(binary("MESSAGE", std::string(16 << 20, '\x01')) + "A=1\n\n").lines;
  EXPECT_GT(line.size(), 16U << 20);
  EXPECT_LT(line.size(), 17U << 20);
  EXPECT_TRUE(line.ends_with("\",\"A\":\"1\"}\n"));
}

}  // namespace
}  // namespace runtail
