// Sends a delivery by its channel: finds the target where the channel says it is kept, each time, so that a secret that
// is renewed needs no restart; makes the message; and sends it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "alerts/outbox.h"
#include "alerts/outgoing.h"
#include "config/definitions.h"
#include "core/result.h"
#include "core/time.h"

namespace runtail {

class Sender {
 public:
  // `environment`: gives the value of a variable, for targets env:NAME.
  using Environment = std::function<std::optional<std::string>(const std::string&)>;
  Sender(const AlertsConfig& config, Environment environment, const Clock& clock);

  // Errors say why without the target. kInvalidInput: the target or the mail server is not there or is none.
  // Threads: one at a time, but stop().
  Result<void> send(const AlertDelivery& delivery);
  void stop() { outgoing_.stop(); }

 private:
  // The whole text that `target_ref` leads to.
  Result<std::string> target_of(const AlertDelivery& delivery) const;

  const AlertsConfig config_;
  const Environment environment_;
  const Clock& clock_;
  Outgoing outgoing_;
};

}  // namespace runtail
