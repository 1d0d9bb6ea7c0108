// The one parser of `runtail exec` and `runtail-exec`, and what becomes of the command line and the environment.
#include "agent/exec/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "agent/exec/wrapper.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Words = std::vector<const char*>;
using Environment = std::map<std::string, std::string>;

Result<ExecCommandLine> parse(const Words& words, ExecProgram program = ExecProgram::kVerb) {
  return parse_exec_command_line(program, words);
}
std::string complaint(const Words& words, ExecProgram program = ExecProgram::kVerb) {
  const auto line = parse(words, program);
  return line ? "" : line.error().message;
}

TEST(ExecCommandLine, TakesEveryOptionAsTwoWordsOrWithAnEqualsSign) {
  const auto line = parse({"--job", "nightly", "--buffer-directory=/b", "--config", "/c", "--run-id",
                           "0190aaaa-0000-7000-8000-000000000001", "--scope=task", "--stdout", "redacted", "--drain",
                           "1500ms", "--fail-closed", "--", "sh", "--job", "[a,b]", "--"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->job, "nightly");
  EXPECT_EQ(line->buffer_directory, "/b");
  EXPECT_EQ(line->config_path, "/c");
  EXPECT_EQ(line->run_id, parse_uuid("0190aaaa-0000-7000-8000-000000000001"));
  EXPECT_EQ(line->scope, ExecCommandLine::Scope::kTask);
  EXPECT_EQ(line->pass_output, PassOutput::kRedacted);
  EXPECT_EQ(line->drain, std::chrono::milliseconds(1500));
  EXPECT_TRUE(line->fail_closed);
  EXPECT_THAT(line->command, ElementsAre("sh", "--job", "[a,b]", "--"));
}

TEST(ExecCommandLine, WithoutOptionsTheDefaultsHold) {
  const auto line = parse({"--", "true"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->scope, ExecCommandLine::Scope::kAuto);
  EXPECT_EQ(line->pass_output, PassOutput::kRaw);
  EXPECT_EQ(line->drain, std::chrono::seconds(8));
  EXPECT_FALSE(line->fail_closed || line->help || line->version || line->run_id);
}

TEST(ExecCommandLine, SaysWhatIsWrong) {
  EXPECT_THAT(complaint({"sh", "-c", "true"}), HasSubstr("put -- before the worker"));
  EXPECT_THAT(complaint({"--job", "a", "--"}), HasSubstr("put -- before the worker"));
  EXPECT_THAT(complaint({"--job", "--", "true"}), HasSubstr("--job needs a value"));
  EXPECT_THAT(complaint({"--job", "a b", "--", "true"}), HasSubstr("make a job's name, not \"a b\""));
  EXPECT_THAT(complaint({"--run-id", "7", "--", "true"}), HasSubstr("not a UUID: \"7\""));
  EXPECT_THAT(complaint({"--stdout", "all", "--", "true"}), HasSubstr("raw, redacted or none"));
  EXPECT_THAT(complaint({"--scope", "job", "--", "true"}), HasSubstr("auto, run or task"));
  for (const char* time : {"8", "s", "-1s", "8h", "90000000000s", ""}) {
    EXPECT_THAT(complaint({"--drain", time, "--", "true"}), HasSubstr("--drain is a time")) << time;
  }
  EXPECT_THAT(complaint({"--fail-closed=yes", "--", "true"}), HasSubstr("takes no value"));
  EXPECT_THAT(complaint({"--jbo", "a", "--", "true"}), HasSubstr("no option --jbo"));
}

TEST(ExecCommandLine, TheSmallProgramKnowsNoConfiguration) {
  EXPECT_THAT(complaint({"--config", "/c", "--", "true"}, ExecProgram::kStandalone), HasSubstr("no configuration"));
  EXPECT_THAT(exec_help(ExecProgram::kStandalone), Not(HasSubstr("--config")));
  EXPECT_THAT(exec_help(ExecProgram::kVerb), HasSubstr("--config FILE"));
}

TEST(ExecCommandLine, HelpComesBeforeAnythingThatIsMissing) {
  for (const char* word : {"--help", "-h"}) {
    const auto line = parse({word});
    ASSERT_TRUE(line);
    EXPECT_TRUE(line->help);
  }
}

class ExecSettings : public testing::Test {
 protected:
  HolderSettings settings_of(const Words& words, const Environment& environment) const {
    const auto lookup = [&](const char* name) {
      const auto found = environment.find(name);
      return found == environment.end() ? nullptr : found->second.c_str();
    };
    return holder_settings(ExecProgram::kStandalone, parse(words).value(), lookup, {"/b", {}, {}});
  }
  const Environment airflow = {{"AIRFLOW_CTX_DAG_ID", "orders"},
                               {"AIRFLOW_CTX_TASK_ID", "load"},
                               {"AIRFLOW_CTX_DAG_RUN_ID", "manual-1"},
                               {"AIRFLOW_CTX_TRY_NUMBER", "3"}};
};

TEST_F(ExecSettings, OutsideOfASchedulerThereIsNothingToSay) {
  const HolderSettings settings = settings_of({"--", "/opt/etl/run.sh"}, {});
  EXPECT_EQ(settings.hello.scope, ExecScope::kRun);
  EXPECT_THAT(settings.hello.ids, IsEmpty());
  EXPECT_EQ(settings.hello.job, "");
  EXPECT_EQ(settings.hello.command, "run.sh");
  EXPECT_EQ(settings.socket, "/b/exec.sock");
}

TEST_F(ExecSettings, AnAirflowTaskIsATask) {
  const HolderSettings settings = settings_of({"--", "true"}, airflow);
  EXPECT_EQ(settings.hello.scope, ExecScope::kTask);
  EXPECT_EQ(settings.hello.job, "orders");
  EXPECT_THAT(settings.hello.ids, ElementsAre(ExecId{"job_id", "orders"}, ExecId{"run_id", "manual-1"},
                                              ExecId{"task", "load"}, ExecId{"task_attempt", "3"}));
}

TEST_F(ExecSettings, TheCommandLineOutranksTheScheduler) {
  const HolderSettings settings = settings_of(
      {"--scope", "run", "--job", "own", "--run-id", "0190aaaa-0000-7000-8000-000000000001", "--", "true"}, airflow);
  EXPECT_EQ(settings.hello.scope, ExecScope::kRun);
  EXPECT_EQ(settings.hello.job, "own");
  EXPECT_THAT(settings.hello.ids, testing::UnorderedElementsAre(
                                      ExecId{"job_id", "own"}, ExecId{"run_id", "0190aaaa-0000-7000-8000-000000000001"},
                                      ExecId{"task", "load"}, ExecId{"attempt", "3"}));
}

TEST_F(ExecSettings, OnlyAValidTraceparentIsATrace) {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736", span = "00f067aa0ba902b7";
  const auto ids = [&](const std::string& text) {
    return settings_of({"--", "true"}, {{"TRACEPARENT", text}}).hello.ids;
  };
  EXPECT_THAT(ids("00-" + trace + "-" + span + "-01"), ElementsAre(ExecId{"trace_id", trace}, ExecId{"span_id", span}));
  EXPECT_THAT(ids("01-" + trace + "-" + span + "-01-more"), testing::SizeIs(2));
  for (const std::string& wrong :
       {"00-" + trace + "-" + span, "ff-" + trace + "-" + span + "-01", "00-" + trace + "-" + span + "-01-more",
        "00-" + std::string(32, '0') + "-" + span + "-01", "00-" + trace + "-" + std::string(16, '0') + "-01",
        "00-" + trace + "-00F067AA0BA902B7-01", std::string("00-1-2-3")}) {
    EXPECT_THAT(ids(wrong), IsEmpty()) << wrong;
  }
}

TEST_F(ExecSettings, AValueThatIsNoIdIsLeftOut) {
  Environment odd = airflow;
  odd["AIRFLOW_CTX_DAG_RUN_ID"] = "two\nlines";
  odd["AIRFLOW_CTX_TRY_NUMBER"] = "first";
  const HolderSettings settings = settings_of({"--", "true"}, odd);
  EXPECT_THAT(settings.hello.ids, ElementsAre(ExecId{"job_id", "orders"}, ExecId{"task", "load"},
                                              ExecId{"run_id", to_string(settings.hello.run)}));
}

}  // namespace
}  // namespace runtail::test
