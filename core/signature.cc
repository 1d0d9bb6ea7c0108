#include "core/signature.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <array>
#include <climits>

namespace runtail {
namespace {

struct Name {
  std::string_view text;
  SignatureAlgorithm algorithm;
};
constexpr Name kNames[] = {
    {"HS256", SignatureAlgorithm::kHs256}, {"HS384", SignatureAlgorithm::kHs384}, {"HS512", SignatureAlgorithm::kHs512},
    {"RS256", SignatureAlgorithm::kRs256}, {"RS384", SignatureAlgorithm::kRs384}, {"RS512", SignatureAlgorithm::kRs512},
};
constexpr int kRsaBitsMin = 2048;

bool is_hmac(SignatureAlgorithm algorithm) { return algorithm <= SignatureAlgorithm::kHs512; }

const EVP_MD* hash_of(SignatureAlgorithm algorithm) {
  switch (algorithm) {
    case SignatureAlgorithm::kHs256:
    case SignatureAlgorithm::kRs256:
      return EVP_sha256();
    case SignatureAlgorithm::kHs384:
    case SignatureAlgorithm::kRs384:
      return EVP_sha384();
    case SignatureAlgorithm::kHs512:
    case SignatureAlgorithm::kRs512:
      return EVP_sha512();
  }
  return EVP_sha256();
}

const unsigned char* raw(std::string_view data) { return reinterpret_cast<const unsigned char*>(data.data()); }

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// No passphrase is ever asked for on a terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

Error invalid(std::string message) { return {ErrorCode::kInvalidInput, std::move(message)}; }

}  // namespace

struct SignatureKey::PublicKey {
  std::unique_ptr<EVP_PKEY, Free> key;
};

std::string_view to_string(SignatureAlgorithm algorithm) {
  for (const Name& name : kNames) {
    if (name.algorithm == algorithm) return name.text;
  }
  return "";
}

std::optional<SignatureAlgorithm> to_signature_algorithm(std::string_view text) {
  for (const Name& name : kNames) {
    if (name.text == text) return name.algorithm;
  }
  return std::nullopt;
}

SignatureKey::SignatureKey(SignatureAlgorithm algorithm, std::string secret, std::unique_ptr<PublicKey> public_key)
    : algorithm_(algorithm), secret_(std::move(secret)), public_key_(std::move(public_key)) {}
SignatureKey::~SignatureKey() { OPENSSL_cleanse(secret_.data(), secret_.size()); }
SignatureKey::SignatureKey(SignatureKey&&) noexcept = default;
SignatureKey& SignatureKey::operator=(SignatureKey&&) noexcept = default;

Result<SignatureKey> SignatureKey::make(SignatureAlgorithm algorithm, std::string_view material) {
  const std::string name(to_string(algorithm));
  if (is_hmac(algorithm)) {
    // Whoever gives a public key as a secret has mixed the two up, and everybody knows that "secret".
    if (material.find("-----BEGIN") != material.npos)
      return invalid("is a key in PEM, but " + name + " takes a shared secret; set algorithm: RS256 for a public key");
    const auto bytes_min = static_cast<std::size_t>(EVP_MD_get_size(hash_of(algorithm)));
    if (material.size() < bytes_min)
      return invalid("has " + std::to_string(material.size()) + " bytes, but " + name + " needs " +
                     std::to_string(bytes_min) + " or more; make one with: openssl rand -hex " +
                     std::to_string(bytes_min));
    return SignatureKey(algorithm, std::string(material), nullptr);
  }
  const std::unique_ptr<BIO, Free> bio(
      BIO_new_mem_buf(material.data(), static_cast<int>(std::min<std::size_t>(material.size(), INT_MAX))));
  auto key = std::make_unique<PublicKey>();
  if (bio) key->key.reset(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key->key) {
    const bool is_private = material.find("PRIVATE KEY-----") != material.npos;
    return invalid(is_private ? "holds a private key, which has no place here; write its public half with: openssl "
                                "pkey -in KEY -pubout"
                              : "is no public key in PEM (-----BEGIN PUBLIC KEY-----)");
  }
  if (EVP_PKEY_get_base_id(key->key.get()) != EVP_PKEY_RSA) return invalid("is no RSA key, which " + name + " takes");
  if (const int bits = EVP_PKEY_get_bits(key->key.get()); bits < kRsaBitsMin)
    return invalid("has " + std::to_string(bits) + " bits, but " + name + " needs " + std::to_string(kRsaBitsMin) +
                   " or more");
  return SignatureKey(algorithm, {}, std::move(key));
}

std::optional<std::string> SignatureKey::sign(std::string_view message) const {
  if (!is_hmac(algorithm_)) return std::nullopt;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  HMAC(hash_of(algorithm_), secret_.data(), static_cast<int>(secret_.size()), raw(message), message.size(),
       digest.data(), &length);
  return std::string(reinterpret_cast<const char*>(digest.data()), length);
}

bool SignatureKey::verifies(std::string_view message, std::string_view signature) const {
  if (const auto wanted = sign(message))
    return signature.size() == wanted->size() && CRYPTO_memcmp(signature.data(), wanted->data(), wanted->size()) == 0;
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  const bool good =
      context &&
      EVP_DigestVerifyInit(context.get(), nullptr, hash_of(algorithm_), nullptr, public_key_->key.get()) == 1 &&
      EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace runtail
