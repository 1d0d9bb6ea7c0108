#include "config/variable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Config with_source(const std::string& name) {
  Config config;
  config.sources.emplace_back().name = name;
  return config;
}

TEST(UnknownVariablesTest, SettingsAndWhatElseIsKnownPass) {
  EXPECT_THAT(
      unknown_variables(with_source("etl-1"),
                        {"PATH", "OBS_METRICS_ENABLED", "RUNTAIL_BUFFER_DIRECTORY", "RUNTAIL_SOURCE_INCLUDE",
                         "RUNTAIL_SOURCES_ETL_1_WORKER_UNIT", "RUNTAIL_CONFIG", "RUNTAIL_RUN_ID", "RUNTAIL_JOB_ID",
                         "RUNTAIL_TASK_RUN_ID", "RUNTAIL_VERSION", "RUNTAIL_TEST_SCALE", "RUNTAIL_REDACTION_HASH_KEY"}),
      IsEmpty());
}

TEST(UnknownVariablesTest, KubernetesNamesOfAServicePass) {
  EXPECT_THAT(unknown_variables({}, {"RUNTAIL_SERVICE_HOST", "RUNTAIL_SERVICE_PORT", "RUNTAIL_SERVICE_PORT_HTTP",
                                     "RUNTAIL_PORT", "RUNTAIL_PORT_9847_TCP", "RUNTAIL_AGENT_PORT_9847_TCP_ADDR"}),
              IsEmpty());
}

TEST(UnknownVariablesTest, TheRestIsNamedWithANearOne) {
  EXPECT_THAT(unknown_variables(with_source("etl"),
                                {"RUNTAIL_BUFER_DIRECTORY", "RUNTAIL_SOURCES_ELT_TIMEZONE", "RUNTAIL_XYZZY_AND_MORE"}),
              ElementsAre(HasSubstr("RUNTAIL_BUFER_DIRECTORY: no such setting (did you mean "
                                    "\"RUNTAIL_BUFFER_DIRECTORY\"?); unset or rename it"),
                          HasSubstr("did you mean \"RUNTAIL_SOURCES_ETL_TIMEZONE\"?"),
                          "environment RUNTAIL_XYZZY_AND_MORE: no such setting; unset or rename it"));
}

}  // namespace
}  // namespace runtail
