#include "agent/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "agent/preflight.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ConfigFileTest : public testing::Test {
 protected:
  ConfigFileTest() {
    std::string name = testing::TempDir() + "runtail_config_XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~ConfigFileTest() override { fs::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) {
    const std::string path = directory_ / name;
    std::ofstream(path) << text;
    return path;
  }

  ConfigFile load(const std::string& option, const std::optional<std::string>& variable,
                  const std::string& system_path) {
    return load_config_file_of(
        option, [&](const std::string& name) { return name == "RUNTAIL_CONFIG" ? variable : std::nullopt; },
        system_path);
  }

  fs::path directory_;
};

TEST_F(ConfigFileTest, OptionThenVariableThenSystemFileThenDefaults) {
  const std::string option = write("option.yaml", "service: option\n");
  const std::string variable = write("variable.yaml", "service: variable\n");
  const std::string system = write("system.yaml", "service: system\n");
  EXPECT_EQ(load(option, variable, system).loaded.config.service, "option");
  EXPECT_EQ(load("", variable, system).loaded.config.service, "variable");
  EXPECT_EQ(load("", std::nullopt, system).loaded.config.service, "system");
  EXPECT_EQ(load("", "", system).path, system);
  const ConfigFile defaults = load("", std::nullopt, directory_ / "none.yaml");
  EXPECT_EQ(defaults.path, "");
  EXPECT_THAT(defaults.loaded.problems, IsEmpty());
}

TEST_F(ConfigFileTest, AFileAskedForMustExist) {
  const std::string missing = directory_ / "missing.yaml";
  const std::string system = write("system.yaml", "");
  EXPECT_EQ(load(missing, std::nullopt, system).loaded.problems.size(), 1u);
  EXPECT_EQ(load("", missing, system).loaded.problems.size(), 1u);
}

Config fitting(const fs::path& directory) {
  Config config;
  SourceConfig worker;
  worker.name = "worker";
  worker.include = {(directory / "*.log").string()};
  worker.stream = "s";
  config.sources.push_back(std::move(worker));
  config.buffer.directory = directory / "buffer" / "deep";
  return config;
}

TEST_F(ConfigFileTest, PreflightFindsNothingWhereAllIsInPlace) {
  Config config = fitting(directory_);
  config.postgres.password_file = write("password", "x");
  EXPECT_THAT(preflight(config), IsEmpty());
  EXPECT_FALSE(fs::exists(directory_ / "buffer"));
}

TEST_F(ConfigFileTest, PreflightNamesEachThingAmiss) {
  Config config = fitting(directory_);
  config.sources[0].include = {(directory_ / "nowhere" / "*.log").string()};
  config.buffer.directory = write("file", "") + "/buffer";
  config.postgres.password_file = directory_ / "password";
  config.identity.key_file = directory_;
  EXPECT_THAT(preflight(config),
              ElementsAre(HasSubstr("source worker: " + directory_.string() + "/nowhere: no such directory"),
                          HasSubstr("buffer.directory " + directory_.string() + "/file/buffer: "),
                          HasSubstr("postgres.password_file " + directory_.string() + "/password: No such file"),
                          HasSubstr("identity.key_file " + directory_.string() + ": Is a directory")));
  config = fitting(directory_);
  config.sources.clear();
  EXPECT_THAT(preflight(config), ElementsAre(HasSubstr("sources: none")));
}

TEST_F(ConfigFileTest, PreflightKnowsWhatSourcesOfEachTypeNeed) {
  Config config = fitting(directory_);
  const fs::path nowhere = directory_ / "nowhere";
  config.sources[0].roots = {nowhere};
  config.sources[0].worker.pid_file = nowhere / "etl.pid";
  config.sources[0].worker.cgroup = nowhere;
  config.sources.emplace_back().socket = nowhere / "etl.sock";
  config.sources.emplace_back().journal_directory = nowhere;
  config.ndjson.path = nowhere / "lines.json";
  EXPECT_THAT(preflight(config),
              ElementsAre(HasSubstr("source worker: roots: " + nowhere.string() + ": no such directory"),
                          HasSubstr("source worker: worker.pid_file: " + nowhere.string() + ": no such directory"),
                          HasSubstr("source worker: worker.cgroup: " + nowhere.string() + ": no such directory"),
                          HasSubstr("socket: " + nowhere.string() + ": no such directory; nobody can connect"),
                          HasSubstr("journal_directory: " + nowhere.string() + ": no such directory"),
                          HasSubstr("ndjson.path: " + nowhere.string() + ": no such directory")));
  fs::create_directory(nowhere);
  EXPECT_THAT(preflight(config), IsEmpty());
}

TEST_F(ConfigFileTest, PreflightNamesVariablesThatAreNoSettings) {
  setenv("RUNTAIL_BUFFER_DIR", "/x", 1);
  const auto found = preflight(fitting(directory_));
  unsetenv("RUNTAIL_BUFFER_DIR");
  EXPECT_THAT(found, ElementsAre(HasSubstr("environment RUNTAIL_BUFFER_DIR: no such setting (did you mean "
                                           "\"RUNTAIL_BUFFER_DIRECTORY\"?)")));
}

TEST(FixedDirectoryTest, EndsBeforeTheFirstWildcard) {
  EXPECT_EQ(fixed_directory("/var/log/etl/*.log"), "/var/log/etl");
  EXPECT_EQ(fixed_directory("/var/log/*/x.log"), "/var/log");
  EXPECT_EQ(fixed_directory("/var/log/e?l/[ab]/x"), "/var/log");
  EXPECT_EQ(fixed_directory("/var/log/etl.log"), "/var/log");
  EXPECT_EQ(fixed_directory("/*.log"), "/");
  EXPECT_EQ(fixed_directory("*.log"), ".");
}

}  // namespace
}  // namespace runtail
