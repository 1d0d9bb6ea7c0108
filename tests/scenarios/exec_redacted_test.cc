// `--stdout=redacted`: what a worker prints is seen only as the agent has redacted it, and never holds it up.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/exec_stage.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kSecretLine[] = R"(echo '{"level":"INFO","msg":"mail anna@example.com"}')";

TEST(ExecRedacted, EachLineComesBackMaskedOnItsOwnStream) {
  ExecStage stage("exec_redacted");
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  const Finished done = stage.run_shell({"--stdout=redacted", "--job", "masked"},
                                        std::string(kSecretLine) + "; echo; echo 'token=hunter2hunter2' >&2; exit 3");
  EXPECT_EQ(done.exit_code, 3);
  EXPECT_THAT(done.output, HasSubstr(R"("msg":"mail [REDACTED:email]")")) << done.errors;
  EXPECT_THAT(done.output, HasSubstr(R"("state":"masked")"));
  EXPECT_EQ(std::count(done.output.begin(), done.output.end(), '\n'), 1) << done.output;
  EXPECT_THAT(done.errors, HasSubstr(R"("text":"token=)"));
  EXPECT_THAT(done.output + done.errors, Not(HasSubstr("anna@")));
  EXPECT_THAT(done.output + done.errors, Not(HasSubstr("hunter2")));
}

TEST(ExecRedacted, AThousandLinesComeBackInOrder) {
  ExecStage stage("exec_redacted_many");
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  const Finished done = stage.run_shell({"--stdout=redacted"}, "seq 1 1000");
  std::string texts;
  for (std::size_t at = 0; (at = done.output.find("\"text\":\"", at)) != std::string::npos;) {
    at += 8;
    texts += done.output.substr(at, done.output.find('"', at) - at) + "\n";
  }
  std::string want;
  for (int i = 1; i <= 1000; ++i) want += std::to_string(i) + "\n";
  EXPECT_EQ(texts, want);
  EXPECT_EQ(done.errors, "");
}

TEST(ExecRedacted, WithoutAnAgentNothingIsShownAndItSaysHowMuch) {
  ExecStage stage("exec_redacted_alone");
  const Finished done = stage.run_shell({"--stdout=redacted"}, std::string(kSecretLine) + "; exit 4");
  EXPECT_EQ(done.exit_code, 4);
  EXPECT_EQ(done.output, "");
  EXPECT_THAT(done.errors, HasSubstr("47 bytes of output are not shown"));
  EXPECT_THAT(done.errors, Not(HasSubstr("anna@")));
}

// 20 MB of lines, and nobody reads our stdout: the worker ends all the same.
TEST(ExecRedacted, AReaderThatStopsDoesNotSlowTheWorker) {
  ExecStage stage("exec_redacted_blocked");
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  const std::filesystem::path fifo = stage.directory / "fifo", ended = stage.directory / "ended";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  Command command = stage.held({"--stdout=redacted", "--drain", "100ms"},
                               {"sh", "-c", "seq 1 3000000; echo done > " + ended.string()});
  command.output = fifo;
  command.errors = stage.directory / "errors";
  ChildProcess child(command);
  EXPECT_TRUE(wait_until([&] { return !read_file(ended).empty(); })) << "the worker waits for our reader";
  EXPECT_EQ(child.wait(), 0);
  EXPECT_THAT(read_file(command.errors), HasSubstr("bytes of output are not shown"));
  close(reader);
}

}  // namespace
}  // namespace runtail::test
