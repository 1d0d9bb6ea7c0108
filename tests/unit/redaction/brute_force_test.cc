// Whoever has all that is stored, and not the key, cannot try out candidates for a masked value: each of them would
// have been stored as the same bytes. Of a hash only the key's owner can tell which value it is of.
#include <gtest/gtest.h>

#include <set>

#include "buffer/chunk_value.h"
#include "core/digest.h"
#include "core/event_codec.h"
#include "parsers/parser.h"
#include "tests/support/redaction_values.h"
#include "tests/support/scale.h"
#include "tests/unit/redaction/line_builder.h"

namespace runtail::test {
namespace {

struct Kind {
  const char* kind;
  const char* before;  // of the line
  const char* after;
};

// As a message, inside an error, as a member, a number, a key, a whole text line.
constexpr Kind kKinds[] = {
    {"ssn", R"({"level":"INFO","run_id":"7f3c1b2a-0d4e-4a5b-8c6d-9e0f1a2b3c4d","msg":"rejected row ssn )",
     R"( of batch 7"})"},
    {"ssn", R"({"level":"ERROR","msg":"m","error":{"type":"E","message":"Key (ssn)=()", R"() already exists."}})"},
    {"ssn_number", R"({"level":"INFO","msg":"m","extra":{"ssn":)", R"(,"n":1}})"},
    {"dob_iso", R"({"level":"INFO","msg":"m","extra":{"dob":")", R"("}})"},
    {"aws_key_id", R"({"level":"INFO","msg":"m","extra":{")", R"(":1}})"},
    {"hex32", "2026-03-01 04:05:06 ERROR etl: X-Api-Key: ", " refused"},
    {"password_plain", "connecting postgres://loader:", "@db-7.internal/w"},
    {"ssn_number", R"({"level":"INFO","msg":"m","user_id":"patient-)", R"(@example.com"})"},
};

// What a line becomes in the buffer: the event's bytes. The row in the database and the dead letter hold no more.
class Store {
 public:
  explicit Store(RedactionConfig config = {}) : redactor_(make_redactor(allowing_all(std::move(config)))) {}

  const std::string& event_of(const std::string& line) {
    bytes_.clear();
    append_event(bytes_, redactor_.redact(parser_.parse(line)), 1000, line.size() + 1);
    return bytes_;
  }
  std::string chunk_of(const std::string& line) {
    Chunk chunk;
    chunk.file = {"etl/worker", {}, 0};
    chunk.covers = {1000, 1000 + line.size() + 1};
    chunk.lines = 1;
    chunk.events = event_of(line);
    DeadLetter letter;
    letter.body = redactor_.redact_text(line);
    chunk.dead_letters.push_back(std::move(letter));
    std::string packed;
    place_chunk(packer_.pack(chunk), {}, packed);
    return packed;
  }

 private:
  static RedactionConfig allowing_all(RedactionConfig config) {
    config.allow_all = true;
    return config;
  }
  Parser parser_{built_in_dialects()};
  Redactor redactor_;
  ChunkPacker packer_;
  std::string bytes_;
};

std::string line_of(const Kind& kind, const std::string& value) { return kind.before + value + kind.after; }

