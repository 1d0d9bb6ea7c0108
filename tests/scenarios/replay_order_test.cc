// Whatever the order, the repetitions and the kills: the same tables.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "core/time.h"
#include "tests/support/replay_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::string> kSmallBatches = {{"RUNTAIL_POSTGRES_BATCH_ROWS_MAX", "300"}};

class ReplayOrder : public testing::Test {
 protected:
  // A log in so many files of about the same size.
  void make_pieces(std::uint64_t lines, std::size_t count) {
    WorkloadOptions options;
    options.seed = random();
    options.lines = lines;
    options.event_runs = 0.5;
    Workload workload(options);
    // Lines that state no time have that of the line before them, read by whomever.
    std::string text, line;
    for (int untimed = 0; workload.next(line);) {
      text += line + '\n';
      if (random() % 3 == 0)
        text += R"({"level":"WARN","msg":"without a time, number )" + std::to_string(untimed++) + "\"}\n";
    }
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = text.size() / count / 2 + random() % (text.size() / count);
      const std::size_t end = at + size >= text.size() ? text.size() : text.find('\n', at + size) + 1;
      pieces.push_back(text.substr(at, end - at));
      at = end;
    }
    expected = workload.expected();
  }
  fs::path put(const ReplayScene& scene, std::size_t piece, const std::string& name) {
    const fs::path path = scene.logs / name;
    write_file(path, pieces[piece]);
    switch (random() % 3) {
      case 0:
        return path;
      case 1:
        run_command({"gzip", "-1", path});
        return path.string() + ".gz";
      default:
        run_command({"zstd", "-q", "--rm", path});
        return path.string() + ".zst";
    }
  }
  std::map<std::string, std::string> in_order() {
    ReplayScene scene;
    for (std::size_t i = 0; i < pieces.size(); ++i) write_file(scene.logs / std::to_string(i), pieces[i]);
    const auto done = scene.replay({scene.logs});
    EXPECT_EQ(done.exit_code, 0) << done.errors << done.receipt;
    scene.expect_balance(done);
    EXPECT_EQ(scene.number(done, "runs,created"), static_cast<std::int64_t>(expected.runs.size())) << done.receipt;
    expect_runs(scene.sql, expected);
    return table_digests(scene.sql);
  }

  std::mt19937_64 random{seed()};
  std::vector<std::string> pieces;
  Expected expected;
};

TEST_F(ReplayOrder, AnyPermutationAndRepetitionWithKillsGivesTheSameTables) {
  for (int round = 0; round < by_scale(1, 10); ++round) {
    pieces.clear();
    make_pieces(by_scale(8'000, 100'000), by_scale<std::size_t>(2, 8));  // of more than one read each
    const auto once = in_order();
    ReplayScene scene;
    scene.environment = kSmallBatches;
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < pieces.size(); ++i) order.insert(order.end(), 1 + random() % 2, i);
    std::shuffle(order.begin(), order.end(), random);
    int kills = 0, calls = 0;
    std::vector<std::string> given;
    for (std::size_t at = 0; at < order.size(); ++at) {
      given.push_back(put(scene, order[at], "f" + std::to_string(at)));
      if (random() % 2 == 0 && at + 1 < order.size()) continue;  // several in one call
      std::shuffle(given.begin(), given.end(), random);
      for (int exit_code = -1; exit_code != 0; ++calls) {
        Command command;
        command.argv = scene.command(given);
        command.environment = scene.environment;
        command.output = scene.directory / "receipt";
        command.errors = scene.directory / "errors";
        ChildProcess process(command);
        const bool is_killed = kills < 3 * static_cast<int>(order.size()) && random() % 3 > 0;
        if (is_killed) {
          // Somewhere between its start and its end.
          const auto ended = process.wait(std::chrono::milliseconds(10 + random() % 400));
          if (!ended) {
            process.signal(random() % 4 == 0 ? SIGTERM : SIGKILL);
            ++kills;
          }
        }
        exit_code = process.wait().value_or(-1);
        ASSERT_TRUE(exit_code == 0 || exit_code == 128 + SIGKILL || exit_code == 128 + SIGTERM || exit_code == 1)
            << exit_code << read_file(command.errors);
      }
      given.clear();
    }
    std::printf("%d kills in %d calls\n", kills, calls);
    EXPECT_EQ(table_digests(scene.sql), once);
    expect_runs(scene.sql, expected);
  }
}

// Files that begin alike are numbered by what is in them, not by their names.
TEST_F(ReplayOrder, FilesWithOneFirstLineAreTheSameWhateverTheyAreCalled) {
  make_pieces(3000, 4);
  for (std::string& piece : pieces) piece = "=== worker starts ===\n" + piece;
  pieces.push_back(pieces[0].substr(0, pieces[0].find('\n', pieces[0].size() / 2) + 1));  // the beginning of the first
  const auto once = in_order();
  std::vector<std::size_t> order(pieces.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  ReplayScene scene;
  for (std::size_t at = 0; at < order.size(); ++at) put(scene, order[at], "f" + std::to_string(at));
  for (int times = 0; times < 2; ++times) {
    const auto done = scene.replay({scene.logs});
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
    EXPECT_EQ(table_digests(scene.sql), once);
  }
}

// A time at a time, in any order, and then the rest: the parts fill each other's gaps.
TEST_F(ReplayOrder, TimesMayBeFilledInOneByOne) {
  make_pieces(3000, 2);
  const auto once = in_order();
  ReplayScene scene;
  scene.environment = kSmallBatches;
  for (std::size_t i = 0; i < pieces.size(); ++i) put(scene, i, "f" + std::to_string(i));
  const auto plan = scene.replay({"--dry-run", scene.logs});
  ASSERT_EQ(plan.exit_code, 0) << plan.errors;
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.source_files"), 0);
  const auto first = parse_rfc3339(scene.text(plan, "first")), last = parse_rfc3339(scene.text(plan, "last"));
  ASSERT_TRUE(first && last) << plan.receipt;
  EXPECT_EQ(scene.number(plan, "runs,found"), static_cast<std::int64_t>(expected.runs.size()));
  std::vector<int> parts = {0, 1, 2, 3, 4};
  std::shuffle(parts.begin(), parts.end(), random);
  std::int64_t taken = 0;
  for (const int part : parts) {
    const auto at = [&](int fifth) { return to_rfc3339(*first + (*last - *first) * fifth / 5); };
    std::vector<std::string> arguments = {scene.logs};
    if (part > 0) arguments.push_back("--from=" + at(part));
    if (part < 4) arguments.push_back("--to=" + at(part + 1));
    const auto done = scene.replay(arguments);
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
    scene.expect_balance(done);
    taken +=
        scene.number(done, "lines,read") - scene.number(done, "lines,duplicate") - scene.number(done, "lines,outside");
  }
  EXPECT_EQ(taken, scene.number(plan, "lines,read"));
  EXPECT_EQ(table_digests(scene.sql), once);
}

}  // namespace
}  // namespace runtail::test
