// An acceptor on a configured address.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <string_view>

#include "core/result.h"

namespace runtail {

// `listen`: "0.0.0.0:9847", "[::]:9847" or a host name; port 0 takes any that is free. `setting`: where it is
// configured, for messages. kInvalidInput: no such address, or not ours to take; kUnavailable: somebody listens there.
Result<void> open_listener(boost::asio::ip::tcp::acceptor& acceptor, const std::string& listen,
                           std::string_view setting);

}  // namespace runtail
