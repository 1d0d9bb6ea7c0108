#include "buffer/chunk_value.h"

#include <zstd.h>

#include <algorithm>

#include "core/bytes.h"
#include "core/digest.h"

namespace runtail {
namespace {

// Level 1 packs a chunk of JSON-like rows about six-fold at several hundred MB/s; higher levels cost more CPU than the
// smaller write saves.
constexpr int kLevel = 1;
// A chunk holds about one read of a source; far above any real one, far below what would hurt.
constexpr std::uint32_t kPlainBytesMax = 1u << 30;

struct Opened {
  Watermark totals;
  std::uint32_t plain_size = 0;
  std::string_view frame;
};

Result<Opened> open_value(std::string_view value) {
  ByteReader reader(value);
  const std::uint8_t format = reader.u8();
  const auto crc = reader.fixed<std::uint32_t>();
  if (reader.failed()) return Error{ErrorCode::kCorrupt, "chunk is cut short"};
  if (format != kChunkFormat) return Error{ErrorCode::kCorrupt, "chunk has unknown format " + std::to_string(format)};
  if (crc32c(reader.rest()) != crc) return Error{ErrorCode::kCorrupt, "chunk does not match its checksum"};
  Opened opened;
  opened.totals.sequence = reader.fixed<std::uint64_t>();
  opened.totals.records = read_counts(reader);
  opened.plain_size = reader.fixed<std::uint32_t>();
  if (reader.failed() || opened.plain_size > kPlainBytesMax)
    return Error{ErrorCode::kCorrupt, "chunk header is damaged"};
  opened.frame = reader.rest();
  return opened;
}

}  // namespace

ChunkPacker::ChunkPacker() : context_(ZSTD_createCCtx()) {}
ChunkPacker::~ChunkPacker() { ZSTD_freeCCtx(static_cast<ZSTD_CCtx*>(context_)); }

PackedChunk ChunkPacker::pack(const Chunk& chunk) {
  const std::string plain = encode_chunk(chunk);
  room_.resize(std::max(room_.size(), ZSTD_compressBound(plain.size())));
  const std::size_t size = ZSTD_compressCCtx(static_cast<ZSTD_CCtx*>(context_), room_.data(), room_.size(),
                                             plain.data(), plain.size(), kLevel);
  // With an output of ZSTD_compressBound() and a valid level compression cannot fail.
  return {chunk.file, chunk.records, chunk.dead_letters, static_cast<std::uint32_t>(plain.size()),
          room_.substr(0, size)};
}

void place_chunk(const PackedChunk& chunk, const Watermark& totals, std::string& out) {
  out.clear();
  ByteWriter writer(out);
  writer.u8(kChunkFormat);
  writer.fixed(std::uint32_t{0});  // the checksum, filled in below
  writer.fixed(totals.sequence);
  append_counts(writer, totals.records);
  writer.fixed(chunk.plain_size);
  out += chunk.frame;
  const std::uint32_t crc = crc32c(std::string_view(out).substr(1 + sizeof crc));
  std::memcpy(out.data() + 1, &crc, sizeof crc);
}

Result<UnpackedChunk> unpack_chunk(std::string_view value) {
  auto opened = open_value(value);
  if (!opened) return opened.error();
  std::string plain(opened->plain_size, '\0');
  const std::size_t size = ZSTD_decompress(plain.data(), plain.size(), opened->frame.data(), opened->frame.size());
  if (ZSTD_isError(size) || size != plain.size()) return Error{ErrorCode::kCorrupt, "chunk does not decompress"};
  auto chunk = decode_chunk(plain);
  if (!chunk) return Error{ErrorCode::kCorrupt, "chunk does not decode"};
  return UnpackedChunk{opened->totals, std::move(*chunk)};
}

Result<Watermark> unpack_watermark(std::string_view value) {
  auto opened = open_value(value);
  if (!opened) return opened.error();
  return opened->totals;
}

}  // namespace runtail
