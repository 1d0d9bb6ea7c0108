// An address cut to the network it came from.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace runtail {

// "203.0.113.9" -> "203.0.113.0" (/24); "2001:db8:1:2::3" -> "2001:db8:1::" (/48); an IPv4 address in IPv6 clothes
// (::ffff:203.0.113.9) is cut as IPv4. std::nullopt: no address.
std::optional<std::string> ip_prefix(std::string_view text);

}  // namespace runtail
