#include "agent/snapshot_memory.h"

#include <cstring>
#include <utility>

#include "core/bytes.h"
#include "core/digest.h"

namespace runtail {

SnapshotMemory::SnapshotMemory(const std::optional<std::string>& known) {
  if (!known) return;
  ByteReader reader(*known);
  while (!reader.at_end() && !reader.failed()) last_.insert(reader.fixed<std::uint64_t>());
}

bool SnapshotMemory::take(const Series& series) {
  const Bytes32 digest = sha256(series_key(series) + encode_series(series));
  std::uint64_t short_digest = 0;
  std::memcpy(&short_digest, digest.data(), sizeof short_digest);
  now_.insert(short_digest);
  return !last_.contains(short_digest);
}

std::string SnapshotMemory::end() {
  last_ = std::exchange(now_, {});
  std::string bytes;
  ByteWriter writer(bytes);
  for (const std::uint64_t digest : last_) writer.fixed(digest);
  return bytes;
}

}  // namespace runtail
