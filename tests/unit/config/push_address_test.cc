#include "config/push_address.h"

#include <gmock/gmock.h>

#include "config/load.h"

namespace runtail {
namespace {

using testing::HasSubstr;

TEST(PushAddress, NamesHostPortAndPath) {
  const auto plain = parse_push_address("http://gateway.internal:9091");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "gateway.internal");
  EXPECT_EQ(plain->port, 9091);
  EXPECT_EQ(plain->path, "");
  EXPECT_EQ(plain->authority(), "gateway.internal:9091");
  const auto behind = parse_push_address("http://[::1]/push//");
  ASSERT_TRUE(behind);
  EXPECT_EQ(behind->host, "::1");
  EXPECT_EQ(behind->port, 80);
  EXPECT_EQ(behind->path, "/push");
  EXPECT_EQ(behind->authority(), "[::1]");
}

TEST(PushAddress, WhatIsNotSpokenIsRefusedWithWhatToDo) {
  const auto complaint = [](std::string_view url) {
    const auto address = parse_push_address(url);
    return address ? std::string() : address.error().message;
  };
  EXPECT_THAT(complaint("https://gateway:9091"), HasSubstr("HTTPS is not spoken here"));
  EXPECT_THAT(complaint("http://user:secret@gateway:9091"), HasSubstr("a user and a password are not sent"));
  EXPECT_THAT(complaint("http://user:secret@gateway:9091"), testing::Not(HasSubstr("secret")));
  for (const char* url : {"gateway:9091", "http://", "http://:9091", "http://gateway:", "http://gateway:0",
                          "http://gateway:65536", "http://gateway:9091x", "http://[::1", "http://[::1]9",
                          "http://gate way", "http://gateway/?a=b", "http://gateway/\r\nHost: x"}) {
    EXPECT_THAT(complaint(url), HasSubstr("write http://host:9091")) << url;
  }
  const LoadedConfig loaded = load_config("push: {url: \"https://gateway\"}", "runtail.yaml",
                                          [](const std::string&) { return std::optional<std::string>(); });
  ASSERT_FALSE(loaded.problems.empty());
  EXPECT_EQ(loaded.problems[0].key, "push.url");
}

}  // namespace
}  // namespace runtail
