#include "agent/packed_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "tests/support/child_process.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;
using State = PackedBytes::State;

std::string gzip_member(std::string_view plain, int level = 6) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, plain.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd_frame(std::string_view plain, int window_log = 0) {
  ZSTD_CCtx* stream = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(stream, ZSTD_c_checksumFlag, 1);
  if (window_log > 0) {
    ZSTD_CCtx_setParameter(stream, ZSTD_c_windowLog, window_log);
    ZSTD_CCtx_setParameter(stream, ZSTD_c_contentSizeFlag, 0);
  }
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  ZSTD_inBuffer input{plain.data(), plain.size(), 0};
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  // In two calls, so that the size is not known at the start and the window stays as asked for.
  ZSTD_compressStream2(stream, &output, &input, ZSTD_e_continue);
  EXPECT_EQ(ZSTD_compressStream2(stream, &output, &input, ZSTD_e_end), 0U);
  out.resize(output.pos);
  ZSTD_freeCCtx(stream);
  return out;
}

std::string packed(Packing packing, std::string_view plain) {
  return packing == Packing::kGzip ? gzip_member(plain) : zstd_frame(plain);
}

// Log lines that compress about as logs do.
std::string log_lines(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string out;
  while (out.size() < size) {
    out += R"({"time":"2026-03-01T00:00:00Z","level":"info","job":"load_orders","rows":)" + std::to_string(random()) +
           ",\"id\":" + std::to_string(random()) + "}\n";
  }
  out.resize(size);
  return out;
}

// A compressed file that grows.
class Archive {
 public:
  explicit Archive(const fs::path& path) : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {}
  ~Archive() { close(fd_); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  void add(std::string_view bytes) {
    size_ += bytes.size();
    ASSERT_EQ(pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_ - bytes.size())),
              static_cast<ssize_t>(bytes.size()));
  }
  int fd() const { return fd_; }

 private:
  int fd_;
  std::size_t size_ = 0;
};

struct Everything {
  std::string bytes;
  State state;
  std::string message;
};

// From `offset` to where it stops, in reads of `size`.
Everything read_all(PackedFile& file, std::uint64_t offset = 0, std::size_t size = 10'000) {
  Everything all{};
  std::string room(size, '\0');
  while (true) {
    const PackedBytes got = file.read_at(room.data(), room.size(), offset + all.bytes.size());
    all.bytes.append(room.data(), got.size);
    if (got.state != State::kMore) {
      all.state = got.state;
      all.message = got.message;
      return all;
    }
    if (got.size != size) ADD_FAILURE() << "kMore with " << got.size << " of " << size << " bytes";
  }
}

// All a file of these compressed bytes gives.
Everything unpack(Packing packing, std::string_view bytes) {
  const test::TempDir dir;
  Archive archive(dir / "archive");
  archive.add(bytes);
  PackedFile file(packing, archive.fd());
  return read_all(file);
}

class PackedFileTest : public testing::TestWithParam<Packing> {
 protected:
  std::string pack(std::string_view plain) const { return packed(GetParam(), plain); }
  Everything unpack(std::string_view bytes) const { return runtail::unpack(GetParam(), bytes); }
  std::string tool() const { return GetParam() == Packing::kGzip ? "gzip" : "zstd"; }
};

INSTANTIATE_TEST_SUITE_P(, PackedFileTest, testing::Values(Packing::kGzip, Packing::kZstd),
                         [](const auto& each) { return each.param == Packing::kGzip ? "Gzip" : "Zstd"; });

TEST(PackingTest, IsToldByTheEndOfTheName) {
  EXPECT_EQ(packing_of("etl.log.1.gz"), Packing::kGzip);
  EXPECT_EQ(packing_of("etl.log.zst"), Packing::kZstd);
  for (const char* name : {"etl.log", "etl.gz.log", "etl.zst.1", "gz", "zst", "", "etl.log.gz.tmp", "etl.log.xz"}) {
    EXPECT_EQ(packing_of(name), Packing::kNone) << name;
  }
}

TEST_P(PackedFileTest, ReadsWhatTheToolPacked) {
  const std::string plain = log_lines(3'000'000, 1);
  const test::TempDir dir;
  std::ofstream(dir / "plain", std::ios::binary) << plain;
  for (const char* level : {"-1", "-6", "-9"}) {
    const auto ran =
        test::run_to_end({{"sh", "-c", tool() + " " + level + " -c plain > archive"}, {}, dir.path(), {}, {}, {}});
    ASSERT_EQ(ran.exit_code, 0) << ran.errors;
    const Everything all = unpack(test::read_file(dir / "archive"));
    EXPECT_TRUE(all.bytes == plain) << level;
    EXPECT_EQ(all.state, State::kEnd) << level << all.message;
  }
}

