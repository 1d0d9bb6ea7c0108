// Signatures of JSON Web Tokens (RFC 7518, section 3), from OpenSSL: HMAC and RSASSA-PKCS1-v1_5 with SHA-2.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace runtail {

enum class SignatureAlgorithm { kHs256, kHs384, kHs512, kRs256, kRs384, kRs512 };

// "HS256"; names are case-sensitive (RFC 7515, 4.1.1).
std::string_view to_string(SignatureAlgorithm algorithm);
std::optional<SignatureAlgorithm> to_signature_algorithm(std::string_view name);

// A key with the one algorithm it is for: what a token says of its algorithm never chooses how it is checked.
// Threads: any.
class SignatureKey {
 public:
  // HS: `material` is the secret, of at least as many bytes as its hash has (RFC 7518, 3.2). RS: a public key in PEM,
  // of at least 2048 bits (3.3). kInvalidInput says what is wrong, never what the material is.
  static Result<SignatureKey> make(SignatureAlgorithm algorithm, std::string_view material);
  ~SignatureKey();
  SignatureKey(SignatureKey&&) noexcept;
  SignatureKey& operator=(SignatureKey&&) noexcept;

  SignatureAlgorithm algorithm() const { return algorithm_; }
  // HS compares in constant time.
  bool verifies(std::string_view message, std::string_view signature) const;
  // std::nullopt: of an RS key only the public half is here.
  std::optional<std::string> sign(std::string_view message) const;

 private:
  struct PublicKey;
  SignatureKey(SignatureAlgorithm algorithm, std::string secret, std::unique_ptr<PublicKey> public_key);

  SignatureAlgorithm algorithm_;
  std::string secret_;                     // HS
  std::unique_ptr<PublicKey> public_key_;  // RS
};

}  // namespace runtail
