#include "config/push_address.h"

#include <algorithm>
#include <charconv>

namespace runtail {
namespace {

bool is_visible(char c) { return c > ' ' && c < '\x7F'; }

}  // namespace

std::string PushAddress::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : '[' + host + ']';
  return port == 80 ? name : name + ':' + std::to_string(port);
}

Result<PushAddress> parse_push_address(std::string_view url) {
  const auto refuse = [](std::string message) { return Error{ErrorCode::kInvalidInput, std::move(message)}; };
  const std::string remedy = "write http://host:9091, or \"\" for no push";
  if (url.starts_with("https://")) {
    return refuse("HTTPS is not spoken here: push to a proxy on this machine that does, as in http://127.0.0.1:9091");
  }
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme) || !std::all_of(url.begin(), url.end(), is_visible)) return refuse(remedy);
  std::string_view rest = url.substr(kScheme.size());
  PushAddress address;
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  address.path = rest.substr(slash);
  while (address.path.ends_with('/')) address.path.pop_back();
  if (address.path.find_first_of("?#") != std::string::npos) return refuse("no '?' and no '#'; " + remedy);
  rest = rest.substr(0, slash);
  if (rest.find('@') != std::string_view::npos) return refuse("a user and a password are not sent; " + remedy);

  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos || (end + 1 < rest.size() && rest[end + 1] != ':')) return refuse(remedy);
    address.host = rest.substr(1, end - 1);
    port = rest.substr(end + 1);
  } else {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    address.host = rest.substr(0, colon);
    port = rest.substr(colon);
  }
  if (address.host.empty()) return refuse(remedy);
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto [end, fault] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (fault != std::errc() || end != port.data() + port.size() || address.port == 0) {
      return refuse("the port must be 1 to 65535; " + remedy);
    }
  }
  return address;
}

}  // namespace runtail
