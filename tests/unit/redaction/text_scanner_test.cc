// What one text hides: names with values in every notation, encodings one inside the other, keys over several lines.
#include "redaction/text_scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "redaction/encoded_tokens.h"
#include "redaction/key_lines.h"
#include "tests/support/scale.h"
#include "tests/unit/redaction/line_builder.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct TextCase {
  std::string_view name, in, out;
};

Redactor& shared_redactor() {
  static Redactor redactor = make_redactor();
  return redactor;
}

class Pairs : public testing::TestWithParam<TextCase> {};

TEST_P(Pairs, LoseTheirValueAndNothingElse) {
  Redactor& redactor = shared_redactor();
  EXPECT_EQ(redactor.redact_text(GetParam().in), GetParam().out);
  EXPECT_EQ(redactor.redact_text(GetParam().out), GetParam().out);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Pairs,
    testing::Values(
        TextCase{"json", R"({"user":"etl","password":"a\"b, c","port":5432})",
                 R"({"user":"etl","password":"[REDACTED:password]","port":5432})"},
        TextCase{"json_number", R"({"ssn":123456789,"n":1})", R"({"ssn":[REDACTED:ssn],"n":1})"},
        TextCase{"json_subtree", R"({"credentials":{"user":"x","list":["a","}"]},"n":1})",
                 R"({"credentials":[REDACTED:secret],"n":1})"},
        TextCase{"json_escaped_twice", R"("{\\\"api_key\\\":\\\"k1 k2\\\",\\\"n\\\":1}")",
                 R"("{\\\"api_key\\\":\\\"[REDACTED:secret]\\\",\\\"n\\\":1}")"},
        TextCase{"python_repr", "{'token': u'abc', 'n': None}", "{'token': u'[REDACTED:token]', 'n': None}"},
        TextCase{"apostrophe", "{'full_name': 'Daniel O'Donnell', 'site': 'a'}",
                 "{'full_name': '[REDACTED:name]', 'site': 'a'}"},
        TextCase{"apostrophe_doubled", "patient_name='Anna O''Neill', n=1", "patient_name='[REDACTED:name]', n=1"},
        TextCase{"declared_with_its_type", "password: str = \"hunter 22\"  # n",
                 "password: str = \"[REDACTED:password]\"  # n"},
        TextCase{"declared_with_a_generic_type", "db_password: Option<String> = 'hunter22';",
                 "db_password: [REDACTED:password]<String> = '[REDACTED:password]';"},
        TextCase{"in_other_languages", "contraseña: hunter22, пароль=hunter22; 密码：hunter22",
                 "contraseña: [REDACTED:password], пароль=[REDACTED:password]; 密码：[REDACTED:password]"},
        TextCase{"ampersand_in_value", "password=Tr0ub4dor&3;encrypt=true password=a&b1;n=1 password=x1&amp;n=2",
                 "password=[REDACTED:password];encrypt=true password=[REDACTED:password];n=1 "
                 "password=[REDACTED:password]&amp;n=2"},
        TextCase{"counts_and_degrees", "zip: 3 nulls, zip: 62704, latitude: 12 nulls, latitude: 37.774929",
                 "zip: 3 nulls, zip: [REDACTED:address], latitude: 12 nulls, latitude: [REDACTED:geo]"},
        TextCase{"types_of_columns",
                 "|-- email: string (nullable), ssn: long, {phone: varchar(20), dob: date} last_name: Long",
                 "|-- email: string (nullable), ssn: long, {phone: varchar(20), dob: date} last_name: [REDACTED:name]"},
        TextCase{"hidden_by_its_writer", "ssl.keystore.password = [hidden]", "ssl.keystore.password = [hidden]"},
        TextCase{"address_beside_a_word_for_phones", "dial lookup db on 10.96.0.10:53: no such host",
                 "dial lookup db on [REDACTED:ip]:53: no such host"},
        TextCase{"quote_in_mid_word", "password='a'b n=1", "password='[REDACTED:password]'b n=1"},
        TextCase{"key_that_is_a_secret", R"({"ASIADZQCUZFR3DSN2OSG":1,"n":2})", R"({"[REDACTED:aws_key]":1,"n":2})"},
        TextCase{"environment_list", R"([{"name":"DB_PASSWORD","value":"s3"},{"name":"PORT","value":"80"}])",
                 R"([{"name":"DB_PASSWORD","value":"[REDACTED:password]"},{"name":"PORT","value":"80"}])"},
        TextCase{"yaml_siblings", "- name: API_TOKEN\n  value: abc\n- name: PORT\n  value: 80",
                 "- name: API_TOKEN\n  value: [REDACTED:token]\n- name: PORT\n  value: 80"},
        TextCase{"header_list", R"([["Host","x"],["Authorization","Custom abc def"]])",
                 R"([["Host","x"],["Authorization","[REDACTED:token]"]])"},
        TextCase{"argv", R"(['etl', '--db-password', 'x y', '--rows', '5'])",
                 R"(['etl', '--db-password', '[REDACTED:password]', '--rows', '5'])"},
        TextCase{"option", "etl --token abc --rows 5", "etl --token [REDACTED:token] --rows 5"},
        TextCase{"option_without_value", "etl --password --verbose", "etl --password --verbose"},
        TextCase{"xml", "<ns:password>a b</ns:password><n>1</n>",
                 "<ns:password>[REDACTED:password]</ns:password><n>1</n>"},
        TextCase{"xml_attributes", R"(<secret type="x">abc</secret>)",
                 R"(<secret type="x">[REDACTED:secret]</secret>)"},
        TextCase{"xml_key_value", R"(<add key="ApiKey" value="abc"/>)",
                 R"(<add key="ApiKey" value="[REDACTED:secret]"/>)"},
        TextCase{"code", R"(os.environ["DB_PASSWORD"] = "x1"; conn.setPassword("y2"))",
                 R"(os.environ["DB_PASSWORD"] = "[REDACTED:password]"; conn.setPassword("[REDACTED:password]"))"},
        TextCase{"php", "define('DB_PASSWORD', 'x1');", "define('DB_PASSWORD', '[REDACTED:password]');"},
        TextCase{"query", "GET /v1?page=2&access_token=abc&n=1", "GET /v1?page=2&access_token=[REDACTED:token]&n=1"},
        TextCase{"ado", "Server=x;Pwd=abc;Db=y", "Server=x;Pwd=[REDACTED:password];Db=y"},
        TextCase{"words_before_the_sign", "Date of Birth: 1980-04-12 ok", "Date of Birth: [REDACTED:dob] ok"},
        TextCase{"name_of_two_words", "patient_name=Jane Doe status=ok", "patient_name=[REDACTED:name] status=ok"},
        TextCase{"address", "home_address: 12 Oak Hill, Springfield retries=2",
                 "home_address: [REDACTED:address] retries=2"},
        TextCase{"scheme", "token: Bearer abc, n=1", "token: Bearer [REDACTED:token], n=1"},
        TextCase{"placeholders", "password=None token=${TOKEN} secret=****** pwd=$PWD key=",
                 "password=None token=${TOKEN} secret=****** pwd=$PWD key="},
        TextCase{"metadata", "token_count=5 password_policy=strict secret_name=db api_key_id=7",
                 "token_count=5 password_policy=strict secret_name=db api_key_id=7"},
        TextCase{"counts_of_persons", "null rate email: 0.12, phone=12", "null rate email: 0.12, phone=12"},
        TextCase{"scope", "std::token::x https://token//y", "std::token::x https://token//y"},
        TextCase{"npmrc", "//registry.npmjs.org/:_authToken=abc-def",
                 "//registry.npmjs.org/:_authToken=[REDACTED:token]"},
        TextCase{"value_first", R"([{"value":"hunter22","name":"DB_PASSWORD"}])",
                 R"([{"value":"[REDACTED:password]","name":"DB_PASSWORD"}])"},
        TextCase{"value_first_repr", "{'value': 'hunter 22', 'name': 'DB_PASSWORD'}",
                 "{'value': '[REDACTED:password]', 'name': 'DB_PASSWORD'}"},
        TextCase{"value_first_yaml", "- value: hunter22\n  name: DB_PASSWORD\n- value: 80\n  name: PORT",
                 "- value: [REDACTED:password]\n  name: DB_PASSWORD\n- value: 80\n  name: PORT"},
        TextCase{"value_first_escaped", R"("[{\"value\":\"hunter22\",\"name\":\"DB_PASSWORD\"}]")",
                 R"("[{\"value\":\"[REDACTED:password]\",\"name\":\"DB_PASSWORD\"}]")"},
        TextCase{"named_with_a_prefix", R"({"ParameterKey":"DBPassword","ParameterValue":"hunter22"})",
                 R"({"ParameterKey":"DBPassword","ParameterValue":"[REDACTED:password]"})"},
        TextCase{"prefix_of_another", R"({"column_name":"password","null_value":"x1"})",
                 R"({"column_name":"password","null_value":"x1"})"},
        TextCase{"json_in_csv", R"(7,"{""password"": ""hunter22"", ""n"": 1}",x)",
                 R"(7,"{""password"": ""[REDACTED:password]"", ""n"": 1}",x)"},
        TextCase{"signs_twice", "password = = hunter22", "password = = [REDACTED:password]"},
        TextCase{"colons_twice", "password: : hunter22", "password: : [REDACTED:password]"},
        TextCase{"sign_of_mail", "db.password =3D CloiADN5RpVI", "db.password =3D [REDACTED:password]"},
        TextCase{"empty_first", "password=  \"\" hunter22", "password=  \"\" [REDACTED:password]"},
        TextCase{"empty_and_another_key", "password=\"\" user=etl7", "password=\"\" user=etl7"},
        TextCase{"next_line", "password:\n  hunter22\nuser: etl", "password:\n  [REDACTED:password]\nuser: etl"},
        TextCase{"next_line_is_a_key", "password:\nuser: etl", "password:\nuser: etl"},
        TextCase{"pair_in_a_list", R"(["password","hunter22"])", R"(["password","[REDACTED:password]"])"},
        TextCase{"columns_in_a_list", R"(["password","email"])", R"(["password","email"])"},
        TextCase{"doubled_braces", "jdbc:sqlserver://db;user=sa;password={S3c}}r3t};n=1",
                 "jdbc:sqlserver://db;user=sa;password=[REDACTED:password];n=1"},
        TextCase{"behind_a_planted_mark", "password=[REDACTED:password]Tr0ub4dor&3 n",
                 "password=[REDACTED:password] n"},
        TextCase{"colours", "\x1b[36mpassword\x1b[0m=\x1b[35mhunter22\x1b[0m",
                 "\x1b[36mpassword\x1b[0m=\x1b[35m[REDACTED:password]"},
        TextCase{"short_subject", "subjid=1015 rows=3", "subjid=[REDACTED:subject_id] rows=3"},
        TextCase{"rate_of_subjects", "null rate subject_id: 0.12", "null rate subject_id: 0.12"},
        TextCase{"arm_of_words", "ACTARM=Xanomeline High Dose n=1", "ACTARM=[REDACTED:treatment] n=1"},
        TextCase{"in_a_tag", "<Subject dob=1980 arm=Placebo>", "<Subject dob=1980 arm=[REDACTED:treatment]>"},
        TextCase{"small_token", "token=5", "token=5"}, TextCase{"state_of_a_zip", "zip: done", "zip: done"},
        TextCase{"fhir", R"({"resourceType":"Patient","name":[{"family":"Doe","given":["Jane"]}],"active":true})",
                 R"({"resourceType":"Patient","name":[REDACTED:fhir],"active":true})"},
        TextCase{"named_by_its_object", R"({"patient":{"id":7,"name":"Jane Doe","ward":"4"},"table":{"name":"t"}})",
                 R"({"patient":{"id":7,"name":"[REDACTED:name]","ward":"4"},"table":{"name":"t"}})"},
        TextCase{"name_without_fhir", R"({"name":"orders","family":"batch"})",
                 R"({"name":"orders","family":"batch"})"}),
    [](const auto& each) { return std::string(each.param.name); });

// A secret in every wrapping the promise names: none of its bytes in a row of eight may be left.
std::string url_encoded(std::string_view text, bool everything) {
  std::string out;
  char hex[4];
  for (const char c : text) {
    if (!everything && std::isalnum(static_cast<unsigned char>(c))) {
      out += c;
    } else {
      std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned char>(c));
      out += hex;
    }
  }
  return out;
}

std::string with_each(std::string_view text, const char* format) {
  std::string out;
  char piece[16];
  for (const char c : text) {
    std::snprintf(piece, sizeof piece, format, static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += piece;
  }
  return out;
}

std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '/') out += '\\';
    out += c;
  }
  return out;
}

