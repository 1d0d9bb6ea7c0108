#include "server/access_token.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <cmath>
#include <fstream>
#include <sstream>

#include "server/base64url.h"

namespace runtail {
namespace {

namespace json = boost::json;

// Larger ones fit into no sensible request (headers have 16 KiB in all).
constexpr std::size_t kTokenBytesMax = 8 * 1024;
constexpr std::size_t kDepthMax = 8;
// Year 9999, in seconds.
constexpr double kLastTime = 253'402'300'799.0;

std::optional<json::object> object_of(std::string_view part) {
  const auto text = from_base64url(part);
  if (!text) return std::nullopt;
  json::parse_options options;
  options.max_depth = kDepthMax;
  boost::system::error_code fault;
  json::value value = json::parse(*text, fault, {}, options);
  if (fault || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

const std::string* text_of(const json::object& object, std::string_view name, std::string& room, bool& wrong) {
  const json::value* value = object.if_contains(name);
  if (!value) return nullptr;
  if (!value->is_string()) {
    wrong = true;
    return nullptr;
  }
  room.assign(value->get_string());
  return &room;
}

// A list of texts, or one text; of a text its words where `by_words`. std::nullopt: neither.
std::optional<std::vector<std::string>> texts_of(const json::value& value, bool by_words) {
  std::vector<std::string> texts;
  if (value.is_string()) {
    std::istringstream words{std::string(value.get_string())};
    if (!by_words) return std::vector{words.str()};
    for (std::string word; words >> word;) texts.push_back(word);
    return texts;
  }
  if (!value.is_array()) return std::nullopt;
  for (const json::value& each : value.get_array()) {
    if (!each.is_string()) return std::nullopt;
    texts.emplace_back(each.get_string());
  }
  return texts;
}

// NumericDate: seconds, a fraction allowed (RFC 7519, section 2).
std::optional<TimePoint> time_of(const json::value& value) {
  boost::system::error_code fault;
  const double seconds = value.is_number() ? value.to_number<double>(fault) : std::nan("");
  if (fault || !(seconds >= 0 && seconds <= kLastTime)) return std::nullopt;
  return TimePoint(std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6)));
}

bool equal_folded(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

// The claims behind a good signature, but for issuer and audience.
boost::system::result<AccessClaims, TokenFault> claims_of(const json::object& payload, TimePoint now,
                                                          std::chrono::milliseconds leeway) {
  AccessClaims claims;
  bool wrong = false;
  text_of(payload, "sub", claims.subject, wrong);
  if (const json::value* scope = payload.if_contains("scope")) {
    auto scopes = texts_of(*scope, true);
    if (!scopes) return TokenFault::kMalformed;
    claims.scopes = std::move(*scopes);
  }
  // Some issuers make a tree of a name with a dot. Read as "no such claim" it would let the token see all.
  if (const json::value* tree = payload.if_contains("obs");
      tree && tree->is_object() && tree->get_object().contains("projects")) {
    return TokenFault::kMalformed;
  }
  if (const json::value* projects = payload.if_contains("obs.projects")) {
    claims.projects = texts_of(*projects, false);
    if (!claims.projects) return TokenFault::kMalformed;
  }
  // A token that never ends is none of ours: nobody could take it back.
  const json::value* expires = payload.if_contains("exp");
  const auto expires_at = expires ? time_of(*expires) : std::nullopt;
  if (wrong || !expires_at) return TokenFault::kMalformed;
  claims.expires_at = *expires_at;
  if (now >= *expires_at + leeway) return TokenFault::kExpired;
  for (const std::string_view name : {"nbf", "iat"}) {
    const json::value* value = payload.if_contains(name);
    if (!value) continue;
    const auto time = time_of(*value);
    if (!time) return TokenFault::kMalformed;
    if (now + leeway < *time) return TokenFault::kNotYetValid;
  }
  return claims;
}

}  // namespace

bool AccessClaims::has_scope(std::string_view scope) const { return std::ranges::find(scopes, scope) != scopes.end(); }

std::string_view to_string(TokenFault fault) {
  switch (fault) {
    case TokenFault::kTooLarge:
      return "the token is too large";
    case TokenFault::kMalformed:
      return "the token is no JSON Web Token this server reads";
    case TokenFault::kUnknownKey:
      return "the token's key is not known here";
    case TokenFault::kWrongAlgorithm:
      return "the token's algorithm is not the one of its key";
    case TokenFault::kBadSignature:
      return "the token's signature is wrong";
    case TokenFault::kExpired:
      return "the token has expired";
    case TokenFault::kNotYetValid:
      return "the token is not valid yet";
    case TokenFault::kWrongIssuer:
      return "the token is of another issuer";
    case TokenFault::kWrongAudience:
      return "the token is for another audience";
  }
  return "";
}

Result<TokenVerifier> TokenVerifier::make(const ApiConfig& config) {
  TokenVerifier made;
  made.issuer_ = config.issuer;
  made.audience_ = config.audience;
  made.leeway_ = config.leeway;
  for (std::size_t i = 0; i < config.keys.size(); ++i) {
    const ApiKeyConfig& each = config.keys[i];
    const auto wrong = [&](const std::string& what) {
      return Error{ErrorCode::kInvalidInput,
                   "api.keys[" + std::to_string(i) + "], file \"" + each.file.string() + "\": " + what};
    };
    const auto algorithm = to_signature_algorithm(each.algorithm);
    if (!algorithm) return wrong("algorithm must be HS256, HS384, HS512, RS256, RS384 or RS512");
    std::ifstream file(each.file, std::ios::binary);
    std::ostringstream material;
    if (file) material << file.rdbuf();  // a directory opens but does not read
    if (!file || material.str().empty()) return wrong("cannot be read or is empty; name a readable key file");
    std::string text = material.str();
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    auto key = SignatureKey::make(*algorithm, text);
    if (!key) return wrong(key.error().message);
    if (!made.keys_.emplace(each.id, std::move(*key)).second)
      return wrong("a second key has the id \"" + each.id + "\"; ids are unique");
  }
  return made;
}

// A token may leave its key unnamed only where there is one.
const std::pair<const std::string, SignatureKey>* TokenVerifier::key_of(const std::string* id) const {
  const auto found = id ? keys_.find(*id) : keys_.size() == 1 ? keys_.begin() : keys_.end();
  return found == keys_.end() ? nullptr : &*found;
}

boost::system::result<AccessClaims, TokenFault> TokenVerifier::verify(std::string_view token, TimePoint now) const {
  if (token.size() > kTokenBytesMax) return TokenFault::kTooLarge;
  const std::size_t first = token.find('.');
  const std::size_t second = first == token.npos ? token.npos : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos) return TokenFault::kMalformed;
  const std::string_view signed_part = token.substr(0, second);
  const auto header = object_of(token.substr(0, first));
  const auto signature = from_base64url(token.substr(second + 1));
  if (!header || !signature || signature->empty()) return TokenFault::kMalformed;

