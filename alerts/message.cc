#include "alerts/message.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string_view>

#include "alerts/json_object.h"

namespace runtail {
namespace {

constexpr std::size_t kMailLineMax = 900;  // of the 998 that a mail may have

bool is_over(const AlertDelivery& delivery) { return delivery.kind == "resolved"; }

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

// No line of ours ends where a name of theirs has a line break.
std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7F'; }, ' ');
  return text;
}

std::string_view what_happened(const AlertDelivery& delivery) {
  const std::string kind = delivery.rule_kind.value_or("");
  if (kind == "JobFailed") return "The last run of the job failed.";
  if (kind == "RetryExhausted") return "A run failed and has no attempt left.";
  if (kind == "ConsecutiveFailures") return "The last runs of the job all failed.";
  if (kind == "RetrySurge") return "More retries began than the rule allows within its window.";
  if (kind == "NoRecentRuns" && delivery.reason == "long_run") return "A run takes longer than the rule allows.";
  if (kind == "NoRecentRuns") return "No run began when one was due.";
  if (kind == "DQRowCountDelta") return "The number of rows differs too much from the run before.";
  if (kind == "DQNullRateSpike") return "A column has more nulls than it may.";
  if (kind == "SchemaDriftDetected") return "The columns are not those expected.";
  if (kind == "RuntailDeliveryFailing") return "Alerts do not get through to this channel.";
  if (kind == "RuntailAgentDown") return "The agent gives no sign of life.";
  return "";
}

// The job, or what else it is about.
std::string about(const AlertDelivery& delivery) {
  return delivery.job_id.value_or(delivery.subject.value_or("runtail"));
}

std::string state_word(const AlertDelivery& delivery) {
  if (is_over(delivery)) return "RESOLVED";
  return delivery.kind == "repeat" ? "STILL FIRING" : "FIRING";
}

// As RFC 2047 has it where it is not plain: words of at most 75 characters, none cut within a character.
std::string header_text(const std::string& text) {
  const bool plain = std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (plain) return text;
  std::string out = "=?UTF-8?Q?";
  std::size_t width = out.size();
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    if (width + 3 * (end - at) + 2 > 75) {
      out += "?=\r\n =?UTF-8?Q?";
      width = 11;
    }
    for (; at < end; ++at, width += 3) {
      char code[4];
      std::snprintf(code, sizeof code, "=%02X", static_cast<unsigned char>(text[at]));
      out += code;
    }
  }
  return out + "?=";
}

std::string mail_date(TimePoint at) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d +0000", kDays[parts.tm_wday], parts.tm_mday,
                kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
  return text;
}

std::string error_of(const AlertDelivery& delivery, bool include_error_text) {
  return include_error_text ? one_line(delivery.error_message.value_or("")) : "";
}

}  // namespace

std::string subject_of(const AlertDelivery& delivery) {
  return one_line("[" + state_word(delivery) + "] " + delivery.rule + ": " + about(delivery) +
                  (delivery.table ? " " + *delivery.table : "") + " (" + delivery.severity + ")");
}

std::string text_of(const AlertDelivery& delivery, bool include_error_text) {
  std::string text;
  const auto line = [&](const std::string& content) {
    if (!content.empty()) text += one_line(content) + "\n";
  };
  const auto named = [&](const char* name, const std::optional<std::string>& value) {
    if (value && !value->empty()) line(std::string(name) + ": " + *value);
  };
  if (is_over(delivery)) {
    line(delivery.acknowledged_by ? "Acknowledged by " + *delivery.acknowledged_by + "." : "It is over.");
  } else {
    line(delivery.summary.value_or(std::string(what_happened(delivery))));
  }
  line(delivery.description.value_or(""));
  named("job", delivery.job_id);
  named("owner", delivery.owner);
  if (!delivery.job_id) named(delivery.rule_kind == "RuntailAgentDown" ? "agent" : "channel", delivery.subject);
  named("table", delivery.table);
  named("column", delivery.column);
  if (delivery.value) {
    line("value: " + number(*delivery.value) +
         (delivery.baseline ? ", before: " + number(*delivery.baseline) : std::string()) +
         (delivery.threshold ? ", threshold: " + number(*delivery.threshold) : std::string()));
  }
  named("reason", delivery.reason);
  named("run", delivery.run);
  if (!is_over(delivery)) {
    named("error category", delivery.error_category);
    named("error", error_of(delivery, include_error_text));
  }
  line("since: " + to_rfc3339(delivery.fired_at));
  if (delivery.resolved_at) line("until: " + to_rfc3339(*delivery.resolved_at));
  named("runbook", delivery.runbook_url);
  return text;
}

