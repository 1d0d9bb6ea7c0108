#include "agent/control_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

namespace runtail {
namespace {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using boost::system::error_code;
using namespace asio::experimental::awaitable_operators;  // NOLINT: a || b waits for the first of two

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kAcceptPause{100};  // after an accept() that failed for want of descriptors
constexpr std::size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::size_t kRequestBytesMax = 64 * 1024;
constexpr std::size_t kBytesMax = 64 << 20;  // behind it
constexpr char kBytesFollow = 0x7F;
constexpr std::size_t kWriteBytes = 64 * 1024;

Error failure(ErrorCode code, const std::filesystem::path& path, const std::string& why) {
  return {code, "control socket " + path.string() + ": " + why};
}

std::string system_message(int number) { return std::generic_category().message(number); }

Result<sockaddr_un> address_of(const std::filesystem::path& path) {
  const std::string& name = path.native();
  if (name.empty() || name.size() > kPathBytesMax) {
    return failure(ErrorCode::kInvalidInput, path,
                   "the path has " + std::to_string(name.size()) + " bytes, the system allows 1 to " +
                       std::to_string(kPathBytesMax) + ": set a shorter buffer.directory");
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path, name.size());
  return address;
}

std::string encode_words(const std::vector<std::string>& words) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string line;
  for (const std::string& word : words) {
    if (&word != &words.front()) line += ' ';
    for (const char c : word) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte > ' ' && byte != '%' && byte != 0x7F) {
        line += c;
      } else {
        line += {'%', kHex[byte >> 4], kHex[byte & 0xF]};
      }
    }
  }
  return line += '\n';
}

Result<std::vector<std::string>> decode_words(std::string_view line) {
  std::vector<std::string> words(1);
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == ' ') {
      words.emplace_back();
    } else if (line[i] == '%') {
      unsigned byte = 0;
      const char* const digits = line.data() + i + 1;
      const bool whole = i + 2 < line.size();
      if (!whole || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) {
        return Error{ErrorCode::kInvalidInput, "malformed request: '%' wants two hex digits"};
      }
      words.back() += static_cast<char>(byte);
      i += 2;
    } else {
      words.back() += line[i];
    }
  }
  return words;
}

// How many bytes follow the line; 0: it says nothing of any.
std::size_t bytes_behind(std::string_view line) {
  const std::size_t mark = line.rfind(kBytesFollow);
  std::size_t size = 0;
  if (mark == std::string_view::npos) return 0;
  std::from_chars(line.data() + mark + 1, line.data() + line.size(), size);
  return size;
}

std::string encode_answer(const Result<std::string>& answer) {
  if (answer) return "ok " + std::to_string(answer->size()) + '\n' + *answer;
  std::string message = answer.error().message;
  std::replace(message.begin(), message.end(), '\n', ' ');
  return (answer.error().code == ErrorCode::kUnavailable ? "busy " : "error ") + message + '\n';
}

bool is_own_user_or_root(int descriptor) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

// Closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  const int number_;
};

int connect_to(int descriptor, const sockaddr_un& address) {
  return ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

// Makes way for our socket: removes one that nobody listens on.
Result<void> clear_path(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return {};  // bind() tells what else may be wrong
  if (!S_ISSOCK(found.st_mode)) {
    return failure(ErrorCode::kInvalidInput, path, "the path is taken by a file that is no socket: remove it");
  }
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int error = connect_to(probe.get(), address);
  if (error == ENOENT) return {};
  if (error != ECONNREFUSED) {
    return failure(ErrorCode::kUnavailable, path,
                   "another agent listens there: stop it, or give this one its own buffer.directory");
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return failure(ErrorCode::kInvalidInput, path, "remove stale socket: " + system_message(errno));
  }
  return {};
}

}  // namespace

struct ControlSocket::State {
  State(std::filesystem::path file, ControlHandler on_request, ControlLimits bounds)
      : path(std::move(file)), handler(std::move(on_request)), limits(bounds) {}

  Result<void> open();
  asio::awaitable<void> accept_all();
  asio::awaitable<void> serve(stream_protocol::socket socket);
  // The whole answer, as it goes on the wire; empty: the asker left.
  asio::awaitable<std::string> take_request(stream_protocol::socket& socket);
  Result<std::string> run(std::string_view line, std::string bytes) const;