std::string base64(std::string_view text) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u);
    for (int k = 3; k >= 0; --k) out += kLetters[bits >> (6 * k) & 63];
  }
  for (std::size_t i = 0; i < (3 - text.size() % 3) % 3; ++i) out[out.size() - 1 - i] = '=';
  return out;
}

class Encodings : public testing::TestWithParam<std::string_view> {};

TEST_P(Encodings, HideNoSecret) {
  const std::string secret(GetParam());
  Redactor& redactor = shared_redactor();
  const std::string wrapped[] = {secret,
                                 json_escaped(secret),
                                 json_escaped(json_escaped(secret)),
                                 with_each(secret, "\\u%04x"),
                                 with_each(secret, "\\x%02x"),
                                 url_encoded(secret, false),
                                 url_encoded(secret, true),
                                 url_encoded(url_encoded(secret, false), false),
                                 with_each(secret, "&#%u;"),
                                 with_each(secret, "&#x%x;"),
                                 base64("note " + secret + " in a letter"),
                                 with_each("note " + secret, "%02x"),
                                 base64(base64("note " + secret + " twice"))};
  for (const std::string& text : wrapped) {
    const std::string line = "before <" + text + "> after";
    const std::string out = redactor.redact_text(line);
    EXPECT_THAT(out, HasSubstr("[REDACTED:")) << line;
    EXPECT_TRUE(out.starts_with("before ") && out.ends_with(" after")) << out;
    EXPECT_THAT(out, Not(HasSubstr(text))) << line;
    EXPECT_EQ(redactor.redact_text(out), out);
  }
}