std::string slack_body(const AlertDelivery& delivery, bool include_error_text) {
  std::string escaped;
  for (const char c : "*" + subject_of(delivery) + "*\n" + text_of(delivery, include_error_text)) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else {
      escaped += c;
    }
  }
  return JsonObject().text("text", escaped).take();
}

std::string webhook_body(const AlertDelivery& delivery, bool include_error_text) {
  JsonObject body;
  body.uuid("delivery_id", delivery.id).uuid("alert_id", delivery.alert_id);
  body.text("status", is_over(delivery) ? "resolved" : "firing").boolean("repeated", delivery.kind == "repeat");
  body.text("alertname", delivery.rule).text("severity", delivery.severity);
  const auto member = [&](const char* name, const std::optional<std::string>& value) {
    if (value && !value->empty()) body.text(name, *value);
  };
  member("kind", delivery.rule_kind);
  member("job_id", delivery.job_id);
  member("owner", delivery.owner);
  member("run_id", delivery.run);
  member("table", delivery.table);
  member("column", delivery.column);
  member("reason", delivery.reason);
  if (delivery.value) body.real("value", *delivery.value);
  if (delivery.baseline) body.real("baseline", *delivery.baseline);
  if (delivery.threshold) body.real("threshold", *delivery.threshold);
  member("error_category", delivery.error_category);
  member("error_message", error_of(delivery, include_error_text));
  member("acknowledged_by", delivery.acknowledged_by);
  member("runbook_url", delivery.runbook_url);
  body.time("fired_at", delivery.fired_at);
  if (delivery.resolved_at) body.time("resolved_at", *delivery.resolved_at);
  body.json("labels", delivery.labels.text).text("text", text_of(delivery, include_error_text));
  return body.take();
}

std::string alertmanager_body(const AlertDelivery& delivery, bool include_error_text, TimePoint now) {
  JsonObject alert, annotations;
  annotations.text("summary", delivery.summary.value_or(delivery.rule + ": " + about(delivery) +
                                                        (delivery.table ? " " + *delivery.table : std::string())));
  annotations.text("description", delivery.description.value_or(text_of(delivery, include_error_text)));
  if (delivery.run) annotations.text("run_id", *delivery.run);
  if (delivery.runbook_url) annotations.text("runbook_url", *delivery.runbook_url);
  alert.json("labels", delivery.labels.text).json("annotations", annotations.take());
  alert.time("startsAt", delivery.fired_at);
  // One that was over before it was first told of has no end before its beginning.
  alert.time("endsAt", is_over(delivery) ? std::max(delivery.resolved_at.value_or(now), delivery.fired_at)
                                         : now + kAlertmanagerForgets);
  return json_array({alert.take()});
}

std::string mail_of(const AlertDelivery& delivery, bool include_error_text, const std::string& from,
                    const std::vector<std::string>& to, TimePoint now) {
  std::string mail = "Date: " + mail_date(now) + "\r\nFrom: " + from + "\r\nTo: ";
  for (std::size_t at = 0; at < to.size(); ++at) mail += (at ? ",\r\n " : "") + to[at];
  mail += "\r\nMessage-ID: <" + to_string(delivery.id) + "@runtail>\r\n";
  // Its end is an answer to its beginning, so that a reader shows both as one.
  mail += "References: <" + to_string(delivery.alert_id) + "@runtail>\r\n";
  mail += "Subject: " + header_text(subject_of(delivery)) + "\r\nAuto-Submitted: auto-generated\r\n";
  mail += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
  std::size_t width = 0;
  for (const char c : text_of(delivery, include_error_text)) {
    const bool within = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
    if (c == '\n' || (width >= kMailLineMax && !within)) {
      mail += "\r\n";
      width = 0;
    }
    if (c == '\n') continue;
    mail += c;
    ++width;
  }
  return mail;
}

}  // namespace runtail
