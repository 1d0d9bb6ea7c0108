#include "server/random_id.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdio>

#include "core/digest.h"

namespace runtail {
namespace {

Bytes32 random_bytes() {
  Bytes32 bytes{};
  // Of so few bytes it never gives less once the kernel's pool is filled, which it waits for.
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::perror("getrandom");
  return bytes;
}

}  // namespace

Uuid random_uuid() {
  const Bytes32 bytes = random_bytes();
  Uuid uuid;
  std::copy_n(bytes.begin(), uuid.bytes.size(), uuid.bytes.begin());
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0Fu) | 0x40u);
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3Fu) | 0x80u);
  return uuid;
}

std::string random_hex(std::size_t bytes) {
  const Bytes32 all = random_bytes();
  return to_hex({all.data(), std::min(bytes, all.size())});
}

}  // namespace runtail
