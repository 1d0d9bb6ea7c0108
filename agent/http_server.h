// A small HTTP/1.1 server for /metrics and health: GET and HEAD, answers from memory, no bodies in.
// Limits:  header 16 KiB (431), 10 s to send it and 10 s to take the answer (then closed), 64 connections (further ones
//          wait in the kernel's queue). Keep-alive within the same 10 s.
// Threads: handlers run one at a time on the server's own thread and must be quick; the rest from the owner's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"

namespace runtail {

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
};

struct HttpRequest {
  std::string_view query;   // what follows '?', not decoded: "strict=true"
  std::string_view accept;  // the header's value; "" if there is none
};

using HttpHandler = std::function<HttpResponse(const HttpRequest& request)>;

// Tests shorten these; nothing else has a reason to.
struct HttpLimits {
  std::chrono::milliseconds deadline{10'000};
  std::uint32_t header_bytes_max = 16 * 1024;
  std::size_t connections_max = 64;
};

class HttpServer {
 public:
  // `listen`: "0.0.0.0:9847", "[::]:9847" or a host name; port 0 takes any that is free. `handlers`: by path.
  HttpServer(std::string listen, std::map<std::string, HttpHandler, std::less<>> handlers, HttpLimits limits = {});
  ~HttpServer();  // stop()
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Once. kInvalidInput: no such address, or not ours to take. kUnavailable: somebody else listens there.
  Result<void> start();
  // The port listened on; 0 before start().
  std::uint16_t port() const { return port_; }
  // Cuts open connections, for good. May come twice, or before start(). No handler runs any more when it returns.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;  // null once stopped
  std::uint16_t port_ = 0;
};

}  // namespace runtail