  const std::filesystem::path path;
  const ControlHandler handler;
  const ControlLimits limits;
  bool bound = false;
  std::size_t open_connections = 0;  // on the socket's thread only; outlives the coroutines in context
  asio::io_context context{1};
  stream_protocol::acceptor acceptor{context};
  asio::steady_timer slot_free{context, asio::steady_timer::time_point::max()};  // cancelled when a connection ends
  std::thread thread;
};

Result<void> ControlSocket::State::open() {
  const auto address = address_of(path);
  if (!address) return address.error();
  if (const auto cleared = clear_path(path, *address); !cleared) return cleared.error();
  error_code error;
  acceptor.open(stream_protocol(), error);
  // Before bind(), which gives the file the socket's mode: so it is never wider than this, not even for a moment.
  if (!error && ::fchmod(acceptor.native_handle(), 0600) != 0) error.assign(errno, boost::system::system_category());
  if (!error) acceptor.bind(stream_protocol::endpoint(path.native()), error);
  if (!error) bound = true;
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) return {};
  return failure(ErrorCode::kInvalidInput, path, error.message() + ": set buffer.directory to a writable directory");
}

asio::awaitable<void> ControlSocket::State::accept_all() {
  for (;;) {
    while (open_connections >= limits.connections_max) co_await slot_free.async_wait(kAwait);
    auto [error, socket] = co_await acceptor.async_accept(kAwait);
    if (error) {
      asio::steady_timer pause(context, kAcceptPause);
      co_await pause.async_wait(kAwait);
      continue;
    }
    ++open_connections;
    asio::co_spawn(context, serve(std::move(socket)), [this](const std::exception_ptr&) {
      --open_connections;
      slot_free.cancel();
    });
  }
}

asio::awaitable<void> ControlSocket::State::serve(stream_protocol::socket socket) {
  const std::string answer = co_await take_request(socket);
  asio::steady_timer timer(context);
  for (std::size_t sent = 0; sent < answer.size();) {
    timer.expires_after(limits.deadline);
    const auto piece = asio::buffer(answer.data() + sent, std::min(kWriteBytes, answer.size() - sent));
    const auto first = co_await (asio::async_write(socket, piece, kAwait) || timer.async_wait(kAwait));
    if (first.index() != 0 || std::get<0>(std::get<0>(first))) co_return;
    sent += piece.size();
  }
}

asio::awaitable<std::string> ControlSocket::State::take_request(stream_protocol::socket& socket) {
  const auto refuse = [](const char* why) { return encode_answer(Error{ErrorCode::kInvalidInput, why}); };
  // This thread may have been with another request meanwhile: whoever asks may ask again.
  const auto late = [] {
    return encode_answer(Error{ErrorCode::kUnavailable, "no whole request within the deadline"});
  };
  if (!is_own_user_or_root(socket.native_handle())) {
    co_return refuse("not allowed: run as the agent's user or as root");
  }
  std::string received;
  asio::steady_timer timer(context, limits.deadline);
  const auto first =
      co_await (asio::async_read_until(socket, asio::dynamic_buffer(received, kRequestBytesMax), '\n', kAwait) ||
                timer.async_wait(kAwait));
  if (first.index() != 0) co_return late();
  const auto [error, size] = std::get<0>(first);
  if (error == asio::error::not_found) co_return refuse("the request is longer than 65536 bytes");
  if (error) co_return std::string();
  const std::string line = received.substr(0, size - 1);
  const std::size_t more = bytes_behind(line);
  if (more > kBytesMax) co_return refuse("more bytes than 64 MiB behind the request");
  received.erase(0, size);
  if (received.size() < more) {
    timer.expires_after(limits.deadline);
    const std::size_t there = received.size();
    received.resize(more);
    const auto rest = co_await (asio::async_read(socket, asio::buffer(received.data() + there, more - there), kAwait) ||
                                timer.async_wait(kAwait));
    if (rest.index() != 0) co_return late();
    if (std::get<0>(std::get<0>(rest))) co_return std::string();
  }
  co_return encode_answer(run(line, std::move(received)));
}

