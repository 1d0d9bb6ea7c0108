// The Debian package of this build: what lintian and systemd say of it, what is in it; with --long, its life in a
// booted Debian 12.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/child_process.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;

Finished shell(const std::string& script, Deadline deadline = kPatience) {
  Command command;
  command.argv = {"bash", "-c", script};
  return run_to_end(command, deadline);
}

class DebianPackage : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TempDir;
    const std::string build = std::filesystem::path(RUNTAIL_BINARY).parent_path();
    const Finished packed = shell("cd " + build + " && cpack -G DEB -B " + folder->path().string());
    ASSERT_EQ(packed.exit_code, 0) << packed.output << packed.errors;
    const Finished unpacked =
        shell("cd " + folder->path().string() + " && mv *.deb runtail.deb && dpkg-deb -x runtail.deb root");
    ASSERT_EQ(unpacked.exit_code, 0) << unpacked.errors;
  }
  static void TearDownTestSuite() { delete folder; }
  static std::string at(const std::string& path) { return (folder->path() / path).string(); }
  static void expect_fine(const std::string& script) {
    const Finished done = shell(script);
    EXPECT_EQ(done.exit_code, 0) << script << "\n" << done.output << done.errors;
  }

  static inline TempDir* folder = nullptr;
};

TEST_F(DebianPackage, LintianFindsNothing) {
  expect_fine("lintian --allow-root --fail-on error,warning " + at("runtail.deb"));
}

TEST_F(DebianPackage, ItsUnitsAreClosedAsFarAsPromised) {
  for (const char* unit : {"runtail.service", "runtail@.service"}) {
    expect_fine("systemd-analyze security --offline=true --threshold=20 " + at("root/usr/lib/systemd/system/") + unit);
  }
  const std::string several = read_file(at("root/usr/lib/systemd/system/runtail@.service"));
  EXPECT_THAT(several, HasSubstr("--config /etc/runtail/%i.yaml"));
  EXPECT_THAT(several, HasSubstr("StateDirectory=runtail/%i\n"));
}

TEST_F(DebianPackage, TheConfigurationItShipsIsValid) {
  expect_fine(std::string(RUNTAIL_BINARY) + " check --config " + at("root/etc/runtail/runtail.yaml"));
}

TEST_F(DebianPackage, CompletionKnowsVerbsAndTheirOptions) {
  const std::string file = at("root/usr/share/bash-completion/completions/runtail");
  const auto completes = [&](const std::string& words, int at_word) {
    return shell("source " + file + "; COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(at_word) +
                 "; _runtail; echo \"${COMPREPLY[*]}\"")
        .output;
  };
  EXPECT_EQ(completes("runtail rep", 1), "replay\n");
  EXPECT_EQ(completes("runtail replay --dr", 2), "--dry-run\n");
  EXPECT_EQ(completes("runtail buffer dead", 2), "dead-letters\n");
  EXPECT_EQ(completes("runtail buffer ls --ev", 3), "--events\n");
  expect_fine("zsh -n " + at("root/usr/share/zsh/vendor-completions/_runtail") + " 2>/dev/null || ! command -v zsh");
}

TEST_F(DebianPackage, ManualPagesHaveEachVerbAndEachSetting) {
  const Finished verbs = shell("gzip -dc " + at("root/usr/share/man/man1/runtail.1.gz"));
  for (const char* text :
       {"\n.SH \"runtail agent\"\n", "\n.SH \"runtail exec\"\n", "\\-\\-fail\\-closed", "buffer dead\\-letters"})
    EXPECT_THAT(verbs.output, HasSubstr(text));
  const Finished settings = shell("gzip -dc " + at("root/usr/share/man/man5/runtail.yaml.5.gz"));
  EXPECT_THAT(settings.output, HasSubstr("max_unread_deleted_bytes"));
}

TEST_F(DebianPackage, LivesInABootedDebian) {
  if (!long_run()) GTEST_SKIP() << "only with --long: a Debian 12 is made and booted for it";
  const std::string build = std::filesystem::path(RUNTAIL_BINARY).parent_path();
  const Finished lived = shell(std::string(RUNTAIL_SOURCE_DIR) + "/packaging/test-debian-package.sh " + build,
                               Deadline(std::chrono::minutes(10)));
  if (lived.exit_code == 77) GTEST_SKIP() << lived.output;
  EXPECT_EQ(lived.exit_code, 0) << lived.output << lived.errors;
  std::printf("%s", lived.output.c_str());
}

}  // namespace
}  // namespace runtail::test
