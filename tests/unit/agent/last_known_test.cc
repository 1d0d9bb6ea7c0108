#include "agent/last_known.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

TEST(LastKnown, KeepsFewInMemoryAndReadsTheOthersBack) {
  const test::TempDir directory;
  BufferConfig config;
  config.directory = directory.path() / "buffer";
  const auto buffer = std::move(*DurableBuffer::open(config));
  LastKnown known(*buffer, 100);
  const auto commit = [&] {
    Commit batch;
    known.take_changed(batch.state);
    const std::size_t entries = batch.state.size();
    EXPECT_TRUE(buffer->append(batch));
    return entries;
  };
  const auto key = [](int i) { return "x/" + std::to_string(i); };
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 50; ++i) known.put(key(round * 50 + i), std::to_string(i));
    known.put(key(round * 50), "again");
    EXPECT_EQ(commit(), 50u);
    EXPECT_LE(known.kept(), 150u);
  }
  EXPECT_EQ(known.get(key(0)), "again");
  EXPECT_EQ(known.get(key(4'999)), "49");
  EXPECT_EQ(known.get(key(5'000)), "");
  EXPECT_EQ(commit(), 0u) << "to read is no change";
}

}  // namespace
}  // namespace runtail
