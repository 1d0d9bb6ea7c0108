#include "agent/push_gateway.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "agent/log.h"

namespace runtail {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// Of one push; the next one comes no sooner than it is over.
constexpr std::chrono::milliseconds kPatience{10'000};
constexpr std::size_t kAnswerBytesMax = 64 << 10, kAnswerShown = 200;

Error failure(const char* step, const error_code& error) {
  return {ErrorCode::kUnavailable, std::string(step) + ": " + error.message()};
}

asio::awaitable<Result<void>> exchange(const PushAddress& address, const std::string& target,
                                       const std::optional<std::string>& body) {
  const auto executor = co_await asio::this_coro::executor;
  tcp::resolver resolver(executor);
  auto [no_name, endpoints] = co_await resolver.async_resolve(address.host, std::to_string(address.port), kAwait);
  if (no_name) co_return failure("look up its host", no_name);
  beast::tcp_stream stream(executor);
  stream.expires_never();  // the caller's patience covers all
  if (const auto [error, endpoint] = co_await stream.async_connect(endpoints, kAwait); error) {
    co_return failure("connect", error);
  }
  http::request<http::string_body> request{body ? http::verb::put : http::verb::delete_, target, 11};
  request.set(http::field::host, address.authority());
  request.set(http::field::user_agent, "runtail");
  request.set(http::field::connection, "close");
  if (body) {
    request.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    request.body() = *body;
  }
  request.prepare_payload();
  if (const auto [error, bytes] = co_await http::async_write(stream, request, kAwait); error) {
    co_return failure("write", error);
  }
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kAnswerBytesMax);
  if (const auto [error, bytes] = co_await http::async_read(stream, buffer, parser, kAwait); error) {
    co_return failure("read the answer", error);
  }
  const unsigned status = parser.get().result_int();
  if (status >= 200 && status < 300) co_return Result<void>();
  std::string said = parser.get().body().substr(0, kAnswerShown);
  said = said.substr(0, said.find('\n'));
  co_return Error{ErrorCode::kInvalidInput, "it answers " + std::to_string(status) + (said.empty() ? "" : ": " + said)};
}

}  // namespace

Result<std::unique_ptr<PushGateway>> PushGateway::make(const PushConfig& config, std::string_view agent, Page page,
                                                       PublishedMetrics& published, const Clock& clock) {
  auto address = parse_push_address(config.url);
  if (!address) return address.error().in("push.url");
  return std::unique_ptr<PushGateway>(
      new PushGateway(config, std::move(*address), agent, std::move(page), published, clock));
}

// Names are letters, digits, '.', '_' and '-': nothing to escape.
PushGateway::PushGateway(const PushConfig& config, PushAddress address, std::string_view agent, Page page,
                         PublishedMetrics& published, const Clock& clock)
    : address_(std::move(address)),
      target_(address_.path + "/metrics/job/" + config.job + "/instance/" + std::string(agent)),
      every_(config.every),
      page_(std::move(page)),
      published_(published),
      clock_(clock) {}

PushGateway::~PushGateway() = default;

void PushGateway::start() {
  published_.set(Metric::kPushFailuresTotal, {}, 0);
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void PushGateway::run(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any nobody;
  std::unique_lock lock(mutex);
  auto next = std::chrono::steady_clock::now();
  while (true) {
    next += every_;
    nobody.wait_until(lock, stop, next, [] { return false; });
    if (stop.stop_requested()) break;
    push(stop, kPatience);
    // A slow gateway is not asked twice at once.
    next = std::max(next, std::chrono::steady_clock::now() - every_ / 2);
  }
  const std::chrono::milliseconds patience(deadline_ms_);
  if (farewell_ == Farewell::kKeep) {
    push({}, patience);
  } else if (const auto gone = send(std::nullopt, {}, patience); !gone) {
    log_warn("push: the group at the gateway could not be deleted: " + gone.error().message);
  }
  has_ended_ = true;
}

void PushGateway::push(std::stop_token stop, std::chrono::milliseconds patience) {
  const auto page = page_();
  if (!page) return;
  const auto pushed = send(page, stop, patience);
  if (!pushed && stop.stop_requested()) return;  // cut by the end, which speaks for itself
  note(pushed);
}

Result<void> PushGateway::send(const std::optional<std::string>& body, std::stop_token stop,
                               std::chrono::milliseconds patience) {
  asio::io_context context(1);
  std::optional<Result<void>> outcome;
  asio::co_spawn(context, exchange(address_, target_, body),
                 [&outcome](std::exception_ptr thrown, Result<void> result) {
                   outcome = thrown ? Error{ErrorCode::kUnavailable, "out of memory"} : std::move(result);
                 });
  const std::stop_callback cut(stop, [&context] { context.stop(); });
  context.run_for(patience);
  if (outcome) return *outcome;
  return Error{ErrorCode::kUnavailable, "no answer within " + std::to_string(patience.count()) + " ms"};
}

void PushGateway::note(const Result<void>& outcome) {
  const std::string where = "push to " + address_.authority() + ": ";
  if (outcome) {
    published_.set(Metric::kPushLastSuccess, {}, static_cast<double>(to_micros(clock_.now())) / 1e6);
    if (!fault_.empty()) log_info(where + "works again");
    fault_.clear();
    return;
  }
  published_.set(Metric::kPushFailuresTotal, {}, static_cast<double>(++failures_));
  if (std::exchange(fault_, outcome.error().message) != fault_) log_warn(where + fault_);
}

bool PushGateway::end(Farewell farewell, std::chrono::milliseconds deadline) {
  farewell_ = farewell;
  deadline_ms_ = deadline.count();
  thread_.request_stop();
  // Its exchange keeps the deadline by itself; only a name look-up of the system's can take longer.
  const auto until = std::chrono::steady_clock::now() + deadline + deadline / 4;
  while (!has_ended_ && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return has_ended_;
}

}  // namespace runtail
