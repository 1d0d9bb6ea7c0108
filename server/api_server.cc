#include "server/api_server.h"

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <future>
#include <set>
#include <thread>
#include <utility>

#include "core/digest.h"
#include "server/api.h"
#include "server/api_problem.h"
#include "server/gzip.h"
#include "server/listener.h"
#include "server/random_id.h"
#include "server/rate_limit.h"
#include "server/shared_answers.h"

namespace runtail {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// After an accept() that failed for want of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptPause{100};
// What a closing connection may still send us before we hang up on it.
constexpr std::size_t kDrainBytesMax = 256 * 1024;
constexpr std::size_t kGzipFrom = 1024;
constexpr std::size_t kCorrelationIdMax = 128;
constexpr std::chrono::milliseconds kCutPatience{200};

using Request = http::request<http::empty_body>;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

bool is_correlation_id(std::string_view id) {
  return !id.empty() && id.size() <= kCorrelationIdMax &&
         id.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") ==
             std::string_view::npos;
}

// The trace of "00-<32 hex>-<16 hex>-<2 hex>" (W3C Trace Context), "" for what is none.
std::string_view trace_of(std::string_view parent) {
  if (parent.size() != 55 || !parent.starts_with("00-") || parent[35] != '-' || parent[52] != '-') return {};
  const auto is_hex = [](std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
           text.find_first_not_of('0') != std::string_view::npos;
  };
  const std::string_view trace = parent.substr(3, 32);
  if (!is_hex(trace) || !is_hex(parent.substr(36, 16))) return {};
  return parent.substr(53).find_first_not_of("0123456789abcdef") == std::string_view::npos ? trace : std::string_view();
}

std::string_view text_of(boost::string_view text) { return {text.data(), text.size()}; }

}  // namespace

struct ApiServer::Session {
  beast::tcp_stream& stream;
  bool is_idle = true;  // waits for the first byte of a request
};

struct ApiServer::State {
  // A request in work.
  struct Exchange {
    ApiRecord record;
    std::string parent;  // of its trace
    bool takes_gzip = false, is_head = false;
    std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  };

  State(ApiConfig settings, std::optional<TokenVerifier> tokens, Submit stores, const Clock& time, OnAnswer told,
        ApiLimits bounds, std::atomic<std::size_t>& under_way)
      : config(std::move(settings)),
        verifier(std::move(tokens)),
        submit(std::move(stores)),
        clock(time),
        on_answer(std::move(told)),
        limits(bounds),
        active(under_way),
        rates(config.requests_per_second, config.requests_per_second),
        refusals(config.requests_per_second, config.requests_per_second) {}

  Result<void> load_tls();
  asio::awaitable<void> accept_all();
  asio::awaitable<void> serve(tcp::socket socket);
  template <typename Stream>
  asio::awaitable<void> talk(Stream& stream, Session& session, const std::string& remote);
  template <typename Stream>
  asio::awaitable<bool> answer(Stream& stream, Session& session, beast::flat_buffer& buffer, const std::string& remote);
  template <typename Stream>
  asio::awaitable<bool> send(Stream& stream, const Request& request, Exchange& exchange, ApiResponse made,
                             bool keep_alive);
  asio::awaitable<ApiResponse> respond(const Request& request, bool is_whole, Exchange& exchange);
  asio::awaitable<ApiResponse> ask_shared(const ApiCall& call, const std::string& who, Exchange& exchange);
  asio::awaitable<ApiResponse> ask_pool(const ApiCall& call, const std::string& who, Exchange& exchange);
  // Nothing: the token is good, and its claims are in `claims` (unless everybody may read).
  std::optional<ApiResponse> refuse(const Request& request, Exchange& exchange, AccessClaims& claims, std::string& who);
  // Nothing: not too often.
  std::optional<ApiResponse> limit(RateLimit& of, const std::string& who, const Exchange& exchange) const;
  static std::string key_of(const ApiCall& call, const Exchange& exchange);
  void finish(Exchange& exchange, ApiResponse& response) const;

