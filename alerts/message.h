// What is said of an alert, to each kind of channel in its own form. Pure. Holds only what is stored, and that was
// redacted before; an error message only where `include_error_text` says so.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "alerts/outbox.h"
#include "core/time.h"

namespace runtail {

// An Alertmanager takes an alert that it is not told of again for over after this long.
inline constexpr std::chrono::minutes kAlertmanagerForgets{4};

// "[FIRING] JobFailed: orders (critical)", one line.
std::string subject_of(const AlertDelivery& delivery);
// Lines of what is known: since when, which run, which table and numbers, runbook.
std::string text_of(const AlertDelivery& delivery, bool include_error_text);

// {"text": ...}, with what Slack reads as markup escaped.
std::string slack_body(const AlertDelivery& delivery, bool include_error_text);
// One object: docs/alerts.md has its members.
std::string webhook_body(const AlertDelivery& delivery, bool include_error_text);
// An array of one, for POST api/v2/alerts. The labels alone make it this alert.
std::string alertmanager_body(const AlertDelivery& delivery, bool include_error_text, TimePoint now);
// A whole mail, lines ended by CRLF. Its Message-ID is that of the delivery: one that is sent twice is known as such.
std::string mail_of(const AlertDelivery& delivery, bool include_error_text, const std::string& from,
                    const std::vector<std::string>& to, TimePoint now);

}  // namespace runtail
