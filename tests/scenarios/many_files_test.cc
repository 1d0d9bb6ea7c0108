// Thousands of files of one line that differ in one field; more files than descriptors. Each line once.
#include <gtest/gtest.h>

#include "tests/support/file_scene.h"
#include "tests/support/process_facts.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

std::filesystem::path numbered(const FileScene& scene, int number) {
  return scene.logs / ("task-" + std::to_string(number) + ".log");
}

TEST(ManyFiles, OfOneLineThatDifferInOneFieldAreReadOnceEach) {
  FileScene scene;
  const int files = by_scale(1000, 10'000);
  for (int i = 0; i < files / 2; ++i) LogFile(numbered(scene, i)).append(scene.some_lines(1));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (int i = files / 2; i < files; ++i) LogFile(numbered(scene, i)).append(scene.some_lines(1));
  scene.expect_all_once();
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.source_files WHERE stream NOT LIKE '%/runtail/self'"),
            files);
}

TEST(ManyFiles, FarMoreThanDescriptorsTakeTurns) {
  AgentSetup setup;
  setup.launcher = {"prlimit", "--nofile=1024:1024"};
  FileScene scene(setup);
  const int files = by_scale(1500, 5000);
  for (int i = 0; i < files; ++i) LogFile(numbered(scene, i)).append(scene.some_lines(1));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(scene.all_read());
  EXPECT_LT(open_below(scene.agent.pid(), scene.logs).size(), 1024u);
  // They grow, those that were closed meanwhile too.
  for (int i = 0; i < files; ++i) LogFile(numbered(scene, i)).append(scene.some_lines(1));
  ASSERT_TRUE(scene.all_read());
  EXPECT_EQ(scene.agent.get("/readyz").status, 200) << scene.agent.get("/readyz").body;
  scene.expect_all_once();
}

}  // namespace
}  // namespace runtail::test
