// What the service manager is told, if it asks (sd_notify(3), systemd's Type=notify): that we are ready, what we do,
// and that our loops turn. Without NOTIFY_SOCKET in the environment nothing is said.
#pragma once

#include <chrono>
#include <string>

namespace runtail {

// Threads: one.
class ServiceNotice {
 public:
  using Clock = std::chrono::steady_clock;

  // Takes WATCHDOG_USEC and WATCHDOG_PID as they are.
  ServiceNotice();
  // `watchdog`: after so long without a sign of life the manager kills us; 0: it does not.
  explicit ServiceNotice(std::chrono::microseconds watchdog) : watchdog_(watchdog) {}

  // Said once; `status` as `systemctl status` shows it, said again when it changes.
  void ready(const std::string& status);
  void stopping();
  // A sign of life, at most three times in the watchdog's time, and only while the loop that turned last at `turned_at`
  // did so within half of it: one that hangs takes the sign away from all. True: it was given.
  bool alive(Clock::time_point turned_at, Clock::time_point now);

 private:
  std::chrono::microseconds watchdog_;
  Clock::time_point said_at_{};
  bool is_ready_ = false;
  std::string status_;
};

}  // namespace runtail
