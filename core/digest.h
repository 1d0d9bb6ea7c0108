// SHA-1 (for UUIDv5 only, RFC 9562), SHA-256 and HMAC-SHA-256, from OpenSSL.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace runtail {

using Bytes16 = std::array<std::uint8_t, 16>;
using Bytes20 = std::array<std::uint8_t, 20>;
using Bytes32 = std::array<std::uint8_t, 32>;

Bytes20 sha1(std::string_view data);

// SHA-1 of texts that share a beginning: hash the beginning once, copy, go on.
class Sha1 {
 public:
  explicit Sha1(std::string_view beginning);
  Bytes20 with(std::string_view rest) const;  // of beginning + rest

 private:
  std::array<std::uint32_t, 24> state_;  // an OpenSSL SHA_CTX
};

Bytes32 sha256(std::string_view data);

// A secret key for hashes of raw bytes: what is stored beside the data cannot be turned back without it.
struct HashKey {
  Bytes32 bytes{};
};
Bytes32 hmac_sha256(const HashKey& key, std::string_view data);
// The first 16 bytes of the above.
Bytes16 hmac16(const HashKey& key, std::string_view data);

// CRC-32C (Castagnoli, RFC 3720), bytewise table: guards chunks at rest.
std::uint32_t crc32c(std::string_view data);

std::string to_hex(std::span<const std::uint8_t> bytes);  // lower case

}  // namespace runtail
