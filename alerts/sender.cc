#include "alerts/sender.h"

#include <string_view>
#include <vector>

#include "alerts/message.h"
#include "config/text_file.h"

namespace runtail {
namespace {

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

std::vector<std::string> addresses_of(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t end = std::min(text.find(',', from), text.size());
    std::string each = trimmed(std::string_view(text).substr(from, end - from));
    if (each.starts_with("mailto:")) each.erase(0, 7);
    // Nothing that could end the address or its line.
    if (each.find('@') != each.npos && each.find_first_of("<> \r\n\t") == each.npos) all.push_back(std::move(each));
    from = end + 1;
  }
  return all;
}

Error no_target(const AlertDelivery& delivery, const std::string& why) {
  return {ErrorCode::kInvalidInput, "channel " + delivery.channel + ": " + why};
}

}  // namespace

Sender::Sender(const AlertsConfig& config, Environment environment, const Clock& clock)
    : config_(config), environment_(std::move(environment)), clock_(clock), outgoing_(config.ca_file) {}

Result<std::string> Sender::target_of(const AlertDelivery& delivery) const {
  const std::string& ref = delivery.target_ref;
  std::string target = ref;
  if (ref.starts_with("env:")) {
    target = trimmed(environment_(ref.substr(4)).value_or(""));
    if (target.empty()) return no_target(delivery, "the environment variable " + ref.substr(4) + " is not set here");
  } else if (ref.starts_with("file:")) {
    std::string reason;
    const auto text = read_text_file(ref.substr(5), reason);
    target = text ? trimmed(*text) : "";
    if (target.empty()) return no_target(delivery, "the file of its target cannot be read here, or is empty");
  }
  return target;
}

Result<void> Sender::send(const AlertDelivery& delivery) {
  const auto target = target_of(delivery);
  if (!target) return target.error();
  const bool errors = config_.include_error_text;
  const std::string key = "Idempotency-Key: " + to_string(delivery.id);
  if (delivery.channel_kind == "email") {
    const std::vector<std::string> to = addresses_of(*target);
    if (to.empty()) return no_target(delivery, "its target is no mail address");
    if (config_.smtp_url.empty()) return no_target(delivery, "no mail server: set alerts.smtp_url");
    MailServer server{config_.smtp_url, config_.smtp_user, "", config_.smtp_starttls};
    if (!config_.smtp_password_file.empty()) {
      std::string reason;
      const auto password = read_text_file(config_.smtp_password_file, reason);
      if (!password) return no_target(delivery, "alerts.smtp_password_file cannot be read");
      server.password = trimmed(*password);
    }
    return outgoing_.mail(server, config_.smtp_from, to,
                          mail_of(delivery, errors, config_.smtp_from, to, clock_.now()));
  }
  if (!target->starts_with("http://") && !target->starts_with("https://")) {
    return no_target(delivery, "its target is no http:// or https:// address");
  }
  if (delivery.channel_kind == "slack") return outgoing_.post(*target, slack_body(delivery, errors), {key});
  if (delivery.channel_kind == "webhook") return outgoing_.post(*target, webhook_body(delivery, errors), {key});
  if (delivery.channel_kind == "alertmanager") {
    const std::string slash = target->ends_with('/') ? "" : "/";
    return outgoing_.post(*target + slash + "api/v2/alerts", alertmanager_body(delivery, errors, clock_.now()), {});
  }
  return no_target(delivery, "kind \"" + delivery.channel_kind + "\" is not known to this version");
}

}  // namespace runtail
