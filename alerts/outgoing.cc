#include "alerts/outgoing.h"

#include <curl/curl.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>

namespace runtail {
namespace {

struct EasyEnd {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct ListEnd {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyEnd>;
using List = std::unique_ptr<curl_slist, ListEnd>;

Easy make_easy() {
  static std::once_flag once;
  std::call_once(once, [] { static_cast<void>(curl_global_init(CURL_GLOBAL_DEFAULT)); });
  return Easy(curl_easy_init());
}

bool append(List& list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list.get(), text.c_str());
  if (!longer) return false;
  static_cast<void>(list.release());
  list.reset(longer);
  return true;
}

std::size_t ignore(char*, std::size_t size, std::size_t count, void*) { return size * count; }

int go_on(void* is_stopping, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<std::atomic<bool>*>(is_stopping)->load() ? 1 : 0;
}

std::size_t read_text(char* to, std::size_t size, std::size_t count, void* source) {
  std::string_view& rest = *static_cast<std::string_view*>(source);
  const std::size_t taken = std::min(rest.size(), size * count);
  std::memcpy(to, rest.data(), taken);
  rest.remove_prefix(taken);
  return taken;
}

void set_common(CURL* handle, const std::filesystem::path& ca_file, std::atomic<bool>& is_stopping) {
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kConnectPatience.count()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(kExchangePatience.count()));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, ignore);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, go_on);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &is_stopping);
  if (!ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, ca_file.c_str());
}

Result<void> outcome_of(CURLcode code) {
  if (code == CURLE_OK) return {};
  const bool bad = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
  return Error{bad ? ErrorCode::kInvalidInput : ErrorCode::kUnavailable, curl_easy_strerror(code)};
}

const Error kNoMemory{ErrorCode::kUnavailable, "no memory for a request"};

}  // namespace

Result<void> Outgoing::post(const std::string& url, const std::string& body, const std::vector<std::string>& headers) {
  const Easy easy = make_easy();
  List list;
  if (!easy || !append(list, "Content-Type: application/json") || !append(list, "User-Agent: runtail")) {
    return kNoMemory;
  }
  for (const std::string& header : headers) {
    if (!append(list, header)) return kNoMemory;
  }
  set_common(easy.get(), ca_file_, is_stopping_);
  curl_easy_setopt(easy.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, list.get());
  curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDS, body.data());
  if (auto done = outcome_of(curl_easy_perform(easy.get())); !done) return done.error();
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status >= 200 && status < 300) return {};
  return Error{ErrorCode::kUnavailable, "HTTP " + std::to_string(status)};
}

Result<void> Outgoing::mail(const MailServer& server, const std::string& from, const std::vector<std::string>& to,
                            const std::string& text) {
  if (!server.user.empty() && !server.starttls && !server.url.starts_with("smtps://")) {
    return Error{ErrorCode::kInvalidInput, "a password over a connection that may be plain: set alerts.smtp_starttls"};
  }
  const Easy easy = make_easy();
  List recipients;
  if (!easy) return kNoMemory;
  for (const std::string& address : to) {
    if (!append(recipients, "<" + address + ">")) return kNoMemory;
  }
  const std::string sender = "<" + from + ">";
  std::string_view rest = text;
  set_common(easy.get(), ca_file_, is_stopping_);
  curl_easy_setopt(easy.get(), CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  curl_easy_setopt(easy.get(), CURLOPT_URL, server.url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_USE_SSL, static_cast<long>(server.starttls ? CURLUSESSL_ALL : CURLUSESSL_TRY));
  if (!server.user.empty()) {
    curl_easy_setopt(easy.get(), CURLOPT_USERNAME, server.user.c_str());
    curl_easy_setopt(easy.get(), CURLOPT_PASSWORD, server.password.c_str());
  }
  curl_easy_setopt(easy.get(), CURLOPT_MAIL_FROM, sender.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_MAIL_RCPT, recipients.get());
  curl_easy_setopt(easy.get(), CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_READFUNCTION, read_text);
  curl_easy_setopt(easy.get(), CURLOPT_READDATA, &rest);
  return outcome_of(curl_easy_perform(easy.get()));
}

}  // namespace runtail
