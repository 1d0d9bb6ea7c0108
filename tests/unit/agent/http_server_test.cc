#include "agent/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/wait_until.h"

namespace runtail {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using namespace std::chrono_literals;

// A client that sends exactly the bytes it is told to.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience{60, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool send(std::string_view text) {
    return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  void finish_sending() { ::shutdown(socket_, SHUT_WR); }
  std::string read_until(std::string_view end) {
    std::string text;
    char byte = 0;
    while (!text.ends_with(end) && ::recv(socket_, &byte, 1, 0) == 1) text += byte;
    return text;
  }
  // Until the server closes; false: it did not within the patience, or it reset the connection.
  bool read_to_end(std::string& text) {
    char piece[4096];
    for (;;) {
      const ssize_t size = ::recv(socket_, piece, sizeof piece, 0);
      if (size == 0) return true;
      if (size < 0) return false;
      text.append(piece, static_cast<std::size_t>(size));
    }
  }

 private:
  const int socket_;
};

class HttpServerTest : public testing::Test {
 protected:
  void serve(HttpLimits limits = {}) {
    server_ = std::make_unique<HttpServer>(
        "127.0.0.1:0",
        std::map<std::string, HttpHandler, std::less<>>{
            {"/metrics",
             [](const HttpRequest&) {
               return HttpResponse{200, "text/plain; version=0.0.4", big_page()};
             }},
            {"/readyz",
             [](const HttpRequest& request) {
               return HttpResponse{request.query == "strict=true" ? 503u : 200u, "application/json",
                                   "[" + std::string(request.query) + "]"};
             }},
            {"/accept",
             [](const HttpRequest& request) {
               return HttpResponse{200, "text/plain", "<" + std::string(request.accept) + ">"};
             }},
            {"/broken", [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("broken"); }},
        },
        limits);
    const auto started = server_->start();
    ASSERT_TRUE(started) << started.error().message;
    ASSERT_NE(server_->port(), 0);
  }
  static std::string big_page() { return std::string(300'000, 'm') + "\n"; }
  // One request on a connection of its own; the whole answer.
  std::string exchange(const std::string& request) {
    RawClient client(server_->port());
    EXPECT_TRUE(client.send(request));
    client.finish_sending();
    std::string answer;
    EXPECT_TRUE(client.read_to_end(answer));
    return answer;
  }
  std::string get(const std::string& target, const std::string& method = "GET") {
    return exchange(method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersWithTypeLengthAndBody) {
  serve();
  const std::string answer = get("/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 300001\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n" + big_page()));
}

TEST_F(HttpServerTest, PassesTheQueryAndTheStatusOn) {
  serve();
  EXPECT_THAT(get("/readyz"), EndsWith("[]"));
  const std::string strict = get("/readyz?strict=true");
  EXPECT_THAT(strict, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(strict, EndsWith("[strict=true]"));
}

TEST_F(HttpServerTest, HeadHasTheLengthButNoBody) {
  serve();
  const std::string answer = get("/metrics", "HEAD");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 300001\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, UnknownPathIs404AsJson) {
  serve();
  for (const char* target : {"/", "/metrics/", "/readyz%20", "*", "/../metrics"}) {
    const std::string answer = get(target);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 Not Found\r\n")) << target;
    EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
    EXPECT_THAT(answer, EndsWith("{\"error\":\"Not Found\"}\n"));
  }
}

TEST_F(HttpServerTest, OtherMethodsAre405EvenWithABodyThatIsNotRead) {
  serve();
  const std::string body(200'000, 'b');
  for (const char* method : {"POST", "PUT", "DELETE"}) {
    const std::string answer = exchange(std::string(method) + " /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                                        std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n")) << method;
    EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n"));
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    EXPECT_EQ(answer.rfind("HTTP/1.1"), 0u) << "the body was taken for a request";
  }
}

TEST_F(HttpServerTest, ASenderWhoGoesOnAfterTheRefusalIsNotReset) {
  serve();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"));
  std::string answer;
  ASSERT_TRUE(client.read_to_end(answer));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(client.send(std::string(1000, 'b')));
}

TEST_F(HttpServerTest, ATooLargeHeaderIs431) {
  serve();
  for (const std::size_t size : {17'000, 100'000}) {
    const std::string answer =
        exchange("GET /readyz HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(size, 'h') + "\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 431 Request Header Fields Too Large\r\n")) << size;
  }
  EXPECT_THAT(exchange("GET /readyz HTTP/1.1\r\nX-Long: " + std::string(15'000, 'h') + "\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpServerTest, WhatIsNoHttpIs400AndTheServerLivesOn) {
  serve();
  EXPECT_THAT(exchange("\x16\x03\x01 this is TLS\r\n\r\n"), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_EQ(exchange(""), "");
  EXPECT_EQ(exchange("GET /rea"), "");
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpServerTest, AHandlerSeesWhatTheClientAccepts) {
  serve();
  EXPECT_NE(exchange("GET /accept HTTP/1.1\r\nHost: x\r\naccept: text/plain;q=0.5, a/b\r\nConnection: close\r\n\r\n")
                .find("<text/plain;q=0.5, a/b>"),
            std::string::npos);
  EXPECT_NE(exchange("GET /accept HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").find("<>"), std::string::npos);
}

TEST_F(HttpServerTest, AHandlerThatThrowsEndsOnlyItsConnection) {
  serve();
  EXPECT_EQ(get("/broken"), "");
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpServerTest, KeepsTheConnectionForTheNextRequest) {
  serve();
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send("GET /readyz?" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_THAT(client.read_until("]"), EndsWith("[" + std::to_string(i) + "]"));
  }
  ASSERT_TRUE(client.send("GET /readyz?a HTTP/1.1\r\n\r\nGET /readyz?b HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(client.read_until("]"), EndsWith("[a]"));
  EXPECT_THAT(client.read_until("]"), EndsWith("[b]"));
}

TEST_F(HttpServerTest, Http10ClosesAfterTheAnswer) {
  serve();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send("GET /readyz HTTP/1.0\r\n\r\n"));
  std::string answer;
  EXPECT_TRUE(client.read_to_end(answer));
  EXPECT_THAT(answer, EndsWith("[]"));
}

TEST_F(HttpServerTest, AHeaderThatNeverEndsIsCutAtTheDeadlineThoughBytesKeepComing) {
  serve({100ms, 16 * 1024, 64});
  RawClient client(server_->port());
  ASSERT_TRUE(client.send("GET /readyz HTTP/1.1\r\nX-Slow: "));
  // Each byte would extend a deadline that counts from the last one.
  EXPECT_TRUE(test::wait_until([&] { return !client.send("z"); }, 10s, 20ms));
}

TEST_F(HttpServerTest, ASilentConnectionIsCutAtTheDeadline) {
  serve({100ms, 16 * 1024, 64});
  RawClient client(server_->port());
  std::string answer;
  EXPECT_TRUE(client.read_to_end(answer));
}

TEST_F(HttpServerTest, AConnectionBeyondTheLimitWaitsForAFreePlace) {
  serve({60'000ms, 16 * 1024, 2});
  auto first = std::make_unique<RawClient>(server_->port());
  RawClient second(server_->port());
  ASSERT_TRUE(first->send("GET /readyz?1 HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(first->read_until("]"), EndsWith("[1]"));
  ASSERT_TRUE(second.send("GET /readyz?2 HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(second.read_until("]"), EndsWith("[2]"));

  std::atomic<bool> answered = false;
  std::thread third([&] {
    EXPECT_THAT(get("/readyz?3"), EndsWith("[3]"));
    answered = true;
  });
  // The places are taken: the two still talk, the third does not.
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(second.send("GET /readyz?again HTTP/1.1\r\n\r\n"));
    EXPECT_THAT(second.read_until("]"), EndsWith("[again]"));
    EXPECT_FALSE(answered);
  }
  first.reset();
  third.join();
  EXPECT_TRUE(answered);
}

TEST_F(HttpServerTest, ManyScrapesAtOnceAllGetTheWholePage) {
  serve();
  std::atomic<int> whole = 0;
  std::vector<std::thread> scrapers;
  for (int t = 0; t < 32; ++t) {
    scrapers.emplace_back([&] {
      for (int i = 0; i < 10; ++i) whole += get("/metrics").ends_with("\r\n\r\n" + big_page());
    });
  }
  for (std::thread& scraper : scrapers) scraper.join();
  EXPECT_EQ(whole, 320);
}

TEST_F(HttpServerTest, AnAddressInUseIsNamedWithTheRemedy) {
  serve();
  const std::string listen = "127.0.0.1:" + std::to_string(server_->port());
  HttpServer other(listen, {});
  const auto started = other.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(started.error().message,
            "listen on " + listen + ": Address already in use: another runtail? set http.listen");
}

TEST_F(HttpServerTest, AMalformedOrForeignAddressIsRefused) {
  for (const char* listen :
       {"", "9847", ":9847", "0.0.0.0:", "0.0.0.0:http", "0.0.0.0:65536", "203.0.113.1:0", "no such host:9847"}) {
    HttpServer server(listen, {});
    const auto started = server.start();
    ASSERT_FALSE(started) << listen;
    EXPECT_EQ(started.error().code, ErrorCode::kInvalidInput) << listen;
    EXPECT_THAT(started.error().message, HasSubstr(listen));
    EXPECT_THAT(started.error().message, HasSubstr("http.listen"));
  }
}

TEST_F(HttpServerTest, TheAddressIsFreeAfterStopAndOpenConnectionsAreCut) {
  serve();
  const std::string listen = "127.0.0.1:" + std::to_string(server_->port());
  RawClient client(server_->port());
  ASSERT_TRUE(client.send("GET /readyz HTTP/1.1\r\n\r\n"));
  client.read_until("]");
  server_->stop();
  server_->stop();
  std::string rest;
  EXPECT_TRUE(client.read_to_end(rest));
  EXPECT_EQ(rest, "");
  HttpServer next(listen, {});
  EXPECT_TRUE(next.start());
}

TEST_F(HttpServerTest, StopBeforeStartIsFine) {
  HttpServer server("127.0.0.1:0", {});
  EXPECT_EQ(server.port(), 0);
  server.stop();
}

}  // namespace
}  // namespace runtail
