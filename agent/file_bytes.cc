#include "agent/file_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace runtail {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::size_t kBehindBytes = 1025;  // what is read again to see that it is still the same file

}  // namespace

ReadBuffer::ReadBuffer(std::size_t line_bytes_max)
    : size_(std::max(kReadBytes, line_bytes_max + 2) + kBehindBytes), bytes_(new char[size_]) {}

FileBytes::FileBytes(OpenedFile file, Packing packing) : file_(std::move(file)), packing_(packing) {}

std::optional<FileBytes::Facts> FileBytes::facts() const {
  struct statx status {};
  const unsigned asked = STATX_SIZE | STATX_MTIME | STATX_BTIME | STATX_NLINK;
  if (statx(file_.fd(), "", AT_EMPTY_PATH, asked, &status) != 0) return std::nullopt;
  const auto ns = [](const statx_timestamp& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; };
  const std::int64_t born_ns = (status.stx_mask & STATX_BTIME) != 0 ? ns(status.stx_btime) : 0;
  return Facts{status.stx_size, ns(status.stx_mtime), born_ns, status.stx_nlink == 0};
}

BytesRead FileBytes::read_at(char* into, std::size_t size, std::uint64_t offset) {
  BytesRead read;
  if (is_packed()) {
    if (!packed_) packed_.emplace(packing_, file_.fd());
    PackedBytes bytes = packed_->read_at(into, size, offset);
    read.size = bytes.size;
    read.at_end = bytes.state != PackedBytes::State::kMore;
    read.is_whole = bytes.state == PackedBytes::State::kEnd;
    read.is_cut = bytes.state == PackedBytes::State::kIncomplete;
    read.fault = std::move(bytes.message);
    return read;
  }
  while (read.size < size) {
    const ssize_t got = pread(file_.fd(), into + read.size, size - read.size, static_cast<off_t>(offset + read.size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) read.fault = std::strerror(errno);
    if (got <= 0) {
      read.at_end = true;
      break;
    }
    read.size += static_cast<std::size_t>(got);
  }
  return read;
}

void FileBytes::read_as_export() {
  packed_.reset();
  packing_ = as_export(packing_);
}

std::uint64_t FileBytes::length() const {
  if (is_packed()) return packed_ ? packed_->unpacked() : 0;
  const auto known = facts();
  return known ? known->size : 0;
}

}  // namespace runtail
