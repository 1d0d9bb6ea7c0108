#include "buffer/durable_buffer.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "buffer/chunk_value.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

class DurableBufferTest : public testing::Test {
 protected:
  DurableBufferTest() { config_.directory = dir_.path() / "buffer"; }
  std::unique_ptr<DurableBuffer> open() {
    auto buffer = DurableBuffer::open(config_);
    EXPECT_TRUE(buffer) << buffer.error().message;
    return buffer ? std::move(*buffer) : nullptr;
  }
  static Chunk chunk(std::uint64_t from, std::uint64_t to, std::uint32_t lines = 10) {
    Chunk out;
    out.file = {"agent/etl", {7}, 0};
    out.covers = {from, to};
    out.lines = lines;
    out.records[Table::kLogEvents] = lines;
    out.events = std::string(to - from, 'e');
    return out;
  }
  static Commit commit(std::uint64_t from, std::uint64_t to) {
    Commit out;
    out.chunks = {chunk(from, to)};
    Position position;
    position.file = out.chunks[0].file;
    position.emitted = position.resume = to;
    out.positions = {position};
    return out;
  }
  test::TempDir dir_;
  BufferConfig config_;
};

TEST_F(DurableBufferTest, GivesBackWhatWasAppendedAfterAReopen) {
  auto buffer = open();
  EXPECT_TRUE(buffer->created());
  EXPECT_EQ(*buffer->append(commit(0, 100)), 1u);
  EXPECT_EQ(*buffer->append(commit(100, 250)), 2u);
  buffer.reset();
  buffer = open();
  EXPECT_FALSE(buffer->created());
  const auto chunks = buffer->read_after(0, 1000);
  ASSERT_TRUE(chunks);
  ASSERT_EQ(chunks->size(), 2u);
  EXPECT_EQ((*chunks)[1].sequence, 2u);
  EXPECT_EQ((*chunks)[1].chunk.covers, (ByteRange{100, 250}));
  EXPECT_EQ(buffer->positions().at(0).emitted, 250u);
  EXPECT_EQ(buffer->appended().records[Table::kLogEvents], 20u);
  EXPECT_EQ(*buffer->append(commit(250, 300)), 3u);
}

TEST_F(DurableBufferTest, ChunksPackedByOthersFollowThoseOfTheCommit) {
  auto buffer = open();
  Commit mixed = commit(0, 100);
  ChunkPacker packer;
  mixed.packed = {packer.pack(chunk(100, 200)), packer.pack(chunk(200, 250))};
  EXPECT_EQ(*buffer->append(mixed, DurableBuffer::Sync::kLater), 3u);
  ASSERT_TRUE(buffer->sync());
  Commit packed;
  packed.packed = {packer.pack(chunk(250, 300))};
  packed.packed[0].dead_letters.emplace_back();
  EXPECT_EQ(*buffer->append(packed), 4u);
  buffer.reset();
  buffer = open();
  const auto chunks = *buffer->read_after(0, 1000);
  ASSERT_EQ(chunks.size(), 4u);
  EXPECT_EQ(chunks[2].chunk.covers, (ByteRange{200, 250}));
  EXPECT_EQ(chunks[3].sequence, 4u);
  EXPECT_EQ(buffer->appended().records[Table::kLogEvents], 40u);
  EXPECT_EQ(buffer->scan("d/").size(), 1u);
}

