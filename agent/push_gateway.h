// Pushes the metrics page to a Prometheus Pushgateway, where nobody can scrape the agent: every so often, from a thread
// of its own that nothing else waits for. A push that fails is not repeated: the next one says more.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "config/config.h"
#include "config/push_address.h"
#include "core/metric.h"
#include "core/result.h"

namespace runtail {

class PushGateway {
 public:
  // The page in the text format, or nothing while there is none to show. Called by the thread of pushing and by end().
  using Page = std::function<std::optional<std::string>()>;

  // What becomes of the group, job=<push.job>, instance=<agent>, in good order.
  enum class Farewell {
    kForget,  // deleted: an agent that is stopped has no state to show
    kKeep,    // pushed once more and left: of a job that has ended its last state is the news
  };

  // kInvalidInput: push.url. `published` takes the outcome of pushes and outlives this.
  static Result<std::unique_ptr<PushGateway>> make(const PushConfig& config, std::string_view agent, Page page,
                                                   PublishedMetrics& published, const Clock& clock);
  ~PushGateway();
  PushGateway(const PushGateway&) = delete;
  PushGateway& operator=(const PushGateway&) = delete;

  void start();
  // No push after it. False: a look-up of the host does not come back, and neither would the destructor; the process
  // must quick_exit(). Once, after start().
  bool end(Farewell farewell, std::chrono::milliseconds deadline);

 private:
  PushGateway(const PushConfig& config, PushAddress address, std::string_view agent, Page page,
              PublishedMetrics& published, const Clock& clock);
  void run(std::stop_token stop);
  void push(std::stop_token stop, std::chrono::milliseconds patience);
  // Whole exchange, name look-up included. `body`: of a PUT; nothing: DELETE.
  Result<void> send(const std::optional<std::string>& body, std::stop_token stop, std::chrono::milliseconds patience);
  void note(const Result<void>& outcome);

  const PushAddress address_;
  const std::string target_;  // path of the group
  const std::chrono::milliseconds every_;
  const Page page_;
  PublishedMetrics& published_;  // not owned, outlives this
  const Clock& clock_;           // not owned, outlives this
  std::uint64_t failures_ = 0;
  std::string fault_;  // as last logged; "": the last push worked
  std::atomic<Farewell> farewell_{Farewell::kForget};
  std::atomic<std::int64_t> deadline_ms_{0};
  std::atomic<bool> has_ended_{false};
  std::jthread thread_;
};

}  // namespace runtail
