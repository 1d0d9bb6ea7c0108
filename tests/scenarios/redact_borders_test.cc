// Where a read ends hides nothing: the corpus through `runtail redact` from a pipe, in pieces that end anywhere, gives
// what it gives from a file; and no secret known by its own shape is in it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "tests/support/child_process.h"
#include "tests/support/redaction_judge.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {
namespace {

Finished redact(const std::filesystem::path& input) {
  Command command;
  command.argv = {RUNTAIL_BINARY, "redact", "--fields", "all"};
  command.input = input;
  return run_to_end(command);
}

// Writes all of `text`, a few bytes to a few kilobytes at a time.
void write_in_pieces(const std::filesystem::path& pipe, const std::string& text, RedactionValues& values) {
  const int out = ::open(pipe.c_str(), O_WRONLY | O_CLOEXEC);
  if (out < 0) return;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t wanted = values.below(3) == 0 ? values.between(1, 40) : values.between(41, 9000);
    const ssize_t written = ::write(out, text.data() + at, std::min(wanted, text.size() - at));
    if (written < 0) break;
    at += static_cast<std::size_t>(written);
  }
  ::close(out);
}

TEST(RedactBorders, PiecesGiveWhatTheWholeGives) {
  ::signal(SIGPIPE, SIG_IGN);
  const TempDir directory;
  RedactionValues values(seed());
  static constexpr const char* kKinds[] = {"jwt",           "aws_key_id", "github_pat", "slack_bot",
                                           "stripe_secret", "email",      "ssn"};
  std::vector<std::string> secrets;
  std::string text;
  const std::vector<CorpusCategory> categories = positive_categories();
  const int rounds = by_scale(6, 200);
  for (int round = 0; round < rounds; ++round) {
    for (const CorpusCategory& category : categories) {
      for (const LabelledLine& line : lines_of(category, 3, values)) {
        for (const std::string& each : line.lines) text += each + '\n';
      }
    }
    for (const char* kind : kKinds) {
      secrets.push_back(values.make(kind));
      text += R"({"level":"INFO","msg":"row )" + secrets.back() + " here\"}\n";
    }
  }
  std::ofstream(directory / "file", std::ios::binary) << text;
  const Finished whole = redact(directory / "file");
  ASSERT_EQ(whole.exit_code, 0) << whole.errors;

  const std::filesystem::path pipe = directory / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { write_in_pieces(pipe, text, values); });
  const Finished pieces = redact(pipe);
  writer.join();
  ASSERT_EQ(pieces.exit_code, 0) << pieces.errors;
  EXPECT_TRUE(pieces.output == whole.output) << pieces.output.size() << " bytes for " << whole.output.size();
  EXPECT_EQ(std::count(whole.output.begin(), whole.output.end(), '\n'), std::count(text.begin(), text.end(), '\n'));
  for (const std::string& secret : secrets) EXPECT_EQ(pieces.output.find(secret), std::string::npos) << secret;
}

}  // namespace
}  // namespace runtail::test
