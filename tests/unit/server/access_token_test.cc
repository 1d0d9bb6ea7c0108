// Who may read the history: good tokens, and the attacks RFC 8725 lists.
#include "server/access_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <fstream>
#include <memory>
#include <random>

#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string encode(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k) bits = bits << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < count + 1; ++k) out += digits[bits >> (18 - 6 * k) & 0x3F];
  }
  return out;
}

// An RSA key pair of a test; the public half in PEM.
class RsaPair {
 public:
  explicit RsaPair(unsigned bits = 2048) : key_(EVP_RSA_gen(bits)) {}
  ~RsaPair() { EVP_PKEY_free(key_); }
  std::string pem(bool is_public = true) const {
    BIO* bio = BIO_new(BIO_s_mem());
    if (is_public) {
      PEM_write_bio_PUBKEY(bio, key_);
    } else {
      PEM_write_bio_PrivateKey(bio, key_, nullptr, nullptr, 0, nullptr, nullptr);
    }
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return text;
  }
  std::string sign(std::string_view message, const EVP_MD* hash) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::size_t size = 0;
    EVP_DigestSignInit(context, nullptr, hash, nullptr, key_);
    const auto* raw = reinterpret_cast<const unsigned char*>(message.data());
    EVP_DigestSign(context, nullptr, &size, raw, message.size());
    std::string out(size, '\0');
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, raw, message.size());
    EVP_MD_CTX_free(context);
    return out.substr(0, size);
  }

 private:
  EVP_PKEY* key_;
};

const RsaPair& rsa() {
  static const RsaPair pair;
  return pair;
}

class AccessTokenTest : public testing::Test {
 protected:
  AccessTokenTest() {
    add("main", "HS256", kSecret);
    add("sso", "RS256", rsa().pem());
    config.leeway = seconds(30);
    reload();
  }
  void add(const std::string& id, const std::string& algorithm, std::string_view material) {
    const auto path = directory / (id + ".key");
    std::ofstream(path) << material << "\n";
    config.keys.push_back({id, algorithm, path});
  }
  void reload() { verifier = std::make_unique<TokenVerifier>(std::move(*TokenVerifier::make(config))); }

  // Signed with the secret by `algorithm`, whatever the header says.
  static std::string signed_with(std::string_view header, std::string_view payload, std::string_view secret = kSecret,
                                 SignatureAlgorithm algorithm = SignatureAlgorithm::kHs256) {
    const std::string message = encode(header) + "." + encode(payload);
    return message + "." + encode(*SignatureKey::make(algorithm, secret)->sign(message));
  }
  static std::string hs(std::string_view payload) { return signed_with(R"({"alg":"HS256","kid":"main"})", payload); }
  static std::string rs(std::string_view header, std::string_view payload, const EVP_MD* hash = EVP_sha256()) {
    const std::string message = encode(header) + "." + encode(payload);
    return message + "." + encode(rsa().sign(message, hash));
  }
  // "good", or the fault.
  std::string outcome(std::string_view token) const {
    const auto claims = verifier->verify(token, now);
    return std::string(claims ? "good" : to_string(claims.error()));
  }
  std::string outcome(TokenFault fault) const { return std::string(to_string(fault)); }