INSTANTIATE_TEST_SUITE_P(Secrets, Encodings,
                         testing::Values("anna417@example.com", "password=hunter2x", "AKIAIOSFODNN7EXAMPLE",
                                         "postgres://etl:hunter2@db.internal/w", "123-45-6789", "4111 1111 1111 1111",
                                         "ghp_0123456789abcdefghijABCDEFGHIJ012345", "Bearer q1W2e3R4t5Y6u7I8o9P0",
                                         R"({"api_key": "9f8e7d6c5b"})"));

TEST(Encodings, LookAlikesHideNothing) {
  Redactor& redactor = shared_redactor();
  EXPECT_EQ(redactor.redact_text("to anna\xE2\x80\x8B@example\xEF\xBC\x8E"
                                 "com now"),
            "to [REDACTED:email] now");
  EXPECT_EQ(redactor.redact_text("\xEF\xBC\x94\xEF\xBC\x91\xEF\xBC\x91\xEF\xBC\x91 1111 1111 1111"), "[REDACTED:card]");
  EXPECT_EQ(redactor.redact_text("p\xD0\xB0ssword=hunter2"), "p\xD0\xB0ssword=[REDACTED:password]");
}

TEST(Encodings, FormsAndOldEscapesHideNothing) {
  Redactor& redactor = shared_redactor();
  for (const std::string_view text :
       {"-----BEGIN+PRIVATE+KEY-----%0AoNPcXa7f%0A-----END+PRIVATE+KEY-----",
        "event=DETAIL%3A+Failing+row+contains+%287%2C+oNPcXa7f%2C+Meyer%29.", "db.password+%3D+oNPcXa7f",
        "msg=%7B%22password%22%3A+%22oNPcXa7f%22%7D", "db.password%2B%253D%2BoNPcXa7f", "\\160assword=oNPcXa7f",
        "\\u{70}assword=oNPcXa7f", "\\033[1mpassword\\033[0m: oNPcXa7f",
        "Authorization: \x1b[32mBearer oNPcXa7f9012345678901\x1b[0m"}) {
    EXPECT_THAT(redactor.redact_text(text), Not(HasSubstr("oNPcXa7f"))) << text;
  }
  EXPECT_EQ(redactor.redact_text("a+b %20 1+1"), "a+b %20 1+1");
}

