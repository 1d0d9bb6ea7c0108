// Apart from core/uuid.cc, so that who only reads and writes ids needs no hash.
#include "core/digest.h"
#include "core/uuid.h"

namespace runtail {

Uuid uuid_v5(const Uuid& name_space, std::initializer_list<std::string_view> parts) {
  std::string name(reinterpret_cast<const char*>(name_space.bytes.data()), name_space.bytes.size());
  bool first = true;
  for (const std::string_view part : parts) {
    if (!first) name += '\x1F';
    first = false;
    name += part;
  }
  return uuid_v5_of(sha1(name));
}

Uuid uuid_v5_of(const std::array<std::uint8_t, 20>& digest) {
  Uuid out;
  std::memcpy(out.bytes.data(), digest.data(), out.bytes.size());
  out.bytes[6] = static_cast<std::uint8_t>((out.bytes[6] & 0x0F) | 0x50);
  out.bytes[8] = static_cast<std::uint8_t>((out.bytes[8] & 0x3F) | 0x80);
  return out;
}

}  // namespace runtail
