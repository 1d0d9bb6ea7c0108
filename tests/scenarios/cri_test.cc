// Pod logs as the kubelet lays them out: partial lines that go on behind a rotation, names from the path.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/container_lines.h"
#include "tests/support/file_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

constexpr char kUid[] = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

class Cri : public testing::Test {
 protected:
  static AgentSetup kubernetes() {
    AgentSetup setup;
    setup.sources = {{"pods", "pods/*/*/*.log", "type: kubernetes"}};
    return setup;
  }
  Cri() : scene(kubernetes()) {}
  fs::path container(const std::string& pod, const std::string& name) const {
    const fs::path directory = scene.logs / "pods" / ("etl_" + pod + "_" + kUid) / name;
    fs::create_directories(directory);
    return directory;
  }
  void expect_rows_once() {
    EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, scene.lines)) << scene.agent.log();
    expect_every_line_once(scene.sql, scene.lines);
    EXPECT_EQ(scene.agent.metric("runtail_lines_dropped_total", {{"rule", "orphan_piece"}}), 0);
    EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  }
  // 60,000 bytes.
  std::string long_line() {
    std::string text = R"({"level":"INFO","msg":"seq=)" + std::to_string(scene.lines++) + ' ';
    while (text.size() < 60'000) text += "some text ";
    return text + R"("})";
  }

  FileScene scene;
};

TEST_F(Cri, PartialLinesGoOnBehindARotation) {
  const fs::path directory = container("orders-7d9f", "loader");
  auto log = std::make_unique<LogFile>(directory / "0.log");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  const int rounds = by_scale(10, 75);
  for (int round = 0; round < rounds; ++round) {
    // Once at each place of a line, once between two lines; each second time nobody looks.
    const auto pieces = cri_pieces(long_line());
    ASSERT_EQ(pieces.size(), 4u);
    const bool away = round % 2 == 1;
    if (away) scene.agent.kill9();
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (static_cast<int>(i) == round % 4) {
        char name[32];
        std::snprintf(name, sizeof name, "0.log.20261121-10%02d%02d", round / 60, round % 60);
        fs::rename(log->path(), directory / name);
        log = std::make_unique<LogFile>(directory / "0.log");
      }
      log->append(pieces[i]);
    }
    log->append(cri_pieces(scene.line())[0]);
    if (away) {
      ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    }
    ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == 5 * (round + 1); }))
        << scene.agent.lines_read() << " of " << 5 * (round + 1) << '\n'
        << scene.agent.log();
  }
  expect_rows_once();
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE length(message) > 59000"), rounds);
}

TEST_F(Cri, StreamJobAndContextComeFromThePath) {
  LogFile loader(container("orders-7d9f", "loader") / "0.log"), side(container("orders-7d9f", "sidecar") / "0.log");
  loader.append(cri_pieces(scene.line())[0]);
  side.append(cri_pieces(scene.line(), "stderr")[0]);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, 2)) << scene.agent.log();
  // The container starts again: another file, the same log.
  LogFile again(container("orders-7d9f", "loader") / "1.log");
  again.append(cri_pieces(scene.line())[0]);
  expect_rows_once();
  const std::string uid = kUid;
  EXPECT_THAT(scene.sql.rows("SELECT stream, job_id, context->>'k8s.namespace', context->>'k8s.pod', "
                             "context->>'k8s.container', context->>'k8s.restarts' FROM observability.log_events "
                             "ORDER BY message"),
              ElementsAre("etl/" + uid + "/loader|etl/loader|etl|orders-7d9f|loader|0",
                          "etl/" + uid + "/sidecar|etl/sidecar|etl|orders-7d9f|sidecar|0",
                          "etl/" + uid + "/loader|etl/loader|etl|orders-7d9f|loader|1"));
}

TEST_F(Cri, LinksFromTheContainersFolderAreTheSameFiles) {
  const fs::path file = container("orders-7d9f", "loader") / "0.log";
  LogFile log(file);
  log.append(cri_pieces(scene.line())[0]);
  fs::create_directories(scene.logs / "pods" / ("etl_link_" + std::string(kUid)) / "loader");
  fs::create_symlink(file, scene.logs / "pods" / ("etl_link_" + std::string(kUid)) / "loader" / "0.log");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  log.append(cri_pieces(scene.line())[0]);
  expect_rows_once();
}

}  // namespace
}  // namespace runtail::test
