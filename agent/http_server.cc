#include "agent/http_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "server/listener.h"

namespace runtail {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// After an accept() that failed for want of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptPause{100};
// What a closing connection may still send us before we hang up on it.
constexpr std::size_t kDrainBytesMax = 256 * 1024;

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

HttpResponse refusal(http::status status) {
  return {static_cast<unsigned>(status), "application/json",
          "{\"error\":\"" + std::string(http::obsolete_reason(status)) + "\"}\n"};
}

}  // namespace

struct HttpServer::State {
  State(std::string address, std::map<std::string, HttpHandler, std::less<>> by_path, HttpLimits bounds)
      : listen(std::move(address)), handlers(std::move(by_path)), limits(bounds) {}

  Result<void> open();
  asio::awaitable<void> accept_all();
  asio::awaitable<void> serve(tcp::socket socket);
  // Answers one request; false when the connection is to end.
  asio::awaitable<bool> answer(beast::tcp_stream& stream, beast::flat_buffer& buffer);
  asio::awaitable<bool> send(beast::tcp_stream& stream, const Request& request, HttpResponse made, bool keep_alive);
  HttpResponse respond(const Request& request) const;

  const std::string listen;
  const std::map<std::string, HttpHandler, std::less<>> handlers;
  const HttpLimits limits;
  std::uint16_t port = 0;
  std::size_t open_connections = 0;  // on the server's thread only; outlives the coroutines in context
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer slot_free{context, asio::steady_timer::time_point::max()};  // cancelled when a connection ends
  std::thread thread;
};

Result<void> HttpServer::State::open() {
  if (const auto opened = open_listener(acceptor, listen, "http.listen"); !opened) return opened.error();
  error_code error;
  port = acceptor.local_endpoint(error).port();
  return {};
}

asio::awaitable<void> HttpServer::State::accept_all() {
  for (;;) {
    while (open_connections >= limits.connections_max) co_await slot_free.async_wait(kAwait);
    auto [error, socket] = co_await acceptor.async_accept(kAwait);
    if (error) {
      asio::steady_timer pause(context, kAcceptPause);
      co_await pause.async_wait(kAwait);
      continue;
    }
    ++open_connections;
    asio::co_spawn(context, serve(std::move(socket)), [this](const std::exception_ptr&) {
      --open_connections;
      slot_free.cancel();
    });
  }
}

asio::awaitable<void> HttpServer::State::serve(tcp::socket socket) {
  beast::tcp_stream stream(std::move(socket));
  // Above the header limit, so that the parser is the one to complain.
  beast::flat_buffer buffer(std::size_t{2} * limits.header_bytes_max);
  while (co_await answer(stream, buffer)) {
  }
  // Closing with unread bytes would reset the connection and could take the answer with it.
  error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  stream.expires_after(limits.deadline);
  char waste[4096];
  for (std::size_t drained = 0; drained < kDrainBytesMax;) {
    const auto [error, size] = co_await stream.async_read_some(asio::buffer(waste), kAwait);
    if (error) break;
    drained += size;
  }
}

asio::awaitable<bool> HttpServer::State::answer(beast::tcp_stream& stream, beast::flat_buffer& buffer) {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(limits.header_bytes_max);
  // Set once for the whole header: a byte now and then does not extend it.
  stream.expires_after(limits.deadline);
  const auto [error, size] = co_await http::async_read_header(stream, buffer, parser, kAwait);
  static_cast<void>(size);
  const Request& request = parser.get();
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    co_return co_await send(stream, request, refusal(http::status::request_header_fields_too_large), false);
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message) co_return false;
  if (error && error.category() == http::make_error_code(http::error::bad_method).category()) {
    co_return co_await send(stream, request, refusal(http::status::bad_request), false);
  }
  if (error) co_return false;
  // A body is never read: what follows the header then is no request.
  const bool keep_alive = request.keep_alive() && parser.is_done();
  co_return co_await send(stream, request, respond(request), keep_alive);
}

HttpResponse HttpServer::State::respond(const Request& request) const {
  const std::string_view target(request.target().data(), request.target().size());
  const std::size_t mark = target.find('?');
  const auto handler = handlers.find(target.substr(0, mark));
  if (handler == handlers.end()) return refusal(http::status::not_found);
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    return refusal(http::status::method_not_allowed);
  }
  const auto accept = request[http::field::accept];
  return handler->second({mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1),
                          std::string_view(accept.data(), accept.size())});
}

asio::awaitable<bool> HttpServer::State::send(beast::tcp_stream& stream, const Request& request, HttpResponse made,
                                              bool keep_alive) {
  Response response(static_cast<http::status>(made.status), request.version() == 10 ? 10 : 11);
  response.set(http::field::content_type, made.content_type);
  response.set(http::field::cache_control, "no-store");
  response.set(http::field::vary, "Accept");
  if (response.result() == http::status::method_not_allowed) response.set(http::field::allow, "GET, HEAD");
  response.keep_alive(keep_alive);
  response.content_length(made.body.size());
  if (request.method() != http::verb::head) response.body() = std::move(made.body);
  stream.expires_after(limits.deadline);
  http::response_serializer<http::string_body> serializer(response);
  const auto [error, size] = co_await http::async_write(stream, serializer, kAwait);
  static_cast<void>(size);
  co_return !error && keep_alive;
}

HttpServer::HttpServer(std::string listen, std::map<std::string, HttpHandler, std::less<>> handlers, HttpLimits limits)
    : state_(std::make_unique<State>(std::move(listen), std::move(handlers), limits)) {}

HttpServer::~HttpServer() { stop(); }

Result<void> HttpServer::start() {
  if (const auto opened = state_->open(); !opened) return opened.error();
  port_ = state_->port;
  asio::co_spawn(state_->context, state_->accept_all(), asio::detached);
  state_->thread = std::thread([state = state_.get()] { state->context.run(); });
  return {};
}

void HttpServer::stop() {
  if (!state_) return;
  state_->context.stop();
  if (state_->thread.joinable()) state_->thread.join();
  state_.reset();
}

}  // namespace runtail
