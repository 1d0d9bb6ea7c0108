// Lines no one should write. Each has one defined outcome, its neighbours arrive, the agent lives on in bounded memory.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

constexpr std::uint64_t kRssMaxKib = 96 * 1024;

struct BadLine {
  std::string name;
  std::string bytes;  // without the newline
  std::string outcome = "stored";
  std::string row = "";  // SQL condition exactly one row of log_events meets; "": not looked at
};

std::string repeated(std::string_view text, std::size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

std::string with_zero_byte(std::string text) {
  text[text.find('@')] = '\0';
  return text;
}

std::string many_members() {
  std::string line = R"({"level":"INFO","msg":"many members")";
  for (int i = 0; i < 20'000; ++i) line += ",\"member_" + std::to_string(i) + "\":" + std::to_string(i);
  return line + '}';
}

// A run whose sum leaves 64 bits.
std::string huge_amount() {
  return R"({"level":"INFO","msg":"huge amount","job_id":"huge","run_id":"huge-run","records_loaded":9223372036854775807})";
}

std::vector<BadLine> bad_lines() {
  const std::size_t long_line = by_scale<std::size_t>(8 << 20, 64 << 20);
  return {
      {"not_json", "segmentation fault, core kept", "stored", "raw_text = 'segmentation fault, core kept'"},
      {"json_cut_short", R"({"level":"INFO","msg":"cut sho)", "stored", "raw_text LIKE '%cut sho'"},
      {"json_with_text_behind", R"({"msg":"one object"} and more)", "stored", "raw_text LIKE '%and more'"},
      {"two_objects_on_a_line", R"({"msg":"first of two"}{"msg":"second of two"})", "stored",
       "raw_text LIKE '%second of two%'"},
      {"single_quotes", R"({'msg':'python repr'})", "stored", "raw_text LIKE '%python repr%'"},
      {"bytes_that_are_no_utf8", "{\"msg\":\"latin \xE9t\xE9\"}", "stored",
       "concat(message, raw_text) LIKE '%latin %'"},
      {"text_that_is_no_utf8", "plain \xFF\xFE text", "stored", "raw_text LIKE 'plain % text'"},
      {"utf8_cut_in_a_character", "snow \xE2\x98", "stored", "raw_text LIKE 'snow %'"},
      {"overlong_utf8", "slash \xC0\xAF end", "stored", "raw_text LIKE 'slash % end'"},
      {"zero_byte_in_json", with_zero_byte(R"({"msg":"zero @ byte"})"), "stored",
       "concat(message, raw_text) LIKE '%zero % byte%'"},
      {"zero_byte_in_text", with_zero_byte("zero @ in text"), "stored", "raw_text LIKE 'zero % in text'"},
      {"escaped_zero", R"({"msg":"escaped \u0000 zero"})", "stored",
       "concat(message, raw_text) LIKE '%escaped % zero%'"},
      {"escaped_zero_in_a_name", R"({"msg":"zero in a name","na\u0000me":1})", "stored",
       "concat(message, raw_text) LIKE '%zero in a name%'"},
      {"lone_high_surrogate", R"({"msg":"high \ud800 alone"})", "stored",
       "concat(message, raw_text) LIKE '%high % alone%'"},
      {"lone_low_surrogate", R"({"msg":"low \udc00 alone"})", "stored",
       "concat(message, raw_text) LIKE '%low % alone%'"},
      {"surrogates_the_wrong_way", R"({"msg":"swapped \udc00\ud800 pair"})", "stored",
       "concat(message, raw_text) LIKE '%swapped % pair%'"},
      {"surrogate_in_run_id", R"({"msg":"odd run","job_id":"odd","run_id":"r\ud800"})", "stored", ""},
      {"very_long_line", R"({"level":"INFO","msg":")" + std::string(long_line, 'x') + "\"}", "dead_lettered", ""},
      {"just_too_long", std::string((1 << 20) + 1, 'y'), "dead_lettered", ""},
      {"just_short_enough", std::string((1 << 20) - 1, 'z'), "stored", "raw_text LIKE 'zzzz%'"},
      {"deep_objects", repeated(R"({"a":)", 10'000) + "1" + repeated("}", 10'000), "stored",
       R"(raw_text LIKE '{"a":{"a":%')"},
      {"deep_arrays", R"({"msg":"deep arrays","x":)" + repeated("[", 10'000) + repeated("]", 10'000) + "}", "stored",
       "concat(message, raw_text) LIKE '%deep arrays%'"},
      {"deep_and_open", repeated("[", 10'000), "stored", ""},
      {"deep_null_rates",
       R"({"msg":"deep rates","event":"dq","job_id":"d","run_id":"d1","table":"t","null_rates":)" +
           repeated(R"({"a":)", 500) + "1" + repeated("}", 500) + "}",
       "stored", "concat(message, raw_text) LIKE '%deep rates%'"},
      {"same_member_twice", R"({"msg":"said once","msg":"said again"})", "stored",
       "concat(message, raw_text) LIKE '%said%'"},
      {"run_named_twice", R"({"msg":"two runs","job_id":"j","run_id":"r-one","run_id":"r-two"})", "stored", ""},
      {"integer_of_65_bits", R"({"msg":"65 bits","duration_ms":18446744073709551616})", "stored",
       "message = '65 bits'"},
      {"integer_of_64_bits", R"({"msg":"64 bits","records_loaded":18446744073709551615})", "stored",
       "message = '64 bits'"},
      {"number_beyond_double", R"({"msg":"beyond double","value":1e400})", "stored",
       "concat(message, raw_text) LIKE '%beyond double%'"},
      {"number_beyond_double_elsewhere", R"({"msg":"beyond, unlisted","weight":-1e400})", "stored",
       "concat(message, raw_text) LIKE '%beyond, unlisted%'"},
      {"attempt_zero", R"({"msg":"attempt zero","job_id":"a","run_id":"a0","attempt":0,"event":"run.started"})",
       "stored", "message = 'attempt zero'"},
      {"attempt_negative", R"({"msg":"attempt minus","job_id":"a","run_id":"a1","attempt":-3,"event":"run.started"})",
       "stored", "message = 'attempt minus'"},
      {"attempt_huge",
       R"({"msg":"attempt huge","job_id":"a","run_id":"a2","attempt":99999999999,"event":"run.started"})", "stored",
       "message = 'attempt huge'"},
      {"wrong_types", R"({"ts":true,"level":7,"msg":{"a":1},"run_id":[1],"job_id":null,"attempt":"x","error":5})",
       "stored", ""},
      {"times_that_are_none", R"({"ts":"yesterday","msg":"no time","scheduled_at":"2026-13-45T99:99:99Z"})", "stored",
       "message = 'no time'"},
      {"amount_at_the_limit", huge_amount(), "stored", ""},
      {"amount_over_the_limit", huge_amount(), "stored", ""},
      {"negative_amount", R"({"msg":"below zero","job_id":"n","run_id":"n1","records_loaded":-5,"duration_ms":-1})",
       "stored", "message = 'below zero'"},
      {"empty", "", "dropped", ""},
      {"only_a_carriage_return", "\r", "dropped", ""},
      {"only_white_space", " \t  ", "dropped", ""},
      {"crlf", "{\"msg\":\"from Windows\"}\r", "stored", "message = 'from Windows'"},
      {"crlf_text", "text from Windows\r", "stored", "raw_text = 'text from Windows'"},
      {"carriage_return_inside", "progress 1 %\rprogress 2 %", "stored", "raw_text LIKE 'progress 1 %progress 2 %'"},
      {"json_null", "null", "stored", "raw_text = 'null'"},
      {"json_array", "[]", "stored", "raw_text = '[]'"},
      {"json_number", "42", "stored", "raw_text = '42'"},
      {"json_string", R"("a text")", "stored", R"(raw_text = '"a text"')"},
      {"empty_object", "{}", "stored", ""},
      {"byte_order_mark", "\xEF\xBB\xBF{\"msg\":\"with a mark\"}", "stored",
       "concat(message, raw_text) LIKE '%with a mark%'"},
      {"terminal_colours", "\x1B[31mred\x1B[0m alert", "stored", "raw_text LIKE '%red%alert'"},
      {"many_members", many_members(), "stored", "concat(message, raw_text) LIKE '%many members%'"},
  };
}

TEST(BadInput, EachLineHasOneOutcomeAndItsNeighboursArrive) {
  Scene scene("bad_input");
  LogFile log(scene.log);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  std::map<std::string, double> want = {{"stored", 0}, {"dropped", 0}, {"dead_lettered", 0}};
  std::map<std::string, double> seen;
  double lines = 0;
  std::uint64_t rss = 0;
  const std::vector<BadLine> all = bad_lines();
  for (const BadLine& bad : all) {
    SCOPED_TRACE(bad.name);
    log.append_line(R"({"level":"INFO","msg":"good before )" + bad.name + "\"}");
    log.append_line(bad.bytes);
    log.append_line(R"({"level":"INFO","msg":"good after )" + bad.name + "\"}");
    lines += 3;
    want["stored"] += 2;
    ++want[bad.outcome];
    ASSERT_TRUE(wait_until([&] {
      rss = std::max(rss, scene.agent.rss_kib());
      return !scene.agent.running() || scene.agent.lines_read() == lines;
    })) << "lines read: "
        << scene.agent.lines_read() << " of " << lines << '\n'
        << scene.agent.log();
    ASSERT_TRUE(scene.agent.running()) << scene.agent.log();
    seen = scene.agent.scrape()->by("runtail_lines_total", "outcome");
    for (const auto& [outcome, count] : want) EXPECT_EQ(seen[outcome], count) << outcome;
    want = {{"stored", seen["stored"]}, {"dropped", seen["dropped"]}, {"dead_lettered", seen["dead_lettered"]}};
  }
  EXPECT_LE(rss, kRssMaxKib);

  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, static_cast<std::uint64_t>(want["stored"]))) << scene.agent.log();
  EXPECT_EQ(scene.sql.log_events(), want["stored"]);
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  for (const BadLine& bad : all) {
    SCOPED_TRACE(bad.name);
    const std::string rows = "SELECT count(*) FROM observability.log_events WHERE ";
    EXPECT_EQ(scene.sql.number(rows + "message = 'good before " + bad.name + "'"), 1);
    EXPECT_EQ(scene.sql.number(rows + "message = 'good after " + bad.name + "'"), 1);
    if (!bad.row.empty()) {
      EXPECT_EQ(scene.sql.number(rows + bad.row), 1) << bad.row;
    }
  }
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.dead_letters WHERE reason = 'too_long'"),
            want["dead_lettered"]);
  const Finished letters = scene.agent.ask({"buffer", "dead-letters", "--output", "json"});
  EXPECT_EQ(letters.exit_code, 0) << letters.errors;
}

