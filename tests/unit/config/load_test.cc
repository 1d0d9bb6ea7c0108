#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>

#include "config/setting.h"
#include "core/embedded.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

using Variables = std::map<std::string, std::string>;

LoadedConfig load(const std::string& yaml, const Variables& variables = {}) {
  return load_config(yaml, "runtail.yaml", [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

std::vector<std::string> problems(const LoadedConfig& loaded) {
  std::vector<std::string> lines;
  for (const ConfigProblem& problem : loaded.problems) lines.push_back(to_string(problem));
  return lines;
}

std::vector<std::string> problems(const std::string& yaml, const Variables& variables = {}) {
  return problems(load(yaml, variables));
}

Config usable(const std::string& yaml, const Variables& variables = {}) {
  const LoadedConfig loaded = load(yaml, variables);
  EXPECT_THAT(problems(loaded), IsEmpty());
  return loaded.config;
}

// Lines of the reference file that hold settings.
std::string without_comments(std::string_view yaml) {
  std::istringstream lines{std::string(yaml)};
  std::string settings;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find_first_not_of(' ');
    if (first != std::string::npos && line[first] != '#') settings += line + "\n";
  }
  return settings;
}

// An example of the reference file: the comment lines from the one that begins with `first` to the next empty one.
std::string example(std::string_view yaml, const std::string& first, int* line_count) {
  std::istringstream lines{std::string(yaml)};
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    inside = (inside || line.starts_with(first)) && line.starts_with("# ");
    if (!inside) {
      if (!text.empty()) break;
      continue;
    }
    text += line.substr(1) + "\n";
    ++*line_count;
  }
  return text;
}

TEST(LoadConfigTest, NothingGivenMeansTheDefaultsAndTheHostName) {
  char host[256] = {};
  ASSERT_EQ(gethostname(host, sizeof host - 1), 0);
  const Config config = usable("");
  EXPECT_EQ(config.name, host);
  EXPECT_EQ(config.buffer.directory, "/var/lib/runtail/buffer");
  EXPECT_EQ(config.ignore_older, std::chrono::hours(168));
  EXPECT_TRUE(config.metrics.enabled);
  EXPECT_TRUE(config.sources.empty());
}

TEST(LoadConfigTest, EveryKindOfValue) {
  const Config config = usable(
      "version: 1\n"
      "name: etl-1\n"
      "environment: 42\n"
      "ignore_older: 24h\n"
      "line_bytes_max: 65536\n"
      "sources:\n"
      "  - name: worker\n"
      "    include: [/var/log/etl/*.log, '/srv/a b/*.json']\n"
      "    exclude: [/var/log/etl/x*]\n"
      "    job_id: orders\n"
      "  - {name: api, include: [/var/log/api.log], stream: apis}\n"
      "buffer: {directory: /data/b, bytes_max: 512MiB, history_age_max: 2d}\n"
      "postgres:\n"
      "  batch_rows_max: 100\n"
      "  idle_timeout: 500ms\n"
      "  lock_timeout: 2m\n"
      "http: {listen: '[::1]:0'}\n"
      "redaction: {allow: [batch.size, region], keep_user_id: no}\n"
      "metrics: {enabled: false}\n"
      "log:\n");
  EXPECT_EQ(config.environment, "42");
  EXPECT_EQ(config.ignore_older, std::chrono::hours(24));
  EXPECT_EQ(config.line_bytes_max, 65536u);
  ASSERT_EQ(config.sources.size(), 2u);
  EXPECT_THAT(config.sources[0].include, ElementsAre("/var/log/etl/*.log", "/srv/a b/*.json"));
  EXPECT_THAT(config.sources[0].exclude, ElementsAre("/var/log/etl/x*"));
  EXPECT_EQ(config.sources[0].stream, "etl-1/worker");
  EXPECT_EQ(config.sources[0].job_id, "orders");
  EXPECT_EQ(config.sources[1].stream, "apis");
  EXPECT_EQ(config.sources[1].job_id, "");
  EXPECT_EQ(config.buffer.bytes_max, 512ull << 20);
  EXPECT_EQ(config.buffer.history_age_max, std::chrono::hours(48));
  EXPECT_EQ(config.postgres.batch_rows_max, 100u);
  EXPECT_EQ(config.postgres.idle_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(config.postgres.lock_timeout, std::chrono::minutes(2));
  EXPECT_EQ(config.http.listen, "[::1]:0");
  EXPECT_THAT(config.redaction.allow, ElementsAre("batch.size", "region"));
  EXPECT_FALSE(config.redaction.keep_user_id);
  EXPECT_TRUE(config.redaction.keep_ip_prefix);
  EXPECT_FALSE(config.metrics.enabled);
  EXPECT_EQ(config.log.level, "info");
}

TEST(LoadConfigTest, AllProblemsAtOnceEachWithPlaceKeyAndRemedy) {
  EXPECT_THAT(
      problems("version: 2\n"
               "naem: x\n"
               "sources:\n"
               "  - name: a b\n"
               "    inclde: [/x]\n"
               "buffer:\n"
               "  bytes_max: 2GB\n"
               "  dir: /x\n"
               "directory: /x\n"
               "http:\n"
               "  listen: localhost:9847\n"
               "postgres: {batch_rows_max: 0, idle_timeout: 30, schema: Obs}\n"
               "log: {level: warning, format: [json]}\n"
               "ignore_older: 90m\n"
               "metrics: {enabled: maybe}\n"
               "redaction: {allow: a.b, error_message_bytes_max: 4KiB}\n"
               "identity: {run_namespace: mine}\n"),
      ElementsAre("runtail.yaml:1:10: version: \"2\": this runtail reads version 1; write version: 1",
                  "runtail.yaml:2:1: naem: unknown key (did you mean \"name\"?)",
                  "runtail.yaml:4:11: sources[0].name: \"a b\": use 1 to 128 letters, digits, '.', '_' or '-'",
                  "runtail.yaml:5:5: sources[0].inclde: unknown key (did you mean \"include\"?)",
                  "runtail.yaml:7:14: buffer.bytes_max: \"2GB\" is no size; write bytes, or 512MiB, 2GiB",
                  "runtail.yaml:8:3: buffer.dir: unknown key (did you mean \"directory\"?)",
                  "runtail.yaml:9:1: directory: unknown key (did you mean \"buffer.directory\"?)",
                  "runtail.yaml:11:11: http.listen: \"localhost:9847\": write address:port, as in 0.0.0.0:9847 or "
                  "\"[::1]:9847\", or \"\" for no listener",
                  "runtail.yaml:12:28: postgres.batch_rows_max: \"0\" is out of range; write 1 to 100000",
                  "runtail.yaml:12:45: postgres.idle_timeout: \"30\" is no duration; write 500ms, 30s, 15m, 24h or 7d",
                  "runtail.yaml:12:57: postgres.schema: \"Obs\": use 1 to 63 lower-case letters, digits or '_', not a "
                  "digit first",
                  "runtail.yaml:13:14: log.level: \"warning\": must be one of error, warn, info, debug (did you mean "
                  "\"warn\"?)",
                  "runtail.yaml:13:31: log.format: expected one value",
                  "runtail.yaml:14:15: ignore_older: \"90m\": must be whole hours; write 24h or 7d",
                  "runtail.yaml:15:20: metrics.enabled: \"maybe\" is neither true nor false",
                  "runtail.yaml:16:20: redaction.allow: expected a list: [one, two]",
                  "runtail.yaml:16:50: redaction.error_message_bytes_max: \"4KiB\" is out of range; write 64 to 2KiB",
                  "runtail.yaml:17:27: identity.run_namespace: \"mine\": must be a UUID, as in "
                  "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
                  "runtail.yaml:4:5: sources[0].include: missing; list the files to follow, as in "
                  "[/var/log/etl/*.log]"));
}

TEST(LoadConfigTest, SourcesNeedDistinctNamesAndStreams) {
  EXPECT_THAT(
      problems("sources:\n"
               "  - {name: a, include: [/a], stream: s}\n"
               "  - {name: a, include: [/b], stream: s}\n"
               "  - {name: c, include: [], stream: /var/log/c}\n"
               "  - include: [/d, '']\n"
               "  - name:\n"
               "    include:\n"),
      ElementsAre(HasSubstr("4:36: sources[2].stream: \"/var/log/c\": a stream is the log's name, never a path"),
                  "runtail.yaml:5:19: sources[3].include[1]: \"\": must not be empty",
                  "runtail.yaml:3:12: sources[1].name: \"a\" is taken by sources[0]; each needs its own",
                  "runtail.yaml:3:38: sources[1].stream: \"s\" is taken by sources[0]; each needs its own",
                  HasSubstr("4:24: sources[2].include: missing"), HasSubstr("5:5: sources[3].name: missing"),
                  HasSubstr("6:5: sources[4].name: missing"), HasSubstr("6:5: sources[4].include: missing")));
}

TEST(LoadConfigTest, WrongShapesAreProblems) {
  EXPECT_THAT(problems("- a\n"), ElementsAre("runtail.yaml:1:1: expected keys with values, as in version: ..."));
  EXPECT_THAT(problems("buffer: big\n"),
              ElementsAre("runtail.yaml:1:9: buffer: expected keys with values, as in directory: ..."));
  EXPECT_THAT(problems("sources: {name: a}\n"), ElementsAre(StartsWith("runtail.yaml:1:10: sources: expected a list")));
  EXPECT_THAT(problems("sources: [a]\n"), ElementsAre(StartsWith("runtail.yaml:1:11: sources[0]: expected keys")));
  EXPECT_THAT(problems("name: a\nname: b\n"), ElementsAre("runtail.yaml:2:1: name: given twice; keep one"));
  EXPECT_THAT(problems("buffer.directory: /x\n"),
              ElementsAre("runtail.yaml:1:1: buffer.directory: write it as a section: buffer: with directory: indented "
                          "below"));
  EXPECT_THAT(problems("? [a, b]\n: c\n"), ElementsAre(HasSubstr("unknown key")));
}

TEST(LoadConfigTest, BrokenYamlIsOneProblemWithItsPlace) {
  EXPECT_THAT(problems("name: a\nbuffer: {directory: /x\n"),
              ElementsAre(StartsWith("runtail.yaml:3:1: not valid YAML")));
  EXPECT_THAT(problems("a: b: c\n"), ElementsAre(StartsWith("runtail.yaml:1:")));
  EXPECT_THAT(problems("name: *nowhere\n"), ElementsAre(StartsWith("runtail.yaml:1:7: not valid YAML")));
  EXPECT_THAT(problems("name: a\n}\n"), ElementsAre(HasSubstr("runtail.yaml:2:1: ")));
  EXPECT_THAT(problems("}"), ElementsAre(HasSubstr("runtail.yaml:1:1: ")));
  EXPECT_THAT(problems("name: a\n---\nname: b\n"), ElementsAre(HasSubstr("the document ends before this")));
}

struct RangeCase {
  const char* yaml;
  bool good;
};

TEST(LoadConfigTest, LimitsAreInclusive) {
  for (const RangeCase& range :
       {RangeCase{"line_bytes_max: 1KiB", true}, RangeCase{"line_bytes_max: 1023", false},
        RangeCase{"line_bytes_max: 16MiB", true}, RangeCase{"line_bytes_max: 16777217", false},
        RangeCase{"line_bytes_max: 9999999999999", false}, RangeCase{"buffer: {bytes_max: 0}", true},
        RangeCase{"buffer: {bytes_max: 63MiB}", false}, RangeCase{"buffer: {bytes_max: 64MiB}", true},
        RangeCase{"ignore_older: 0", false}, RangeCase{"ignore_older: 1h", true},
        RangeCase{"postgres: {lock_timeout: 99ms}", false}, RangeCase{"postgres: {lock_timeout: 100ms}", true},
        RangeCase{"metrics: {max_series: 99}", false}, RangeCase{"metrics: {max_series: 100}", true},
        RangeCase{"metrics: {max_series: 1e3}", false}}) {
    EXPECT_EQ(problems(range.yaml).empty(), range.good) << range.yaml;
  }
}

TEST(LoadConfigTest, ListenAddresses) {
  for (const char* good : {"0.0.0.0:9847", "127.0.0.1:0", "[::]:65535", ""}) {
    EXPECT_EQ(usable("http: {listen: \"" + std::string(good) + "\"}").http.listen, good);
  }
  for (const char* bad : {"9847", ":9847", "0.0.0.0", "0.0.0.0:", "0.0.0.0:65536", "0.0.0.0:-1", "1.2.3:80", "::1:80",
                          "[::1]", "[127.0.0.1]:80", "host:80", "0.0.0.0:80 "}) {
    EXPECT_EQ(problems("http: {listen: \"" + std::string(bad) + "\"}").size(), 1u) << bad;
  }
}

TEST(LoadConfigTest, AllowedPaths) {
  EXPECT_THAT(problems("redaction: {allow: [a, a.b, 'a-b.c_d.0']}"), IsEmpty());
  for (const char* bad : {"''", "a..b", ".a", "a.", "'a b'"}) {
    EXPECT_THAT(problems("redaction: {allow: [" + std::string(bad) + "]}"),
                ElementsAre(HasSubstr("redaction.allow[0]: ")))
        << bad;
  }
}

TEST(LoadConfigTest, EnvironmentWinsOverFileWinsOverDefault) {
  const std::string yaml = "buffer: {directory: /file, bytes_max: 1GiB}\nredaction: {allow: [a]}\n";
  const Config config = usable(yaml, {{"RUNTAIL_BUFFER_DIRECTORY", "/environment"},
                                      {"RUNTAIL_REDACTION_ALLOW", "b, c.d ,"},
                                      {"RUNTAIL_POSTGRES_IDLE_TIMEOUT", "5s"},
                                      {"RUNTAIL_HTTP_LISTEN", ""}});
  EXPECT_EQ(config.buffer.directory, "/environment");
  EXPECT_EQ(config.buffer.bytes_max, 1ull << 30);
  EXPECT_EQ(config.buffer.history_bytes_max, 2ull << 30);
  EXPECT_THAT(config.redaction.allow, ElementsAre("b", "c.d"));
  EXPECT_EQ(config.postgres.idle_timeout, std::chrono::seconds(5));
  EXPECT_EQ(config.http.listen, "");
}

TEST(LoadConfigTest, ProblemsInTheEnvironmentNameTheVariable) {
  EXPECT_THAT(
      problems("", {{"RUNTAIL_BUFFER_BYTES_MAX", "lots"},
                    {"RUNTAIL_REDACTION_ALLOW", "a..b"},
                    {"RUNTAIL_SOURCES", "x"},
                    {"OBS_METRICS_ENABLED", "?"}}),
      ElementsAre("environment RUNTAIL_SOURCES: sources: sources do not fit into one variable; use "
                  "RUNTAIL_SOURCE_INCLUDE or a file",
                  "environment RUNTAIL_BUFFER_BYTES_MAX: buffer.bytes_max: \"lots\" is no size; write bytes, or "
                  "512MiB, 2GiB",
                  "environment RUNTAIL_REDACTION_ALLOW: redaction.allow: \"a..b\": write the dotted path of a "
                  "member, as in batch.size",
                  "environment OBS_METRICS_ENABLED: metrics.enabled: \"?\" is neither true nor false"));
}

TEST(LoadConfigTest, MetricsToggleHasTwoNamesAndOursWins) {
  EXPECT_FALSE(usable("", {{"OBS_METRICS_ENABLED", "False"}}).metrics.enabled);
  EXPECT_TRUE(usable("", {{"OBS_METRICS_ENABLED", "0"}, {"RUNTAIL_METRICS_ENABLED", "1"}}).metrics.enabled);
}

TEST(LoadConfigTest, ThreeWordsInTheEnvironmentMakeASource) {
  const Config config = usable(
      "name: a\nsources: [{name: x, include: [/x]}]\n",
      {{"RUNTAIL_SOURCE_INCLUDE", "/var/log/etl/*.log,/srv/*.json"}, {"RUNTAIL_SOURCES_WORKER_JOB_ID", "orders"}});
  ASSERT_EQ(config.sources.size(), 1u);
  EXPECT_EQ(config.sources[0].name, "worker");
  EXPECT_THAT(config.sources[0].include, ElementsAre("/var/log/etl/*.log", "/srv/*.json"));
  EXPECT_EQ(config.sources[0].stream, "a/worker");
  EXPECT_EQ(config.sources[0].job_id, "orders");
  EXPECT_THAT(problems("", {{"RUNTAIL_SOURCE_INCLUDE", " , "}}), ElementsAre(HasSubstr("RUNTAIL_SOURCE_INCLUDE")));
}

TEST(LoadConfigTest, AKeyOfOneSourceFromTheEnvironment) {
  const Config config =
      usable("sources: [{name: etl-1.x, include: [/x]}]\n", {{"RUNTAIL_SOURCES_ETL_1_X_INCLUDE", "/y"}});
  EXPECT_THAT(config.sources[0].include, ElementsAre("/y"));
}

TEST(LoadConfigTest, VersionOfAnImageIsNotTheVersionOfTheFile) {
  EXPECT_EQ(usable("", {{"RUNTAIL_VERSION", "0.1.0"}}).version, 1u);
}

TEST(LoadConfigTest, NamesInBracesComeFromTheEnvironment) {
  const Config config = usable(
      "name: ${HOST}-${N}\n"
      "environment: $${HOST}\n"
      "service: ${EMPTY}\n"
      "metrics: {max_series: '${N}00'}\n"
      "sources: [{name: x, include: ['${DIR}/*.log']}]\n",
      {{"HOST", "h"}, {"N", "7"}, {"EMPTY", ""}, {"DIR", "/a: b # [c]"}});
  EXPECT_EQ(config.name, "h-7");
  EXPECT_EQ(config.environment, "${HOST}");
  EXPECT_EQ(config.service, "");
  EXPECT_EQ(config.metrics.max_series, 700u);
  EXPECT_THAT(config.sources[0].include, ElementsAre("/a: b # [c]/*.log"));
}

TEST(LoadConfigTest, AReplacedTextIsNotReplacedAgain) {
  EXPECT_EQ(usable("service: ${A}", {{"A", "${B}"}, {"B", "no"}}).service, "${B}");
}

TEST(LoadConfigTest, AnUnsetNameIsAProblem) {
  EXPECT_THAT(problems("name: a\nservice: ${SVC}${ENV}\nenvironment: ${oops\n"),
              ElementsAre(HasSubstr("runtail.yaml:2:10: service: ${SVC}: the environment variable SVC is not set"),
                          HasSubstr("runtail.yaml:2:10: service: ${ENV}: the environment variable ENV is not set"),
                          HasSubstr("runtail.yaml:3:14: environment: \"${\" without a name")));
}

TEST(LoadConfigTest, MessagesShowWhatTheFileSaysNotWhatANameHolds) {
  const auto found = problems("log: {level: '${SECRET}'}\nbuffer: {bytes_max: '${SECRET}'}\n", {{"SECRET", "hunter2"}});
  ASSERT_EQ(found.size(), 2u);
  for (const std::string& problem : found) {
    EXPECT_THAT(problem, HasSubstr("${SECRET}"));
    EXPECT_THAT(problem, Not(HasSubstr("hunter2")));
  }
}

TEST(LoadConfigTest, FilesAreReadAndUnreadableOnesAreOneProblem) {
  const Environment nothing = [](const std::string&) { return std::nullopt; };
  std::string path = testing::TempDir() + "runtail_load_test.yaml";
  std::ofstream(path) << "service: from-file\n";
  EXPECT_EQ(load_config_file(path, nothing).config.service, "from-file");
  std::ofstream(path, std::ios::trunc).close();
  EXPECT_THAT(problems(load_config_file(path, nothing)), IsEmpty());
  std::remove(path.c_str());
  EXPECT_THAT(problems(load_config_file(path, nothing)),
              ElementsAre(path + ": No such file or directory; name a readable file with --config or RUNTAIL_CONFIG"));
  EXPECT_THAT(problems(load_config_file("/tmp", nothing)), ElementsAre(StartsWith("/tmp: Is a directory")));
}

TEST(PrintEffectiveTest, PasswordsAreMasked) {
  for (const auto& [url, printed] : std::vector<std::pair<std::string, std::string>>{
           {"postgresql://etl:hunter2@db/x", "postgresql://etl:***@db/x"},
           {"postgres://etl:hu@nt/er2@db:5432/x?sslmode=require", "postgres://etl:***@db:5432/x?sslmode=require"},
           {"postgres://etl:hu?nter2@db/x", "postgres://etl:***@db/x"},
           {"postgres://etl@db:5432/x", "postgres://etl@db:5432/x"},
           {"postgres://db/x?user=etl&password=hunter2&sslpassword=hunter2&a=b",
            "postgres://db/x?user=etl&password=***&sslpassword=***&a=b"},
           {"host=db password=hunter2 user=etl", "host=db password=*** user=etl"},
           {"password = 'hunter2 it\\'s hunter2' host=db", "password = *** host=db"},
           {"host=db password=hunter2\\ hunter2 user=etl", "host=db password=*** user=etl"},
           {"host=db PASSWORD='hunter2", "host=db PASSWORD=***"},
           {"host=db sslpassword=hunter2", "host=db sslpassword=***"},
           {"host=db user=etl", "host=db user=etl"},
       }) {
    Config config;
    config.postgres.url = url;
    const std::string text = print_effective(config);
    EXPECT_THAT(text, Not(HasSubstr("hunter2"))) << url;
    EXPECT_EQ(load(text).config.postgres.url, printed) << url;
  }
}

TEST(PrintEffectiveTest, WhatIsPrintedLoadsAsTheSameConfig) {
  const Config config = usable(
      "name: a\n"
      "environment: \"say \\\"hi\\\" \\\\ # \\t: no\"\n"
      "service: 'null'\n"
      "ignore_older: 25h\n"
      "sources: [{name: x, include: ['/a/*.log', '/b c/{d}'], job_id: '- y'}, {name: z, include: ['*.log']}]\n"
      "redaction: {allow: [true, '8']}\n"
      "postgres: {idle_timeout: 1500ms}\n");
  EXPECT_EQ(print_effective(usable(print_effective(config))), print_effective(config));
  const Config again = usable(print_effective(config));
  EXPECT_EQ(again.environment, "say \"hi\" \\ # \t: no");
  EXPECT_EQ(again.service, "null");
  EXPECT_THAT(again.sources[0].include, ElementsAre("/a/*.log", "/b c/{d}"));
  EXPECT_THAT(again.sources[1].include, ElementsAre("*.log"));
  EXPECT_EQ(again.sources[0].job_id, "- y");
}

TEST(ReferenceFileTest, ListsEveryKeyOnceWithItsDefault) {
  const std::string_view reference = embedded::runtail_reference_yaml();
  EXPECT_EQ(without_comments(reference), print_effective(Config{}));
  EXPECT_THAT(problems(std::string(reference)), IsEmpty());
}

TEST(ReferenceFileTest, TheExamplesOfDefinitionsLoadAndHaveEveryKey) {
  // Below the empty lists, commented out.
  std::istringstream lines{std::string(embedded::runtail_reference_yaml())};
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    inside = inside || line.starts_with("jobs: []");
    if (!inside) continue;
    if (line.starts_with("#")) {
      text += ' ' + line.substr(1) + '\n';
    } else if (!line.empty() && line.find(" #") == std::string::npos) {
      text += (line.ends_with(" []") ? line.substr(0, line.size() - 3) : line) + '\n';
    }
  }
  const Config config = usable(text);
  EXPECT_EQ(config.jobs.size() + config.quality.checks.size() + config.alerts.channels.size(), 7u);
  EXPECT_EQ(config.alerts.rules.size(), 1u);
  const auto all_there = [&](const auto& table) {
    for (const auto& setting : table) EXPECT_THAT(text, HasSubstr(std::string(setting.path) + ": ")) << setting.path;
  };
  all_there(settings_of<JobConfig>());
  all_there(settings_of<QualityCheckConfig>());
  all_there(settings_of<AlertChannelConfig>());
  all_there(settings_of<AlertRuleConfig>());
  all_there(settings_of<ApiKeyConfig>());
  EXPECT_EQ(config.api.keys.size(), 2u);
  EXPECT_EQ(print_effective(usable(print_effective(config))), print_effective(config));
}

TEST(ReferenceFileTest, TenLinesSuffice) {
  int line_count = 0;
  const Config config = usable(example(embedded::runtail_reference_yaml(), "#   version: 1", &line_count));
  EXPECT_EQ(line_count, 10);
  ASSERT_EQ(config.sources.size(), 1u);
  EXPECT_FALSE(config.sources[0].include.empty());
  EXPECT_FALSE(config.postgres.url.empty());
}

TEST(ReferenceFileTest, TheExampleOfSourcesHasEveryTypeAndEveryKey) {
  int line_count = 0;
  const std::string text = example(embedded::runtail_reference_yaml(), "# sources:", &line_count);
  std::vector<std::string> types;
  for (const SourceConfig& source : usable(text).sources) types.push_back(source.type);
  EXPECT_THAT(types, ElementsAre("files", "kubernetes", "journald", "socket"));
  for (const auto& setting : settings_of<SourceConfig>()) {
    const std::string_view name = setting.path.substr(setting.path.rfind('.') + 1);
    EXPECT_THAT(text, HasSubstr(" " + std::string(name) + ": ")) << setting.path;
  }
}

TEST(SettingTest, EveryKeyIsReadFromTheEnvironment) {
  for (const auto& setting : settings()) {
    if (setting.path == "version" || setting.path == "sources") continue;
    std::string asked;
    load_config("", "runtail.yaml", [&](const std::string& name) -> std::optional<std::string> {
      if (name == environment_name(setting.path)) asked = name;
      return std::nullopt;
    });
    EXPECT_FALSE(asked.empty()) << setting.path;
  }
  EXPECT_EQ(environment_name("buffer.directory"), "RUNTAIL_BUFFER_DIRECTORY");
}

}  // namespace
}  // namespace runtail
