// Bearer tokens of the history API: JSON Web Tokens (RFC 7519) in compact form, checked as RFC 8725 advises. Keys and
// their algorithms are configured; nothing a token names is ever fetched, and no token chooses how it is checked.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "core/result.h"
#include "core/signature.h"
#include "core/time.h"

namespace runtail {

// What reading the history takes.
inline constexpr std::string_view kScopeRead = "obs.read";

// Who asks, and what they may see. Only TokenVerifier and anonymous access make one.
struct AccessClaims {
  std::string subject, key_id;
  std::vector<std::string> scopes;
  // Claim obs.projects: rows of these project_ids alone. std::nullopt: the token has no such claim and sees all.
  std::optional<std::vector<std::string>> projects;
  TimePoint expires_at{};

  bool has_scope(std::string_view scope) const;
};

enum class TokenFault {
  kTooLarge,
  kMalformed,  // no JWT, or a claim of the wrong type
  kUnknownKey,
  kWrongAlgorithm,  // not the one its key is for
  kBadSignature,
  kExpired,
  kNotYetValid,
  kWrongIssuer,
  kWrongAudience,
};
// For people; tells nothing of what a right token would have.
std::string_view to_string(TokenFault fault);

// Threads: any, once made.
class TokenVerifier {
 public:
  // Reads the key files. kInvalidInput names setting, file and remedy.
  static Result<TokenVerifier> make(const ApiConfig& config);

  boost::system::result<AccessClaims, TokenFault> verify(std::string_view token, TimePoint now) const;

  // What is in a token of ours, by an HS key. `key_id`: "" if there is only one. kInvalidInput: no such key, or an RS
  // key, of which only the public half is here.
  struct Grant {
    std::string subject;
    std::vector<std::string> scopes;
    std::optional<std::vector<std::string>> projects;
    std::chrono::seconds ttl{3600};
  };
  Result<std::string> mint(const Grant& grant, std::string_view key_id, TimePoint now) const;

 private:
  TokenVerifier() = default;
  const std::pair<const std::string, SignatureKey>* key_of(const std::string* id) const;

  std::map<std::string, SignatureKey> keys_;  // by id
  std::string issuer_, audience_;             // "": not asked for
  std::chrono::milliseconds leeway_{0};
};

[[noreturn]] inline void throw_exception_from_error(TokenFault fault, const boost::source_location&) {
  throw std::logic_error("unchecked token: " + std::string(to_string(fault)));
}

}  // namespace runtail