  TempDir directory;
  ApiConfig config;
  std::unique_ptr<TokenVerifier> verifier;
  const TimePoint now = TimePoint(seconds(1'800'000'000));
  const std::string lasting = R"({"exp":1800003600,"scope":"obs.read"})";
};

TEST_F(AccessTokenTest, AGoodTokenTellsWhoAsksAndWhatTheyMaySee) {
  const auto claims = verifier->verify(
      hs(R"({"sub":"grafana","exp":1800003600,"scope":"obs.read obs.other","obs.projects":["p1","p2"]})"), now);
  ASSERT_TRUE(claims);
  EXPECT_EQ(claims->subject, "grafana");
  EXPECT_EQ(claims->key_id, "main");
  EXPECT_TRUE(claims->has_scope("obs.read"));
  EXPECT_FALSE(claims->has_scope("obs"));
  EXPECT_THAT(claims->projects.value(), ElementsAre("p1", "p2"));
  EXPECT_EQ(claims->expires_at, TimePoint(seconds(1'800'003'600)));
  EXPECT_FALSE(verifier->verify(hs(lasting), now)->projects);
  EXPECT_TRUE(verifier->verify(hs(R"({"exp":1800003600,"scope":["obs.read"]})"), now)->has_scope("obs.read"));
}

TEST_F(AccessTokenTest, EachAlgorithmVerifiesWhatItsKeySigned) {
  for (const char* name : {"HS256", "HS384", "HS512"}) {
    config.keys.clear();
    add("k", name, kSecret);
    reload();
    const std::string header = R"({"alg":")" + std::string(name) + R"("})";
    EXPECT_EQ(outcome(signed_with(header, lasting, kSecret, *to_signature_algorithm(name))), "good") << name;
  }
  const std::pair<const char*, const EVP_MD*> kinds[] = {
      {"RS256", EVP_sha256()}, {"RS384", EVP_sha384()}, {"RS512", EVP_sha512()}};
  for (const auto& [name, hash] : kinds) {
    config.keys.clear();
    add("k", name, rsa().pem());
    reload();
    const std::string header = R"({"alg":")" + std::string(name) + R"("})";
    EXPECT_EQ(outcome(rs(header, lasting, hash)), "good") << name;
  }
}

TEST_F(AccessTokenTest, AlgorithmNoneIsRefusedInAnySpelling) {
  for (const char* none : {"none", "None", "NONE", "nOnE", ""}) {
    for (const char* kid : {R"(,"kid":"main")", R"(,"kid":"sso")", ""}) {
      const std::string unsigned_part =
          encode(R"({"alg":")" + std::string(none) + "\"" + kid + "}") + "." + encode(lasting) + ".";
      EXPECT_NE(outcome(unsigned_part), "good");
      EXPECT_NE(outcome(unsigned_part + encode("x")), "good");
    }
  }
}

TEST_F(AccessTokenTest, ThePublicKeyIsNoSecret) {
  // HS over RS: signed with the text of the public key, which everybody has.
  const std::string header = R"({"alg":"HS256","kid":"sso"})";
  EXPECT_EQ(outcome(signed_with(header, lasting, std::string(64, 'x'))), outcome(TokenFault::kWrongAlgorithm));
  EXPECT_THAT(SignatureKey::make(SignatureAlgorithm::kHs256, rsa().pem()).error().message,
              HasSubstr("takes a shared secret"));
}

TEST_F(AccessTokenTest, AKeyIsForItsOwnAlgorithmAlone) {
  EXPECT_EQ(outcome(signed_with(R"({"alg":"HS512","kid":"main"})", lasting, kSecret, SignatureAlgorithm::kHs512)),
            outcome(TokenFault::kWrongAlgorithm));
  EXPECT_EQ(outcome(rs(R"({"alg":"RS512","kid":"sso"})", lasting, EVP_sha512())), outcome(TokenFault::kWrongAlgorithm));
  EXPECT_EQ(outcome(rs(R"({"alg":"hs256","kid":"main"})", lasting)), outcome(TokenFault::kWrongAlgorithm));
}

TEST_F(AccessTokenTest, AKeyIdIsLookedUpAndNothingElse) {
  for (const char* kid :
       {"../../dev/null", "main' OR '1'='1", "MAIN", "", "main\\u0000", "https://evil.example/jwks"}) {
    const std::string header = R"({"alg":"HS256","kid":")" + std::string(kid) + R"("})";
    EXPECT_EQ(outcome(signed_with(header, lasting)), outcome(TokenFault::kUnknownKey)) << kid;
  }
  // Of two keys a token must say which.
  EXPECT_EQ(outcome(signed_with(R"({"alg":"HS256"})", lasting)), outcome(TokenFault::kUnknownKey));
  EXPECT_EQ(outcome(signed_with(R"({"alg":"HS256","kid":7})", lasting)), outcome(TokenFault::kMalformed));
  // A key inside the token, or where one might be fetched from, is not looked at.
  EXPECT_EQ(outcome(signed_with(R"({"alg":"HS256","kid":"main","jku":"https://evil.example","jwk":{"kty":"oct"}})",
                                lasting, std::string(64, 'e'))),
            outcome(TokenFault::kBadSignature));
}

TEST_F(AccessTokenTest, EmptyAndShortKeysAreNotTaken) {
  for (const std::size_t size : {0, 1, 31}) {
    EXPECT_FALSE(SignatureKey::make(SignatureAlgorithm::kHs256, std::string(size, 'k'))) << size;
  }
  EXPECT_FALSE(SignatureKey::make(SignatureAlgorithm::kHs512, std::string(63, 'k')));
  EXPECT_THAT(SignatureKey::make(SignatureAlgorithm::kRs256, RsaPair(1024).pem()).error().message,
              HasSubstr("has 1024 bits"));
  EXPECT_THAT(SignatureKey::make(SignatureAlgorithm::kRs256, rsa().pem(false)).error().message,
              HasSubstr("private key"));
  EXPECT_THAT(SignatureKey::make(SignatureAlgorithm::kRs256, "no key").error().message, HasSubstr("no public key"));
}

TEST_F(AccessTokenTest, AnyChangedByteBreaksTheSignature) {
  for (const std::string& token : {hs(lasting), rs(R"({"alg":"RS256","kid":"sso"})", lasting)}) {
    ASSERT_EQ(outcome(token), "good");
    for (std::size_t i = 0; i < token.size(); ++i) {
      std::string changed = token;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_TRUE(changed == token || outcome(changed) != "good") << i;
    }
    EXPECT_NE(outcome(token.substr(0, token.rfind('.') + 1)), "good");
    EXPECT_NE(outcome(token.substr(0, token.rfind('.'))), "good");
    EXPECT_NE(outcome(token + "."), "good");
    EXPECT_NE(outcome(token + "="), "good");
    EXPECT_NE(outcome(" " + token), "good");
    EXPECT_NE(outcome(token + "\n"), "good");
  }
}

TEST_F(AccessTokenTest, TimesAreCheckedToTheSecondWithTheLeewayConfigured) {
  const auto at = [&](std::string_view member, std::int64_t second) {
    const std::string end = member == "exp" ? "" : R"(,"exp":1900000000)";
    return outcome(hs("{\"" + std::string(member) + "\":" + std::to_string(second) + end + "}"));
  };
  EXPECT_EQ(at("exp", 1'800'000'000 - 29), "good");
  EXPECT_EQ(at("exp", 1'800'000'000 - 30), outcome(TokenFault::kExpired));
  EXPECT_EQ(at("nbf", 1'800'000'000 + 30), "good");
  EXPECT_EQ(at("nbf", 1'800'000'000 + 31), outcome(TokenFault::kNotYetValid));
  EXPECT_EQ(at("iat", 1'800'000'000 + 31), outcome(TokenFault::kNotYetValid));
  EXPECT_EQ(outcome(hs(R"({"exp":1800000000.5})")), "good");
}

TEST_F(AccessTokenTest, ClaimsOfTheWrongTypeAreRefusedAndNeverRead) {
  for (const char* payload : {R"({"scope":"obs.read"})",
                              R"({"exp":"1900000000"})",
                              R"({"exp":null})",
                              R"({"exp":-1})",
                              R"({"exp":1e300})",
                              R"({"exp":1900000000,"nbf":"x"})",
                              R"({"exp":1900000000,"scope":7})",
                              R"({"exp":1900000000,"scope":[7]})",
                              R"({"exp":1900000000,"obs.projects":null})",
                              R"({"exp":1900000000,"obs.projects":[1]})",
                              R"({"exp":1900000000,"obs.projects":{}})", R"({"exp":1900000000,"obs":{"projects":["p1"]}})",
                              R"({"exp":1900000000,"sub":7})",
                              R"({"exp":1900000000,"aud":7})",
                              R"({"exp":1900000000,"iss":[]})",
                              R"([])",
                              R"("x")",
                              "",
                              "{",
                              R"({"exp":1900000000} x)",
                              R"({"exp":1900000000,"a":[[[[[[[[[[1]]]]]]]]]]})"}) {
    EXPECT_EQ(outcome(hs(payload)), outcome(TokenFault::kMalformed)) << payload;
  }
  // No projects is not all projects.
  EXPECT_TRUE(verifier->verify(hs(R"({"exp":1900000000,"obs.projects":[]})"), now)->projects->empty());
}

TEST_F(AccessTokenTest, HeadersThatAskForMoreAreRefused) {
  for (const char* header :
       {R"({"alg":"HS256","kid":"main","crit":["b64"],"b64":false})", R"({"alg":"HS256","kid":"main","crit":[]})",
        R"({"alg":"HS256","kid":"main","typ":"JWE"})", R"({"alg":7,"kid":"main"})", R"({"kid":"main"})", "[]"}) {
    EXPECT_EQ(outcome(signed_with(header, lasting)), outcome(TokenFault::kMalformed)) << header;
  }
  EXPECT_EQ(outcome(signed_with(R"({"alg":"HS256","kid":"main","typ":"at+JWT"})", lasting)), "good");
}

TEST_F(AccessTokenTest, IssuerAndAudienceAreThoseConfigured) {
  const std::string ours = R"({"exp":1900000000,"iss":"https://sso","aud":["x","runtail"]})";
  EXPECT_EQ(outcome(hs(ours)), outcome(TokenFault::kWrongAudience)) << "made for an audience, and none is configured";
  config.audience = "runtail";
  config.issuer = "https://sso";
  reload();
  EXPECT_EQ(outcome(hs(ours)), "good");
  EXPECT_EQ(outcome(hs(R"({"exp":1900000000,"iss":"https://sso/","aud":"runtail"})")),
            outcome(TokenFault::kWrongIssuer));
  EXPECT_EQ(outcome(hs(R"({"exp":1900000000,"aud":"runtail"})")), outcome(TokenFault::kWrongIssuer));
  EXPECT_EQ(outcome(hs(R"({"exp":1900000000,"iss":"https://sso"})")), outcome(TokenFault::kWrongAudience));
}

TEST_F(AccessTokenTest, HugeTokensAreRefusedUnread) {
  EXPECT_EQ(outcome(std::string(8 * 1024 + 1, 'A')), outcome(TokenFault::kTooLarge));
  EXPECT_EQ(outcome(std::string(8 * 1024, '.')), outcome(TokenFault::kMalformed));
  EXPECT_EQ(outcome(hs("{\"exp\":1900000000,\"a\":\"" + std::string(8 * 1024, 'x') + "\"}")),
            outcome(TokenFault::kTooLarge));
}

TEST_F(AccessTokenTest, RandomTextIsNoToken) {
  std::mt19937_64 random(seed());
  SCOPED_TRACE("seed " + std::to_string(seed()));
  const std::string good = hs(lasting);
  for (int i = 0; i < by_scale(20'000, 1'000'000); ++i) {
    std::string token = good;
    const std::size_t changes = 1 + random() % 4;
    for (std::size_t k = 0; k < changes; ++k) {
      const std::size_t at = random() % token.size();
      switch (random() % 3) {
        case 0:
          token[at] = static_cast<char>(random());
          break;
        case 1:
          token.insert(at, 1, static_cast<char>(random()));
          break;
        default:
          token.erase(at, 1 + random() % 8);
      }
      if (token.empty()) token = ".";
    }
    ASSERT_TRUE(token == good || outcome(token) != "good") << token;
  }
}

TEST_F(AccessTokenTest, AMintedTokenIsGoodForItsTimeAndSaysWhatWasGranted) {
  config.issuer = "runtail";
  config.audience = "obs";
  reload();
  TokenVerifier::Grant grant{"ci", {"obs.read"}, std::vector<std::string>{"p1"}, seconds(60)};
  const auto token = verifier->mint(grant, "main", now);
  ASSERT_TRUE(token);
  const auto claims = verifier->verify(*token, now);
  ASSERT_TRUE(claims) << to_string(claims.error());
  EXPECT_EQ(claims->subject, "ci");
  EXPECT_THAT(claims->projects.value(), ElementsAre("p1"));
  EXPECT_FALSE(verifier->verify(*token, now + seconds(90)));
  EXPECT_THAT(verifier->mint(grant, "", now).error().message, HasSubstr("--key"));
  EXPECT_THAT(verifier->mint(grant, "nope", now).error().message, HasSubstr("\"nope\""));
  EXPECT_THAT(verifier->mint(grant, "sso", now).error().message, HasSubstr("public half"));
}

TEST_F(AccessTokenTest, AKeyFileThatDoesNotServeIsNamed) {
  const auto complaint = [&] { return TokenVerifier::make(config).error().message; };
  config.keys[1].file = directory / "nothing.pem";
  EXPECT_THAT(complaint(), testing::AllOf(HasSubstr("api.keys[1]"), HasSubstr("nothing.pem")));
  config.keys[1] = config.keys[0];
  EXPECT_THAT(complaint(), HasSubstr("second key"));
  config.keys[1] = {"dir", "HS256", directory / "."};
  EXPECT_THAT(complaint(), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace runtail::test
