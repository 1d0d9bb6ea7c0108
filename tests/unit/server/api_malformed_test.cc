// Thousands of requests that are wrong in known ways, on real sockets: each has the status that its fault asks for, and
// the server answers the next one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "server/api_server.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {
namespace {

struct Wrong {
  std::string bytes;
  int status = 0;          // 0: closed without a word
  bool is_closed = false;  // the connection is of no more use
};

class ApiMalformedTest : public testing::Test {
 protected:
  ApiMalformedTest() : pool_(nowhere(), 2, std::chrono::seconds(1), [](const auto&) {}) {
    std::ofstream(directory_ / "key") << "0123456789abcdef0123456789abcdef";
    config_.listen = "127.0.0.1:0";
    config_.keys.push_back({"k1", "HS256", directory_ / "key"});
    config_.requests_per_second = 1'000'000;
    auto verifier = TokenVerifier::make(config_);
    token_ = verifier->mint({"tester", {"obs.read"}, {}, std::chrono::hours(1)}, "k1", clock_.now()).value();
    pool_.start();
    server_ = std::make_unique<ApiServer>(
        config_, std::move(*verifier), pool_, clock_, [](const ApiRecord&) {},
        ApiLimits{std::chrono::seconds(5), 16 * 1024});
    EXPECT_TRUE(server_->start());
  }

  static PostgresConfig nowhere() {
    PostgresConfig config;
    config.url = "host=/nowhere";
    return config;
  }

  int connected() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  // The status of the next answer, its body read away; 0: the connection was closed.
  static int answer_of(int fd) {
    std::string text;
    char bytes[8192];
    const auto more = [&] {
      const ssize_t size = ::read(fd, bytes, sizeof bytes);
      if (size > 0) text.append(bytes, static_cast<std::size_t>(size));
      return size > 0;
    };
    std::size_t end;
    while ((end = text.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return 0;
    }
    const std::size_t at = text.find("Content-Length: ");
    const std::size_t length = at < end ? std::stoul(text.substr(at + 16)) : 0;
    while (text.size() < end + 4 + length) {
      if (!more()) return 0;
    }
    EXPECT_EQ(text.size(), end + 4 + length) << "more than one answer to one request";
    return text.starts_with("HTTP/1.1 ") || text.starts_with("HTTP/1.0 ") ? std::stoi(text.substr(9, 3)) : -1;
  }

  std::string request(const std::string& line, const std::string& token, const std::string& more = "") const {
    return line + " HTTP/1.1\r\nHost: x\r\n" + (token.empty() ? "" : "Authorization: Bearer " + token + "\r\n") + more +
           "\r\n";
  }
  std::string get(const std::string& target) const { return request("GET " + target, token_); }

  Wrong next(std::mt19937_64& random) const {
    const auto below = [&random](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
    const auto word = [&](std::size_t most) {
      std::string out;
      for (std::size_t left = 1 + below(most); left > 0; --left) out += static_cast<char>('a' + below(26));
      return out;
    };
    const auto noise = [&](std::size_t size) {
      std::string out;
      for (; size > 0; --size) out += static_cast<char>(below(256));
      return out;
    };
    static const std::vector<std::string> kPaths = {"/v1/obs/jobs",    "/v1/obs/runs",   "/v1/obs/datasets",
                                                    "/v1/obs/dq",      "/v1/obs/alerts", "/v1/obs/summary",
                                                    "/v1/obs/services"};
    const std::string path = kPaths[below(kPaths.size())];
    switch (below(16)) {
      case 0:
        return {get(path + "?" + word(8) + "_=" + word(8)), 400};
      case 1:
        return {get(path + "?page_size=" + word(9)), 400};
      case 2:
        return {get(path + "?page_size=" + std::to_string(501 + below(1'000'000'000))), 400};
      case 3:
        return {get(path + "?page=" + std::string(6 + below(300), '9')), 400};
      case 4:
        return {get(path + "?cursor=" + word(600)), 400};
      case 5:
        return {get("/v1/obs/runs/" + word(40)), 400};
      case 6:
        return {get("/v1/" + word(20) + "/" + word(20)), 404};
      case 7:
        return {get(path + "?q=%" + word(1) + "z"), 400};
      case 8:
        return {get("/v1/obs/runs?from=" + word(30)), 400};
      case 9: {
        static const std::vector<std::string> kMethods = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
        return {request(kMethods[below(kMethods.size())] + " " + path, token_), 405};
      }
      case 10:
        return {request("GET " + path, token_, "Content-Length: 3\r\n") + "abc", 413, true};
      case 11:
        return {request("GET " + path, "", ""), 401};
      case 12: {
        std::string bad = token_;
        const std::size_t at = below(bad.size() - 1);
        bad[at] = bad[at] == 'A' ? 'B' : 'A';
        return {request("GET " + path, below(2) ? bad : word(3000)), 401};
      }
      case 13:
        return {request("GET " + path, token_, "X-" + word(8) + ": " + std::string(17'000, 'x') + "\r\n"), 431, true};
      case 14:
        return {word(10) + noise(1 + below(200)) + "\r\n\r\n", 400, true};
      default:
        return {"GET " + path + " HTTP/" + word(3) + "\r\n" + noise(below(40)) + "\r\n\r\n", 400, true};
    }
  }

  TempDir directory_;
  SystemClock clock_;
  ApiConfig config_;
  StorePool pool_;
  std::string token_;
  std::unique_ptr<ApiServer> server_;
};

TEST_F(ApiMalformedTest, EachHasTheStatusOfItsFaultAndTheServerGoesOn) {
  std::mt19937_64 random(seed());
  int fd = connected();
  const int count = by_scale(1500, 10'000);
  for (int at = 0; at < count && !HasFailure(); ++at) {
    const Wrong wrong = next(random);
    ASSERT_EQ(::send(fd, wrong.bytes.data(), wrong.bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(wrong.bytes.size()));
    EXPECT_EQ(answer_of(fd), wrong.status) << at << ": " << testing::PrintToString(wrong.bytes.substr(0, 400));
    if (wrong.is_closed) {
      ::close(fd);
      fd = connected();
    }
  }
  // What is right is understood: it is the database that is not there.
  const std::string good = get("/v1/obs/jobs");
  ASSERT_EQ(::send(fd, good.data(), good.size(), MSG_NOSIGNAL), static_cast<ssize_t>(good.size()));
  EXPECT_EQ(answer_of(fd), 503);
  ::close(fd);
  EXPECT_TRUE(server_->stop(std::chrono::seconds(5)));
}

}  // namespace
}  // namespace runtail::test