TEST(Encodings, DeeperThanFourLayersGoWhole) {
  std::string text = "anna@example.com";
  for (int i = 0; i < 7; ++i) text = url_encoded(text, i == 0);
  Redactor redactor = make_redactor();
  LineBuilder line;
  const RedactedEvent& out = redactor.redact(line.text(Field::kMsg, text).text(Field::kTask, "load").event());
  EXPECT_EQ(out.fields.text(Field::kMsg), "[REDACTED:budget]");
  EXPECT_EQ(out.fields.text(Field::kTask), "load");
  EXPECT_EQ(out.redaction_state, RedactionState::kFailedClosed);
  EXPECT_FALSE(out.pii_safe);
  EXPECT_EQ(redactor.totals().over_budget, 1u);
  EXPECT_EQ(redactor.totals().failed_closed, 0u);
}

TEST(Encodings, TokensAreAllLongRunsOfTheirLetters) {
  static constexpr std::string_view kAlphabet = "aZ09+/-_aZ09+/-_aZ09+/-_aZ09+/-_aZ09+/-_aZ09+/-_ *.:=~\x7F\xAB\xFF";
  std::mt19937_64 random(test::seed() + 4);
  std::size_t found = 0;
  for (int round = 0; round < test::by_scale(5'000, 500'000); ++round) {
    std::string text(random() % 200, ' ');
    for (char& c : text) c = kAlphabet[random() % kAlphabet.size()];
    std::vector<std::pair<std::size_t, std::size_t>> want, have;
    for (std::size_t end = 0, begin = 0; begin < text.size(); begin = end + 1) {
      for (end = begin; end < text.size() && is_token_char(text[end]); ++end) {
      }
      const std::size_t letters = end - begin;
      std::size_t signs = 0;
      while (signs < 2 && end + signs < text.size() && text[end + signs] == '=') ++signs;
      if (letters >= kTokenBytesMin) want.emplace_back(begin, end + signs);
    }
    each_token(text, [&](Window window) { have.emplace_back(window.begin, window.end); });
    ASSERT_EQ(have, want) << testing::PrintToString(text);
    found += want.size();
  }
  EXPECT_GT(found, 500u);
}

