// The holder's connection to whichever agent listens in the buffer directory.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "agent/exec/protocol.h"
#include "agent/exec/queue.h"

namespace runtail {

// Never waits: connecting, sending and receiving are tried, and tried again later.
// Threads: one.
class ExecLink {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `on_redacted` is called for each Redacted frame; its bytes live until it returns.
  ExecLink(std::filesystem::path socket, ExecHello hello, ExecQueue& queue,
           std::function<void(const ExecFrame&)> on_redacted);
  ~ExecLink();
  ExecLink(const ExecLink&) = delete;
  ExecLink& operator=(const ExecLink&) = delete;

  // Connects if there is no connection and the time for it has come; drops one whose agent does not answer.
  void tick(Time now);
  // When tick() has something to do.
  Time due() const;
  // Someone is about to listen: try at once, and often for a while.
  void hurry(Time now);

  int fd() const { return fd_; }         // -1: no connection
  bool is_up() const { return is_up_; }  // the agent has answered
  // Connections in a row that were closed instead of answered.
  int refusals() const { return refusals_; }
  short events() const;  // to poll for
  void on_ready(Time now);

 private:
  void connect(Time now);
  void drop(Time now);
  bool receive();
  bool take_frames();
  bool send_what_is_due();

  const std::filesystem::path socket_;
  const ExecHello hello_;
  ExecQueue& queue_;  // not owned, outlives this
  const std::function<void(const ExecFrame&)> on_redacted_;
  int fd_ = -1;
  bool is_up_ = false;
  std::string greeting_;  // what of Hello is not sent yet
  std::string in_;
  int refusals_ = 0;
  Time next_try_{};
  Time answer_due_{};
  std::chrono::milliseconds pause_;
};

}  // namespace runtail
