// The redacted lines in a file or on stdout, for whatever ships logs from there: each once, none with a secret.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <simdjson.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using namespace std::chrono_literals;

// Each line of the workload once, by its number; each valid JSON with an id of its own.
void expect_each_line_once(const std::string& text, std::uint64_t lines) {
  std::vector<int> seen(lines);
  std::set<std::string, std::less<>> ids;
  simdjson::dom::parser parser;
  std::uint64_t bad = 0, other = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    std::string_view id;
    simdjson::dom::element element;
    if (parser.parse(line).get(element) != simdjson::SUCCESS || element["id"].get(id) != simdjson::SUCCESS ||
        !ids.emplace(id).second) {
      if (++bad == 1) ADD_FAILURE() << "no JSON, or an id that was there: " << line;
      continue;
    }
    const std::size_t number = line.find("seq=");
    const std::uint64_t seq = number == std::string::npos ? lines : std::stoull(line.substr(number + 4));
    seq < lines ? ++seen[seq] : ++other;
  }
  EXPECT_EQ(bad, 0u);
  EXPECT_EQ(other, 0u);
  EXPECT_EQ(std::ranges::count(seen, 1), static_cast<std::ptrdiff_t>(lines))
      << std::ranges::count(seen, 0) << " lines missing, the others came more than once";
}

void expect_no_secret(const std::string& text, const std::vector<std::string>& secrets) {
  ASSERT_FALSE(secrets.empty());
  for (const std::string& secret : secrets) {
    ASSERT_EQ(text.find(secret), std::string::npos) << "a planted secret is in the output";
  }
}

class Ndjson : public testing::Test {
 protected:
  Ndjson() {
    options.seed = seed();
    options.event_runs = 0.3;
    setup = tailing(directory, "");
    to(out);
  }
  void to(const std::filesystem::path& path) { setup.more = "ndjson: {path: \"" + path.string() + "\"}\n"; }
  void start() {
    agent = std::make_unique<AgentProcess>(setup);
    ASSERT_TRUE(agent->start_healthy()) << agent->log();
  }
  bool wait_taken(std::uint64_t lines) {
    return wait_until([&] {
      return agent->lines_read() == static_cast<double>(lines) &&
             agent->metric("runtail_records_pending", {{"sink", "ndjson"}}) == 0;
    });
  }
  const TempDir directory;
  const std::filesystem::path log = directory / "etl.log", out = directory / "out.ndjson";
  WorkloadOptions options;
  AgentSetup setup;
  std::unique_ptr<AgentProcess> agent;
};

TEST_F(Ndjson, KilledAgainAndAgainTheFileHasEachLineOnceAndNoSecret) {
  const int kills = by_scale(15, 200);
  options.lines = by_scale<std::uint64_t>(20'000, 400'000);
  std::mt19937_64 random(seed());
  const auto below = [&random](std::uint64_t bound) { return random() % bound; };
  Workload workload(options);
  LogWriter writer(log, workload, {});
  const std::uint64_t share = options.lines / static_cast<std::uint64_t>(kills);
  agent = std::make_unique<AgentProcess>(setup);
  const auto size = [&] {
    std::error_code none;
    const std::uintmax_t bytes = std::filesystem::file_size(out, none);
    return none ? 0 : bytes;
  };
  for (int kill = 0; kill < kills; ++kill) {
    agent->start();
    const bool up = wait_until([&] { return agent->get("/healthz").status == 200 || !agent->running(); });
    ASSERT_TRUE(up && agent->running()) << agent->log();
    // Mostly between the write and what is noted of it, which takes a sync.
    const std::uintmax_t before = size();
    writer.allow(below(share) + 1);
    if (below(4) > 0) {
      EXPECT_TRUE(wait_until([&] { return size() != before; }, kPatience, Deadline(0))) << agent->log();
    }
    let_pass(std::chrono::microseconds(below(2'000)));
    agent->kill9();
  }
  writer.allow_all();
  ASSERT_TRUE(agent->start_healthy()) << agent->log();
  ASSERT_TRUE(wait_taken(options.lines)) << agent->log();
  const std::string text = read_file(out);
  expect_each_line_once(text, options.lines);
  expect_no_secret(text, workload.secrets());
  EXPECT_EQ(agent->metric("runtail_ledger_imbalance"), 0);
}

TEST_F(Ndjson, ARenamedOutputIsFollowedAndBothFilesTogetherHaveEachLineOnce) {
  options.lines = by_scale<std::uint64_t>(20'000, 200'000);
  Workload workload(options);
  LogWriter writer(log, workload, {});
  start();
  const int renames = 5;
  for (int i = 1; i <= renames; ++i) {
    writer.allow(options.lines / (renames + 1));
    ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(out) && std::filesystem::file_size(out) > 0; }));
    std::filesystem::rename(out, out.string() + '.' + std::to_string(i));
  }
  writer.allow_all();
  ASSERT_TRUE(wait_taken(options.lines)) << agent->log();
  std::string text;
  for (int i = 1; i <= renames; ++i) text += read_file(out.string() + '.' + std::to_string(i));
  expect_each_line_once(text + read_file(out), options.lines);
}