  bool wrong = false;
  std::string algorithm_room, key_room, type_room;
  const std::string* algorithm = text_of(*header, "alg", algorithm_room, wrong);
  const std::string* key_id = text_of(*header, "kid", key_room, wrong);
  const std::string* type = text_of(*header, "typ", type_room, wrong);
  // An extension that must be understood is not (RFC 7515, 4.1.11).
  if (wrong || !algorithm || header->contains("crit")) return TokenFault::kMalformed;
  if (type && !equal_folded(*type, "JWT") && !equal_folded(*type, "at+jwt")) return TokenFault::kMalformed;
  const auto* key = key_of(key_id);
  if (!key) return TokenFault::kUnknownKey;
  if (*algorithm != to_string(key->second.algorithm())) return TokenFault::kWrongAlgorithm;
  if (!key->second.verifies(signed_part, *signature)) return TokenFault::kBadSignature;

  const auto payload = object_of(token.substr(first + 1, second - first - 1));
  if (!payload) return TokenFault::kMalformed;
  auto claims = claims_of(*payload, now, leeway_);
  if (!claims) return claims;
  claims->key_id = key->first;
  std::string issuer;
  const std::string* stated = text_of(*payload, "iss", issuer, wrong);
  if (wrong) return TokenFault::kMalformed;
  if (!issuer_.empty() && (!stated || *stated != issuer_)) return TokenFault::kWrongIssuer;
  const json::value* audience = payload->if_contains("aud");
  const auto audiences = audience ? texts_of(*audience, false) : std::vector<std::string>();
  if (!audiences) return TokenFault::kMalformed;
  // A token made for somebody else must not work here, also where nothing is configured to compare with.
  const bool is_ours = audience_.empty() ? audiences->empty() : std::ranges::count(*audiences, audience_) > 0;
  if (!is_ours) return TokenFault::kWrongAudience;
  return claims;
}

Result<std::string> TokenVerifier::mint(const Grant& grant, std::string_view key_id, TimePoint now) const {
  const std::string id(key_id);
  const auto* key = key_of(id.empty() ? nullptr : &id);
  if (!key)
    return Error{ErrorCode::kInvalidInput, keys_.empty() ? "no key: set api.keys"
                                           : id.empty()  ? "several keys in api.keys: choose one with --key"
                                                         : "api.keys has no key with the id \"" + id + "\""};
  json::object header{{"alg", to_string(key->second.algorithm())}, {"typ", "JWT"}, {"kid", key->first}};
  const auto now_s = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  std::string scope;
  for (const std::string& each : grant.scopes) scope += (scope.empty() ? "" : " ") + each;
  json::object payload{
      {"sub", grant.subject}, {"scope", scope}, {"iat", now_s.count()}, {"exp", (now_s + grant.ttl).count()}};
  if (grant.projects) payload["obs.projects"] = json::array(grant.projects->begin(), grant.projects->end());
  if (!issuer_.empty()) payload["iss"] = issuer_;
  if (!audience_.empty()) payload["aud"] = audience_;
  std::string token = to_base64url(json::serialize(header)) + "." + to_base64url(json::serialize(payload));
  const auto signature = key->second.sign(token);
  if (!signature)
    return Error{ErrorCode::kInvalidInput, "key \"" + key->first +
                                               "\" is an RS key, of which only the public half is "
                                               "here; ask whoever has the private one for a token"};
  return token + "." + to_base64url(*signature);
}

}  // namespace runtail