TEST_F(DurableBufferTest, WhatAppendReturnedSurvivesSigkill) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto buffer = DurableBuffer::open(config_);
    for (std::uint64_t n = 0; buffer; ++n) {
      if (!(*buffer)->append(commit(n * 10, n * 10 + 10))) _exit(1);
      if (write(pipe_ends[1], &n, sizeof n) != sizeof n) _exit(1);
    }
    _exit(1);
  }
  std::uint64_t acknowledged = 0;
  while (acknowledged < 50)
    ASSERT_EQ(read(pipe_ends[0], &acknowledged, sizeof acknowledged), static_cast<ssize_t>(sizeof acknowledged));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  const auto buffer = open();
  const auto chunks = buffer->read_after(0, ~std::uint64_t{0});
  ASSERT_TRUE(chunks);
  EXPECT_GT(chunks->size(), acknowledged);
  // Position and chunk moved together, or not at all.
  EXPECT_EQ(buffer->positions().at(0).emitted, chunks->back().chunk.covers.to);
  for (std::size_t i = 0; i < chunks->size(); ++i) EXPECT_EQ((*chunks)[i].sequence, i + 1);
}

TEST_F(DurableBufferTest, ASecondOwnerIsRefusedByName) {
  const auto buffer = open();
  const auto second = DurableBuffer::open(config_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kInUse);
  EXPECT_NE(second.error().message.find("another runtail holds it"), std::string::npos) << second.error().message;
}

TEST_F(DurableBufferTest, CanBeReadBesideItsOwner) {
  const auto buffer = open();
  ASSERT_TRUE(buffer->append(commit(0, 100)));
  const auto reader = DurableBuffer::open_read_only(config_);
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ((*reader)->read_after(0, 1000)->size(), 1u);
}

TEST_F(DurableBufferTest, OneThatIsBeingMadeIsNamedAsSuchToReaders) {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* made = nullptr;  // without a queue yet
  std::filesystem::create_directories(config_.directory);
  ASSERT_TRUE(rocksdb::DB::Open(options, (config_.directory / "rocksdb").string(), &made).ok());
  const std::unique_ptr<rocksdb::DB> owned(made);
  const auto reader = DurableBuffer::open_read_only(config_);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(reader.error().message.find("is being made"), std::string::npos) << reader.error().message;
}

TEST_F(DurableBufferTest, ReadAfterGivesWholeChunksUpToTheLimit) {
  const auto buffer = open();
  for (std::uint64_t n = 0; n < 5; ++n) ASSERT_TRUE(buffer->append(commit(n * 10, n * 10 + 10)));
  EXPECT_EQ(buffer->read_after(0, 25)->size(), 2u);
  EXPECT_EQ(buffer->read_after(0, 1)->size(), 1u);
  EXPECT_EQ(buffer->read_after(4, 1000)->size(), 1u);
  EXPECT_TRUE(buffer->read_after(5, 1000)->empty());
}

TEST_F(DurableBufferTest, KeepsCursorsAndTheirCounters) {
  auto buffer = open();
  ASSERT_TRUE(buffer->append(commit(0, 100)));
  Cursor cursor;
  cursor.delivered.sequence = 1;
  cursor.delivered.records[Table::kLogEvents] = 10;
  cursor.intent = 1;
  ASSERT_TRUE(buffer->put_cursor("postgres", cursor, {{"c/postgres/x", "1"}}));
  buffer.reset();
  buffer = open();
  EXPECT_EQ(buffer->cursor("postgres")->delivered.sequence, 1u);
  EXPECT_EQ(buffer->cursor("postgres")->delivered.records[Table::kLogEvents], 10u);
  EXPECT_EQ(buffer->scan("c/postgres/").size(), 1u);
}

