// Which files a replay reads, whose they are, and in which order.
#include "agent/replay_input.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

class ReplayInputs : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    fs::create_directories((directory / name).parent_path());
    std::ofstream(directory / name, std::ios::binary) << text;
  }
  static std::string line(int minute, const std::string& msg = "x") {
    return R"({"ts":"2026-03-01T00:)" + std::string(minute < 10 ? "0" : "") + std::to_string(minute) +
           R"(:00Z","level":"INFO","msg":")" + msg + "\"}\n";
  }
  SourceConfig source(const std::string& name, const std::string& pattern) const {
    SourceConfig source;
    source.name = name;
    source.stream = "agent/" + name;
    source.include = {(directory / pattern).string()};
    return source;
  }
  std::vector<std::string> names(std::vector<std::string> paths) {
    wish.paths = std::move(paths);
    auto inputs = find_inputs(wish, config, parser, buffer);
    EXPECT_TRUE(inputs) << inputs.error().message;
    found = inputs ? *inputs : std::vector<ReplayInput>{};
    std::vector<std::string> out;
    for (const ReplayInput& input : found) out.push_back(fs::relative(input.path, directory.path()));
    return out;
  }

  test::TempDir directory;
  Config config;
  Parser parser{built_in_dialects()};
  ReplayWish wish;
  ReadBuffer buffer{1 << 20};
  std::vector<ReplayInput> found;
};

TEST_F(ReplayInputs, ComeInOrderOfTheTimesTheirLinesState) {
  config.sources = {source("etl", "*.log")};
  write("c.log", line(1));
  write("a.log", "a banner without a time\n" + line(3));
  write("b.log.1", line(2));
  write("no time", "nothing\n");
  EXPECT_EQ(names({directory.path()}), (std::vector<std::string>{"no time", "c.log", "b.log.1", "a.log"}));
  EXPECT_EQ(to_rfc3339(*found[3].begins), "2026-03-01T00:03:00.000000Z");
}

TEST_F(ReplayInputs, AreRegularFilesEachOnceAndNoHiddenOnes) {
  config.sources = {source("etl", "*.log")};
  write("deep/er/a.log", line(1));
  write(".hidden", line(2));
  write(".git/b.log", line(3));
  fs::create_hard_link(directory / "deep/er/a.log", directory / "same");
  fs::create_directory_symlink(directory / "deep", directory / "loop");
  EXPECT_EQ(names({directory.path(), directory / "same", directory / "deep"}).size(), 1u);
}

TEST_F(ReplayInputs, BelongToTheSourceWhoseNamesTheyHave) {
  config.sources = {source("etl", "etl/*.log"), source("api", "api/*.log")};
  write("etl/a.log", line(1));
  write("etl/a.log.1", line(2));
  write("api/b.log", line(3));
  write("other/c.log", line(4));
  names({directory.path()});
  ASSERT_EQ(found.size(), 4u);
  EXPECT_NE(found[0].fault.find("--stream NAME"), std::string::npos) << "nobody's comes first: " << found[0].path;
  EXPECT_EQ(found[1].log->stream, "agent/api");
  EXPECT_EQ(found[2].log->stream, "agent/etl");
  EXPECT_TRUE(found[2].is_live);
  EXPECT_EQ(found[3].log->stream, "agent/etl");
  EXPECT_FALSE(found[3].is_live) << "it was rotated away";
  // What is named wins; the settings are those of the source that has this stream.
  config.sources[0].job_id = "nightly";
  wish.stream = "agent/etl";
  names({directory.path()});
  for (const ReplayInput& input : found) {
    EXPECT_EQ(input.log->stream, "agent/etl");
    EXPECT_EQ(input.log->default_job, "nightly");
    EXPECT_EQ(input.fault, "");
  }
}

TEST_F(ReplayInputs, OfAnOnlySourceAreAllFiles) {
  config.sources = {source("etl", "etl/*.log")};
  write("backup/x", line(1));
  names({directory / "backup"});
  EXPECT_EQ(found.at(0).log->stream, "agent/etl");
}

TEST_F(ReplayInputs, ArePackedByTheirBytesNotByTheirNames) {
  config.sources = {source("etl", "*.log")};
  write("a.log", line(7));
  test::Command gzip;
  gzip.argv = {"gzip", directory / "a.log"};
  ASSERT_EQ(test::run_to_end(std::move(gzip)).exit_code, 0);
  fs::rename(directory / "a.log.gz", directory / "plain.log");
  write("b.log.gz", line(8));
  EXPECT_EQ(names({directory.path()}), (std::vector<std::string>{"plain.log", "b.log.gz"}));
  EXPECT_EQ(to_rfc3339(*found[0].begins), "2026-03-01T00:07:00.000000Z");
  EXPECT_TRUE(open_input(found[0])->is_packed());
  EXPECT_FALSE(open_input(found[1])->is_packed());
}

TEST_F(ReplayInputs, ThatAreNotThereAreAMistake) {
  wish.paths = {directory / "gone"};
  const auto inputs = find_inputs(wish, config, parser, buffer);
  ASSERT_FALSE(inputs);
  EXPECT_EQ(inputs.error().code, ErrorCode::kInvalidInput);
  // A file that goes between the look and the open is one that cannot be read.
  ReplayInput gone;
  gone.path = directory / "gone";
  EXPECT_EQ(open_input(gone).error().code, ErrorCode::kNotFound);
  gone.path = "/dev/null";
  EXPECT_NE(open_input(gone).error().message.find("only regular files"), std::string::npos);
}

}  // namespace
}  // namespace runtail
