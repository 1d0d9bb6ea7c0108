// The image, the Compose file, the Kubernetes manifests and the workflow we ship: what each tool says of them, and what
// of them can be run here is run. With --long the image is built and lives beside a worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string kPackaging = std::string(RUNTAIL_SOURCE_DIR) + "/packaging/";
const std::string kRules =
    "python3 " RUNTAIL_SOURCE_DIR "/tests/support/manifest_rules.py " + kPackaging + "kubernetes";

Finished shell(const std::string& script, std::map<std::string, std::string> environment = {},
               Deadline deadline = kPatience) {
  Command command;
  command.argv = {"bash", "-c", script};
  command.environment = std::move(environment);
  return run_to_end(command, deadline);
}

bool has_tool(const std::string& name) { return shell("command -v " + name).exit_code == 0; }

Finished check_config(const std::filesystem::path& file, std::map<std::string, std::string> environment = {}) {
  return shell(std::string(RUNTAIL_BINARY) + " check --config " + file.string(), std::move(environment));
}

TEST(ContainerImage, TakesTwoStrippedProgramsAndTheLibrariesTheyLoad) {
  const TempDir folder;
  const std::string build = std::filesystem::path(RUNTAIL_BINARY).parent_path();
  const Finished staged = shell(kPackaging + "docker/stage.sh " + build + " " + folder.path().string());
  ASSERT_EQ(staged.exit_code, 0) << staged.errors;
  for (const char* program : {"runtail", "runtail-exec"}) {
    const std::filesystem::path file = folder / "root/usr/bin" / program;
    EXPECT_EQ(shell(file.string() + " --version || " + file.string() + " version").exit_code, 0);
    EXPECT_THAT(shell("readelf -S " + file.string()).output, Not(HasSubstr(".debug_info")));
    EXPECT_LT(std::filesystem::file_size(file), 15'000'000u);
  }
  const std::string packages = read_file(folder / "packages");
  EXPECT_THAT(packages, HasSubstr("librocksdb"));
  EXPECT_THAT(packages, Not(HasSubstr("-dev")));
}

TEST(ContainerImage, ComposeFileIsUnderstood) {
  if (!has_tool("docker-compose")) GTEST_SKIP() << "no docker-compose here";
  const Finished read =
      shell("docker-compose -f " + kPackaging + "compose/compose.yaml --profile password config && echo read");
  ASSERT_EQ(read.exit_code, 0) << read.output << read.errors;
  for (const char* part : {"  runtail:", "  server:", "  postgres:", "  prometheus:", "  alertmanager:", "  grafana:"})
    EXPECT_THAT(read.output, HasSubstr(part));
  // Nothing is reached from another machine.
  EXPECT_EQ(shell("grep -n 'ports:' " + kPackaging + "compose/compose.yaml | grep -v '\"127.0.0.1:'").output, "");
  // Each file it mounts is there.
  const Finished lacking = shell("cd " + kPackaging +
                                 "compose && sed -n 's/^ *- \\(\\.[^:]*\\):.*/\\1/p' compose.yaml | "
                                 "while read -r f; do [ -e \"$f\" ] || echo \"$f\"; done");
  EXPECT_EQ(lacking.output, "");
}

TEST(ContainerImage, PrometheusAndAlertmanagerReadTheirFiles) {
  const Finished prometheus = shell("promtool check config " + kPackaging + "compose/prometheus.yaml");
  EXPECT_EQ(prometheus.exit_code, 0) << prometheus.output << prometheus.errors;
  const Finished alertmanager = shell("amtool check-config " + kPackaging + "compose/alertmanager.yaml");
  EXPECT_EQ(alertmanager.exit_code, 0) << alertmanager.output << alertmanager.errors;
}

// The users compose.yaml makes in its database have what they need: the agent writes, Grafana and the server read.
TEST(ContainerImage, UsersOfTheComposeFileMayDoTheirPart) {
  const TempDir secrets, directory;
  ASSERT_EQ(shell(kPackaging + "compose/make-secrets.sh " + secrets.path().string()).exit_code, 0);
  const std::string first = read_file(secrets / "agent");
  EXPECT_GE(first.size(), 32u);
  shell(kPackaging + "compose/make-secrets.sh " + secrets.path().string());
  EXPECT_EQ(read_file(secrets / "agent"), first) << "a second start keeps the passwords";

  PostgresCluster& cluster = PostgresCluster::shared();
  const std::string url = cluster.create_database("compose");
  const Finished users = shell(kPackaging + "compose/users.sh", {{"SECRETS", secrets.path().string()},
                                                                 {"PGHOST", cluster.socket_directory().string()},
                                                                 {"POSTGRES_USER", "runtail"},
                                                                 {"POSTGRES_DB", "compose"}});
  ASSERT_EQ(users.exit_code, 0) << users.errors;
  const Finished migrated = shell(std::string(RUNTAIL_BINARY) + " migrate --roles runtail",
                                  {{"RUNTAIL_POSTGRES_URL", url},
                                   {"RUNTAIL_POSTGRES_PASSWORD_FILE", (secrets / "owner").string()},
                                   {"RUNTAIL_CONFIG", "/dev/null"}});
  ASSERT_EQ(migrated.exit_code, 0) << migrated.output << migrated.errors;

  AgentProcess agent(tailing(directory, cluster.conninfo("compose") + " user=runtail_agent"));
  LogFile log(directory / "etl.log");
  log.append_line(R"({"ts":"2026-11-01T00:00:00Z","level":"INFO","msg":"m","job_id":"orders","event":"run.finished",)"
                  R"("run_id":"r1","status":"success"})");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  Sql dashboards(cluster.conninfo("compose") + " user=runtail_dashboards");
  EXPECT_TRUE(wait_until([&] { return dashboards.number("SELECT count(*) FROM observability.job_runs") == 1; }))
      << agent.log();
  Sql server(cluster.conninfo("compose") + " user=runtail_server");
  EXPECT_EQ(server.number("SELECT count(*) FROM monitoring.job_runs"), 1);
  EXPECT_ANY_THROW(dashboards.rows("DELETE FROM observability.job_runs"));
}