Result<std::string> ControlSocket::State::run(std::string_view line, std::string bytes) const {
  const std::size_t mark = line.rfind(kBytesFollow);
  auto words = decode_words(line.substr(0, mark));
  if (!words) return words.error();
  if (mark != std::string_view::npos) words->back() = std::move(bytes);  // an empty one stands there
  return handler(*words);
}

ControlSocket::ControlSocket(std::filesystem::path path, ControlHandler handler, ControlLimits limits)
    : state_(std::make_unique<State>(std::move(path), std::move(handler), limits)) {}

ControlSocket::~ControlSocket() { stop(); }

Result<void> ControlSocket::start() {
  if (const auto opened = state_->open(); !opened) return opened.error();
  asio::co_spawn(state_->context, state_->accept_all(), asio::detached);
  state_->thread = std::thread([state = state_.get()] { state->context.run(); });
  return {};
}

void ControlSocket::stop() {
  if (!state_) return;
  state_->context.stop();
  if (state_->thread.joinable()) state_->thread.join();
  if (state_->bound) ::unlink(state_->path.c_str());
  state_.reset();
}

Result<std::string> ask(const std::filesystem::path& path, const std::vector<std::string>& words,
                        std::chrono::milliseconds timeout, const std::string* bytes) {
  const auto give_up = std::chrono::steady_clock::now() + timeout;
  const auto address = address_of(path);
  if (!address) return address.error();
  std::string request = encode_words(words);
  if (bytes) {
    request.back() = ' ';
    request += kBytesFollow + std::to_string(bytes->size()) + '\n';
  }
  if (request.size() > kRequestBytesMax) {
    return failure(ErrorCode::kInvalidInput, path, "the request is longer than 65536 bytes");
  }
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return failure(ErrorCode::kUnavailable, path, system_message(errno));
  const timeval limit{timeout.count() / 1000, static_cast<suseconds_t>(timeout.count() % 1000 * 1000)};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // of connect() and send()

  if (const int error = connect_to(socket.get(), *address)) {
    if (error == ENOENT || error == ENOTDIR || error == ECONNREFUSED) {
      return failure(ErrorCode::kNotFound, path, "no agent listens there");
    }
    if (error == EAGAIN) return failure(ErrorCode::kUnavailable, path, "the agent is busy: try again");
    return failure(ErrorCode::kInvalidInput, path, system_message(error) + ": run as the agent's user or as root");
  }
  bool goes_on = true;  // or the agent said why before it hung up
  for (std::string_view each : {std::string_view(request), bytes ? std::string_view(*bytes) : std::string_view()}) {
    while (goes_on && !each.empty()) {
      const ssize_t size = ::send(socket.get(), each.data(), each.size(), MSG_NOSIGNAL);
      if (size < 0 && errno == EINTR) continue;
      goes_on = size >= 0;
      each.remove_prefix(goes_on ? static_cast<std::size_t>(size) : 0);
    }
  }

  std::string answer;
  char piece[64 * 1024];
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(give_up - std::chrono::steady_clock::now());
    pollfd wait{socket.get(), POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return failure(ErrorCode::kUnavailable, path, "the agent gave no whole answer in time");
    const ssize_t size = ::recv(socket.get(), piece, sizeof piece, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    answer.append(piece, static_cast<std::size_t>(size));
  }

  const std::size_t line_end = answer.find('\n');
  const std::string_view status = std::string_view(answer).substr(0, line_end);
  if (line_end != std::string::npos && status.starts_with("error ")) {
    return Error{ErrorCode::kInvalidInput, std::string(status.substr(6))};
  }
  if (line_end != std::string::npos && status.starts_with("busy ")) {
    return Error{ErrorCode::kUnavailable, std::string(status.substr(5))};
  }
  if (line_end != std::string::npos && status == "ok " + std::to_string(answer.size() - line_end - 1)) {
    return answer.substr(line_end + 1);
  }
  return failure(ErrorCode::kUnavailable, path, "the answer is cut: did the agent stop?");
}

}  // namespace runtail
