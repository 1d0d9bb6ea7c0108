#include "tests/support/commit_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace runtail::test {
namespace {

sockaddr_un unix_address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path)
    throw std::runtime_error("socket path too long: " + path.string());
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  return address;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// Appends what is there. false: closed.
bool receive_some(int fd, std::string& into) {
  char bytes[65536];
  const ssize_t count = ::recv(fd, bytes, sizeof bytes, 0);
  if (count <= 0) return false;
  into.append(bytes, static_cast<std::size_t>(count));
  return true;
}

std::uint32_t length_at(std::string_view bytes, std::size_t at) {
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data() + at, sizeof length);
  return ntohl(length);
}

// The first complete message of `bytes`, empty if there is none yet. `head`: 1 with a type byte, 0 at start-up.
std::string_view first_message(std::string_view bytes, std::size_t head) {
  if (bytes.size() < head + 4) return {};
  const std::size_t size = head + length_at(bytes, head);
  return bytes.size() < size ? std::string_view{} : bytes.substr(0, size);
}

bool is_commit(std::string_view message) {
  if (message[0] != 'Q' && message[0] != 'P') return false;
  std::string_view text = message.substr(5);
  if (message[0] == 'P') text.remove_prefix(std::min(text.find('\0') + 1, text.size()));  // the statement's name
  text = text.substr(0, text.find('\0'));
  while (!text.empty() && (std::isspace(static_cast<unsigned char>(text.back())) || text.back() == ';')) {
    text.remove_suffix(1);
  }
  constexpr std::string_view kCommit = "COMMIT";
  if (text.size() < kCommit.size()) return false;
  text.remove_prefix(text.size() - kCommit.size());
  return std::equal(text.begin(), text.end(), kCommit.begin(),
                    [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; });
}

}  // namespace

struct CommitProxy::Connection {
  int client = -1, server = -1;
  std::string from_client, from_server;
  bool started = false;  // the start-up message, which has no type byte, went by
  bool swallow_commit = false;
  bool advances_facts = false, advances_lines = false;  // in the open transaction
  ~Connection() {
    ::close(client);
    ::close(server);
  }
};

CommitProxy::CommitProxy(std::filesystem::path directory, std::filesystem::path server_socket)
    : server_socket_(std::move(server_socket)) {
  std::filesystem::create_directories(directory);
  const sockaddr_un address = unix_address(directory / ".s.PGSQL.5432");
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 16) != 0 || ::pipe(wake_) != 0) {
    throw std::runtime_error("listen in " + directory.string() + ": " + std::strerror(errno));
  }
  thread_ = std::thread([this] { run(); });
}

CommitProxy::~CommitProxy() {
  ::close(wake_[1]);
  thread_.join();
  ::close(wake_[0]);
  ::close(listener_);
}

void CommitProxy::run() {
  while (true) {
    std::vector<pollfd> watched = {{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const auto& connection : connections_) {
      watched.push_back({connection->client, POLLIN, 0});
      watched.push_back({connection->server, POLLIN, 0});
    }
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    if (watched[0].revents) break;
    for (std::size_t i = connections_.size(); i-- > 0;) {  // from the back: erasing keeps the rest in place
      Connection& connection = *connections_[i];
      const bool lives = (!watched[2 + 2 * i].revents || forward_from_client(connection)) &&
                         (!watched[3 + 2 * i].revents || forward_from_server(connection));
      if (!lives) connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (watched[1].revents) {
      auto connection = std::make_unique<Connection>();
      connection->client = ::accept(listener_, nullptr, nullptr);
      connection->server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_un address = unix_address(server_socket_);
      if (::connect(connection->server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        connections_.push_back(std::move(connection));
      }
    }
  }
  connections_.clear();
}

void CommitProxy::count_cut(const Connection& connection) {
  if (!connection.advances_lines) ++cuts_of_facts_;
  if (!connection.advances_facts) ++cuts_of_lines_;
  ++cuts_;
}

bool CommitProxy::forward_from_client(Connection& connection) {
  if (!receive_some(connection.client, connection.from_client)) return false;
  std::string& bytes = connection.from_client;
  while (true) {
    const std::string_view message = first_message(bytes, connection.started ? 1 : 0);
    if (message.empty()) return true;
    connection.advances_facts |= message.find(".source_facts") != message.npos;
    connection.advances_lines |= message.find(".source_files") != message.npos;
    if (connection.started && is_commit(message)) {
      int before = 1, after = 2;
      if (armed_.compare_exchange_strong(before, 0)) {
        count_cut(connection);
        return false;
      }
      if (armed_.compare_exchange_strong(after, 0)) connection.swallow_commit = true;
    }
    if (!send_all(connection.server, message)) return false;
    // A request for encryption (protocol numbers 1234.5679 and .5680) is followed by the real start-up message.
    if (!connection.started) connection.started = length_at(message, 4) >> 16 == 3;
    bytes.erase(0, message.size());
  }
}

bool CommitProxy::forward_from_server(Connection& connection) {
  if (!receive_some(connection.server, connection.from_server)) return false;
  std::string& bytes = connection.from_server;
  if (!connection.started) {  // one byte without a length, the answer to a request for encryption
    const bool sent = send_all(connection.client, bytes);
    bytes.clear();
    return sent;
  }
  while (true) {
    const std::string_view message = first_message(bytes, 1);
    if (message.empty()) return true;
    if (message[0] == 'C' && message.substr(5) == std::string_view("COMMIT", 7)) {
      ++commits_;
      if (connection.swallow_commit) {
        count_cut(connection);
        return false;
      }
      connection.advances_facts = connection.advances_lines = false;
    }
    if (!send_all(connection.client, message)) return false;
    bytes.erase(0, message.size());
  }
}

}  // namespace runtail::test
