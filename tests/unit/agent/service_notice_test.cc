// A service manager of the test's own: the datagram socket that sd_notify(3) writes to.
#include "agent/service_notice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "tests/support/temp_dir.h"

namespace runtail::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

class ServiceNoticeTest : public testing::Test {
 protected:
  ServiceNoticeTest() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = (directory_ / "notify").string();
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~ServiceNoticeTest() override {
    ::unsetenv("NOTIFY_SOCKET");
    ::close(socket_);
  }
  // What came since the last call.
  std::vector<std::string> said() {
    std::vector<std::string> messages;
    char buffer[512];
    for (ssize_t size; (size = ::recv(socket_, buffer, sizeof buffer, 0)) > 0;)
      messages.emplace_back(buffer, static_cast<std::size_t>(size));
    return messages;
  }

  TempDir directory_;
  int socket_;
  const ServiceNotice::Clock::time_point start = ServiceNotice::Clock::now();
};

TEST_F(ServiceNoticeTest, ReadyIsSaidOnceAndTheStatusWhenItChanges) {
  ServiceNotice notice(seconds(0));
  notice.ready("waits for\nthe database");
  notice.ready("waits for\nthe database");
  notice.ready("reads");
  notice.stopping();
  EXPECT_THAT(said(),
              ElementsAre("READY=1\nSTATUS=waits for the database", "STATUS=reads", "STOPPING=1\nSTATUS=stopping"));
}

TEST_F(ServiceNoticeTest, ALoopThatHangsTakesTheSignOfLifeAway) {
  ServiceNotice notice(seconds(60));
  EXPECT_TRUE(notice.alive(start, start));
  EXPECT_FALSE(notice.alive(start + seconds(19), start + seconds(19))) << "three in a minute are enough";
  EXPECT_TRUE(notice.alive(start + seconds(19), start + seconds(20)));
  EXPECT_TRUE(notice.alive(start + seconds(19), start + seconds(49)));
  for (int second = 50; second < 200; ++second)
    EXPECT_FALSE(notice.alive(start + seconds(19), start + seconds(second)));
  EXPECT_TRUE(notice.alive(start + seconds(199), start + seconds(200))) << "it turns again";
  EXPECT_THAT(said(), ElementsAre("WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"));
}

TEST_F(ServiceNoticeTest, NobodyAskedNothingIsSaid) {
  ServiceNotice notice(seconds(0));
  EXPECT_FALSE(notice.alive(start, start + seconds(1000)));
  ::unsetenv("NOTIFY_SOCKET");
  notice.ready("reads");
  notice.stopping();
  EXPECT_THAT(said(), ElementsAre());
}

}  // namespace
}  // namespace runtail::test