TEST(Encodings, TokensAreFoundInPathsNamesAndNumbers) {
  const std::string base64 = "cGFzc3dvcmQ9aHVudGVyMjJ4eXomdXNlcj1ldGw=";  // password=hunter22xyz&user=etl
  const std::string hex = "70617373776f72643d68756e746572323278797a";
  for (const auto& [before, token, after] :
       std::vector<std::array<std::string, 3>>{{"GET https://h.example/confirm/", base64, " 200"},
                                               {"GET /a/b/c/", base64, ""},
                                               {"path/", hex, "/x"},
                                               {"id-", hex, ""},
                                               {"file_", hex, ".bin"},
                                               {"SELECT 0x", hex, ""},
                                               {"bytea '\\x", hex, "'"},
                                               {"bytea E'\\\\x", hex, "'"}}) {
    EXPECT_EQ(shared_redactor().redact_text(before + token + after), before + "[REDACTED:password]" + after);
  }
}

TEST(Encodings, WhatCannotBeSeenHidesNothing) {
  for (const std::string_view between :
       {"\xCC\x81", "\xEF\xB8\x8F", "\xE2\x80\xAE", "\xE2\x81\xA6", "\xF3\xA0\x80\xA0"}) {
    std::string text;
    for (const char c : std::string_view("password=hunter22")) text.append(1, c).append(between);
    const std::string out = shared_redactor().redact_text(text);
    EXPECT_TRUE(out.ends_with("[REDACTED:password]")) << out;
  }
}

