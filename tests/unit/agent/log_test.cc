#include "agent/log.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

TEST(Log, WhatAServerPutsIntoAMessageIsRedacted) {
  auto redactor = Redactor::make({});
  ASSERT_TRUE(redactor) << redactor.error().message;
  LogConfig config;
  config.format = "json";
  testing::internal::CaptureStderr();
  init_log(config);
  guard_log(std::move(*redactor));
  log_warn("sink postgres: ERROR: duplicate key\nDETAIL: Key (email)=(jane.roe@example.org) already exists");
  log_info("source etl: /var/log/etl/etl.log-20260301 was truncated; 21473 bytes were seen and not read");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("jane.roe"), std::string::npos) << text;
  EXPECT_NE(text.find("sink postgres: ERROR: duplicate key"), std::string::npos) << text;
  EXPECT_NE(text.find("/var/log/etl/etl.log-20260301 was truncated; 21473 bytes"), std::string::npos) << text;
}

}  // namespace
}  // namespace runtail
