// A chunk as a value of the queue: checked, numbered, compressed (layout: durable_buffer.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/chunk.h"
#include "core/result.h"

namespace runtail {

inline constexpr std::uint8_t kChunkFormat = 2;

// A chunk of which only the place among the others is still open.
struct PackedChunk {
  FileIdentity file;
  RecordCounts records;
  std::vector<DeadLetter> dead_letters;
  std::uint32_t plain_size = 0;
  std::string frame;  // zstd
};

// Threads: one.
class ChunkPacker {
 public:
  ChunkPacker();
  ~ChunkPacker();
  ChunkPacker(const ChunkPacker&) = delete;
  ChunkPacker& operator=(const ChunkPacker&) = delete;
  PackedChunk pack(const Chunk& chunk);

 private:
  void* context_;  // ZSTD_CCtx, owned
  std::string room_;
};

// The value in the queue, into `out` (replaced). `totals`: records of every chunk up to and including this one.
void place_chunk(const PackedChunk& chunk, const Watermark& totals, std::string& out);

struct UnpackedChunk {
  Watermark totals;
  Chunk chunk;
};
// kCorrupt says which check failed.
Result<UnpackedChunk> unpack_chunk(std::string_view value);
// The totals only, without decompressing.
Result<Watermark> unpack_watermark(std::string_view value);

}  // namespace runtail
