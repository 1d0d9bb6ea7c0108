#include "agent/exec/link.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace runtail {
namespace {

constexpr std::chrono::milliseconds kPauseMin{20}, kPauseMax{1000};
constexpr std::chrono::seconds kAnswerWait{5};
constexpr std::size_t kReceiveBytes = 64 << 10;
// Sent and received in one go before the worker's pipes are looked at again.
constexpr int kSendsMax = 16, kReadsMax = 4;

// A root's worker may use the agent of a service user; everyone else only his own or root's.
bool may_trust(int fd) { return geteuid() == 0 || peer_is_own_user_or_root(fd); }

}  // namespace

ExecLink::ExecLink(std::filesystem::path socket, ExecHello hello, ExecQueue& queue,
                   std::function<void(const ExecFrame&)> on_redacted)
    : socket_(std::move(socket)),
      hello_(std::move(hello)),
      queue_(queue),
      on_redacted_(std::move(on_redacted)),
      pause_(kPauseMin) {}

ExecLink::~ExecLink() {
  if (fd_ >= 0) close(fd_);
}

void ExecLink::tick(Time now) {
  if (fd_ >= 0 && !is_up_ && now >= answer_due_) drop(now);
  if (fd_ < 0 && now >= next_try_) connect(now);
}

ExecLink::Time ExecLink::due() const {
  if (is_up_) return Time::max();
  return fd_ >= 0 ? answer_due_ : next_try_;
}

void ExecLink::hurry(Time now) {
  pause_ = kPauseMin;
  next_try_ = now;
}

void ExecLink::connect(Time now) {
  next_try_ = now + pause_;
  pause_ = std::min(pause_ * 2, kPauseMax);
  const auto address = exec_socket_address(socket_);
  if (!address) return;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 || !may_trust(fd)) {
    close(fd);
    return;
  }
  fd_ = fd;
  answer_due_ = now + kAnswerWait;
  greeting_.clear();
  in_.clear();
  append_hello(greeting_, hello_);
  if (!send_what_is_due()) drop(now);
}

void ExecLink::drop(Time now) {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
  if (std::exchange(is_up_, false)) {
    hurry(now + kPauseMin);
  } else {
    ++refusals_;
  }
}

short ExecLink::events() const {
  const bool has_to_send = !greeting_.empty() || (is_up_ && !queue_.unsent().empty());
  return static_cast<short>(POLLIN | (has_to_send ? POLLOUT : 0));
}

void ExecLink::on_ready(Time now) {
  if (fd_ < 0) return;
  if (!receive() || !send_what_is_due()) drop(now);
}

// False: the connection is of no use any more.
bool ExecLink::receive() {
  for (int reads = 0; reads < kReadsMax; ++reads) {
    const std::size_t have = in_.size();
    in_.resize(have + kReceiveBytes);
    const ssize_t got = recv(fd_, in_.data() + have, kReceiveBytes, 0);
    in_.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) return false;
    if (!take_frames()) return false;
  }
  return true;
}

bool ExecLink::take_frames() {
  std::size_t taken = 0;
  ExecFrame frame;
  ExecRead read;
  for (std::size_t size = 0; (read = read_frame(std::string_view(in_).substr(taken), frame, size)) == ExecRead::kWhole;
       taken += size) {
    if (frame.type == ExecFrameType::kResume && !is_up_) {
      queue_.resume(frame.emitted);
      is_up_ = true;
      pause_ = kPauseMin;
      refusals_ = 0;
    } else if (frame.type == ExecFrameType::kAck && is_up_) {
      queue_.ack(frame.emitted);
    } else if (frame.type == ExecFrameType::kDelivered && is_up_) {
      queue_.delivered(frame.emitted);
    } else if (frame.type == ExecFrameType::kRedacted && is_up_) {
      on_redacted_(frame);
    } else {
      return false;
    }
  }
  in_.erase(0, taken);
  return read == ExecRead::kPartial;
}

bool ExecLink::send_what_is_due() {
  for (int sends = 0; sends < kSendsMax;) {
    const std::string_view bytes = !greeting_.empty() ? std::string_view(greeting_)
                                   : is_up_           ? queue_.unsent()
                                                      : std::string_view{};
    if (bytes.empty()) return true;
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN;
    if (!greeting_.empty()) {
      greeting_.erase(0, static_cast<std::size_t>(sent));
    } else {
      queue_.sent(static_cast<std::size_t>(sent));
    }
    ++sends;
  }
  return true;
}

}  // namespace runtail
