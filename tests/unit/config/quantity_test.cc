#include "config/quantity.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

using std::chrono::milliseconds;

TEST(QuantityTest, DurationsInEveryUnit) {
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("30s"), milliseconds(30'000));
  EXPECT_EQ(parse_duration("15m"), milliseconds(900'000));
  EXPECT_EQ(parse_duration("24h"), milliseconds(86'400'000));
  EXPECT_EQ(parse_duration("7d"), milliseconds(604'800'000));
  EXPECT_EQ(parse_duration("0"), milliseconds(0));
}

TEST(QuantityTest, SizesInEveryUnit) {
  EXPECT_EQ(parse_bytes("4096"), 4096u);
  EXPECT_EQ(parse_bytes("64KiB"), 65536u);
  EXPECT_EQ(parse_bytes("512MiB"), 512ull << 20);
  EXPECT_EQ(parse_bytes("2GiB"), 2ull << 30);
  EXPECT_EQ(parse_bytes("1TiB"), 1ull << 40);
}

TEST(QuantityTest, WhatIsNeitherIsRefused) {
  for (const char* text : {"", "30", "s", "-1s", "1.5h", "30 s", "30S", "1w", "4000d", "99999999999999999999s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  for (const char* text : {"", "GiB", "-1", "2GB", "2gib", "1.5GiB", "2 GiB", "9223372036854775808", "8388608TiB"}) {
    EXPECT_FALSE(parse_bytes(text)) << text;
  }
}

TEST(QuantityTest, PrintsTheLargestUnitThatDivides) {
  EXPECT_EQ(print_duration(milliseconds(604'800'000)), "7d");
  EXPECT_EQ(print_duration(milliseconds(90'000)), "90s");
  EXPECT_EQ(print_duration(milliseconds(1500)), "1500ms");
  EXPECT_EQ(print_duration(milliseconds(0)), "0");
  EXPECT_EQ(print_bytes(2ull << 30), "2GiB");
  EXPECT_EQ(print_bytes(1025), "1025");
  EXPECT_EQ(print_bytes(0), "0");
}

}  // namespace
}  // namespace runtail
