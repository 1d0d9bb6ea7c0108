// Files no one should write: a line of a gigabyte, nothing but NULs, one that shrinks while it is read. Memory stays
// bounded, each has a defined outcome, the neighbours arrive.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <regex>

#include "tests/support/file_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using std::string_literals::operator""s;

constexpr std::uint64_t kRssMaxKib = 96 * 1024;
std::uint64_t huge() { return by_scale<std::uint64_t>(200'000'000, 1'000'000'000); }

class HostileFile : public testing::Test {
 protected:
  HostileFile() : neighbour(scene.logs / "neighbour.log") {}

  // Waits with an eye on memory; a gigabyte takes a while.
  void wait_lines(double lines) {
    ASSERT_TRUE(wait_until(
        [&] {
          rss = std::max(rss, scene.agent.rss_kib());
          return scene.agent.lines_read() == lines || !scene.agent.running();
        },
        Deadline(300'000)))
        << scene.agent.lines_read() << " of " << lines << " lines read\n"
        << scene.agent.log();
    ASSERT_TRUE(scene.agent.running()) << scene.agent.log();
  }
  void expect_all_else_once() {
    EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, scene.lines)) << scene.agent.log();
    expect_every_line_once(scene.sql, scene.lines);
    EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
    EXPECT_LE(rss, kRssMaxKib);
    EXPECT_LE(scene.agent.peak_kib(), kRssMaxKib);
  }
  std::vector<std::string> dead_letters() const {
    return scene.sql.rows("SELECT reason, byte_length, coalesce(body, '') FROM observability.dead_letters");
  }

  FileScene scene;
  LogFile neighbour;
  std::uint64_t rss = 0;
};

TEST_F(HostileFile, ALineOfAGigabyteIsSetAsideWithItsLength) {
  LogFile log(scene.logs / "etl.log");
  log.append(scene.some_lines(3));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  wait_lines(3);
  const std::string piece(1'000'000, 'x');
  for (std::uint64_t written = 0; written < huge(); written += piece.size()) {
    log.append(piece);
    if (written == huge() / 2) {
      // Others do not wait for its end.
      neighbour.append(scene.some_lines(100));
      wait_lines(103);
    }
  }
  log.append("\n" + scene.some_lines(3));
  wait_lines(103 + 1 + 3);
  expect_all_else_once();
  EXPECT_THAT(dead_letters(), ElementsAre("too_long|" + std::to_string(huge() + 1) + '|'));
}

TEST_F(HostileFile, NothingButNulsIsOneLineThatIsTooLong) {
  { std::ofstream empty(scene.logs / "etl.log"); }
  fs::resize_file(scene.logs / "etl.log", huge());
  neighbour.append(scene.some_lines(100));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  wait_lines(100);
  LogFile log(scene.logs / "etl.log");
  log.append("\n" + scene.some_lines(3));
  wait_lines(100 + 1 + 3);
  expect_all_else_once();
  EXPECT_THAT(dead_letters(), ElementsAre("too_long|" + std::to_string(huge() + 1) + '|'));
}

TEST_F(HostileFile, NulsBeforeALineAsAfterAPowerCutLeaveItsNeighboursAlone) {
  LogFile log(scene.logs / "etl.log");
  log.append(scene.some_lines(3));
  log.append(std::string(4096, '\0'));
  log.append("\n" + scene.some_lines(3));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  wait_lines(7);
  EXPECT_TRUE(wait_until([&] {
    return scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'seq=%'") == 6;
  }));
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
}

TEST_F(HostileFile, OneThatShrinksWhileItIsReadNeitherStopsNorSwellsTheAgent) {
  std::mt19937_64 random(seed());
  LogFile log(scene.logs / "etl.log");
  int number = 0;
  const auto block = [&] {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += R"({"level":"INFO","msg":"shrinks )" + std::to_string(number++) + "\"}\n";
    return text;
  };
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  // One cut for certain behind what was read; where the others fall is left to luck.
  log.append(block());
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() >= 1000; })) << scene.agent.log();
  fs::resize_file(log.path(), 0);
  ASSERT_TRUE(wait_until([&] { return scene.agent.metric("runtail_truncations_unaccounted_total") >= 1; }))
      << scene.agent.log();
  const int rounds = by_scale(10, 100);
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 20; ++i) log.append(block());
    let_pass(std::chrono::microseconds(random() % 20'000));
    const std::uint64_t size = fs::file_size(log.path());
    fs::resize_file(log.path(), random() % 3 == 0 ? 0 : random() % size);
    neighbour.append(scene.some_lines(10));
    rss = std::max(rss, scene.agent.rss_kib());
    ASSERT_TRUE(scene.agent.running()) << scene.agent.log();
  }
  log.append("\n" + R"({"level":"INFO","msg":"last of it"})"
                    "\n"s);
  ASSERT_TRUE(wait_until([&] {
    return scene.lag() == 0 && scene.agent.metric("runtail_records_pending") == 0 &&
           scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message = 'last of it'") == 1;
  })) << scene.agent.log();
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'seq=%'"),
            static_cast<std::int64_t>(scene.lines));
  // What is left of a file that was cut is another file, read from its start: what stands there arrives.
  const std::regex whole(R"re(\{"level":"INFO","msg":"shrinks ([0-9]+)"\})re");
  std::ifstream file(log.path());
  std::string numbers = "-1";
  int left = 0;
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, whole)) continue;
    numbers += ',' + match[1].str();
    ++left;
  }
  EXPECT_EQ(
      scene.sql.number("SELECT count(DISTINCT message) FROM observability.log_events WHERE message LIKE 'shrinks %' "
                       "AND substring(message FROM '[0-9]+')::int IN (" +
                       numbers + ")"),
      left);
  // A cut inside a line tears that one.
  EXPECT_LE(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message IS NULL OR message !~ "
                             "'^(shrinks [0-9]+|seq=[0-9]+ some text|last of it)$'"),
            rounds);
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  EXPECT_LE(rss, kRssMaxKib);
}

}  // namespace
}  // namespace runtail::test
