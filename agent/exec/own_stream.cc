#include "agent/exec/own_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace runtail {
namespace {

constexpr std::size_t kFilePieceBytes = 64 << 10;  // a file never blocks for a reader

}  // namespace

OwnStream::OwnStream(int fd) : fd_(fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return;
  is_socket_ = S_ISSOCK(status.st_mode);
  if (S_ISREG(status.st_mode)) piece_max_ = kFilePieceBytes;
  if (!S_ISFIFO(status.st_mode) && isatty(fd) == 0) return;
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  own_ = open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

OwnStream::~OwnStream() {
  if (own_ >= 0) close(own_);
}

ssize_t OwnStream::write_piece(std::string_view piece) const {
  if (is_socket_) return send(fd_, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return ::write(fd(), piece.data(), piece.size());
}

ssize_t OwnStream::write(std::string_view bytes) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    pollfd ready{fd(), POLLOUT, 0};
    if (poll(&ready, 1, 0) <= 0) break;
    const std::string_view rest = bytes.substr(done);
    std::string_view piece = rest.substr(0, piece_max_);
    if (const std::size_t newline = piece.rfind('\n');
        piece.size() < rest.size() && newline != std::string_view::npos) {
      piece = piece.substr(0, newline + 1);
    }
    const ssize_t written = write_piece(piece);
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (written < 0) return -1;
    done += static_cast<std::size_t>(written);
  }
  return static_cast<ssize_t>(done);
}

void RedactedOutput::add(std::string_view json, std::uint64_t span) {
  if (is_closed_ || (is_waiting() && waiting_.size() + json.size() >= kBytesMax)) return;
  if (json.empty()) {  // an empty line has nothing to show
    done_ += span;
    return;
  }
  waiting_ += json;
  waiting_ += '\n';
  lines_.push_back({json.size() + 1, span});
}

void RedactedOutput::write() {
  if (waiting_.empty()) return;
  const ssize_t written = stream_.write(waiting_);
  if (written < 0) {
    is_closed_ = true;
    waiting_.clear();
    lines_.clear();
    return;
  }
  waiting_.erase(0, static_cast<std::size_t>(written));
  written_ += static_cast<std::size_t>(written);
  for (; !lines_.empty() && lines_.front().size <= written_; lines_.pop_front()) {
    written_ -= lines_.front().size;
    done_ += lines_.front().span;
  }
}

}  // namespace runtail
