// Names in a log folder that are not plain files: links are followed only to where the source may read, anything else
// is left alone and reported with what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/file_scene.h"
#include "tests/support/process_facts.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// What an operator sees.
std::string ready(const FileScene& scene) { return scene.agent.get("/readyz").body; }
std::string status(const FileScene& scene) { return scene.agent.ask({"status"}).output; }

TEST(Symlink, ThatIsSwitchedToTheNextFileIsFollowedAndTheOldFileReadToItsEnd) {
  FileScene scene;
  fs::create_directory(scene.logs / "runs");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (int run = 0; run < 4; ++run) {
    LogFile log(scene.logs / "runs" / std::to_string(run));
    log.append(scene.some_lines(50));
    fs::create_symlink("runs/" + std::to_string(run), scene.logs / "new-link");
    fs::rename(scene.logs / "new-link", scene.logs / "etl.log");
    ASSERT_TRUE(scene.all_read());
    log.append(scene.some_lines(50));
  }
  scene.expect_all_once();
}

TEST(Symlink, ToASecretElsewhereIsNeverReadAndReportedWithTheRemedy) {
  FileScene scene;
  std::ofstream(scene.directory / "secret") << "the-secret-text\nthe-secret-text\n";
  fs::create_directory(scene.directory / "secrets");
  std::ofstream(scene.directory / "secrets" / "deep.log") << "the-secret-text\n";
  fs::create_symlink(scene.directory / "secret", scene.logs / "evil.log");
  LogFile log(scene.logs / "etl.log");
  log.append(scene.some_lines(10));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(scene.all_read());
  for (const auto& says : {ready, status}) {
    ASSERT_TRUE(wait_until([&] { return says(scene).find("evil.log") != std::string::npos; })) << says(scene);
    EXPECT_THAT(says(scene), AllOf(HasSubstr("outside of the directories"), HasSubstr("sources[].roots"),
                                   Not(HasSubstr("the-secret-text"))));
  }
  // A file that becomes such a link later is a file no more.
  fs::create_symlink("/etc/shadow", scene.logs / "swapped");
  fs::rename(scene.logs / "swapped", scene.logs / "etl.log");
  fs::remove(scene.logs / "evil.log");
  ASSERT_TRUE(wait_until([&] { return ready(scene).find("/etc/shadow") != std::string::npos; })) << ready(scene);
  log.append(scene.some_lines(10));
  scene.expect_all_once();
  EXPECT_THAT(scene.agent.log(), Not(HasSubstr("the-secret-text")));
  EXPECT_THAT(open_below(scene.agent.pid(), "/etc/shadow"), IsEmpty());
  // Without it all is well again.
  fs::remove(scene.logs / "etl.log");
  EXPECT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << ready(scene);
}

TEST(NotAFile, APipeWithAMatchingNameHoldsNobodyUpAndIsReported) {
  FileScene scene;
  ASSERT_EQ(mkfifo((scene.logs / "pipe.log").c_str(), 0600), 0);
  fs::create_directory(scene.logs / "folder.log");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  LogFile log(scene.logs / "etl.log");
  log.append(scene.some_lines(10));
  scene.expect_all_once();
  EXPECT_THAT(ready(scene), AllOf(HasSubstr("pipe.log"), HasSubstr("named pipe"), HasSubstr("exclude")));
}

TEST(HardLink, IsTheSameFileAndReadOnce) {
  FileScene scene;
  LogFile log(scene.logs / "a.log");
  log.append(scene.some_lines(10));
  fs::create_hard_link(log.path(), scene.logs / "b.log");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(scene.all_read());
  fs::create_hard_link(log.path(), scene.logs / "c.log");
  log.append(scene.some_lines(10));
  ASSERT_TRUE(scene.all_read());
  fs::remove(log.path());
  log.append(scene.some_lines(10));
  ASSERT_TRUE(scene.all_read());
  scene.agent.kill9();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  log.append(scene.some_lines(10));
  scene.expect_all_once();
}

TEST(MovedDirectory, TakesItsFilesAlongAndTheyGoOn) {
  AgentSetup setup;
  setup.sources = {{"etl", "*/etl.log"}};
  FileScene scene(setup);
  fs::create_directory(scene.logs / "a");
  LogFile log(scene.logs / "a" / "etl.log");
  log.append(scene.some_lines(20));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(scene.all_read());
  fs::rename(scene.logs / "a", scene.logs / "b");
  log.append(scene.some_lines(20));
  ASSERT_TRUE(scene.all_read());
  scene.agent.kill9();
  fs::rename(scene.logs / "b", scene.logs / "c");
  log.append(scene.some_lines(20));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  scene.expect_all_once();
}

TEST(Unreadable, IsReportedAndReadOnceItMayBe) {
  const bool is_root = geteuid() == 0;
  constexpr uid_t kNobody = 65534;
  AgentSetup setup;
  // Root may read everything.
  if (is_root) setup.launcher = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
  FileScene scene(setup);
  if (is_root) {
    ASSERT_EQ(chown(scene.directory.path().c_str(), kNobody, kNobody), 0);
  }
  LogFile log(scene.logs / "etl.log"), other(scene.logs / "other.log");
  fs::permissions(log.path(), fs::perms::none);
  other.append(scene.some_lines(10));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(scene.all_read());
  log.append(scene.some_lines(10));
  ASSERT_TRUE(wait_until([&] { return ready(scene).find("etl.log") != std::string::npos; })) << ready(scene);
  EXPECT_THAT(ready(scene), AllOf(HasSubstr("Permission denied"), HasSubstr("give the user of runtail the right")));
  fs::permissions(log.path(), fs::perms(0644));
  scene.expect_all_once();
  EXPECT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << ready(scene);
}

}  // namespace
}  // namespace runtail::test
