// The history API over HTTP/1.1: who asks, how often, what, and the answer out of the pool.
// Limits:  header 16 KiB (431) and no body (413); `deadline` for a header, for idling and for taking an answer (then
//          closed); connections (further ones wait in the kernel's queue).
// Threads: one of its own for all connections, so a slow client holds none; questions are asked by others (store_pool,
// store_thread).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/config.h"
#include "core/result.h"
#include "core/time.h"
#include "server/access_token.h"
#include "server/store_pool.h"

namespace runtail {

// A request that was answered.
struct ApiRecord {
  TimePoint at{};
  std::string subject;        // "" if nobody's token was good
  std::string scope, method;  // scopes of the token, blanks between
  std::string_view route;     // ApiRoute::label; "" if no route
  std::string params;         // path and query as they came; never stored as they are
  unsigned status = 0;
  std::int64_t rows = 0;
  std::chrono::microseconds duration{0};
  std::string correlation_id, trace_id;  // trace_id: "" if the request named none
  std::string remote;                    // the client's address
  std::string fault;                     // what went wrong behind the answer, for the log
};

struct ApiLimits {
  std::chrono::milliseconds deadline{15'000};
  std::uint32_t header_bytes_max = 16 * 1024;
};

class ApiServer {
 public:
  // Called on the server's thread: must be quick.
  using OnAnswer = std::function<void(const ApiRecord& record)>;

  // Has the question of `who` asked of a history, as StorePool::submit() does.
  using Submit = std::function<StorePool::Taken(const std::string& who, StoreTask task)>;

  // `verifier`: nothing lets everybody in. What `submit` hands tasks to, and the clock, outlive this.
  ApiServer(ApiConfig config, std::optional<TokenVerifier> verifier, Submit submit, const Clock& clock,
            OnAnswer on_answer, ApiLimits limits = {});
  ApiServer(ApiConfig config, std::optional<TokenVerifier> verifier, StorePool& pool, const Clock& clock,
            OnAnswer on_answer, ApiLimits limits = {})
      : ApiServer(
            std::move(config), std::move(verifier),
            [&pool](const std::string& who, StoreTask task) { return pool.submit(who, std::move(task)); }, clock,
            std::move(on_answer), limits) {}
  ~ApiServer();  // stop(0)
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // Once. kInvalidInput: address, certificate or key; kUnavailable: somebody else listens there.
  Result<void> start();
  std::uint16_t port() const { return port_; }    // 0 before start()
  std::size_t active() const { return active_; }  // requests under way. Threads: any
  // Takes no more requests and waits for those under way, `drain` at most. Once; who asks the history must still run.
  // False: a question did not come back. Its memory is given up, and the process had better quick_exit().
  bool stop(std::chrono::milliseconds drain);

 private:
  struct Session;  // an open connection; on the server's thread only
  struct State;
  std::atomic<std::size_t> active_{0};
  std::unique_ptr<State> state_;  // null once stopped
  std::uint16_t port_ = 0;
};

}  // namespace runtail