  const ApiConfig config;
  const std::optional<TokenVerifier> verifier;
  const Submit submit;
  const Clock& clock;
  const OnAnswer on_answer;
  const ApiLimits limits;
  std::atomic<std::size_t>& active;  // the server's, which outlives this
  RateLimit rates, refusals;         // by token; by address of who had no good one
  std::optional<ssl::context> tls;
  // On the server's thread only; they outlive the coroutines in context.
  std::set<Session*> sessions;
  std::size_t open_connections = 0;
  bool is_draining = false;
  std::promise<void> drained;
  std::atomic<std::size_t> waits{0};  // that the pool or a coroutine still holds
  SharedAnswers answers;
  asio::io_context context{1};
  // A question that several wait for; here while it is asked.
  struct Turn {
    explicit Turn(asio::io_context& of) : timer(of, asio::steady_timer::time_point::max()) {}
    asio::steady_timer timer;  // cancelled when there is an answer
    std::optional<ApiResponse> response;
  };
  std::unordered_map<std::string, std::shared_ptr<Turn>> turns;
  tcp::acceptor acceptor{context};
  asio::steady_timer slot_free{context, asio::steady_timer::time_point::max()};  // cancelled when a connection ends
  std::thread thread;
};

Result<void> ApiServer::State::load_tls() {
  if (config.tls_certificate_file.empty()) return {};
  error_code error;
  tls.emplace(ssl::context::tls_server);
  tls->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
                       ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1,
                   error);
  if (!error) tls->use_certificate_chain_file(config.tls_certificate_file.string(), error);
  if (error) {
    return Error{ErrorCode::kInvalidInput, "api.tls_certificate_file " + config.tls_certificate_file.string() + ": " +
                                               error.message() + ": want a chain in PEM"};
  }
  tls->use_private_key_file(config.tls_key_file.string(), ssl::context::pem, error);
  if (error) {
    return Error{ErrorCode::kInvalidInput, "api.tls_key_file " + config.tls_key_file.string() + ": " + error.message() +
                                               ": want the certificate's key in PEM"};
  }
  return {};
}

asio::awaitable<void> ApiServer::State::accept_all() {
  for (;;) {
    while (open_connections >= config.connections_max) co_await slot_free.async_wait(kAwait);
    auto [error, socket] = co_await acceptor.async_accept(kAwait);
    if (is_draining) co_return;
    if (error) {
      asio::steady_timer pause(context, kAcceptPause);
      co_await pause.async_wait(kAwait);
      continue;
    }
    ++open_connections;
    asio::co_spawn(context, serve(std::move(socket)), [this](const std::exception_ptr&) {
      --open_connections;
      slot_free.cancel();
      if (is_draining && open_connections == 0) drained.set_value();
    });
  }
}

asio::awaitable<void> ApiServer::State::serve(tcp::socket socket) {
  error_code error;
  socket.set_option(tcp::no_delay(true), error);
  const auto peer = socket.remote_endpoint(error);
  const std::string remote = error ? "" : peer.address().to_string();
  struct Registration {
    State& state;
    Session session;
    ~Registration() { state.sessions.erase(&session); }
  };
  if (tls) {
    TlsStream stream(std::move(socket), *tls);
    Registration registration{*this, {beast::get_lowest_layer(stream)}};
    sessions.insert(&registration.session);
    beast::get_lowest_layer(stream).expires_after(limits.deadline);
    const auto [failed] = co_await stream.async_handshake(ssl::stream_base::server, kAwait);
    if (!failed) co_await talk(stream, registration.session, remote);
  } else {
    beast::tcp_stream stream(std::move(socket));
    Registration registration{*this, {stream}};
    sessions.insert(&registration.session);
    co_await talk(stream, registration.session, remote);
  }
}

template <typename Stream>
asio::awaitable<void> ApiServer::State::talk(Stream& stream, Session& session, const std::string& remote) {
  // Above the header limit, so that the parser is the one to complain.
  beast::flat_buffer buffer(std::size_t{2} * limits.header_bytes_max);
  while (!is_draining && co_await answer(stream, session, buffer, remote)) {
  }
  // Closing with unread bytes would reset the connection and could take the answer with it.
  auto& lowest = beast::get_lowest_layer(stream);
  lowest.expires_after(limits.deadline);
  if constexpr (std::is_same_v<Stream, TlsStream>) co_await stream.async_shutdown(kAwait);
  error_code ignored;
  lowest.socket().shutdown(tcp::socket::shutdown_send, ignored);
  session.is_idle = true;
  char waste[4096];
  for (std::size_t drained_bytes = 0; drained_bytes < kDrainBytesMax && !is_draining;) {
    const auto [error, size] = co_await lowest.async_read_some(asio::buffer(waste), kAwait);
    if (error) break;
    drained_bytes += size;
  }
}

