// The history API of an agent that has no PostgreSQL: the routes of `runtail server` over the agent's own store.
#pragma once

#include <memory>
#include <mutex>

#include "config/config.h"
#include "core/metric.h"
#include "server/api_server.h"
#include "server/store_thread.h"

namespace runtail {

class LocalApi {
 public:
  // Whether this configuration has one: no database, an address, and somebody who may ask.
  static bool is_configured(const Config& config);
  // The clock outlives this.
  LocalApi(const ApiConfig& config, StoreThread::WithStore with_store, const Clock& clock);
  ~LocalApi() { static_cast<void>(stop(std::chrono::milliseconds(0))); }
  LocalApi(const LocalApi&) = delete;
  LocalApi& operator=(const LocalApi&) = delete;

  // Until it gives no error; then not again. kInvalidInput: address, certificate or key; kUnavailable: somebody else
  // listens there.
  Result<void> start();
  bool is_listening() const { return is_listening_; }
  std::uint16_t port() const { return server_->port(); }
  // What requests counted since the last call. Threads: any.
  void publish(PublishedMetrics& published);
  // As ApiServer::stop().
  bool stop(std::chrono::milliseconds drain);

 private:
  void note(const ApiRecord& record);

  const ApiConfig config_;
  const Clock& clock_;
  StoreThread store_;
  std::mutex mutex_;  // guards table_
  MetricTable table_{10'000};
  std::unique_ptr<ApiServer> server_;
  bool is_listening_ = false, has_stopped_ = false;
};

}  // namespace runtail
