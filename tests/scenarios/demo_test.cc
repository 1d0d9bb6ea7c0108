// demo.sh is what a newcomer runs first: it works, works again, and leaves nothing behind. It ends with 5 if a secret
// of the sample is in anything runtail wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

class DemoTest : public testing::Test {
 protected:
  DemoTest() {
    // Its PostgreSQL runs as another user when the test runs as root, and must get through.
    fs::permissions(dir_.path(), fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
  }

  Finished demo(std::vector<std::string> options) {
    std::vector<std::string> argv = {"bash", std::string(RUNTAIL_SOURCE_DIR) + "/demo.sh", "--binary", RUNTAIL_BINARY};
    argv.insert(argv.end(), options.begin(), options.end());
    return run_to_end({.argv = argv,
                       .environment = {{"TMPDIR", dir_.path().string()}},
                       .directory = {},
                       .input = {},
                       .output = {},
                       .errors = {}});
  }

  std::vector<std::string> left_behind() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir_.path())) names.push_back(entry.path().filename().string());
    return names;
  }

  TempDir dir_;
};

TEST_F(DemoTest, WithoutADatabaseItShowsFourRunsAndFindsNoSecretTwiceInARow) {
  for (int round = 0; round < 2; ++round) {
    const Finished finished = demo({});
    ASSERT_EQ(finished.exit_code, 0) << finished.output << finished.errors;
    for (const char* text : {"orders", "customers", "inventory", "signal", "trialsync_jobs_total",
                             "runtail_ledger_imbalance 0", "None found."}) {
      EXPECT_THAT(finished.output, HasSubstr(text));
    }
    EXPECT_THAT(left_behind(), IsEmpty());
  }
}

TEST_F(DemoTest, WithPostgresItShowsTheRowsAndFindsNoSecret) {
  const Finished finished = demo({"--postgres"});
  ASSERT_EQ(finished.exit_code, 0) << finished.output << finished.errors;
  for (const char* text : {"load_orders", "orders__", "inventory__", "None found."}) {
    EXPECT_THAT(finished.output, HasSubstr(text));
  }
  EXPECT_THAT(left_behind(), IsEmpty());
}

}  // namespace
}  // namespace runtail::test
