#include "parsers/trace_rules.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace runtail {
namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

struct TraceCase {
  const char* name;
  const char* text;
};

class WholeTraces : public testing::TestWithParam<TraceCase> {};

TEST_P(WholeTraces, AreOneAndEndBeforeTheNextLogLine) {
  const auto lines = lines_of(GetParam().text);
  for (const char* ending : {"", "\r"}) {
    auto trace = begin_trace(lines.at(0) + ending);
    ASSERT_TRUE(trace) << lines[0];
    for (std::size_t i = 1; i < lines.size(); ++i) EXPECT_TRUE(continue_trace(*trace, lines[i] + ending)) << lines[i];
    EXPECT_FALSE(continue_trace(*trace, "2026-03-01 00:00:02 INFO next batch"));
    EXPECT_FALSE(continue_trace(*trace, "INFO:root:next batch"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Languages, WholeTraces,
    testing::Values(
        TraceCase{"python",
                  "Traceback (most recent call last):\n"
                  "  File \"/app/etl.py\", line 3, in <module>\n"
                  "    load()\n"
                  "    ~~~~^^\n"
                  "  [Previous line repeated 996 more times]\n"
                  "ValueError: bad row"},
        TraceCase{"python_without_message",
                  "Traceback (most recent call last):\n"
                  "  File \"/app/etl.py\", line 3, in <module>\n"
                  "KeyboardInterrupt"},
        TraceCase{"python_database",
                  "Traceback (most recent call last):\n"
                  "  File \"/app/etl.py\", line 3, in load\n"
                  "psycopg2.errors.UniqueViolation: duplicate key value\n"
                  "DETAIL:  Key (id)=(1) already exists.\n"
                  "\n"
                  "The above exception was the direct cause of the following exception:\n"
                  "\n"
                  "Traceback (most recent call last):\n"
                  "  File \"/app/etl.py\", line 9, in <module>\n"
                  "sqlalchemy.exc.IntegrityError: (psycopg2.errors.UniqueViolation) duplicate\n"
                  "DETAIL:  Key (id)=(1) already exists.\n"
                  "[SQL: INSERT INTO orders VALUES (1)]\n"
                  "(Background on this error at: https://sqlalche.me/e/14/gkpj)"},
        TraceCase{"python_chain",
                  "Traceback (most recent call last):\n"
                  "  File \"a.py\", line 1, in f\n"
                  "KeyError: 'x'\n"
                  "\n"
                  "During handling of the above exception, another exception occurred:\n"
                  "\n"
                  "Traceback (most recent call last):\n"
                  "  File \"a.py\", line 3, in g\n"
                  "RuntimeError: y"},
        TraceCase{"python_group",
                  "  + Exception Group Traceback (most recent call last):\n"
                  "  |   File \"a.py\", line 1, in <module>\n"
                  "  |     raise ExceptionGroup(\"eg\", [ValueError(1)])\n"
                  "  | ExceptionGroup: eg (2 sub-exceptions)\n"
                  "  +-+---------------- 1 ----------------\n"
                  "    | ValueError: 1\n"
                  "    +---------------- 2 ----------------\n"
                  "    | Traceback (most recent call last):\n"
                  "    | TypeError: 2\n"
                  "    +------------------------------------"},
        TraceCase{"java",
                  "Exception in thread \"main\" java.lang.IllegalStateException: no connection\n"
                  "\tat com.example.Load.run(Load.java:12)\n"
                  "\tat com.example.Main.main(Main.java:3)\n"
                  "\tSuppressed: java.io.IOException: closing\n"
                  "\t\tat com.example.Load.close(Load.java:30)\n"
                  "\t\t... 2 more\n"
                  "Caused by: java.sql.SQLException: refused\n"
                  "\t... 14 common frames omitted"},
        TraceCase{"java_without_message", "java.lang.StackOverflowError\n\tat com.example.A.f(A.java:1)"},
        TraceCase{"spark",
                  "org.apache.spark.SparkException: Job aborted due to stage failure\n"
                  "Driver stacktrace:\n"
                  "\tat org.apache.spark.scheduler.DAGScheduler.failJob(DAGScheduler.scala:2672)"},
        TraceCase{"java_behind_a_log_line",
                  "2026-03-01 00:00:02 ERROR Load - failed java.io.IOException: x\n"
                  "\tat com.example.Load.run(Load.java:12)"},
        TraceCase{"node",
                  "Error: connect ECONNREFUSED 127.0.0.1:5432\n"
                  "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16) {\n"
                  "  errno: -111,\n"
                  "  code: 'ECONNREFUSED'\n"
                  "}\n"
                  "\n"
                  "Node.js v18.19.0"},
        TraceCase{"node_code", "TypeError [ERR_INVALID_ARG_TYPE]: must be a string\n    at f (/app/x.js:1:2)"},
        TraceCase{"node_uncaught",
                  "/app/load.js:3\n"
                  "throw new Error(\"boom\");\n"
                  "^\n"
                  "\n"
                  "Error: boom\n"
                  "    at Object.<anonymous> (/app/load.js:3:7)\n"
                  "    at node:internal/main/run_main_module:28:49\n"
                  "\n"
                  "Node.js v18.19.0"},
        TraceCase{"go_panic",
                  "panic: runtime error: invalid memory address or nil pointer dereference\n"
                  "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x45cd3f]\n"
                  "\n"
                  "goroutine 1 [running]:\n"
                  "main.(*Loader).run(0xc000010000, {0x1, 0x2})\n"
                  "\t/app/main.go:12 +0x1d\n"
                  "main.main()\n"
                  "\t/app/main.go:3 +0x20\n"
                  "created by main.start in goroutine 7\n"
                  "\t/app/main.go:9 +0x11\n"
                  "exit status 2"},
        TraceCase{"go_fatal",
                  "fatal error: all goroutines are asleep - deadlock!\n"
                  "\n"
                  "goroutine 1 [chan receive]:\n"
                  "main.main()\n"
                  "\t/app/main.go:3 +0x20\n"
                  "\n"
                  "goroutine 18 [select, 2 minutes]:\n"
                  "panic({0x1, 0x2})\n"
                  "\t/usr/lib/go/panic.go:884 +0x212"},
        TraceCase{"go_goroutines", "goroutine 5 [IO wait]:\ninternal/poll.runtime_pollWait(0x7f, 0x72)\n\t/x.go:1"}),
    [](const auto& given) { return given.param.name; });

TEST(TraceRules, OrdinaryLinesBeginNone) {
  for (const char* line : {"", " ", "INFO loaded 5 rows", "  File \"x.py\", line 1", "\tat com.example.Foo", "at noon",
                           "Caused by rain", "goroutine pool started", "Errors were found", "0 Errors; fine",
                           "/data/orders.csv:3", "panicking", "ERROR: no rows", "Traceback", "... 5 more"}) {
    EXPECT_FALSE(begin_trace(line)) << line;
  }
}

TEST(TraceRules, AnExceptionNameAloneGoesOnOnlyWithFrames) {
  for (const char* line :
       {"next", "", "  indented", "ValueError: again", "at noon", "Traceback (most recent call last):"}) {
    auto trace = begin_trace("ValueError: x");
    ASSERT_TRUE(trace);
    EXPECT_FALSE(continue_trace(*trace, line)) << line;
  }
}

TEST(TraceRules, APythonTraceEndsAtWhatIsNoException) {
  auto trace = begin_trace("Traceback (most recent call last):");
  ASSERT_TRUE(trace);
  EXPECT_TRUE(continue_trace(*trace, "  File \"a.py\", line 1, in f"));
  EXPECT_FALSE(continue_trace(*trace, "loaded 5 rows"));
  EXPECT_TRUE(continue_trace(*trace, "KeyError: 'x'")) << "a line that does not belong leaves the trace as it was";
}

TEST(TraceRules, ASecondTracebackIsAnother) {
  auto trace = begin_trace("Traceback (most recent call last):");
  ASSERT_TRUE(trace && continue_trace(*trace, "KeyError: 'x'"));
  EXPECT_FALSE(continue_trace(*trace, "Traceback (most recent call last):"));
}

}  // namespace
}  // namespace runtail
