// What alerts are sent to: a Slack-shaped endpoint of HTTP and a real mail server with STARTTLS and a password.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {

struct ReceivedMessage {
  std::string channel;  // path of the URL, or "mail:" and the addresses
  std::string key;      // Idempotency-Key, or Message-ID
  std::string subject, text;
  double at = 0;  // seconds since the epoch
};

// By python3-aiosmtpd of Debian. It dies with the test.
class AlertReceivers {
 public:
  AlertReceivers();
  bool is_ready() const;
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(http_port_) + "/" + path;
  }
  std::string smtp_url() const { return "smtp://localhost:" + std::to_string(smtp_port_); }
  std::string certificate() const { return directory_ / "tls.pem"; }
  std::string password_file() const { return directory_ / "password"; }
  // What has come, in order; of one channel where it is named.
  std::vector<ReceivedMessage> messages(const std::string& channel = "") const;
  // 503 to every POST from now on, or no longer.
  void refuse(bool refused) const;
  // The YAML of a section alerts that mails through it, without its last brace: more members may follow.
  std::string smtp_settings() const;
  std::string log() const { return read_file(directory_ / "log"); }

 private:
  const TempDir directory_;
  const int http_port_, smtp_port_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace runtail::test
