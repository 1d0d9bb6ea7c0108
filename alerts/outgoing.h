// What leaves the machine to tell of an alert: a POST, a mail. One exchange each, certificates checked, no redirect
// followed. What an error says holds neither address nor answer: both may be secrets.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"

namespace runtail {

struct MailServer {
  std::string url;             // smtp://host:587, smtps://host:465
  std::string user, password;  // empty user: no authentication
  bool starttls = true;        // smtp:// only with TLS
};

class Outgoing {
 public:
  // `ca_file`: empty for the machine's certificates.
  explicit Outgoing(std::filesystem::path ca_file) : ca_file_(std::move(ca_file)) {}

  // Any status of 200 to 299 is taken. kInvalidInput: the URL is none; kUnavailable: everything else.
  Result<void> post(const std::string& url, const std::string& body, const std::vector<std::string>& headers);
  // To all at once. kInvalidInput: a password, and no TLS asked for.
  Result<void> mail(const MailServer& server, const std::string& from, const std::vector<std::string>& to,
                    const std::string& text);
  // Ends what is under way, and all that comes. Threads: any.
  void stop() { is_stopping_ = true; }

 private:
  const std::filesystem::path ca_file_;
  std::atomic<bool> is_stopping_{false};
};

inline constexpr std::chrono::milliseconds kConnectPatience{5'000}, kExchangePatience{15'000};

}  // namespace runtail