TEST_F(Ndjson, WithPostgresAwayTheFileGoesOnAndPostgresGetsAllLater) {
  options.lines = by_scale<std::uint64_t>(10'000, 200'000);
  PostgresCluster cluster;
  const Sql sql(cluster.create_migrated_database("ndjson_both"));
  setup.postgres_url = cluster.conninfo("ndjson_both");
  Workload workload(options);
  LogWriter writer(log, workload, {});
  writer.allow(100);
  start();
  ASSERT_TRUE(wait_delivered(sql, *agent, 100)) << agent->log();
  cluster.stop();
  writer.allow_all();
  ASSERT_TRUE(wait_taken(options.lines)) << agent->log();
  expect_each_line_once(read_file(out), options.lines);
  // The buffer keeps what one of the two still lacks.
  EXPECT_NE(agent->ask({"buffer", "ls"}).output.find("test/etl"), std::string::npos);
  cluster.start();
  EXPECT_TRUE(wait_delivered(sql, *agent, options.lines)) << agent->log();
  expect_delivered(sql, *agent, workload.expected());
}

TEST_F(Ndjson, AFullDiskUnderTheFileIsNamedAndCostsNoLine) {
  const std::filesystem::path small = directory / "small";
  std::filesystem::create_directory(small);
  if (mount("tmpfs", small.c_str(), "tmpfs", 0, "size=2m") != 0)
    GTEST_SKIP() << "mount is refused here: " << std::strerror(errno);
  const std::shared_ptr<void> mounted(nullptr, [&](void*) { umount2(small.c_str(), MNT_DETACH); });
  options.lines = by_scale<std::uint64_t>(20'000, 100'000);
  Workload workload(options);
  write_all(log, workload);
  to(small / "out.ndjson");
  start();
  EXPECT_TRUE(wait_until([&] { return agent->get("/readyz").body.find("make room there") != std::string::npos; }))
      << agent->log();
  EXPECT_EQ(agent->get("/readyz").status, 200);
  EXPECT_EQ(agent->get("/readyz?strict=true").status, 503);
  EXPECT_EQ(agent->metric("runtail_sink_up", {{"sink", "ndjson"}}), 0);
  ASSERT_EQ(mount("tmpfs", small.c_str(), "tmpfs", MS_REMOUNT, "size=512m"), 0) << std::strerror(errno);
  ASSERT_TRUE(wait_taken(options.lines)) << agent->log();
  expect_each_line_once(read_file(small / "out.ndjson"), options.lines);
}

TEST_F(Ndjson, OnStdoutAreTheLinesAndNothingElse) {
  options.lines = 3'000;
  Workload workload(options);
  write_all(log, workload);
  to("-");
  setup.output = out;
  start();
  ASSERT_TRUE(wait_taken(options.lines)) << agent->log();
  EXPECT_EQ(agent->terminate().exit_code, 0) << agent->log();
  expect_each_line_once(read_file(out), options.lines);
}

TEST_F(Ndjson, AStdoutNobodyReadsHoldsUpNeitherPostgresNorTheEnd) {
  options.lines = 10'000;
  const Sql sql(PostgresCluster::shared().create_migrated_database("ndjson_blocked"));
  setup.postgres_url = PostgresCluster::shared().conninfo("ndjson_blocked");
  int ends[2] = {-1, -1};
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  to("-");
  setup.output = "/proc/self/fd/" + std::to_string(ends[1]);
  Workload workload(options);
  write_all(log, workload);
  start();
  EXPECT_TRUE(wait_delivered(sql, *agent, options.lines)) << agent->log();
  EXPECT_GT(agent->metric("runtail_records_pending", {{"sink", "ndjson"}}), 0);
  const AgentProcess::Ended ended = agent->terminate();
  EXPECT_EQ(ended.exit_code, 0) << agent->log();
  EXPECT_LT(ended.took, 8s);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(Ndjson, AddedLaterItGetsWhatTheBufferStillKeeps) {
  options.lines = 5'000;
  Workload workload(options);
  write_all(log, workload);
  const std::string more = std::exchange(setup.more, "");
  start();
  ASSERT_TRUE(wait_until([&] { return agent->lines_read() == static_cast<double>(options.lines); })) << agent->log();
  EXPECT_EQ(agent->terminate().exit_code, 0) << agent->log();
  setup.more = more;
  start();
  // Not by what is pending: before its first look at the new sink the agent does not say.
  const auto written = [&] {
    const std::string text = read_file(out);
    return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
  };
  ASSERT_TRUE(wait_until([&] { return written() >= options.lines; })) << agent->log();
  ASSERT_TRUE(wait_taken(options.lines)) << agent->log();
  expect_each_line_once(read_file(out), options.lines);
  EXPECT_EQ(agent->metric("runtail_ledger_imbalance"), 0);
}

TEST_F(Ndjson, TakenOutOfTheConfigurationItHoldsNothingUpAndTheLogSaysSo) {
  options.lines = 2'000;
  const Sql sql(PostgresCluster::shared().create_migrated_database("ndjson_removed"));
  setup.postgres_url = PostgresCluster::shared().conninfo("ndjson_removed");
  Workload workload(options);
  write_all(log, workload);
  start();
  ASSERT_TRUE(wait_taken(options.lines)) << agent->log();
  EXPECT_EQ(agent->terminate().exit_code, 0) << agent->log();
  setup.more.clear();
  start();
  EXPECT_TRUE(wait_until([&] {
    return agent->log().find("sink ndjson is not configured any more") != std::string::npos;
  })) << agent->log();
  LogFile(log).append_line(R"({"level":"INFO","msg":"one more"})");
  EXPECT_TRUE(wait_delivered(sql, *agent, options.lines + 1)) << agent->log();
}

}  // namespace
}  // namespace runtail::test
