// Sources of every type in a configuration: their keys, what two of them must not share, printed and read again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "config/load.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

using Variables = std::map<std::string, std::string>;

LoadedConfig load(const std::string& yaml, const Variables& variables = {}) {
  return load_config(yaml, "f", [&](const std::string& name) -> std::optional<std::string> {
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

// Problems of one source of type files with `more` keys.
std::vector<std::string> problems_with(const std::string& more) {
  return problems("sources:\n- {name: a, include: [/a], " + more + "}\n");
}

std::vector<SourceConfig> usable(const std::string& yaml, const Variables& variables = {}) {
  const LoadedConfig loaded = load(yaml, variables);
  EXPECT_THAT(problems(loaded), IsEmpty());
  return loaded.config.sources;
}

const char* kEveryKey =
    "name: agent\n"
    "sources:\n"
    "- name: a\n"
    "  include: [/a/*.log]\n"
    "  exclude: [/a/x*]\n"
    "  roots: [/a, /srv/b]\n"
    "  envelope: cri\n"
    "  join_traces: no\n"
    "  timezone: Europe/Rome\n"
    "  fields: {service: etl, 'null': yes, region: 'eu, west: {1}', shard: 3}\n"
    "  max_unread_deleted_bytes: 1MiB\n"
    "  worker:\n"
    "    pid_file: /run/a.pid\n"
    "    unit: etl@1.service\n"
    "    cgroup: /sys/fs/cgroup/a\n"
    "    holds_file: true\n"
    "- {name: k, type: kubernetes}\n"
    "- {name: j, type: journald, units: [b.service, c.scope], journal_directory: /var/log/journal}\n"
    "- {name: s, type: socket, socket: /run/s.sock}\n";

TEST(SourceConfigTest, EveryKeyOfEveryType) {
  const auto sources = usable(kEveryKey);
  ASSERT_EQ(sources.size(), 4u);
  const SourceConfig& files = sources[0];
  EXPECT_EQ(files.type, "files");
  EXPECT_THAT(files.roots, ElementsAre("/a", "/srv/b"));
  EXPECT_EQ(files.envelope, "cri");
  EXPECT_FALSE(files.join_traces);
  EXPECT_EQ(files.timezone, "Europe/Rome");
  EXPECT_THAT(files.fields, ElementsAre(Pair("null", "yes"), Pair("region", "eu, west: {1}"), Pair("service", "etl"),
                                        Pair("shard", "3")));
  EXPECT_EQ(files.max_unread_deleted_bytes, 1u << 20);
  EXPECT_EQ(files.worker.pid_file, "/run/a.pid");
  EXPECT_EQ(files.worker.unit, "etl@1.service");
  EXPECT_EQ(files.worker.cgroup, "/sys/fs/cgroup/a");
  EXPECT_TRUE(files.worker.holds_file);
  EXPECT_THAT(sources[1].include, ElementsAre("/var/log/pods/*/*/*.log"));
  EXPECT_THAT(sources[2].units, ElementsAre("b.service", "c.scope"));
  EXPECT_EQ(sources[2].journal_directory, "/var/log/journal");
  EXPECT_EQ(sources[3].socket, "/run/s.sock");
}

TEST(SourceConfigTest, WhatIsPrintedLoadsAsTheSameSources) {
  const LoadedConfig loaded = load(kEveryKey);
  const std::string printed = print_effective(loaded.config);
  const LoadedConfig again = load(printed);
  EXPECT_THAT(problems(again), IsEmpty()) << printed;
  EXPECT_EQ(print_effective(again.config), printed);
  ASSERT_EQ(again.config.sources.size(), 4u);
  EXPECT_EQ(again.config.sources[0].fields, loaded.config.sources[0].fields);
  EXPECT_EQ(again.config.sources[0].worker.unit, "etl@1.service");
  EXPECT_TRUE(again.config.sources[0].worker.holds_file);
  EXPECT_FALSE(again.config.sources[1].worker.holds_file);
}

TEST(SourceConfigTest, EveryKeyFromTheEnvironment) {
  const auto sources = usable("sources: [{name: etl-1, include: [/a], fields: {team: x}, worker: {unit: a.service}}]",
                              {{"RUNTAIL_SOURCES_ETL_1_ROOTS", "/a,/b"},
                               {"RUNTAIL_SOURCES_ETL_1_TIMEZONE", "Asia/Kolkata"},
                               {"RUNTAIL_SOURCES_ETL_1_FIELDS", "service=etl, note=a=b"},
                               {"RUNTAIL_SOURCES_ETL_1_WORKER_PID_FILE", "/run/a.pid"}});
  ASSERT_EQ(sources.size(), 1u);
  EXPECT_THAT(sources[0].roots, ElementsAre("/a", "/b"));
  EXPECT_EQ(sources[0].timezone, "Asia/Kolkata");
  EXPECT_THAT(sources[0].fields, ElementsAre(Pair("note", "a=b"), Pair("service", "etl")));
  EXPECT_EQ(sources[0].worker.pid_file, "/run/a.pid");
  EXPECT_EQ(sources[0].worker.unit, "a.service");
  EXPECT_THAT(
      problems("sources: [{name: a, include: [/a]}]", {{"RUNTAIL_SOURCES_A_FIELDS", "service"}}),
      ElementsAre("environment RUNTAIL_SOURCES_A_FIELDS: sources[0].fields: \"service\": write name=value, with "
                  "commas between several"));
}

TEST(SourceConfigTest, TheTypeMayComeFromTheEnvironment) {
  const auto sources = usable("sources: [{name: a, type: files}]",
                              {{"RUNTAIL_SOURCES_A_TYPE", "socket"}, {"RUNTAIL_SOURCES_A_SOCKET", "/run/a.sock"}});
  ASSERT_EQ(sources.size(), 1u);
  EXPECT_EQ(sources[0].type, "socket");
}

TEST(SourceConfigTest, UnknownWordsAndKeysHaveANearOne) {
  EXPECT_THAT(
      problems("sources:\n"
               "- name: a\n"
               "  type: file\n"
               "  envelope: dokcer\n"
               "  timezon: UTC\n"
               "  worker: {pidfile: /x, unit: etl}\n"
               "- {name: b, include: [/b], holds_file: true, worker: x}\n"),
      ElementsAre("f:3:9: sources[0].type: \"file\": must be one of files, kubernetes, journald, socket (did you "
                  "mean \"files\"?)",
                  "f:4:13: sources[0].envelope: \"dokcer\": must be one of auto, none, docker, cri, journald, "
                  "fluent (did you mean \"docker\"?)",
                  "f:5:3: sources[0].timezon: unknown key (did you mean \"timezone\"?)",
                  "f:6:12: sources[0].worker.pidfile: unknown key (did you mean \"pid_file\"?)",
                  "f:6:31: sources[0].worker.unit: \"etl\": write the full name of a systemd unit, as in "
                  "etl.service",
                  "f:7:28: sources[1].holds_file: unknown key (did you mean \"worker.holds_file\"?)",
                  "f:7:54: sources[1].worker: expected keys with values, as in pid_file: ..."));
}

TEST(SourceConfigTest, AKeyOfAnotherTypeIsAProblem) {
  EXPECT_THAT(problems("sources:\n"
                       "- {name: a, type: journald, include: [/a], worker: {holds_file: true}}\n"
                       "- {name: b, type: socket, units: [a.service]}\n"
                       "- {name: c, type: kubernetes, worker: {unit: a.service}}\n"
                       "- {name: d, include: [/d], socket: /run/d, journal_directory: /j}\n"),
              ElementsAre("f:2:38: sources[0].include: belongs to type files or kubernetes, and this source is of type "
                          "journald; remove it, or change type",
                          HasSubstr("f:2:65: sources[0].worker.holds_file: belongs to type files,"),
                          "f:3:3: sources[1].socket: missing; name the unix socket to listen on, as in "
                          "/run/runtail/etl.sock",
                          HasSubstr("f:3:34: sources[1].units: belongs to type journald"),
                          HasSubstr("f:4:46: sources[2].worker.unit: belongs to type files, journald or socket"),
                          HasSubstr("f:5:36: sources[3].socket: belongs to type socket"),
                          HasSubstr("f:5:63: sources[3].journal_directory: belongs to type journald")));
}

TEST(SourceConfigTest, TwoSourcesShareNeitherFilesNorSocketsNorStreams) {
  EXPECT_THAT(problems("name: agent\n"
                       "sources:\n"
                       "- {name: a, include: [/x, /y]}\n"
                       "- {name: b, include: [/y], stream: agent/a}\n"
                       "- {name: c, type: socket, socket: /run/s}\n"
                       "- {name: d, type: socket, socket: /run/s}\n"
                       "- {name: d, type: socket, socket: /run/t}\n"),
              ElementsAre("f:4:36: sources[1].stream: \"agent/a\" is taken by sources[0]; each needs its own",
                          "f:4:22: sources[1].include: \"/y\" is followed by sources[0] (a) too, so each line would be "
                          "stored twice; remove it from one of them",
                          "f:6:35: sources[3].socket: \"/run/s\" is taken by sources[2]; each needs its own",
                          "f:7:10: sources[4].name: \"d\" is taken by sources[3]; each needs its own"));
}

TEST(SourceConfigTest, AStreamGivenTwiceThroughTheEnvironmentIsAProblem) {
  EXPECT_THAT(problems("sources: [{name: a, include: [/a], stream: one}, {name: b, include: [/b]}]",
                       {{"RUNTAIL_SOURCES_B_STREAM", "one"}}),
              ElementsAre("environment RUNTAIL_SOURCES_B_STREAM: sources[1].stream: \"one\" is taken by sources[0]; "
                          "each needs its own"));
}

TEST(SourceConfigTest, TimeZonesAreLookedUp) {
  EXPECT_THAT(problems_with("timezone: ''"), IsEmpty());
  EXPECT_THAT(problems_with("timezone: America/Argentina/Buenos_Aires"), IsEmpty());
  for (const char* bad : {"Europe/Roma", "CEST", "+01:00", "../../etc/passwd", "/etc/localtime", "europe/rome"}) {
    EXPECT_THAT(problems_with("timezone: " + std::string(bad)),
                ElementsAre(HasSubstr("sources[0].timezone: \"" + std::string(bad) + "\"")))
        << bad;
  }
}

TEST(SourceConfigTest, FieldsOfOneLineCannotBeStatic) {
  for (const char* good : {"service: etl", "env: prod", "org_id: '17'", "source: worker", "phase: load",
                           "job_type: batch", "team: \"caf\\xe9\"", "a.b-c_d: x"}) {
    EXPECT_THAT(problems_with("fields: {" + std::string(good) + "}"), IsEmpty()) << good;
  }
  for (const char* each : {"ts", "timestamp", "level", "msg", "message", "event", "status", "run_id", "runId",
                           "task_run_id", "attempt", "duration_ms", "error.message", "started_at", "columns"}) {
    EXPECT_THAT(problems_with("fields: {" + std::string(each) + ": x}"),
                ElementsAre(HasSubstr("sources[0].fields." + std::string(each) +
                                      ": \"x\": tells of one line, so it cannot be the same on all")))
        << each;
  }
  EXPECT_THAT(problems_with("fields: {job_id: x}"),
              ElementsAre(HasSubstr("is a key of the source; write job_id: beside fields:")));
  EXPECT_THAT(problems_with("fields: {environment: x}"), ElementsAre(HasSubstr("write env")));
  EXPECT_THAT(problems_with("fields: {stdio: x}"), ElementsAre(HasSubstr("runtail puts stdio itself")));
  EXPECT_THAT(problems_with("fields: {k8s.pod: x}"), ElementsAre(HasSubstr("runtail puts k8s.pod itself")));
}

TEST(SourceConfigTest, StaticValuesArePrintableAndOfTheirSet) {
  EXPECT_THAT(problems_with("fields: {phase: laod}"),
              ElementsAre("f:2:44: sources[0].fields.phase: \"laod\": must be one of extract, transform, load, dq (did "
                          "you mean \"load\"?)"));
  for (const std::string bad : {"team: ''", "team: \"a\\nb\"", "team: \"\\0\"", "'a b': x", "'': x"}) {
    EXPECT_THAT(problems_with("fields: {" + bad + "}").size(), 1u) << bad;
  }
  EXPECT_THAT(problems_with("fields: {team: " + std::string(255, 'x') + "}"), IsEmpty());
  EXPECT_THAT(problems_with("fields: {team: " + std::string(256, 'x') + "}").size(), 1u);
  EXPECT_THAT(problems("sources: [{name: a, include: [/a]}]", {{"RUNTAIL_SOURCES_A_FIELDS", "team=\xFF"}}).size(), 1u);
  EXPECT_THAT(problems_with("fields: [a]"), ElementsAre(HasSubstr("expected names with values")));
  EXPECT_THAT(problems_with("fields: {team: a, team: b}"), ElementsAre(HasSubstr("given twice; keep one")));
}

TEST(SourceConfigTest, PathsAreFullAndSocketsShort) {
  for (const char* bad : {"roots: [etl]", "worker: {pid_file: run/a}", "worker: {cgroup: x}"}) {
    EXPECT_THAT(problems_with(bad), ElementsAre(HasSubstr("write the full path"))) << bad;
  }
  const auto socket = [](std::size_t size) {
    return problems("sources: [{name: a, type: socket, socket: /" + std::string(size - 1, 'x') + "}]");
  };
  EXPECT_THAT(socket(107), IsEmpty());
  EXPECT_THAT(socket(108), ElementsAre(HasSubstr("at most 107 bytes")));
}

TEST(SourceConfigTest, UnitsAreFullNames) {
  for (const char* good : {"etl.service", "etl@a-1.service", "dev-disk\\x2d1.mount", "a:b.slice"}) {
    EXPECT_THAT(problems_with("worker: {unit: '" + std::string(good) + "'}"), IsEmpty()) << good;
  }
  for (const char* bad : {"etl", "etl.", ".service", "a b.service", "a/b.service", "a;b.service"}) {
    EXPECT_THAT(problems_with("worker: {unit: '" + std::string(bad) + "'}").size(), 1u) << bad;
  }
}

TEST(SourceConfigTest, AnEntryThatIsNoSourceIsOneProblem) {
  EXPECT_THAT(problems("sources: [a, {name: b}]"), ElementsAre(HasSubstr("sources[0]: expected keys with values"),
                                                               HasSubstr("sources[1].include: missing")));
}

}  // namespace
}  // namespace runtail
