#include "agent/control_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace runtail {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

constexpr auto kPatience = 60s;

// A client that sends exactly the bytes it is told to.
class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    const timeval patience{60, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.native().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void send(std::string_view text) { ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL); }
  std::string read_to_end() {
    std::string text;
    char piece[4096];
    for (ssize_t size; (size = ::recv(socket_, piece, sizeof piece, 0)) > 0;) {
      text.append(piece, static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  const int socket_;
};

class ControlSocketTest : public testing::Test {
 protected:
  void serve(ControlLimits limits = {}) {
    socket_ = std::make_unique<ControlSocket>(path_, answer, limits);
    const auto started = socket_->start();
    ASSERT_TRUE(started) << started.error().message;
  }
  // "echo": its words, one per line, in brackets. "big": 10 MB. "fail": an error of two lines.
  static Result<std::string> answer(const std::vector<std::string>& words) {
    if (words[0] == "fail") return Error{ErrorCode::kNotFound, "run 7: not known\nhere"};
    if (words[0] == "busy") return Error{ErrorCode::kUnavailable, "full"};
    if (words[0] == "big") return std::string(10'000'000, 'x');
    std::string body;
    for (const std::string& word : words) body += "[" + word + "]\n";
    return body;
  }
  // A socket file whose process is gone.
  void leave_stale_socket() {
    const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.native().copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(dead);
  }

  test::TempDir directory_;
  const std::filesystem::path path_ = directory_ / "control.sock";
  std::unique_ptr<ControlSocket> socket_;
};

TEST_F(ControlSocketTest, AnswersAQuestion) {
  serve();
  const auto answer = ask(path_, {"runs", "--limit", "20"}, kPatience);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, "[runs]\n[--limit]\n[20]\n");
}

TEST_F(ControlSocketTest, AnyTextTravelsAsOneWord) {
  serve();
  for (const std::string& word : {std::string("two words"), std::string("line\nend"), std::string("100%"),
                                  std::string("%41"), std::string(), std::string("a\0b", 3), std::string("größe")}) {
    const auto answer = ask(path_, {"echo", word, "last"}, kPatience);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(*answer, "[echo]\n[" + word + "]\n[last]\n");
  }
}

TEST_F(ControlSocketTest, TheWireIsPlainText) {
  serve();
  RawClient client(path_);
  client.send("echo a%20b\n");
  EXPECT_EQ(client.read_to_end(), "ok 13\n[echo]\n[a b]\n");
}

TEST_F(ControlSocketTest, ALargeAnswerArrivesWhole) {
  serve();
  const auto answer = ask(path_, {"big"}, kPatience);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->size(), 10'000'000u);
}

TEST_F(ControlSocketTest, AnErrorOfTheHandlerIsSaidInOneLine) {
  serve();
  const auto answer = ask(path_, {"fail"}, kPatience);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kInvalidInput);  // kNotFound would mean: no agent
  EXPECT_EQ(answer.error().message, "run 7: not known here");
}

TEST_F(ControlSocketTest, ANotNowIsToldFromANo) {
  serve();
  const auto answer = ask(path_, {"busy"}, kPatience);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(answer.error().message, "full");
}

TEST_F(ControlSocketTest, BytesBehindTheWordsAreTheLastOfThem) {
  serve();
  std::string bytes(10'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 + i / 255);
  EXPECT_EQ(*ask(path_, {"echo"}, kPatience, &bytes), "[echo]\n[" + bytes + "]\n");
  const std::string none;
  EXPECT_EQ(*ask(path_, {"echo", "a b"}, kPatience, &none), "[echo]\n[a b]\n[]\n");
  // A few of them, and no more.
  const ControlLimits hasty{.deadline = 50ms, .connections_max = 1};
  socket_.reset();
  serve(hasty);
  for (const auto& [request, why] :
       {std::pair("echo \x7F\x39\n12345", "busy no whole request within the deadline"),
        {"echo \x7F\x39\x39\x39\x39\x39\x39\x39\x39\x39\n", "error more bytes than 64 MiB"}}) {
    RawClient client(path_);
    client.send(request);
    EXPECT_THAT(client.read_to_end(), StartsWith(why));
  }
}

TEST_F(ControlSocketTest, NoAgentIsNotFound) {
  const auto absent = ask(path_, {"runs"}, kPatience);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(absent.error().message, HasSubstr(path_.string()));
  leave_stale_socket();
  const auto dead = ask(path_, {"runs"}, kPatience);
  ASSERT_FALSE(dead);
  EXPECT_EQ(dead.error().code, ErrorCode::kNotFound);
}

TEST_F(ControlSocketTest, TheFileIsForItsOwnerOnlyAndGoneAfterStop) {
  const mode_t old = ::umask(0);
  serve();
  ::umask(old);
  struct stat found {};
  ASSERT_EQ(::stat(path_.c_str(), &found), 0);
  EXPECT_TRUE(S_ISSOCK(found.st_mode));
  EXPECT_EQ(found.st_mode & 07777, 0600u);
  socket_->stop();
  socket_->stop();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ControlSocketTest, AStaleSocketIsReplaced) {
  leave_stale_socket();
  serve();
  EXPECT_TRUE(ask(path_, {"echo"}, kPatience));
}

TEST_F(ControlSocketTest, ALivingAgentIsNotDisturbed) {
  serve();
  {
    ControlSocket second(path_, answer);
    const auto started = second.start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(started.error().message, HasSubstr("another agent listens there"));
  }
  EXPECT_TRUE(ask(path_, {"echo"}, kPatience));
}

TEST_F(ControlSocketTest, AFileInTheWayIsKept) {
  std::ofstream(path_) << "precious";
  ControlSocket socket(path_, answer);
  const auto started = socket.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(started.error().message, HasSubstr("no socket"));
  socket.stop();
  EXPECT_EQ(std::filesystem::file_size(path_), 8u);
}

TEST_F(ControlSocketTest, ThePathMayHave107Bytes) {
  const std::string room(107 - directory_.path().native().size() - 1, 'p');
  ControlSocket longest(directory_ / room, answer);
  ASSERT_TRUE(longest.start());
  EXPECT_TRUE(ask(directory_ / room, {"echo"}, kPatience));

  ControlSocket longer(directory_ / (room + "p"), answer);
  const auto started = longer.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(started.error().message, HasSubstr("108 bytes, the system allows 1 to 107"));
  const auto asked = ask(directory_ / (room + "p"), {"echo"}, kPatience);
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ErrorCode::kInvalidInput);
}