TEST(BruteForce, EachCandidateForAMaskedValueIsStoredAsTheSameBytes) {
  RedactionValues values(seed());
  Store store;
  const std::size_t candidates = by_scale<std::size_t>(2'000, 1'000'000);
  for (const Kind& kind : kKinds) {
    const std::string value = values.make(kind.kind);
    const std::string stored = store.event_of(line_of(kind, value));
    const std::string packed = store.chunk_of(line_of(kind, value));
    ASSERT_EQ(stored.find(value), std::string::npos) << kind.before << " is masked at all";
    std::size_t told_apart = 0;
    std::string first;
    for (std::size_t i = 0; i < candidates; ++i) {
      const std::string candidate = values.make(kind.kind);
      ASSERT_EQ(candidate.size(), value.size());
      const std::string line = line_of(kind, candidate);
      const bool is_apart = store.event_of(line) != stored || (i % 100 == 0 && store.chunk_of(line) != packed);
      if (is_apart && told_apart++ == 0) first = line;
    }
    EXPECT_EQ(told_apart, 0u) << "of " << candidates << " candidates, the first: " << first;
  }
}

// The same, were one value stored as it is: the comparison above would see it.
TEST(BruteForce, AValueThatIsNotMaskedIsToldApart) {
  Store store;
  const Kind kind{"", R"({"level":"INFO","msg":"batch )", R"( done"})"};
  const std::string stored = store.event_of(line_of(kind, "1234"));
  EXPECT_NE(store.event_of(line_of(kind, "1235")), stored);
}

RedactionConfig hashing(std::uint8_t key) {
  RedactionConfig config;
  config.actions = {{"ssn", "hash"}};
  config.hash_key.emplace().bytes.fill(key);
  return config;
}

// Hashes one can make without the key, in the words a hash in the marker is written with.
std::vector<std::string> guesses(const std::string& value, const std::string& ruleset) {
  std::vector<std::string> out;
  std::string digits;
  for (const char c : value) {
    if (c >= '0' && c <= '9') digits += c;
  }
  HashKey zero{}, rules{};
  std::copy(ruleset.begin(), ruleset.end(), rules.bytes.begin());
  for (const std::string& spelled : {value, digits}) {
    for (const std::string& text : {spelled, "ssn" + spelled, "ssn:" + spelled, std::string("ssn") + '\0' + spelled}) {
      for (const std::string& digest : {to_hex(sha256(text)), to_hex(sha1(text)), to_hex(hmac_sha256(zero, text)),
                                        to_hex(hmac_sha256(rules, text))}) {
        out.push_back(digest.substr(0, 16));
      }
    }
  }
  return out;
}

TEST(BruteForce, AHashTellsOnlyTheKeysOwner) {
  RedactionValues values(seed());
  Store store(hashing(0x5A)), owner(hashing(0x5A)), other(hashing(0x5B));
  const std::string ruleset = make_redactor(hashing(0x5A)).ruleset();
  const Kind& kind = kKinds[0];
  const std::string value = values.make("ssn");
  const std::string stored = store.event_of(line_of(kind, value));
  ASSERT_EQ(stored.find(value), std::string::npos);

  EXPECT_EQ(owner.event_of(line_of(kind, value)), stored) << "the same value, the same key";
  EXPECT_NE(other.event_of(line_of(kind, value)), stored) << "another key";
  std::string with_spaces = value;
  for (char& c : with_spaces) c = c == '-' ? ' ' : c;
  EXPECT_EQ(owner.event_of(line_of(kind, with_spaces)), stored) << "however it is written";

  // Where the stored bytes of two values differ there is a hash, and nothing else differs.
  std::string candidate;
  do candidate = values.make("ssn");
  while (candidate == value);
  const std::string& second = store.event_of(line_of(kind, candidate));
  ASSERT_EQ(second.size(), stored.size());
  std::size_t first_difference = stored.size(), last_difference = 0;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (stored[i] == second[i]) continue;
    first_difference = std::min(first_difference, i);
    last_difference = i;
  }
  ASSERT_LE(first_difference, last_difference);
  EXPECT_LT(last_difference - first_difference, 16u);
  const std::size_t marker = stored.rfind("[REDACTED:ssn", first_difference);
  ASSERT_NE(marker, std::string::npos);
  const std::size_t end = stored.find(']', marker);
  ASSERT_LE(last_difference, end);
  const std::string hash = stored.substr(end - 16, 16);
  EXPECT_EQ(hash.find_first_not_of("0123456789abcdef"), std::string::npos) << hash;

  // The value itself is among the candidates and no guess meets its hash; nor by chance any of the others.
  std::size_t met = 0;
  for (std::size_t i = 0; i < by_scale<std::size_t>(2'000, 1'000'000 / 16); ++i) {
    for (const std::string& guess : guesses(i == 0 ? value : values.make("ssn"), ruleset)) met += guess == hash;
  }
  EXPECT_EQ(met, 0u);
}

}  // namespace
}  // namespace runtail::test
