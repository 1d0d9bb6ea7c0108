#include "server/listener.h"

#include <boost/asio/io_context.hpp>

namespace runtail {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// "host:port" and "[v6]:port".
Result<tcp::endpoint> parse_listen(const std::string& listen, const std::string& remedy) {
  const Error malformed{ErrorCode::kInvalidInput,
                        "listen on '" + listen + "': want host:port, as 0.0.0.0:9847: " + remedy};
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos || colon == 0) return malformed;
  std::string host = listen.substr(0, colon);
  const std::string port = listen.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos) return malformed;
  const unsigned long number = std::stoul(port);
  if (number > 65535) return malformed;
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);

  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (!error) return tcp::endpoint(address, static_cast<std::uint16_t>(number));
  asio::io_context context;
  const auto found = tcp::resolver(context).resolve(host, port, tcp::resolver::passive, error);
  if (error || found.empty()) {
    return Error{ErrorCode::kInvalidInput,
                 "listen on " + listen + ": no such host: " + error.message() + ": " + remedy};
  }
  return found.begin()->endpoint();
}

}  // namespace

Result<void> open_listener(tcp::acceptor& acceptor, const std::string& listen, std::string_view setting) {
  const std::string remedy = "set " + std::string(setting);
  const auto endpoint = parse_listen(listen, remedy);
  if (!endpoint) return endpoint.error();
  error_code error;
  acceptor.open(endpoint->protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(*endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) return {};
  error_code ignored;
  acceptor.close(ignored);
  if (error == asio::error::address_in_use) {
    return Error{ErrorCode::kUnavailable,
                 "listen on " + listen + ": " + error.message() + ": another runtail? " + remedy};
  }
  return Error{ErrorCode::kInvalidInput, "listen on " + listen + ": " + error.message() + ": " + remedy};
}

}  // namespace runtail