TEST(ContainerImage, ConfigurationsOfComposeAndKubernetesAreValid) {
  for (const char* name : {"runtail", "server"}) {
    const Finished checked = check_config(kPackaging + "compose/" + name + ".yaml");
    EXPECT_EQ(checked.exit_code, 0) << name << ": " << checked.errors;
  }
  const TempDir folder;
  const Finished written = shell(kRules +
                                 " --configs | python3 -c 'import json, sys\n"
                                 "for name, text in json.load(sys.stdin).items():\n"
                                 "  open(\"" +
                                 folder.path().string() +
                                 "/\" + name + \".yaml\", \"w\").write(text)\n"
                                 "  print(name)'");
  ASSERT_THAT(written.output, HasSubstr("runtail-node"));
  ASSERT_THAT(written.output, HasSubstr("runtail-server"));
  for (const char* name : {"runtail-node", "runtail-server"}) {
    const Finished checked =
        check_config(folder / (std::string(name) + ".yaml"), {{"NODE_NAME", "n1"}, {"POD_NAME", "p1"}});
    EXPECT_EQ(checked.exit_code, 0) << name << ": " << checked.errors;
  }
  // A misspelt variable is a warning that names it.
  const Finished variables =
      shell("export $(" + kRules + " --env | grep -v PASSWORD_FILE); " + RUNTAIL_BINARY + " check --config /dev/null");
  EXPECT_EQ(variables.exit_code, 0) << variables.errors;
  EXPECT_THAT(variables.errors, Not(HasSubstr("RUNTAIL_"))) << variables.errors;
}

TEST(ContainerImage, ManifestsKeepTheirPromises) {
  const Finished broken = shell(kRules);
  EXPECT_EQ(broken.exit_code, 0) << broken.errors;
  EXPECT_EQ(broken.output, "");
}

// The workflow's own steps, as a runner would call them.
TEST(ContainerImage, StepsOfTheWorkflowRecordARunAndShowIt) {
  const TempDir workspace;
  std::ofstream(workspace / "etl.py") << "print('{\"level\":\"INFO\",\"msg\":\"done\",\"records_loaded\":3}')\n";
  const Finished steps = shell(
      "python3 -c 'import sys, yaml; print(\"\\n\".join(s[\"run\"] for s in "
      "yaml.safe_load(open(sys.argv[1]))[\"jobs\"][\"orders\"][\"steps\"] if \"run\" in s))' " +
      kPackaging + "github/etl.yaml");
  ASSERT_THAT(steps.output, HasSubstr("runtail exec"));
  const std::string folder = workspace.path().string();
  const std::string programs = std::filesystem::path(RUNTAIL_BINARY).parent_path();
  const Finished ran = shell("cd " + folder + " && set -e && PATH=" + programs + ":$PATH\n" + steps.output,
                             {{"RUNTAIL_BUFFER_DIRECTORY", folder + "/.runtail"},
                              {"RUNTAIL_CONFIG", "/dev/null"},
                              {"RUNTAIL_HTTP_LISTEN", "127.0.0.1:" + std::to_string(free_port())},
                              {"GITHUB_STEP_SUMMARY", folder + "/summary"}});
  EXPECT_EQ(ran.exit_code, 0) << ran.output << ran.errors;
  EXPECT_THAT(read_file(workspace / "summary"), HasSubstr("orders"));
  EXPECT_THAT(read_file(workspace / "runs.json"), HasSubstr("\"success\""));
}

TEST(ContainerImage, AProbeSeesWhetherAnAgentRuns) {
  const TempDir directory;
  AgentProcess agent(tailing(directory, ""));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_TRUE(wait_until([&] { return agent.ask({"status", "--running"}).exit_code == 0; }));
  agent.terminate();
  EXPECT_EQ(agent.ask({"status", "--running"}).exit_code, 4);
  EXPECT_EQ(agent.ask({"status"}).exit_code, 0) << "without the option it reads the directory";
}

TEST(ContainerImage, LivesReadOnlyBesideAWorker) {
  if (!long_run()) GTEST_SKIP() << "only with --long: a base image is made and the image built on it";
  const std::string build = std::filesystem::path(RUNTAIL_BINARY).parent_path();
  const Finished lived = shell(kPackaging + "test-container-image.sh " + build, {}, Deadline(std::chrono::minutes(10)));
  if (lived.exit_code == 77) GTEST_SKIP() << lived.output;
  EXPECT_EQ(lived.exit_code, 0) << lived.output << lived.errors;
  std::printf("%s", lived.output.c_str());
}

}  // namespace
}  // namespace runtail::test
