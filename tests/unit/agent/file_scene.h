// Files of a source as tests write, rotate and pack them; the clock is turned by hand; a restart keeps what a commit
// would have kept. Every block is checked for what the rest of runtail builds on.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "agent/file_source.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {

inline std::string gzip(std::string_view plain) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
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

inline std::string zstd(std::string_view plain) {
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 1));
  return out;
}

// What Docker's json-file driver makes of a line: pieces lack the newline in `log`.
inline std::string docker(std::string_view text, bool is_piece = false, std::string_view output = "stdout") {
  std::string escaped;
  for (const char c : text) escaped += c == '"' ? std::string("\\\"") : std::string(1, c);
  return "{\"log\":\"" + escaped + (is_piece ? "" : "\\n") + "\",\"stream\":\"" + std::string(output) +
         "\",\"time\":\"2026-03-01T00:00:00Z\"}\n";
}

inline std::string cri(std::string_view text, bool is_piece = false, std::string_view output = "stdout") {
  return "2026-03-01T00:00:00.000000000Z " + std::string(output) + (is_piece ? " P " : " F ") + std::string(text) +
         "\n";
}

class FileScene : public testing::Test {
 protected:
  using Texts = std::vector<std::string>;

  FileScene() {
    settings_.source.name = "etl";
    settings_.source.stream = "agent/etl";
    settings_.source.include = {path("etl.log").string()};
    settings_.line_bytes_max = 1 << 16;
    restart();
  }

  std::filesystem::path path(const std::string& name) const { return dir_.path() / name; }
  void write(const std::string& name, std::string_view bytes) {
    std::ofstream(path(name), std::ios::app | std::ios::binary) << bytes;
  }
  void rewrite(const std::string& name, std::string_view bytes) {
    std::ofstream(path(name), std::ios::binary) << bytes;
  }
  std::string content(const std::string& name) const {
    std::ostringstream out;
    out << std::ifstream(path(name), std::ios::binary).rdbuf();
    return out.str();
  }
  bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }
  void rename(const std::string& from, const std::string& to) { std::filesystem::rename(path(from), path(to)); }
  void remove(const std::string& name) { std::filesystem::remove(path(name)); }
  void copy(const std::string& from, const std::string& to) { std::filesystem::copy_file(path(from), path(to)); }
  // As gzip and zstd do: the original goes when the archive is whole.
  void pack(const std::string& name, const std::string& suffix = ".gz") {
    rewrite(name + suffix, suffix == ".gz" ? gzip(content(name)) : zstd(content(name)));
    remove(name);
  }
  void link(const std::string& target, const std::string& name) {
    std::filesystem::create_symlink(path(target), path(name + ".new"));
    rename(name + ".new", name);
  }
  void wait(std::chrono::milliseconds time) { now_ += time; }

  void restart() {
    std::vector<Position> positions;
    for (const auto& [file, position] : durable_) positions.push_back(position);
    start(std::move(positions));
  }
  // The buffer was lost: the database knows what it covered, not what was open there.
  void restart_from_database() {
    std::vector<Position> positions;
    for (const auto& [file, position] : durable_) {
      positions.push_back(position);
      positions.back().resume = 0;
    }
    start(std::move(positions));
  }

  // What up to `blocks` reads give; it is durable then.
  Texts read(int blocks = std::numeric_limits<int>::max()) {
    Texts texts;
    std::vector<Position> pending;
    for (int i = 0; i < blocks; ++i) {
      const auto block = source_->read(now_);
      if (!block) break;
      check(*block);
      for (const Line& line : block->lines) {
        read_lines_ += line.lines;
        if (line.orphan) {
          orphans_ += line.lines;
        } else {
          texts.push_back(line.too_long ? "(" + std::to_string(line.length) + " bytes)" : std::string(line.bytes));
          by_file_[block->position.file].push_back(texts.back());
        }
      }
      pending.push_back(block->position);
      if (block->with_next) {
        --i;
        continue;
      }
      for (const Position& position : pending) durable_[position.file] = position;
      pending.clear();
    }
    EXPECT_TRUE(pending.empty()) << "a block that waits for the next, and none came";
    return texts;
  }
  // Everything there is to read.
  Texts read_all() {
    Texts texts;
    for (int looks = 0; looks < 3; ++looks) {
      source_->scan(now_);
      for (std::string& text : read()) texts.push_back(std::move(text));
    }
    return texts;
  }
  // As time goes by, second after second.
  Texts read_for(std::chrono::seconds time) {
    Texts texts = read_all();
    for (std::chrono::seconds gone{0}; gone < time; ++gone) {
      wait(std::chrono::seconds(1));
      source_->scan(now_);
      for (std::string& text : read()) texts.push_back(std::move(text));
    }
    return texts;
  }

  double lost(std::string_view reason = "truncated") {
    return metrics_.value(Metric::kLostBytesTotal, {"etl", reason});
  }
  std::uint64_t open_files() const { return source_->status().open_files; }
  std::string faults() const {
    std::string all;
    for (const std::string& fault : source_->status().faults) all += fault + "\n";
    return all;
  }

  TempDir dir_;
  std::shared_ptr<ReadBuffer> buffer_ = std::make_shared<ReadBuffer>(1 << 16);
  FileSourceSettings settings_;
  MetricTable metrics_{100};
  SystemClock clock_;
  TimePoint now_ = clock_.now();
  std::map<FileIdentity, Position> durable_;
  std::map<FileIdentity, Texts> by_file_;       // all that was read
  std::uint64_t orphans_ = 0, read_lines_ = 0;  // physical lines
  std::unique_ptr<FileSource> source_;

 private:
  void start(std::vector<Position> positions) {
    source_ = std::make_unique<FileSource>(settings_, std::move(positions), buffer_, metrics_);
    covered_.clear();
    for (const auto& [file, position] : durable_) covered_[file] = position.emitted;
  }
  // The blocks of a file follow each other without gap or overlap, and each unit ends in its block: by that Postgres
  // takes each exactly once.
  void check(const LineBlock& block) {
    std::uint64_t& covered = covered_[block.position.file];
    EXPECT_EQ(block.covers.from, covered);
    EXPECT_EQ(block.covers.to, block.position.emitted);
    EXPECT_LE(block.position.resume, block.position.emitted);
    covered = block.covers.to;
    ASSERT_NE(block.last_ts, nullptr);
    for (const Line& line : block.lines) {
      if (line.orphan) continue;
      const std::uint64_t end = line.offset + std::max<std::uint64_t>(line.length, 2) - 2;
      EXPECT_GE(end, block.covers.from);
      EXPECT_LT(end, block.covers.to);
    }
  }

  std::map<FileIdentity, std::uint64_t> covered_;
};

}  // namespace runtail::test
