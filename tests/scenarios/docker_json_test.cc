// Docker's json-file cuts lines into pieces of 16 KiB and rotates by size between any two of them. Lines of four pieces
// on both outputs, the agent killed in between: each arrives whole, once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/support/container_lines.h"
#include "tests/support/file_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

// About 60,000 bytes; its length and its words say which line of which output it is.
std::string long_line(std::uint64_t number, const std::string& words) {
  std::string message = "seq=" + std::to_string(number) + ' ';
  for (std::uint64_t i = 0; i < 6000 + number; ++i) message += words;
  return R"({"level":"INFO","msg":")" + message + R"("})";
}

TEST(DockerJson, LinesOfFourPiecesOnTwoOutputsSurviveARotationOrAKillBetweenThemWhole) {
  AgentSetup setup;
  setup.sources = {{"etl", "c0ffee-json.log"}};
  FileScene scene(setup);
  LogFile log(scene.logs / "c0ffee-json.log");
  std::mt19937_64 random(seed());
  const auto one_in = [&](std::uint64_t n) { return random() % n == 0; };
  const std::uint64_t pairs = by_scale(20, 150);
  int kills = 0, rotations = 0;
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (std::uint64_t pair = 0; pair < pairs; ++pair) {
    const auto out = docker_pieces(long_line(2 * pair, "some text "));
    const auto err = docker_pieces(long_line(2 * pair + 1, "oh errors "), "stderr");
    ASSERT_EQ(out.size(), 4u);
    for (std::size_t piece = 0; piece < 4; ++piece) {
      log.append(out[piece]);
      log.append(err[piece]);
      if (one_in(12)) {
        log.rotate();
        ++rotations;
      }
      if (!one_in(25)) continue;
      scene.agent.kill9();
      ++kills;
      if (one_in(2)) {
        log.rotate();
        ++rotations;
      }
      ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    }
  }
  std::printf("%d kills, %d rotations\n", kills, rotations);
  scene.lines = 2 * pairs;
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, scene.lines)) << scene.agent.log();
  expect_every_line_once(scene.sql, scene.lines);
  EXPECT_THAT(scene.sql.rows("SELECT left(message, 30), length(message), message LIKE '%some%', message LIKE '%oh%', "
                             "left(raw_text, 30), length(raw_text), raw_text LIKE '%some%', raw_text LIKE '%oh%' "
                             "FROM (SELECT *, substring(message FROM 'seq=([0-9]+)')::int AS n "
                             "FROM observability.log_events) AS lines WHERE n IS NULL OR message <> 'seq=' || n || ' ' "
                             "|| repeat(CASE n % 2 WHEN 0 THEN 'some text ' ELSE 'oh errors ' END, 6000 + n)"),
              testing::IsEmpty())
      << "torn lines: beginning, length, words of the first output, of the second";
  EXPECT_EQ(scene.agent.metric("runtail_lines_dropped_total", {{"rule", "orphan_piece"}}), 0);
  EXPECT_EQ(scene.agent.metric("runtail_lines_read_total"), static_cast<double>(4 * scene.lines));
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
}

TEST(DockerJson, PiecesWhoseBeginningIsGoneAreCountedAndNothingOfThemIsStored) {
  FileScene scene;
  {
    LogFile log(scene.logs / "c0ffee-json.log");
    for (int i = 0; i < 10; ++i) log.append(docker_line(scene.line() + '\n'));
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    ASSERT_TRUE(scene.all_read());
    scene.agent.kill9();
  }
  // Meanwhile docker rotated with max-file=1: the new file begins in the middle of a line.
  std::filesystem::remove(scene.logs / "c0ffee-json.log");
  LogFile log(scene.logs / "c0ffee-json.log");
  log.append(docker_line(R"(rest of a text nobody may see","more":1)"));
  log.append(docker_line(",\"rest\":\"of a text nobody may see\"}\n"));
  for (int i = 0; i < 10; ++i) log.append(docker_line(scene.line() + '\n'));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, scene.lines)) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == static_cast<double>(scene.lines) + 2; }));
  expect_every_line_once(scene.sql, scene.lines);
  EXPECT_EQ(scene.agent.metric("runtail_lines_dropped_total", {{"rule", "orphan_piece"}}), 2);
  EXPECT_EQ(
      scene.sql.number("SELECT count(*) FROM observability.log_events AS e WHERE e::text LIKE '%nobody may see%'"), 0);
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
}

}  // namespace
}  // namespace runtail::test