template <typename Stream>
asio::awaitable<bool> ApiServer::State::answer(Stream& stream, Session& session, beast::flat_buffer& buffer,
                                               const std::string& remote) {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(limits.header_bytes_max);
  // Set once for the whole header: a byte now and then does not extend it.
  beast::get_lowest_layer(stream).expires_after(limits.deadline);
  session.is_idle = buffer.size() == 0;
  const auto [error, size] = co_await http::async_read_header(stream, buffer, parser, kAwait);
  static_cast<void>(size);
  session.is_idle = false;
  const Request& request = parser.get();
  Exchange exchange;
  exchange.record.at = clock.now();
  exchange.record.remote = remote;
  exchange.record.correlation_id = "r-" + random_hex(16);
  const std::string& correlation = exchange.record.correlation_id;
  if (error) {
    const bool is_too_large = error == http::error::header_limit || error == http::error::buffer_overflow;
    const bool is_http = error.category() == http::make_error_code(http::error::bad_method).category();
    if (!is_http || error == http::error::end_of_stream || error == http::error::partial_message) co_return false;
    const Problem problem = is_too_large ? Problem::kHeaderTooLarge : Problem::kMalformedRequest;
    co_return co_await send(stream, request, exchange,
                            problem_response(problem, is_too_large ? "16 KiB at most" : "want HTTP/1.1", correlation),
                            false);
  }
  ++active;
  struct Leave {
    std::atomic<std::size_t>& count;
    ~Leave() { --count; }
  } leave{active};
  ApiResponse response = co_await respond(request, parser.is_done(), exchange);
  // A body is never read: what follows the header then is no request.
  const bool keep_alive = request.keep_alive() && parser.is_done() && !is_draining;
  co_return co_await send(stream, request, exchange, std::move(response), keep_alive);
}

