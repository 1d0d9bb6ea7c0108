// What /healthz and /readyz say. Liveness depends on nothing outside; readiness is 503 only for faults of our own, so a
// database that is away never takes the agent, and with it the worker beside it, out of service.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agent/http_server.h"
#include "core/time.h"

namespace runtail {

enum class CheckKind {
  kOwn,      // inputs, buffer, redactor
  kOutside,  // sinks, outbound network
};
enum class CheckStatus { kOk, kDegraded, kUnavailable };

struct HealthCheck {
  std::string name;  // "buffer", "postgres"
  CheckKind kind = CheckKind::kOwn;
  CheckStatus status = CheckStatus::kOk;
  std::string reason;  // why not ok; shown to anybody: no secrets, no content of a line
};

// {"status":"ok","timestamp":"…"}, always 200.
HttpResponse liveness(TimePoint now);

// {"status":"degraded","timestamp":"…","checks":[{"name":"postgres","status":"degraded","reason":"…"},…]}
// 503 and "unavailable" when an own check is unavailable. An outside check that is unavailable shows as degraded, with
// 200. `query` "strict=true": 503 for anything not ok.
HttpResponse readiness(std::span<const HealthCheck> checks, TimePoint now, std::string_view query);

}  // namespace runtail
