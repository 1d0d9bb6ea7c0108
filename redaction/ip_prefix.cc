#include "redaction/ip_prefix.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace runtail {

std::optional<std::string> ip_prefix(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.empty() || text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::copy(text.begin(), text.end(), buffer.begin());
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET, buffer.data(), bytes.data()) == 1) {
    bytes[3] = 0;
    return inet_ntop(AF_INET, bytes.data(), buffer.data(), buffer.size());
  }
  if (inet_pton(AF_INET6, buffer.data(), bytes.data()) != 1) return std::nullopt;
  static constexpr std::array<unsigned char, 12> kMappedIpv4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (std::equal(kMappedIpv4.begin(), kMappedIpv4.end(), bytes.begin())) {
    bytes[15] = 0;
    return inet_ntop(AF_INET, bytes.data() + 12, buffer.data(), buffer.size());
  }
  std::fill(bytes.begin() + 6, bytes.end(), static_cast<unsigned char>(0));
  return inet_ntop(AF_INET6, bytes.data(), buffer.data(), buffer.size());
}

}  // namespace runtail
