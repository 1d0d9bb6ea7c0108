// The kinds of rows PostgreSQL was found to refuse, table by table: each is set aside once, with reason and SQLSTATE,
// and its neighbours arrive; facts written in one transaction with their lines, or ahead of them.
// Most of these never get past parser and redactor: they are put into events that did.
#include <limits>
#include <map>

#include "tests/unit/sinks/postgres_fixture.h"

namespace runtail::test {
namespace {

// Not to be compressed; beyond 2,704 bytes no index takes it.
std::string random_letters(int count) {
  std::string text;
  std::uint32_t random = 1;
  for (int i = 0; i < count; ++i) {
    random = random * 1'664'525 + 1'013'904'223;
    text += static_cast<char>('a' + (random >> 24) % 26);
  }
  return text;
}

LogFile::Change integer(Field field, std::int64_t value) {
  return [field, value](RedactedEvent& event) { event.fields.put_int(field, value); };
}
LogFile::Change text(Field field, std::string value) {
  return [field, value](RedactedEvent& event) { event.fields.put_text(field, value); };
}
// Views in an event need a place that lasts.
LogFile::Change context(std::string_view json) {
  return [json](RedactedEvent& event) { event.context = json; };
}

struct Kind {
  std::string name;
  std::string members;  // of the line, beside time, job and run
  std::string refused;  // reason|sqlstate|target table
  LogFile::Change change = {};
};

std::vector<Kind> kinds() {
  const std::string wide = random_letters(12'000), half = random_letters(2'000);
  constexpr std::int64_t kHuge = 99'999'999'999;  // beyond 32 bits
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  const std::string plain = R"("msg":"m")";
  return {
      // Facts: numbers beyond their column.
      {"an exit code beyond 32 bits", plain, "bad_value|22003|", integer(Field::kExitCode, kHuge)},
      {"an exit signal beyond 32 bits", plain, "bad_value|22003|", integer(Field::kExitSignal, kHuge)},
      {"more attempts allowed than 32 bits", plain, "bad_value|22003|", integer(Field::kMaxAttempts, kHuge)},
      // Facts: a named check.
      {"an attempt before the first", plain, "constraint|23514|run_attempts", integer(Field::kAttempt, 0)},
      // Facts: too wide for an index.
      {"a job's name too wide", plain, "too_large|54000|", text(Field::kJobId, wide)},
      {"a correlation id too wide", plain, "too_large|54000|", text(Field::kCorrelationId, wide)},
      {"a trace id too wide", plain, "too_large|54000|", text(Field::kTraceId, wide)},
      {"a dataset's name too wide", R"("event":"dataset","dataset":"d","status":"ok")", "too_large|54000|",
       text(Field::kDataset, wide)},
      {"a table's name too wide for a baseline", R"("event":"dq","table":"t","row_count":3)", "too_large|54000|",
       text(Field::kTable, wide)},
      {"job and environment too wide together", plain, "too_large|54000|summary_dirty",
       [half](RedactedEvent& event) {
         event.fields.put_text(Field::kJobId, half);
         event.fields.put_text(Field::kEnv, half);
       }},
      // Facts: times and JSON.
      {"a time before the calendar", R"("event":"run.started")", "bad_value|22009|",
       [](RedactedEvent& event) { event.fields.put_int(Field::kQueuedAt, kLeast, FieldValue::Kind::kTime); }},
      {"rates that are no JSON", R"("event":"dq","table":"t","null_rates":{"a":0.5})", "bad_value|22P02|",
       text(Field::kNullRates, "{\"a\":oops}")},
      {"columns that are no JSON", R"("event":"dq","table":"t","columns":[{"name":"a","type":"int"}])",
       "bad_value|22P02|", text(Field::kColumns, "[")},
      // Lines: bytes that are no UTF-8.
      {"a message of no encoding", plain, "bad_value|22021|log_events", text(Field::kMsg, "\xC3(")},
      {"a message of half a surrogate", plain, "bad_value|22021|log_events", text(Field::kMsg, "\xED\xA0\x80")},
      {"a message cut in a letter", plain, "bad_value|22021|log_events", text(Field::kMsg, "gr\xC3")},
      {"an overlong letter", plain, "bad_value|22021|log_events", text(Field::kMsg, "\xC0\x80")},
      {"a text of no encoding", plain, "bad_value|22021|log_events",
       [](RedactedEvent& event) { event.raw_text = "\xFF\xFE"; }},
      // Lines: JSON.
      {"a context that is no JSON", plain, "bad_value|22P02|log_events", context("{\"a\":oops}")},
      {"a context with an open string", plain, "bad_value|22P02|log_events", context("{\"a\":\"b")},
      {"a context with an unknown escape", plain, "bad_value|22P02|log_events", context("{\"a\":\"\\q\"}")},
      {"a context with a raw line feed", plain, "bad_value|22P02|log_events", context("{\"a\":\"b\nc\"}")},
      {"a context of no encoding", plain, "bad_value|22021|log_events", context("{\"a\":\"\xC3(\"}")},
      // Lines: rules of the operator's own.
      {"a message the operator's check refuses", R"("msg":"refuse me")", "constraint|23514|log_events"},
      {"a service longer than the operator's column", R"("msg":"m","service":"a-service-of-a-very-long-name")",
       "bad_value|22001|log_events"},
      {"a null in a column the operator wants filled", R"("msg":"m","route":"/must/have/a/method")",
       "constraint|23502|log_events"},
      {"a value the operator's trigger refuses", R"("msg":"m","method":"BREW")", "bad_value|22023|log_events"},
  };
}

class RefusedRows : public PostgresSinkTest, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Facts, RefusedRows, testing::Bool(),
                         [](const auto& given) { return given.param ? "Ahead" : "WithTheirLines"; });

TEST_P(RefusedRows, AreEachSetAsideOnceAndTheirNeighboursArrive) {
  rows(
      "ALTER TABLE log_events ADD CONSTRAINT operators_own CHECK (message <> 'refuse me');"
      "CREATE DOMAIN short AS text CHECK (length(VALUE) < 20);"
      "CREATE FUNCTION operators_own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF NEW.method = 'BREW' THEN RAISE EXCEPTION 'no coffee' USING ERRCODE = '22023'; END IF; "
      "IF NEW.route IS NOT NULL AND NEW.method IS NULL THEN "
      "RAISE EXCEPTION 'a route has a method' USING ERRCODE = '23502', TABLE = 'log_events'; END IF; "
      "IF length(NEW.service) > 20 THEN NEW.service := NEW.service::varchar(20); "
      "RAISE EXCEPTION 'too long' USING ERRCODE = '22001'; END IF; RETURN NEW; END $$;"
      "CREATE TRIGGER operators_own BEFORE INSERT ON log_events FOR EACH ROW EXECUTE FUNCTION operators_own()");
  const std::vector<Kind> all = kinds();
  ASSERT_GE(all.size(), 26u);
  LogFile file;
  std::map<std::string, std::string> want;  // by offset
  const auto add_neighbour = [&] {
    file.add(run_line("2026-03-01T00:00:01Z", R"("msg":"neighbour","records_loaded":1)"));
  };
  const auto begin_of = [&](std::size_t i) {
    const bool names_job = all[i].members.find("\"job_id\"") != std::string::npos;
    return R"("ts":"2026-03-01T00:00:02Z","level":"INFO","run_id":"poison )" + std::to_string(i) + "\"," +
           (names_job ? "" : R"("job_id":"orders",)");
  };
  // Sums are full before the poison comes.
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].name.find("a sum ") == 0) file.add(begin_of(i) + all[i].members, all[i].change);
  }
  const std::size_t full = file.lines();
  for (std::size_t i = 0; i < all.size(); ++i) {
    add_neighbour();
    want[std::to_string(file.offset(file.lines()))] = all[i].name + ": " + all[i].refused;
    file.add(begin_of(i) + all[i].members, all[i].change);
    add_neighbour();
  }
  std::vector<std::size_t> borders;
  for (std::size_t line = full; line < file.lines(); line += 7) borders.push_back(line);
  borders.push_back(file.lines());
  const auto chunks = chunks_of(file, borders);
  DrivenSink sink = make_sink(config());
  sink.apart = GetParam();
  deliver(sink, chunks_of(file, {0, full}));
  const RecordOutcomes outcomes = deliver(sink, chunks);

  const auto letters = [&] {
    std::map<std::string, std::string> out;
    for (const std::string& row :
         rows("SELECT byte_offset, reason, sqlstate, coalesce(target_table, '') FROM dead_letters")) {
      const std::size_t bar = row.find('|');
      const auto wanted = want.find(row.substr(0, bar));
      const std::string name =
          wanted == want.end() ? "a neighbour" : wanted->second.substr(0, wanted->second.find(':'));
      out[row.substr(0, bar)] = name + ": " + row.substr(bar + 1);
    }
    return out;
  };
  const auto got = letters();
  for (const auto& [offset, letter] : want) EXPECT_EQ(got.contains(offset) ? got.at(offset) : "not refused", letter);
  EXPECT_EQ(got.size(), want.size());
  EXPECT_EQ(one("SELECT count(*) FROM log_events WHERE message = 'neighbour'"), std::to_string(2 * all.size()));
  EXPECT_EQ(one("SELECT records_loaded_sum FROM job_runs WHERE external_run_id = 'r1'"),
            std::to_string(2 * all.size()));
  EXPECT_EQ(outcomes.duplicate, RecordCounts{});
  // Once: whoever sends it again finds its range covered.
  deliver(sink, chunks);
  EXPECT_EQ(letters(), got);
}

}  // namespace
}  // namespace runtail::test
