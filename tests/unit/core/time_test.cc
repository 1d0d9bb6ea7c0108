#include "core/time.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

TEST(Rfc3339, ReadsWhatLoggersWrite) {
  for (const char* same : {"2026-03-01T00:00:02Z", "2026-03-01 00:00:02", "2026-03-01T01:00:02+01:00",
                           "2026-02-28T19:00:02-0500", "2026-03-01T00:00:02.000Z", "2026-03-01T00:00:02,000000000Z"}) {
    const auto time = parse_rfc3339(same);
    ASSERT_TRUE(time) << same;
    EXPECT_EQ(to_rfc3339(*time), "2026-03-01T00:00:02.000000Z") << same;
  }
  EXPECT_EQ(to_rfc3339(*parse_rfc3339("2026-03-01T00:00:02.123456789Z")), "2026-03-01T00:00:02.123456Z");
  EXPECT_EQ(to_rfc3339(*parse_rfc3339("2026-12-31T23:59:60Z")), "2026-12-31T23:59:59.000000Z");
}

TEST(Rfc3339, RefusesWhatIsNoTime) {
  for (const char* bad :
       {"", "now", "2026-03-01", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-03-01T24:00:00Z",
        "2026-03-01T00:00:00.Z", "2026-03-01T00:00:00Zx", "2026-03-01T00:00:00+1", "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z", "2026-03-01T00:00:00+25:00"}) {
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
  }
}

}  // namespace
}  // namespace runtail
