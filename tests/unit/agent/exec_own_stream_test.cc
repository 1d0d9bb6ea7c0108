// Our own stdout and stderr are never waited for, whatever they are and whoever shares them.
#include "agent/exec/own_stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

namespace runtail::test {
namespace {

// Two ends of something that takes a limited number of bytes while nobody reads.
struct Ends {
  ~Ends() {
    for (const int fd : {writer, reader}) {
      if (fd >= 0) close(fd);
    }
  }
  int reader = -1, writer = -1;
};

bool is_non_blocking(int fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

// Writes far more than fits, as often as a holder would; it would hang if a write waited.
void expect_no_wait(const OwnStream& stream) {
  const std::string bytes(4 << 20, 'x');
  std::size_t done = 0;
  for (int tries = 0; tries < 10; ++tries) {
    const ssize_t written = stream.write(std::string_view(bytes).substr(done));
    ASSERT_GE(written, 0);
    done += static_cast<std::size_t>(written);
  }
  EXPECT_GT(done, 0u);
  EXPECT_LT(done, bytes.size());
}

TEST(ExecOwnStream, APipeIsNotWaitedForAndStaysAsItIsForOthers) {
  Ends ends;
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  ends.reader = fds[0];
  ends.writer = fds[1];
  const OwnStream stream(ends.writer);
  EXPECT_TRUE(is_non_blocking(stream.fd())) << "another writer may fill what poll() found free";
  EXPECT_FALSE(is_non_blocking(ends.writer));
  expect_no_wait(stream);
}

TEST(ExecOwnStream, ATerminalIsNotWaitedFor) {
  Ends ends;
  ends.reader = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ends.reader < 0) GTEST_SKIP() << "no terminals here";
  ASSERT_EQ(grantpt(ends.reader), 0);
  ASSERT_EQ(unlockpt(ends.reader), 0);
  ends.writer = open(ptsname(ends.reader), O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(ends.writer, 0);
  const OwnStream stream(ends.writer);
  EXPECT_TRUE(is_non_blocking(stream.fd()));
  EXPECT_FALSE(is_non_blocking(ends.writer));
  expect_no_wait(stream);
}

TEST(ExecOwnStream, ASocketIsNotWaitedForAndOneThatWasLeftIsAnErrorAndNoSignal) {
  Ends ends;
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  ends.reader = fds[0];
  ends.writer = fds[1];
  const OwnStream stream(ends.writer);
  expect_no_wait(stream);
  EXPECT_FALSE(is_non_blocking(ends.writer));
  close(std::exchange(ends.reader, -1));
  EXPECT_EQ(stream.write("more\n"), -1);
  EXPECT_EQ(errno, EPIPE);
}

}  // namespace
}  // namespace runtail::test
