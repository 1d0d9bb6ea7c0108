// A chunk as a value of the queue: checked, numbered, compressed (layout: durable_buffer.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/chunk.h"
#include "core/result.h"

namespace runtail {

inline constexpr std::uint8_t kChunkFormat = 2;

// Compresses into `out` (replaced). `totals`: records of every chunk up to and including this one.
class ChunkPacker {
 public:
  ChunkPacker();
  ~ChunkPacker();
  ChunkPacker(const ChunkPacker&) = delete;
  ChunkPacker& operator=(const ChunkPacker&) = delete;
  void pack(const Chunk& chunk, const Watermark& totals, std::string& out);

 private:
  void* context_;  // ZSTD_CCtx, owned
};

struct UnpackedChunk {
  Watermark totals;
  Chunk chunk;
};
// kCorrupt says which check failed.
Result<UnpackedChunk> unpack_chunk(std::string_view value);
// The totals only, without decompressing.
Result<Watermark> unpack_watermark(std::string_view value);

}  // namespace runtail