TEST_P(PackedFileTest, ReadsArchivesOneBehindTheOtherAsOne) {
  const std::string plain = log_lines(900'000, 2);
  for (const std::size_t piece : {1U, 100U, 40'000U, 300'000U}) {
    std::string bytes;
    const std::size_t end = std::min<std::size_t>(plain.size(), piece * 1'000);
    for (std::size_t at = 0; at < end; at += piece)
      bytes += pack(std::string_view(plain).substr(at, std::min(piece, end - at)));
    const Everything all = unpack(bytes);
    EXPECT_TRUE(all.bytes == plain.substr(0, end)) << piece;
    EXPECT_EQ(all.state, State::kEnd) << all.message;
  }
}

TEST_P(PackedFileTest, AnEmptyArchiveEndsAtOnce) {
  const Everything none = unpack(pack(""));
  EXPECT_EQ(none.bytes, "");
  EXPECT_EQ(none.state, State::kEnd);
  const Everything between = unpack(pack("") + pack("a\n") + pack("") + pack("b\n") + pack(""));
  EXPECT_EQ(between.bytes, "a\nb\n");
  EXPECT_EQ(between.state, State::kEnd);
}

TEST_P(PackedFileTest, AFileWithoutBytesIsYetToBeWritten) { EXPECT_EQ(unpack("").state, State::kIncomplete); }

TEST_P(PackedFileTest, AFileCutAnywhereGivesWhatIsThereAndIsIncomplete) {
  const std::string plain = log_lines(1'000, 3);
  const std::string bytes = pack(plain);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Everything all = unpack(bytes.substr(0, size));
    ASSERT_EQ(all.state, State::kIncomplete) << size << " of " << bytes.size() << ": " << all.message;
    ASSERT_TRUE(plain.starts_with(all.bytes)) << size;
  }
  const std::string large = log_lines(2'000'000, 3);
  const std::string large_bytes = pack(large);
  const Everything half = unpack(large_bytes.substr(0, large_bytes.size() / 2));
  EXPECT_EQ(half.state, State::kIncomplete);
  EXPECT_GT(half.bytes.size(), large.size() / 3);
  EXPECT_TRUE(large.starts_with(half.bytes));
}

TEST_P(PackedFileTest, ACutBehindTheLastByteHoldsNoneBack) {
  const std::string zeros(120'000, '\0');  // few bytes packed, many at once unpacked
  const std::string bytes = pack(zeros);
  const Everything all = unpack(bytes.substr(0, bytes.size() - (GetParam() == Packing::kGzip ? 8 : 4)));
  EXPECT_EQ(all.bytes.size(), zeros.size());
  EXPECT_EQ(all.state, State::kIncomplete);
}

TEST_P(PackedFileTest, GoesOnAsTheFileGrows) {
  std::mt19937_64 random(test::seed());
  const std::string plain = log_lines(400'000, 4);
  const std::string bytes = pack(plain.substr(0, 150'000)) + pack(plain.substr(150'000));
  const test::TempDir dir;
  Archive archive(dir / "archive");
  PackedFile file(GetParam(), archive.fd());
  std::string seen;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random() % 9'000, bytes.size() - at);
    archive.add(std::string_view(bytes).substr(at, size));
    at += size;
    // As who follows a file reads: again the bytes before the offset, then what is new.
    const std::size_t before = std::min<std::size_t>(seen.size(), 1'024);
    const Everything fresh = read_all(file, seen.size() - before, 5'000);
    ASSERT_TRUE(fresh.bytes.starts_with(seen.substr(seen.size() - before)));
    seen += fresh.bytes.substr(before);
    ASSERT_TRUE(fresh.state == State::kIncomplete || fresh.state == State::kEnd) << fresh.message;
  }
  EXPECT_TRUE(seen == plain);
  EXPECT_EQ(read_all(file, seen.size()).state, State::kEnd);
  archive.add(pack("more\n"));
  EXPECT_EQ(read_all(file, seen.size()).bytes, "more\n");
  EXPECT_EQ(read_all(file, seen.size()).state, State::kEnd);
}

TEST_P(PackedFileTest, AFlippedBitGivesNothingBehindIt) {
  std::mt19937_64 random(test::seed());
  const std::string plain = log_lines(60'000, 5);
  const std::string first = pack(plain), second = pack("second\n");
  for (int i = 0; i < test::by_scale(150, 5'000); ++i) {
    std::string bytes = first;
    const std::size_t at = random() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
    const Everything all = unpack(bytes + second);
    // What a sum does not cover (a time in the header) may pass; no damage may pass as whole.
    if (all.bytes == plain + "second\n") continue;
    ASSERT_NE(all.state, State::kEnd) << "byte " << at;
    ASSERT_EQ(all.bytes.find("second"), std::string::npos) << "byte " << at;
    ASSERT_EQ(all.message.empty(), all.state != State::kDamaged);
  }
}

TEST_P(PackedFileTest, AWrongChecksumIsDamageBehindTheBytes) {
  const std::string plain = log_lines(300'000, 6);
  std::string bytes = pack(plain);
  const std::size_t at = bytes.size() - (GetParam() == Packing::kGzip ? 8 : 4);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  const Everything all = unpack(bytes);
  EXPECT_TRUE(all.bytes == plain);
  EXPECT_EQ(all.state, State::kDamaged);
  EXPECT_NE(all.message.find(GetParam() == Packing::kGzip ? "gzip: incorrect data check, at compressed byte "
                                                          : "zstd: Restored data doesn't match checksum"),
            std::string::npos)
      << all.message;
}

TEST_P(PackedFileTest, DeliversTheBytesBeforeTheDamage) {
  const std::string plain = log_lines(1'500'000, 7);
  const std::string first = pack(plain.substr(0, 1'000'000));
  std::string bytes = first + pack(plain.substr(1'000'000));
  // Behind the header of the second: a block type that does not exist.
  const std::size_t header = GetParam() == Packing::kGzip ? 10 : 6;
  bytes[first.size() + header] = '\x07';
  const Everything all = unpack(bytes);
  EXPECT_EQ(all.bytes.size(), 1'000'000U);
  EXPECT_TRUE(plain.starts_with(all.bytes));
  EXPECT_EQ(all.state, State::kDamaged);
}

TEST_P(PackedFileTest, StaysDamagedUntilItIsReadFromTheStart) {
  const std::string plain = log_lines(300'000, 8);
  const test::TempDir dir;
  Archive archive(dir / "archive");
  archive.add(pack(plain) + "garbage");
  PackedFile file(GetParam(), archive.fd());
  EXPECT_EQ(read_all(file).state, State::kDamaged);
  const Everything again = read_all(file, plain.size() - 1'000);  // the bytes looked back at are there all the same
  EXPECT_TRUE(again.bytes == plain.substr(plain.size() - 1'000));
  EXPECT_EQ(again.state, State::kDamaged);
  EXPECT_FALSE(again.message.empty());
  archive.add(pack("more\n"));
  EXPECT_EQ(read_all(file, plain.size()).bytes, "");
  EXPECT_EQ(read_all(file, plain.size()).message, again.message);

  ASSERT_EQ(ftruncate(archive.fd(), static_cast<off_t>(pack(plain).size())), 0);
  const Everything mended = read_all(file);
  EXPECT_TRUE(mended.bytes == plain);
  EXPECT_EQ(mended.state, State::kEnd);
}

TEST_P(PackedFileTest, WhatFollowsTheEndIsDamage) {
  const Everything all = unpack(pack("a\n") + "and something else");
  EXPECT_EQ(all.bytes, "a\n");
  EXPECT_EQ(all.state, State::kDamaged);
  EXPECT_NE(all.message.find("what follows its end is not " + tool()), std::string::npos) << all.message;
}

TEST_P(PackedFileTest, AFileThatIsNoArchiveIsDamagedFromTheStart) {
  for (const std::string& bytes : {std::string("{\"level\":\"info\"}\n"), std::string(100'000, '\0')}) {
    const Everything all = unpack(bytes);
    EXPECT_EQ(all.bytes, "");
    EXPECT_EQ(all.state, State::kDamaged);
    EXPECT_NE(all.message.find("no " + tool() + " header"), std::string::npos) << all.message;
  }
}

TEST(GzipFileTest, ZerosBehindTheLastMemberArePadding) {
  const std::string zeros(100'000, '\0');
  const Everything padded = unpack(Packing::kGzip, gzip_member("a\n") + zeros);
  EXPECT_EQ(padded.bytes, "a\n");
  EXPECT_EQ(padded.state, State::kEnd);
  EXPECT_EQ(unpack(Packing::kGzip, gzip_member("a\n") + zeros + gzip_member("b\n")).bytes, "a\nb\n");
}

TEST(ZstdFileTest, SkippableFramesAreSkipped) {
  const std::string skippable("\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
  const Everything all =
      unpack(Packing::kZstd, skippable + zstd_frame("a\n") + skippable + zstd_frame("b\n") + skippable);
  EXPECT_EQ(all.bytes, "a\nb\n");
  EXPECT_EQ(all.state, State::kEnd) << all.message;
}

TEST(ZstdFileTest, DeliversEveryBlockBeforeADamagedOne) {
  const std::string plain = log_lines(400'000, 11);
  // Blocks smaller and larger than what is unpacked at once.
  for (const std::size_t block : {500U, 10'000U, 32'768U, 100'000U}) {
    ZSTD_CCtx* stream = ZSTD_createCCtx();
    std::string bytes(ZSTD_compressBound(plain.size()) + 100'000, '\0');
    ZSTD_outBuffer output{bytes.data(), bytes.size(), 0};
    std::size_t third_ends = 0;
    for (std::size_t at = 0; at < 4 * block; at += block) {
      ZSTD_inBuffer input{plain.data() + at, block, 0};
      ASSERT_EQ(ZSTD_compressStream2(stream, &output, &input, ZSTD_e_flush), 0U);
      if (at == 2 * block) third_ends = output.pos;
    }
    ZSTD_freeCCtx(stream);
    bytes.resize(output.pos);
    bytes[third_ends] = '\x07';  // of a type that does not exist
    const Everything all = unpack(Packing::kZstd, bytes);
    EXPECT_TRUE(all.bytes == plain.substr(0, 3 * block)) << all.bytes.size() << " of " << 3 * block;
    EXPECT_EQ(all.state, State::kDamaged);
  }
}

TEST(ZstdFileTest, AWindowTooLargeIsRefusedByName) {
  const std::string plain = log_lines(200'000, 9);
  EXPECT_TRUE(unpack(Packing::kZstd, zstd_frame(plain, 27)).bytes == plain);
  const Everything all = unpack(Packing::kZstd, zstd_frame(plain, 28));
  EXPECT_EQ(all.bytes, "");
  EXPECT_EQ(all.state, State::kDamaged);
  EXPECT_NE(all.message.find("window of more than 128 MiB"), std::string::npos) << all.message;
}

TEST_P(PackedFileTest, AFileThatCannotBeReadIsUnreadableAndAskedAgain) {
  const test::TempDir dir;
  PackedFile file(GetParam(), ::open(dir.path().c_str(), O_RDONLY | O_CLOEXEC));
  const Everything all = read_all(file);
  EXPECT_EQ(all.state, State::kUnreadable);
  EXPECT_EQ(all.message, "at compressed byte 0: Is a directory");
}

TEST_P(PackedFileTest, AnOffsetBehindTheEndGivesNothing) {
  const test::TempDir dir;
  Archive archive(dir / "archive");
  archive.add(pack("four"));
  PackedFile file(GetParam(), archive.fd());
  char room[10];
  const PackedBytes beyond = file.read_at(room, sizeof room, 1'000'000);
  EXPECT_EQ(beyond.size, 0U);
  EXPECT_EQ(beyond.state, State::kEnd);
  EXPECT_EQ(file.unpacked(), 4U);
  EXPECT_EQ(file.read_at(room, 4, 0).state, State::kMore);
  EXPECT_EQ(file.read_at(room, 4, 4).state, State::kEnd);
}

TEST_P(PackedFileTest, GivesTheSameBytesInWhateverOrderTheyAreAskedFor) {
  std::mt19937_64 random(test::seed());
  const std::string plain = log_lines(1'000'000, random());
  const test::TempDir dir;
  Archive archive(dir / "archive");
  for (std::size_t at = 0; at < plain.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random() % 400'000, plain.size() - at);
    archive.add(pack(std::string_view(plain).substr(at, size)));
    at += size;
  }
  PackedFile file(GetParam(), archive.fd());
  std::string room(300'000, '\0');
  std::uint64_t offset = 0;
  for (int i = 0; i < test::by_scale(400, 10'000); ++i) {
    const std::size_t size = random() % (random() % 4 ? 3'000 : room.size());
    switch (random() % 8) {
      case 0:
        offset = random() % (plain.size() + 1'000);
        break;
      case 1:
        offset -= std::min<std::uint64_t>(offset, random() % 400'000);
        break;
      default:
        offset -= std::min<std::uint64_t>(offset, random() % 1'500);
    }
    const PackedBytes got = file.read_at(room.data(), size, offset);
    const std::string_view want = std::string_view(plain).substr(std::min<std::uint64_t>(offset, plain.size()), size);
    ASSERT_EQ(got.size, want.size()) << "read " << i;
    ASSERT_TRUE(std::string_view(room.data(), got.size) == want) << "read " << i << " at " << offset;
    ASSERT_EQ(got.state, want.size() == size ? State::kMore : State::kEnd) << got.message;
    offset += got.size;
  }
}

// Archives whose start was overwritten after it was read show who begins anew.
class StepBackTest : public PackedFileTest {
 protected:
  void SetUp() override { archive_.add(pack(plain_)); }
  void destroy() {
    const std::string junk(100, 'x');
    ASSERT_EQ(pwrite(archive_.fd(), junk.data(), junk.size(), 0), 100);
  }
  bool same(std::size_t size, std::uint64_t offset) {
    std::string room(size, '\0');
    const PackedBytes got = file_.read_at(room.data(), size, offset);
    return room.substr(0, got.size) == plain_.substr(offset, size);
  }

  const std::string plain_ = log_lines(8'000'000, 10);
  test::TempDir dir_;
  Archive archive_{dir_ / "archive"};
  PackedFile file_{GetParam(), archive_.fd()};
};

INSTANTIATE_TEST_SUITE_P(, StepBackTest, testing::Values(Packing::kGzip, Packing::kZstd),
                         [](const auto& each) { return each.param == Packing::kGzip ? "Gzip" : "Zstd"; });

TEST_P(StepBackTest, AShortOneBeginsNothingAnew) {
  EXPECT_TRUE(same(1'000'000, 0));
  destroy();
  for (const std::uint64_t back : {1'024U, 10'000U, 64U << 10}) EXPECT_TRUE(same(back, 1'000'000 - back)) << back;
  EXPECT_TRUE(same(3'000'000, 1'000'000 - 1'024));
  EXPECT_FALSE(same(1'000, 100));
}

TEST_P(StepBackTest, AsLongAsTheLastReadItBeginsAnewNoMoreThanAFewTimes) {
  // Lines nearly as long as a read: each read steps back to the start of the line it cut.
  constexpr std::size_t kRead = 600'000;
  std::uint64_t offset = 0;
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(same(kRead, offset));
    offset += 50'000;
  }
  destroy();
  for (; offset + kRead < plain_.size(); offset += 50'000) ASSERT_TRUE(same(kRead, offset)) << offset;
}

TEST_P(PackedFileTest, ZerosWithoutEndTakeBoundedMemory) {
  const test::TempDir dir;
  const auto ran = test::run_to_end(
      {{"sh", "-c", "head -c 200000000 /dev/zero | " + tool() + " -c > archive"}, {}, dir.path(), {}, {}, {}});
  ASSERT_EQ(ran.exit_code, 0) << ran.errors;
  const int fd = ::open((dir / "archive").c_str(), O_RDONLY | O_CLOEXEC);
  std::string room(100'000, 'x');
  const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  std::size_t most = before;
  std::uint64_t size = 0;
  bool zeros = true;
  {
    PackedFile file(GetParam(), fd);
    while (true) {
      const PackedBytes got = file.read_at(room.data(), room.size(), size);
      zeros = zeros && room.find_first_not_of('\0') >= got.size;
      size += got.size;
      most = std::max(most, mallinfo2().uordblks + mallinfo2().hblkhd);
      if (got.state == State::kEnd) break;
      ASSERT_EQ(got.state, State::kMore) << got.message;
    }
  }
  close(fd);
  EXPECT_EQ(size, 200'000'000U);
  EXPECT_TRUE(zeros);
  EXPECT_LT(most - before, (256U << 10) + (GetParam() == Packing::kZstd ? 4U << 20 : 0));  // zstd -3: a 2 MiB window
}

}  // namespace
}  // namespace runtail
