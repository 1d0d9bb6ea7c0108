// The agent's end of `runtail exec`, with connections the test makes as a holder does.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/agent/exec_scene.h"

namespace runtail::test {

class PipeScene : public testing::Test {
 protected:
  // A connection as a holder makes it.
  int connect() const {
    const sockaddr_un address = *exec_socket_address(exec_socket_path(directory.path()));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static void send(int fd, const std::string& frames) {
    EXPECT_EQ(::send(fd, frames.data(), frames.size(), MSG_NOSIGNAL), static_cast<ssize_t>(frames.size()));
  }
  std::string hello(const std::string& job = "nightly/orders", std::uint8_t instance = 7) const {
    ExecHello hello;
    hello.instance.fill(instance);
    hello.run.bytes.fill(9);
    hello.job = job;
    hello.command = "sh";
    hello.started_at = from_micros(1000);
    std::string frame;
    append_hello(frame, hello);
    return frame;
  }
  static std::string line(std::uint64_t offset, const std::string& bytes) {
    std::string frame;
    append_line(frame, offset, from_micros(2000), ExecOutput::kStdout, bytes);
    return frame;
  }
  // What the agent answered, "resume N" or "ack N"; "closed".
  static std::vector<std::string> answers(int fd) {
    std::string in(4096, '\0');
    const ssize_t got = recv(fd, in.data(), in.size(), MSG_DONTWAIT);
    if (got == 0) return {"closed"};
    in.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    std::vector<std::string> out;
    ExecFrame frame;
    std::size_t size = 0;
    for (; read_frame(in, frame, size) == ExecRead::kWhole; in.erase(0, size)) {
      out.push_back((frame.type == ExecFrameType::kResume ? "resume " : "ack ") + std::to_string(frame.emitted));
    }
    return out;
  }

  TempDir directory;
  Taken taken;
};

}  // namespace runtail::test