TEST_F(ControlSocketTest, AMissingDirectoryIsNamed) {
  ControlSocket socket(directory_ / "absent" / "control.sock", answer);
  const auto started = socket.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("absent/control.sock: No such file or directory"));
}

TEST_F(ControlSocketTest, ARequestBeyond64KiBIsRefused) {
  serve();
  RawClient client(path_);
  client.send(std::string(100'000, 'r') + "\n");
  EXPECT_EQ(client.read_to_end(), "error the request is longer than 65536 bytes\n");
  const auto asked = ask(path_, {std::string(65'536, 'r')}, kPatience);
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ErrorCode::kInvalidInput);
  EXPECT_TRUE(ask(path_, {std::string(65'535, 'r')}, kPatience));
}

TEST_F(ControlSocketTest, AMalformedRequestIsRefused) {
  serve();
  for (const char* line : {"a %\n", "a %4\n", "a %4g\n", "a %zz\n", "%+1\n"}) {
    RawClient client(path_);
    client.send(line);
    EXPECT_THAT(client.read_to_end(), StartsWith("error malformed request")) << line;
  }
}

TEST_F(ControlSocketTest, ARequestThatNeverEndsIsCutAtTheDeadline) {
  serve({100ms, 16});
  RawClient client(path_);
  client.send("runs --limi");
  EXPECT_EQ(client.read_to_end(), "busy no whole request within the deadline\n");
}

TEST_F(ControlSocketTest, AnAskerWhoTakesNoAnswerIsCutAtTheDeadline) {
  serve({100ms, 1});
  RawClient idle(path_);
  idle.send("big\n");
  EXPECT_TRUE(ask(path_, {"echo"}, kPatience));  // the only place is free again
  EXPECT_LT(idle.read_to_end().size(), 10'000'000u);
}

TEST_F(ControlSocketTest, ACutAnswerIsNoAnswer) {
  const auto cut = directory_ / "cut.sock";
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  cut.native().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  std::thread half([&] {
    const int peer = ::accept(listener, nullptr, nullptr);
    char request[64];
    EXPECT_EQ(::recv(peer, request, sizeof request, 0), 5);
    EXPECT_EQ(::send(peer, "ok 10\nhalf", 10, 0), 10);
    ::close(peer);
  });
  const auto answer = ask(cut, {"runs"}, kPatience);
  half.join();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);

  const auto silent = ask(cut, {"runs"}, 50ms);  // connected, never accepted
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(silent.error().message, HasSubstr("in time"));
  ::close(listener);
}

TEST_F(ControlSocketTest, ManyAskersAllGetTheirOwnAnswer) {
  serve();
  std::atomic<int> right = 0;
  std::vector<std::thread> askers;
  for (int t = 0; t < 40; ++t) {
    askers.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const std::string word = std::to_string(t * 100 + i);
        const auto answer = ask(path_, {word}, kPatience);
        right += answer && *answer == "[" + word + "]\n";
      }
    });
  }
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(right, 400);
}

TEST_F(ControlSocketTest, StopCutsAnAskerWhoIsStillTalking) {
  serve();
  RawClient client(path_);
  client.send("ru");
  socket_->stop();
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_F(ControlSocketTest, AnotherUserIsRefusedEvenIfTheFileLetsHimIn) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can ask as another user";
  // Forked before there are threads; exit code 7 says that all was as it should be.
  int gate[2];
  ASSERT_EQ(::pipe(gate), 0);
  const pid_t asker = ::fork();
  if (asker == 0) {
    char go = 0;
    if (::read(gate[0], &go, 1) != 1 || ::setuid(65534) != 0) ::_exit(1);
    const auto answer = ask(path_, {"runs"}, kPatience);
    if (answer) ::_exit(2);
    ::_exit(answer.error().message == "not allowed: run as the agent's user or as root" ? 7 : 3);
  }
  serve();
  std::filesystem::permissions(directory_.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(path_, std::filesystem::perms(0666));
  ASSERT_EQ(::write(gate[1], "g", 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(asker, &status, 0), asker);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
  ::close(gate[0]);
  ::close(gate[1]);
}

}  // namespace
}  // namespace runtail
