// Files in which others wrapped the worker's lines: journal exports, FireLens, one in the other. What is inside counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/container_lines.h"
#include "tests/support/file_scene.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;

// Quoted as a JSON string.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string journal_line(const std::string& text, TimePoint at = SystemClock().now()) {
  return R"({"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":")" + std::to_string(to_micros(at)) +
         R"(","_SYSTEMD_UNIT":"etl.service","PRIORITY":"6",)"
         R"("_TRANSPORT":"stdout","MESSAGE":)" +
         quoted(text) + "}\n";
}

std::string firelens_line(const std::string& text, const std::string& more = "") {
  return R"({"container_id":"0123abcd","container_name":"/etl","source":"stdout","log":)" + quoted(text) + more + "}\n";
}

TEST(Envelope, JournalExportAndFireLensAreTakenOffToTheLineInside) {
  FileScene scene;
  LogFile journal(scene.logs / "journal.log"), firelens(scene.logs / "firelens.log"), deep(scene.logs / "deep.log");
  for (int i = 0; i < 20; ++i) {
    journal.append(journal_line(scene.line()));
    firelens.append(firelens_line(scene.line()));
    std::string inner = journal_line(scene.line());
    inner.pop_back();
    inner = firelens_line(inner);
    deep.append(docker_line(inner));
  }
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  scene.expect_all_once();
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'seq=% some text' AND "
                             "raw_text IS NULL"),
            static_cast<std::int64_t>(scene.lines));
}

TEST(Envelope, TheTimeOfTheEnvelopeStandsInForALineThatStatesNone) {
  FileScene scene;
  const TimePoint at = SystemClock().now() - std::chrono::minutes(10);
  LogFile(scene.logs / "etl.log").append(journal_line(scene.line(), at));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  scene.expect_all_once();
  EXPECT_THAT(scene.sql.rows("SELECT (extract(epoch FROM ts) * 1000000)::bigint FROM observability.log_events"),
              ElementsAre(std::to_string(to_micros(at))));
}

TEST(Envelope, FireLensPiecesOfOneLineAreJoined) {
  FileScene scene;
  LogFile log(scene.logs / "etl.log");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (int i = 0; i < 10; ++i) {
    const std::string line = scene.line();
    const auto piece = [&](int ordinal, std::size_t from, std::size_t size, bool last) {
      return firelens_line(line.substr(from, size), R"(,"partial_message":"true","partial_id":"p)" + std::to_string(i) +
                                                        R"(","partial_ordinal":")" + std::to_string(ordinal) +
                                                        R"(","partial_last":")" + (last ? "true" : "false") + '"');
    };
    log.append(piece(1, 0, 10, false));
    log.append(piece(2, 10, 10, false));
    if (i == 5) {
      scene.agent.kill9();
      ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    }
    log.append(piece(3, 20, std::string::npos, true));
  }
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, scene.lines)) << scene.agent.log();
  expect_every_line_once(scene.sql, scene.lines);
  EXPECT_EQ(scene.agent.lines_read(), 30);
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'seq=% some text'"), 10);
}

}  // namespace
}  // namespace runtail::test