TEST_F(DurableBufferTest, DeliveredChunksLeaveTheDiskWithoutBeingRewritten) {
  config_.bytes_max = 64 << 20;
  const auto buffer = open();
  std::string noise(200'000, '\0');
  for (std::uint64_t n = 0; n < 400; ++n) {
    Commit big = commit(n * 10, n * 10 + 10);
    for (char& c : noise) c = static_cast<char>(rand());  // does not compress
    big.chunks[0].events = noise;
    ASSERT_TRUE(buffer->append(big));
    if (n % 20 == 19) buffer->release(n + 1);
  }
  // 80 MB went through; the log and the last files are all that is left.
  EXPECT_LT(buffer->bytes_on_disk(), 48u << 20);
  EXPECT_TRUE(buffer->has_room());
}

TEST_F(DurableBufferTest, ManySmallChunksLeaveTheDiskToo) {
  config_.bytes_max = 1 << 30;  // far away: nothing is flushed early, files hold as many chunks as they can
  const auto buffer = open();
  Sequence last = 0;
  for (std::uint64_t n = 0; n < 300; ++n) {
    Commit many;
    for (std::uint64_t k = 0; k < 100; ++k) {
      Chunk small = chunk(k, k + 1);
      small.events.resize(1500);
      for (char& c : small.events) c = static_cast<char>(rand());
      many.chunks.push_back(std::move(small));
    }
    last = *buffer->append(many);
    buffer->release(last);
  }
  // 45 MB went through in files of five thousand chunks each.
  EXPECT_LT(buffer->bytes_on_disk(), 30u << 20);
}

TEST_F(DurableBufferTest, OneReadIsBoundedByBytes) {
  const auto buffer = open();
  for (std::uint64_t n = 0; n < 4; ++n) {
    Commit big = commit(n * 10, n * 10 + 10);
    big.chunks[0].events.assign(9 << 20, 'x');
    ASSERT_TRUE(buffer->append(big));
  }
  EXPECT_EQ(buffer->read_after(0, ~std::uint64_t{0})->size(), 2u);
}

TEST_F(DurableBufferTest, ForgottenStateIsGone) {
  const auto buffer = open();
  ASSERT_TRUE(buffer->put("w/1", "x"));
  Commit forgetful;
  forgetful.forget = {"w/1"};
  ASSERT_TRUE(buffer->append(forgetful));
  EXPECT_FALSE(buffer->get("w/1"));
}

TEST_F(DurableBufferTest, ADamagedChunkIsNamedAndNotGivenOut) {
  const Chunk good = chunk(0, 1000);
  ChunkPacker packer;
  std::string packed;
  place_chunk(packer.pack(good), {1, good.records}, packed);
  ASSERT_TRUE(unpack_chunk(packed));
  for (std::size_t at = 0; at < packed.size(); ++at) {
    std::string damaged = packed;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    EXPECT_FALSE(unpack_chunk(damaged)) << "byte " << at;
  }
  EXPECT_FALSE(unpack_chunk(std::string_view(packed).substr(0, packed.size() - 1)));
}

TEST_F(DurableBufferTest, ACorruptDirectoryIsSetAsideAndReported) {
  open();
  for (const auto& file : std::filesystem::directory_iterator(config_.directory / "rocksdb")) {
    if (file.path().filename().string().starts_with("MANIFEST")) std::ofstream(file.path()) << "garbage";
  }
  const auto broken = DurableBuffer::open(config_);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, ErrorCode::kCorrupt) << broken.error().message;
  const auto aside = DurableBuffer::set_aside(config_);
  ASSERT_TRUE(aside) << aside.error().message;
  EXPECT_TRUE(std::filesystem::exists(*aside));
  EXPECT_TRUE(open());
}

TEST_F(DurableBufferTest, AnotherFormatIsRefusedWithTheRemedy) {
  ASSERT_TRUE(open());
  for (const char* format : {"1", "9", "10"}) {
    auto buffer = open();
    ASSERT_TRUE(buffer->put("m/format", format));
    buffer.reset();
    const auto refused = DurableBuffer::open(config_);
    ASSERT_FALSE(refused) << format;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidInput);
    EXPECT_NE(refused.error().message.find("drain the buffer with the runtail that wrote it"), std::string::npos);
    std::filesystem::remove_all(config_.directory);
  }
}

TEST_F(DurableBufferTest, TheDirectoryIsItsOwnersAlone) {
  const auto buffer = open();
  EXPECT_EQ(std::filesystem::status(config_.directory).permissions(), std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace runtail
