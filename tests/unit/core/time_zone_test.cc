#include "core/time_zone.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

std::string utc_of(const std::string& zone_name, const std::string& local) {
  const auto zone = TimeZone::load(zone_name);
  EXPECT_TRUE(zone) << zone_name;
  const auto time = zone ? parse_rfc3339(local, &*zone) : std::nullopt;
  return time ? to_rfc3339(*time) : "none";
}

TEST(TimeZoneTest, WinterAndSummerOfRome) {
  EXPECT_EQ(utc_of("Europe/Rome", "2026-01-15T12:00:00.123456"), "2026-01-15T11:00:00.123456Z");
  EXPECT_EQ(utc_of("Europe/Rome", "2026-07-15 12:00:00,5"), "2026-07-15T10:00:00.500000Z");
}

TEST(TimeZoneTest, TheHourThatDoesNotExistMovesOnByTheGap) {
  // Clocks go from 02:00 to 03:00 on 29 March 2026.
  EXPECT_EQ(utc_of("Europe/Rome", "2026-03-29T01:59:59"), "2026-03-29T00:59:59.000000Z");
  EXPECT_EQ(utc_of("Europe/Rome", "2026-03-29T02:30:00"), "2026-03-29T01:30:00.000000Z");  // 03:30 of summer
  EXPECT_EQ(utc_of("Europe/Rome", "2026-03-29T03:00:00"), "2026-03-29T01:00:00.000000Z");
}

TEST(TimeZoneTest, TheHourThatComesTwiceIsTheFirst) {
  // Clocks go from 03:00 to 02:00 on 25 October 2026.
  EXPECT_EQ(utc_of("Europe/Rome", "2026-10-25T01:59:59"), "2026-10-24T23:59:59.000000Z");
  EXPECT_EQ(utc_of("Europe/Rome", "2026-10-25T02:30:00.999999"), "2026-10-25T00:30:00.999999Z");
  EXPECT_EQ(utc_of("Europe/Rome", "2026-10-25T03:00:00"), "2026-10-25T02:00:00.000000Z");
}

TEST(TimeZoneTest, HalfAndQuarterHours) {
  EXPECT_EQ(utc_of("Asia/Kolkata", "2026-03-01T05:30:00"), "2026-03-01T00:00:00.000000Z");
  EXPECT_EQ(utc_of("Asia/Kathmandu", "2026-03-01T05:45:00"), "2026-03-01T00:00:00.000000Z");
  EXPECT_EQ(utc_of("America/St_Johns", "2026-01-01T00:00:00"), "2026-01-01T03:30:00.000000Z");
  EXPECT_EQ(utc_of("UTC", "2026-01-01T00:00:00"), "2026-01-01T00:00:00.000000Z");
}

TEST(TimeZoneTest, AStatedOffsetWins) {
  for (const char* same : {"2026-07-01T12:00:00Z", "2026-07-01T12:00:00z", "2026-07-01T14:00:00+02:00",
                           "2026-07-01T07:00:00-0500", "2026-07-01T12:00:00.000+00:00"}) {
    EXPECT_EQ(utc_of("Asia/Tokyo", same), "2026-07-01T12:00:00.000000Z") << same;
  }
}

TEST(TimeZoneTest, NothingBeforeTheEpoch) {
  EXPECT_EQ(utc_of("Asia/Tokyo", "1970-01-01T08:59:59"), "none");
  EXPECT_EQ(utc_of("Asia/Tokyo", "1970-01-01T09:00:00"), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(utc_of("America/New_York", "1970-01-01T00:00:00"), "1970-01-01T05:00:00.000000Z");
}

TEST(TimeZoneTest, UnknownNamesAndPathsAreRefused) {
  for (const char* bad : {"", "Europe/Roma", "CEST", "+01:00", "../Europe/Rome", "/etc/localtime", "Europe",
                          "file:/etc/localtime", "Europe/Rome "}) {
    const auto zone = TimeZone::load(bad);
    ASSERT_FALSE(zone) << bad;
    EXPECT_EQ(zone.error().code, ErrorCode::kInvalidInput);
    EXPECT_NE(zone.error().message.find("write a name as in Europe/Rome"), std::string::npos);
  }
}

}  // namespace
}  // namespace runtail