std::optional<ApiResponse> ApiServer::State::limit(RateLimit& of, const std::string& who,
                                                   const Exchange& exchange) const {
  const auto wait = of.take(who, exchange.record.at);
  if (!wait) return std::nullopt;
  ApiResponse response =
      problem_response(Problem::kTooManyRequests, std::to_string(config.requests_per_second) + " a second at most",
                       exchange.record.correlation_id);
  response.headers.emplace_back("Retry-After", std::to_string((wait->count() + 999'999) / 1'000'000));
  return response;
}

std::optional<ApiResponse> ApiServer::State::refuse(const Request& request, Exchange& exchange, AccessClaims& claims,
                                                    std::string& who) {
  const std::string& correlation = exchange.record.correlation_id;
  const TimePoint now = exchange.record.at;
  if (!verifier) {
    who = "anonymous";
    return limit(rates, "address " + exchange.record.remote, exchange);
  }
  const std::string_view header = text_of(request[http::field::authorization]);
  constexpr std::string_view kBearer = "bearer ";
  std::string detail, challenge = "Bearer realm=\"runtail\"";
  if (header.size() > kBearer.size() &&
      beast::iequals({header.data(), kBearer.size()}, {kBearer.data(), kBearer.size()})) {
    const std::string_view token = header.substr(kBearer.size());
    const auto verified = verifier->verify(token, now);
    if (verified) {
      claims = *verified;
      exchange.record.subject = claims.subject.empty() ? claims.key_id : claims.subject;
      for (const std::string& scope : claims.scopes) {
        exchange.record.scope += (exchange.record.scope.empty() ? "" : " ") + scope;
      }
      who = to_hex(sha256(token)).substr(0, 32);
      if (auto refused = limit(rates, who, exchange)) return refused;
      if (claims.has_scope(kScopeRead)) return std::nullopt;
      ApiResponse response =
          problem_response(Problem::kInsufficientScope, "want scope " + std::string(kScopeRead), correlation);
      response.headers.emplace_back(
          "WWW-Authenticate", challenge + ", error=\"insufficient_scope\", scope=\"" + std::string(kScopeRead) + "\"");
      return response;
    }
    detail = std::string(to_string(verified.error()));
    challenge += ", error=\"invalid_token\"";
  } else {
    detail = "want a header Authorization: Bearer TOKEN";
  }
  // Who has no good token could otherwise ask as often as he likes.
  if (auto refused = limit(refusals, exchange.record.remote, exchange)) return refused;
  ApiResponse response = problem_response(Problem::kUnauthorized, detail, correlation);
  response.headers.emplace_back("WWW-Authenticate", challenge);
  return response;
}

// All that an answer's bytes hang on.
std::string ApiServer::State::key_of(const ApiCall& call, const Exchange& exchange) {
  std::string key = exchange.takes_gzip && !exchange.is_head ? "packed" : "plain";
  if (call.projects) key += " only";
  for (const std::string& project : call.projects.value_or(std::vector<std::string>())) {
    key += " " + std::to_string(project.size()) + ":" + project;
  }
  return key + " " + exchange.record.params;
}

asio::awaitable<ApiResponse> ApiServer::State::respond(const Request& request, bool is_whole, Exchange& exchange) {
  ApiRecord& record = exchange.record;
  record.method = text_of(request.method_string());
  record.params = text_of(request.target());
  exchange.is_head = request.method() == http::verb::head;
  exchange.takes_gzip = accepts_gzip(text_of(request[http::field::accept_encoding]));
  if (const auto id = text_of(request["X-Correlation-Id"]); is_correlation_id(id)) record.correlation_id = id;
  const std::string_view parent = text_of(request["traceparent"]);
  record.trace_id = trace_of(parent);
  if (!record.trace_id.empty()) exchange.parent = parent;

  const ApiRoute* route = find_route(record.params);
  if (route) record.route = route->label;
  if (!is_whole) co_return problem_response(Problem::kBodyNotAccepted, "leave the body out", record.correlation_id);
  AccessClaims claims;
  std::string who;
  if (!route || !route->is_open) {
    if (auto refused = refuse(request, exchange, claims, who)) co_return std::move(*refused);
  }
  const ApiRequest understood{record.method, record.params, std::string(text_of(request[http::field::if_none_match])),
                              record.correlation_id};
  auto parsed = parse_call(understood, claims.projects, record.at);
  if (auto* refused = std::get_if<ApiResponse>(&parsed)) co_return std::move(*refused);
  const ApiCall& call = std::get<ApiCall>(parsed);
  if (call.route->is_open) {
    if (auto refused = limit(rates, "address " + record.remote, exchange)) co_return std::move(*refused);
    const std::string key = key_of(call, exchange);
    if (const ApiResponse* known = answers.find(key, exchange.begun)) co_return *known;
    ApiResponse response = answer_open(call);
    finish(exchange, response);
    answers.put(key, response, exchange.begun);
    co_return response;
  }
  // Not in one expression: GCC 12 destroys the answer of such a choice twice.
  if (call.route->is_shared) co_return co_await ask_shared(call, who, exchange);
  co_return co_await ask_pool(call, who, exchange);
}

asio::awaitable<ApiResponse> ApiServer::State::ask_shared(const ApiCall& call, const std::string& who,
                                                          Exchange& exchange) {
  const std::string key = key_of(call, exchange);
  if (const ApiResponse* known = answers.find(key, exchange.begun)) co_return *known;
  if (const auto asked = turns.find(key); asked != turns.end()) {
    const std::shared_ptr<Turn> turn = asked->second;
    while (!turn->response) co_await turn->timer.async_wait(kAwait);
    // A problem is told to the one who asked: it holds his correlation id.
    if (turn->response->status == 200) co_return *turn->response;
    co_return co_await ask_pool(call, who, exchange);
  }
  const auto turn = std::make_shared<Turn>(context);
  turns[key] = turn;
  ApiResponse response = co_await ask_pool(call, who, exchange);
  turns.erase(key);
  turn->response = response;
  turn->timer.cancel();
  if (response.status == 200) answers.put(key, response, exchange.begun);
  co_return response;
}

asio::awaitable<ApiResponse> ApiServer::State::ask_pool(const ApiCall& call, const std::string& who,
                                                        Exchange& exchange) {
  // Shared with the pool's thread, which may be the last to hold it.
  struct Count {
    explicit Count(std::atomic<std::size_t>& counted) : number(counted) { ++number; }
    ~Count() { --number; }
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    std::atomic<std::size_t>& number;
  };
  struct Wait {
    explicit Wait(State& state) : count(state.waits), timer(state.context, asio::steady_timer::time_point::max()) {}
    Count count;               // goes last: then the timer is gone, which must not outlive the context
    asio::steady_timer timer;  // cancelled when there is an answer; on the server's thread only, as is_over
    bool is_over = false;
    ApiResponse response;
  };
  const auto wait = std::make_shared<Wait>(*this);
  const auto wake = [this, wait] {
    asio::post(context, [wait] {
      wait->is_over = true;
      wait->timer.cancel();
    });
  };
  StoreTask task;
  // The coroutine waits until one of the two has called wake(): what it refers to stays.
  task.ask = [&call, &exchange, wait, this](HistoryStore& store) {
    wait->response = answer_call(call, store);
    finish(exchange, wait->response);
    return wait->response.fault;
  };
  task.done = wake;
  task.refuse = [&call, wait, wake](const Error& error) {
    wait->response = problem_response(Problem::kDatabaseUnavailable, "try again in a moment", call.correlation_id);
    wait->response.headers.emplace_back("Retry-After", "2");
    wait->response.fault = error.message;
    wake();
  };
  const auto taken = submit(who, std::move(task));
  if (taken != StorePool::Taken::kYes) {
    const bool is_full = taken == StorePool::Taken::kFull;
    ApiResponse response = problem_response(is_full ? Problem::kBusy : Problem::kDatabaseUnavailable,
                                            "try again in a moment", call.correlation_id);
    response.headers.emplace_back("Retry-After", "2");
    co_return response;
  }
  while (!wait->is_over) co_await wait->timer.async_wait(kAwait);
  co_return std::move(wait->response);
}

// What takes time and needs no database.
void ApiServer::State::finish(Exchange& exchange, ApiResponse& response) const {
  if (!exchange.takes_gzip || response.body.size() < kGzipFrom || exchange.is_head) return;
  std::string packed = gzip(response.body);
  if (packed.empty() || packed.size() >= response.body.size()) return;
  response.body = std::move(packed);
  response.headers.emplace_back("Content-Encoding", "gzip");
}

template <typename Stream>
asio::awaitable<bool> ApiServer::State::send(Stream& stream, const Request& request, Exchange& exchange,
                                             ApiResponse made, bool keep_alive) {
  ApiRecord& record = exchange.record;
  http::response<http::string_body> response(static_cast<http::status>(made.status), request.version() == 10 ? 10 : 11);
  if (made.status != 304) response.set(http::field::content_type, made.content_type);
  for (const auto& [name, value] : made.headers) response.set(name, value);
  response.set(http::field::vary, "Accept-Encoding, Authorization");
  response.set("X-Correlation-Id", record.correlation_id);
  if (!exchange.parent.empty()) {
    response.set("traceparent", exchange.parent.substr(0, 36) + random_hex(8) + exchange.parent.substr(52));
  }
  response.keep_alive(keep_alive);
  if (made.status != 304) response.content_length(made.body.size());
  if (!exchange.is_head) response.body() = std::move(made.body);
  record.status = made.status;
  record.rows = made.rows;
  record.fault = std::move(made.fault);
  record.duration =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - exchange.begun);
  on_answer(record);
  beast::get_lowest_layer(stream).expires_after(limits.deadline);
  http::response_serializer<http::string_body> serializer(response);
  const auto [error, size] = co_await http::async_write(stream, serializer, kAwait);
  static_cast<void>(size);
  co_return !error && keep_alive;
}

ApiServer::ApiServer(ApiConfig config, std::optional<TokenVerifier> verifier, Submit submit, const Clock& clock,
                     OnAnswer on_answer, ApiLimits limits)
    : state_(std::make_unique<State>(std::move(config), std::move(verifier), std::move(submit), clock,
                                     std::move(on_answer), limits, active_)) {}

ApiServer::~ApiServer() { static_cast<void>(stop(std::chrono::milliseconds(0))); }

Result<void> ApiServer::start() {
  if (const auto loaded = state_->load_tls(); !loaded) return loaded.error();
  if (const auto opened = open_listener(state_->acceptor, state_->config.listen, "api.listen"); !opened) {
    return opened.error();
  }
  error_code error;
  const auto local = state_->acceptor.local_endpoint(error);
  if (!state_->verifier && !local.address().is_loopback()) {
    return Error{
        ErrorCode::kInvalidInput,
        "api.anonymous lets everybody read, so api.listen must be a loopback address, not " + state_->config.listen};
  }
  port_ = local.port();
  asio::co_spawn(state_->context, state_->accept_all(), asio::detached);
  state_->thread = std::thread([state = state_.get()] { state->context.run(); });
  return {};
}

bool ApiServer::stop(std::chrono::milliseconds drain) {
  if (!state_) return true;
  if (!state_->thread.joinable()) {
    state_.reset();
    return true;
  }
  auto drained = state_->drained.get_future();
  asio::post(state_->context, [state = state_.get()] {
    error_code ignored;
    state->is_draining = true;
    state->acceptor.close(ignored);
    if (state->open_connections == 0) return state->drained.set_value();
    for (Session* session : state->sessions) {
      if (session->is_idle) session->stream.cancel();
    }
  });
  bool came_back = drained.wait_for(drain) == std::future_status::ready;
  if (!came_back) {
    // Slow clients are cut; what waits for the pool is waited for a little.
    asio::post(state_->context, [state = state_.get()] {
      for (Session* session : state->sessions) session->stream.close();
    });
    came_back = drained.wait_for(kCutPatience) == std::future_status::ready;
  }
  state_->context.stop();
  state_->thread.join();
  if (!came_back) {
    // A thread of the pool may still write into it.
    static_cast<void>(state_.release());
    return false;
  }
  while (state_->waits > 0) std::this_thread::yield();
  state_.reset();
  return true;
}

}  // namespace runtail
