#include "agent/pod_path.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

TEST(PodPathTest, SaysNamespacePodContainerAndRestarts) {
  const auto path = parse_pod_path("/var/log/pods/team-a_etl-7f9c-x2z_0b6f6a60-1c1a/worker/12.log");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->pod_namespace, "team-a");
  EXPECT_EQ(path->pod, "etl-7f9c-x2z");
  EXPECT_EQ(path->uid, "0b6f6a60-1c1a");
  EXPECT_EQ(path->container, "worker");
  EXPECT_EQ(path->restarts, 12);
}

TEST(PodPathTest, WhatIsNoneOfTheseSaysNothing) {
  for (const char* path :
       {"", "/", "0.log", "/var/log/pods/a_b/worker/0.log", "/var/log/pods/a_b_c/worker/0.txt",
        "/var/log/pods/a_b_c/worker/x.log", "/var/log/pods/a_b_c/worker/-1.log", "/var/log/pods/a_b_c/worker/.log",
        "/var/log/pods/a_b_c/wor\"ker/0.log", "/var/log/pods/_b_c/worker/0.log", "/var/log/pods/a_b_c//0.log",
        "/var/log/pods/a_b_c/worker/99999999999.log", "/var/log/pods/A_b_c/worker/0.log"}) {
    EXPECT_FALSE(parse_pod_path(path)) << path;
  }
}

}  // namespace
}  // namespace runtail
