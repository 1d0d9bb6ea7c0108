#include "core/identity.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

TEST(Uuid, ParsesOnlyTheCanonicalForm) {
  EXPECT_EQ(to_string(*parse_uuid("0AF7651C-1234-4ABC-8DEF-0123456789ab")), "0af7651c-1234-4abc-8def-0123456789ab");
  for (const char* bad : {"", "0af7651c12344abc8def0123456789ab", "{0af7651c-1234-4abc-8def-0123456789ab}",
                          "0af7651c-1234-4abc-8def-0123456789ag", "0af7651c-1234-4abc-8def-0123456789a",
                          "0af7651c_1234-4abc-8def-0123456789ab"}) {
    EXPECT_FALSE(parse_uuid(bad)) << bad;
  }
}

TEST(Uuid, Version5IsWhatTheStandardGives) {
  // RFC 9562, appendix A.4: DNS namespace, "www.example.com".
  const Uuid dns = *parse_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
  EXPECT_EQ(to_string(uuid_v5(dns, {"www.example.com"})), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

TEST(EventIds, DifferInEachPartOfTheIdentityAndOnlyThere) {
  const FileIdentity file{"prod/etl", {1, 2, 3}, 0};
  FileIdentity other_stream = file, other_key = file, other_generation = file;
  other_stream.stream = "prod/etl2";
  other_key.file_key[15] = 1;
  other_generation.generation = 1;
  const Uuid id = EventIds(file).at(100);
  EXPECT_EQ(id, EventIds(file).at(100));
  EXPECT_NE(id, EventIds(file).at(101));
  EXPECT_NE(id, EventIds(file).at(100, 1));
  for (const FileIdentity& other : {other_stream, other_key, other_generation}) EXPECT_NE(id, EventIds(other).at(100));
  EXPECT_EQ(id, uuid_v5(runtail_namespace(), {"prod/etl", "01020300000000000000000000000000", "0", "100"}));
}

TEST(RunId, AUuidStaysAndTextDependsOnJobAndEnvironment) {
  const std::string uuid = "0af7651c-1234-4abc-8def-0123456789ab";
  EXPECT_EQ(to_string(run_id_of(default_run_namespace(), "prod", "orders", uuid)), uuid);
  const Uuid run = run_id_of(default_run_namespace(), "prod", "orders", "nightly__1");
  EXPECT_NE(run, run_id_of(default_run_namespace(), "dev", "orders", "nightly__1"));
  EXPECT_NE(run, run_id_of(default_run_namespace(), "prod", "other", "nightly__1"));
}

TEST(Digest, Crc32cMatchesItsCheckValue) { EXPECT_EQ(crc32c("123456789"), 0xE3069283u); }

TEST(Digest, HmacMatchesRfc4231) {
  // Test case 2 has a short key; a key padded with zeros to 32 bytes is the same HMAC key.
  HashKey key;
  key.bytes = {'J', 'e', 'f', 'e'};
  EXPECT_EQ(to_hex(hmac_sha256(key, "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace runtail