TEST(Encodings, DigestsAndIdsAreNoText) {
  for (const std::string_view text :
       {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "7f3c1b2a-0d4e-4a5b-8c6d-9e0f1a2b3c4d",
        "/var/log/etl/nightly/orders/part-00000"}) {
    EXPECT_EQ(decoded_text(text), "") << text;
    EXPECT_EQ(shared_redactor().redact_text(text), text);
  }
}

std::vector<bool> key_lines(const std::vector<std::string_view>& lines) {
  StreamMemory memory;
  std::vector<bool> out;
  for (const std::string_view line : lines) out.push_back(key_line_begin(line, memory) != std::string_view::npos);
  return out;
}

TEST(KeyLines, GoUntilTheEndOfTheKey) {
  EXPECT_THAT(key_lines({"a", "-----BEGIN RSA PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED", "", "MIIEow+/x",
                         "2026-03-01T00:00:00Z INFO q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1",
                         "-----BEGIN X-----", "AAA=", "-----END RSA PRIVATE KEY-----", "b"}),
              ElementsAre(false, false, true, true, true, true, true, true, true, false));
}

TEST(KeyLines, WhatALoggerWritesBeforeEachLineStays) {
  Redactor redactor = make_redactor();
  StreamMemory memory;
  const std::string prefix = "2026-03-01T00:00:00Z INFO worker ";
  const auto masked = [&](const std::string& line) {
    LineBuilder event;
    return std::string(redactor.redact(event.plain_text(line).event(), memory).raw_text);
  };
  EXPECT_EQ(masked(prefix + "-----BEGIN PRIVATE KEY-----"), prefix + "[REDACTED:private_key]");
  EXPECT_EQ(masked(prefix + "q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1q0B1"),
            prefix + "[REDACTED:private_key]");
  EXPECT_EQ(masked(prefix + "aZ9="), prefix + "[REDACTED:private_key]");
  EXPECT_EQ(masked(prefix + "-----END PRIVATE KEY-----"), prefix + "[REDACTED:private_key]");
  EXPECT_EQ(masked(prefix + "done"), prefix + "done");
}

TEST(KeyLines, AKeyThatBreaksOffEndsWithTheFirstOtherLine) {
  EXPECT_THAT(key_lines({"x -----BEGIN PRIVATE KEY-----", "MIIEow", "run 7 finished", "word"}),
              ElementsAre(false, true, false, false));
}

TEST(KeyLines, AFullLineOfArmourIsKnownWithoutItsBeginning) {
  EXPECT_THAT(key_lines({"7bq0Zk1hO8Qm1dGmVj3xMIIEpAIBAAKCAQEA7bq0Zk1hO8Qm1dGmVj3xABCDEFGH",
                         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}),
              ElementsAre(true, false));
}

TEST(KeyLines, AreMaskedInTextAndInMessages) {
  Redactor redactor = make_redactor();
  StreamMemory memory;
  LineBuilder begin, body, after;
  redactor.redact(begin.plain_text("-----BEGIN PRIVATE KEY-----").event(), memory);
  EXPECT_EQ(redactor.redact(body.text(Field::kMsg, "MIIEow").event(), memory).fields.text(Field::kMsg),
            "[REDACTED:private_key]");
  EXPECT_EQ(redactor.redact(after.text(Field::kMsg, "run done").event(), memory).fields.text(Field::kMsg), "run done");
}

}  // namespace
}  // namespace runtail
