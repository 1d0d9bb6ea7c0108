#include "agent/service_notice.h"

#include <systemd/sd-daemon.h>

#include <algorithm>

namespace runtail {
namespace {

std::chrono::microseconds asked_for() {
  std::uint64_t micros = 0;
  return sd_watchdog_enabled(0, &micros) > 0 ? std::chrono::microseconds(micros) : std::chrono::microseconds(0);
}

}  // namespace

ServiceNotice::ServiceNotice() : watchdog_(asked_for()) {}

void ServiceNotice::ready(const std::string& status) {
  if (is_ready_ && status == status_) return;
  std::string line = status;
  std::replace(line.begin(), line.end(), '\n', ' ');
  sd_notify(0, ((is_ready_ ? "STATUS=" : "READY=1\nSTATUS=") + line).c_str());
  is_ready_ = true;
  status_ = status;
}

void ServiceNotice::stopping() { sd_notify(0, "STOPPING=1\nSTATUS=stopping"); }

bool ServiceNotice::alive(Clock::time_point turned_at, Clock::time_point now) {
  if (watchdog_.count() == 0 || now - said_at_ < watchdog_ / 3 || now - turned_at > watchdog_ / 2) return false;
  said_at_ = now;
  sd_notify(0, "WATCHDOG=1");
  return true;
}

}  // namespace runtail
