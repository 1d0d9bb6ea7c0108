// How far each source is behind stands on /metrics: bytes, since when, and descriptors.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/file_scene.h"

namespace runtail::test {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

TEST(Lag, IsToldPerSourceWhileTheBufferIsFullAndGoneAfterwards) {
  AgentSetup setup;
  setup.sources = {{"orders", "orders-*.log"}, {"people", "people.log"}};
  FileScene scene(setup);
  const auto metric = [&](const std::string& name, const std::string& source) {
    return scene.agent.metric("runtail_source_" + name, {{"source", source}});
  };
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  LogFile first(scene.logs / "orders-a.log"), second(scene.logs / "orders-b.log"), people(scene.logs / "people.log");
  for (LogFile* log : {&first, &second, &people}) log->append(scene.some_lines(10));
  ASSERT_TRUE(scene.all_read());
  ASSERT_TRUE(wait_until([&] { return metric("open_files", "orders") == 2 && metric("open_files", "people") == 1; }));
  for (const std::string source : {"orders", "people"}) {
    ASSERT_TRUE(wait_until([&] { return metric("lag_bytes", source) == 0; }));
    EXPECT_EQ(metric("oldest_unread_timestamp_seconds", source), 0);
  }

  scene.fill_buffer(people);
  const double before = now_seconds();
  const std::string more = scene.some_lines(500);
  first.append(more);
  second.append(more.substr(0, 60));
  EXPECT_TRUE(wait_until([&] { return metric("lag_bytes", "orders") == static_cast<double>(more.size() + 60); }))
      << metric("lag_bytes", "orders");
  EXPECT_GE(metric("oldest_unread_timestamp_seconds", "orders"), before - 2);
  EXPECT_LE(metric("oldest_unread_timestamp_seconds", "orders"), now_seconds());
  const double since = metric("oldest_unread_timestamp_seconds", "orders");
  first.append(scene.some_lines(1));
  EXPECT_TRUE(wait_until([&] { return metric("lag_bytes", "orders") > static_cast<double>(more.size() + 60); }));
  EXPECT_EQ(metric("oldest_unread_timestamp_seconds", "orders"), since) << "the oldest is still the oldest";

  second.append("\n");  // what was half a line
  scene.empty_buffer();
  for (const std::string source : {"orders", "people"}) {
    EXPECT_TRUE(wait_until([&] { return metric("lag_bytes", source) == 0; })) << metric("lag_bytes", source);
    EXPECT_TRUE(wait_until([&] { return metric("oldest_unread_timestamp_seconds", source) == 0; }));
  }
  EXPECT_EQ(metric("open_files", "orders"), 2);
}

}  // namespace
}  // namespace runtail::test