// Decided in the sink: the line is read and buffered, its records find no place.
TEST(BadInput, TimesNoPartitionHoldsAreSetAsideAndTheRestIsWritten) {
  Scene scene("bad_times");
  LogFile log(scene.log);
  const std::string now =
      scene.sql.rows("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')").at(0);
  const auto write = [&log](const std::string& time, const std::string& rest) {
    log.append_line(R"({"ts":")" + time + R"(","level":"INFO",)" + rest + '}');
  };
  const std::string ahead = "2199-01-01T00:00:00Z", long_ago = "1999-01-01T00:00:00Z";
  write(now, R"("msg":"good first")");
  write(ahead, R"("msg":"far ahead")");
  write(long_ago, R"("msg":"long ago")");
  write(ahead, R"("msg":"run ahead","job_id":"j","run_id":"r1","event":"run.started")");
  write(long_ago, R"("msg":"run of old","job_id":"j","run_id":"r2","event":"run.started")");
  write(now, R"("msg":"good last")");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == 6; })) << scene.agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, 2)) << scene.agent.log();
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'good %'"), 2);
  EXPECT_EQ(scene.sql.log_events(), 2);
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.job_runs"), 0);
  EXPECT_GE(scene.sql.number("SELECT count(*) FROM observability.dead_letters WHERE reason = 'future_time'"), 2);
  EXPECT_EQ(scene.agent.metric("runtail_records_total", {{"table", "log_events"}, {"outcome", "expired"}}), 2);
  EXPECT_EQ(scene.agent.metric("runtail_records_total", {{"table", "log_events"}, {"outcome", "dead_lettered"}}), 2);
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
}

}  // namespace
}  // namespace runtail::test
