#include "agent/packed_file.h"

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "agent/journal_export.h"

namespace runtail {
namespace {

constexpr std::size_t kInputBytes = 64 << 10;
constexpr std::size_t kStepBytes = 32 << 10;      // unpacked at once; as much of the window is not kept
constexpr std::size_t kStepBackBytes = 96 << 10;  // what the window keeps at least
constexpr std::size_t kConfirmBytes = 1024;       // read again before each offset by whoever follows a file
constexpr int kZstdWindowLogMax = 27;             // 128 MiB, what `zstd -d` takes without being asked

}  // namespace

// Unpacks the next piece. Knows nothing of files.
class Unpacker {
 public:
  struct Piece {
    std::size_t used = 0, made = 0;
    const char* fault = nullptr;  // why nothing behind `made` can be unpacked
  };
  virtual ~Unpacker() = default;
  // An empty `in` asks for what is held back because `room` was too small before.
  virtual Piece unpack(std::string_view in, char* into, std::size_t room) = 0;
  // All input so far is whole: at least one member, and none begun and not ended.
  virtual bool at_end() const = 0;
  virtual void begin_anew() = 0;
};

namespace {

class GzipUnpacker final : public Unpacker {
 public:
  GzipUnpacker() {
    constexpr int kGzipHeaderOnly = 16;
    if (inflateInit2(&stream_, MAX_WBITS + kGzipHeaderOnly) != Z_OK) throw std::bad_alloc();
  }
  ~GzipUnpacker() override { inflateEnd(&stream_); }

  Piece unpack(std::string_view in, char* into, std::size_t room) override {
    Piece piece;
    if (at_end_) {
      piece.used = std::min(in.find_first_not_of('\0'), in.size());  // tapes and block devices pad with zeros
      in.remove_prefix(piece.used);
      if (in.empty()) return piece;
      if (in[0] != '\x1f') {
        piece.fault = "what follows its end is not gzip";
        return piece;
      }
      at_end_ = false;
    }
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(into);
    stream_.avail_out = static_cast<uInt>(room);
    const int result = inflate(&stream_, Z_NO_FLUSH);
    piece.used += in.size() - stream_.avail_in;
    piece.made = room - stream_.avail_out;
    if (result == Z_STREAM_END) {
      inflateReset(&stream_);
      at_end_ = true;
    } else if (result == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (result != Z_OK && result != Z_BUF_ERROR) {  // Z_BUF_ERROR: it needs more input
      piece.fault = stream_.msg ? stream_.msg : zError(result);
      if (std::string_view(piece.fault) == "incorrect header check") piece.fault = "no gzip header";
    }
    return piece;
  }
  bool at_end() const override { return at_end_; }
  void begin_anew() override {
    inflateReset(&stream_);
    at_end_ = false;
  }

 private:
  z_stream stream_{};
  bool at_end_ = false;
};

class ZstdUnpacker final : public Unpacker {
 public:
  ZstdUnpacker() {
    if (!stream_) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
  }

  Piece unpack(std::string_view in, char* into, std::size_t room) override {
    Piece piece;
    if (in.empty() && at_end_) return piece;
    // On a fault zstd forgets what it made in the same call. So a call takes input or gives output, never both; without
    // room for output it takes no more than one block.
    if (!held_back_) {
      ZSTD_inBuffer input{in.data(), in.size(), 0};
      ZSTD_outBuffer nothing{into, 0, 0};
      piece.fault = call(nothing, input);
      piece.used = input.pos;
      if (piece.fault || at_end_) return piece;
    }
    ZSTD_inBuffer nothing{in.data(), 0, 0};
    ZSTD_outBuffer output{into, room, 0};
    piece.fault = call(output, nothing);
    piece.made = output.pos;
    held_back_ = piece.made == room;
    return piece;
  }
  bool at_end() const override { return at_end_; }
  void begin_anew() override {
    ZSTD_DCtx_reset(stream_.get(), ZSTD_reset_session_only);
    at_end_ = any_ended_ = held_back_ = false;
  }

 private:
  // The fault, if any.
  const char* call(ZSTD_outBuffer& output, ZSTD_inBuffer& input) {
    const std::size_t result = ZSTD_decompressStream(stream_.get(), &output, &input);
    if (ZSTD_isError(result)) return fault_of(result);
    at_end_ = result == 0;
    any_ended_ = any_ended_ || at_end_;
    return nullptr;
  }

  const char* fault_of(std::size_t result) const {
    switch (ZSTD_getErrorCode(result)) {
      case ZSTD_error_prefix_unknown:
        return any_ended_ ? "what follows its end is not zstd" : "no zstd header";
      case ZSTD_error_frameParameter_windowTooLarge:
        return "made with a window of more than 128 MiB; pack it again without --long or --ultra";
      case ZSTD_error_memory_allocation:
        throw std::bad_alloc();
      default:
        return ZSTD_getErrorName(result);
    }
  }

  struct Free {
    void operator()(ZSTD_DCtx* stream) const { ZSTD_freeDCtx(stream); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> stream_{ZSTD_createDCtx()};
  bool at_end_ = false;     // of a frame
  bool any_ended_ = false;  // some frame was read to its end
  bool held_back_ = false;  // there was not room for all of a block
};

// Of what `inner` unpacks, or of plain bytes.
class ExportUnpacker final : public Unpacker {
 public:
  explicit ExportUnpacker(std::unique_ptr<Unpacker> inner)
      : inner_(std::move(inner)), room_(inner_ ? kStepBytes : 0, '\0') {}

  // Lines are made as they are asked for: a little input may hold any number of them.
  Piece unpack(std::string_view in, char* into, std::size_t room) override {
    Piece piece;
    while (piece.made < room) {
      if (given_ == lines_.size() && !unpack_lines(in, piece.used)) break;
      const std::size_t given = std::min(room - piece.made, lines_.size() - given_);
      std::memcpy(into + piece.made, lines_.data() + given_, given);
      piece.made += given;
      given_ += given;
    }
    // First what is whole, then why nothing follows.
    if (given_ == lines_.size()) piece.fault = fault_;
    return piece;
  }
  bool at_end() const override { return export_.at_end() && (!inner_ || inner_->at_end()); }
  void begin_anew() override {
    if (inner_) inner_->begin_anew();
    export_ = {};
    lines_.clear();
    given_ = 0;
    fault_ = nullptr;
    holds_back_ = false;
  }

 private:
  // One step, which need not end a line. False: there is nothing to take it from.
  bool unpack_lines(std::string_view in, std::size_t& used) {
    if (fault_ || (used == in.size() && !holds_back_)) return false;
    lines_.clear();
    given_ = 0;
    std::string_view bytes = in.substr(used);
    if (inner_) {
      const Piece piece = inner_->unpack(bytes, room_.data(), room_.size());
      used += piece.used;
      fault_ = piece.fault;
      holds_back_ = piece.made == room_.size();
      bytes = {room_.data(), piece.made};
    } else {
      used = in.size();
    }
    if (!fault_) fault_ = export_.add(bytes, lines_);
    return true;
  }

  const std::unique_ptr<Unpacker> inner_;
  std::string room_;
  JournalExport export_;
  std::string lines_;        // unpacked
  std::size_t given_ = 0;    // of them
  bool holds_back_ = false;  // the inner one has more without input
  const char* fault_ = nullptr;
};

std::unique_ptr<Unpacker> unpacker_of(Packing packing) {
  switch (packing) {
    case Packing::kZstd:
      return std::make_unique<ZstdUnpacker>();
    case Packing::kExport:
      return std::make_unique<ExportUnpacker>(nullptr);
    case Packing::kGzipExport:
      return std::make_unique<ExportUnpacker>(std::make_unique<GzipUnpacker>());
    case Packing::kZstdExport:
      return std::make_unique<ExportUnpacker>(std::make_unique<ZstdUnpacker>());
    case Packing::kNone:
    case Packing::kGzip:
      break;
  }
  return std::make_unique<GzipUnpacker>();
}

const char* name_of(Packing packing) {
  if (packing == Packing::kExport) return "journal export";
  return packing == Packing::kZstd || packing == Packing::kZstdExport ? "zstd" : "gzip";
}

}  // namespace

Packing as_export(Packing packing) {
  if (packing == Packing::kNone) return Packing::kExport;
  if (packing == Packing::kGzip) return Packing::kGzipExport;
  return packing == Packing::kZstd ? Packing::kZstdExport : packing;
}

Packing packing_of(std::string_view file_name) {
  if (file_name.ends_with(".gz")) return Packing::kGzip;
  if (file_name.ends_with(".zst")) return Packing::kZstd;
  return Packing::kNone;
}

PackedFile::PackedFile(Packing packing, int fd)
    : name_(name_of(packing)),
      fd_(fd),
      unpacker_(unpacker_of(packing)),
      input_(kInputBytes),
      window_(kStepBackBytes + kStepBytes) {}

PackedFile::~PackedFile() = default;
PackedFile::PackedFile(PackedFile&&) noexcept = default;
PackedFile& PackedFile::operator=(PackedFile&&) noexcept = default;

PackedBytes PackedFile::read_at(char* into, std::size_t size, std::uint64_t offset) {
  most_asked_ = std::max(most_asked_, size);
  if (offset < window_from_) begin_anew(end_ - offset);
  PackedBytes bytes;
  while (bytes.size < size) {
    const std::uint64_t at = offset + bytes.size;
    if (at < end_) {
      const std::size_t place = at % window_.size();
      const auto have = std::min<std::uint64_t>({size - bytes.size, end_ - at, window_.size() - place});
      std::memcpy(into + bytes.size, window_.data() + place, have);
      bytes.size += have;
    } else if (bytes.state = unpack_more(); bytes.state != PackedBytes::State::kMore) {
      bytes.message = message_;
      return bytes;
    }
  }
  return bytes;
}

// kMore: at least one byte more is unpacked.
PackedBytes::State PackedFile::unpack_more() {
  using State = PackedBytes::State;
  if (damaged_) return State::kDamaged;
  while (true) {
    if (input_at_ == input_size_ && !held_back_) {
      const ssize_t got = pread(fd_, input_.data(), input_.size(), static_cast<off_t>(read_));
      if (got < 0 && errno == EINTR) continue;
      message_.clear();
      if (got < 0) {
        message_ = "at compressed byte " + std::to_string(read_) + ": " + std::strerror(errno);
        return State::kUnreadable;
      }
      if (got == 0) return unpacker_->at_end() ? State::kEnd : State::kIncomplete;
      input_at_ = 0;
      input_size_ = static_cast<std::size_t>(got);
      read_ += input_size_;
    }
    const std::size_t place = end_ % window_.size();
    const std::size_t room = std::min(kStepBytes, window_.size() - place);
    // All of the room counts as overwritten: the libraries may write behind the bytes they report.
    if (end_ + room > window_.size()) window_from_ = std::max(window_from_, end_ + room - window_.size());
    const auto piece =
        unpacker_->unpack({input_.data() + input_at_, input_size_ - input_at_}, window_.data() + place, room);
    input_at_ += piece.used;
    end_ += piece.made;
    held_back_ = piece.made == room;
    if (piece.fault) {
      damaged_ = true;
      message_ = std::string(name_) + ": " + piece.fault + ", at compressed byte " +
                 std::to_string(read_ - (input_size_ - input_at_));
      if (piece.made == 0) return State::kDamaged;
    }
    if (piece.made > 0) return State::kMore;
  }
}

// `back`: the step that the window was too small for.
void PackedFile::begin_anew(std::uint64_t back) {
  // Whoever reads long lines asks again for much of the last read: the next such step is to find its bytes.
  const std::uint64_t most = most_asked_ + kConfirmBytes + kStepBytes;
  if (back <= most) window_ = std::vector<char>(std::min(2 * back, most) + kStepBytes);
  unpacker_->begin_anew();
  input_at_ = input_size_ = 0;
  read_ = window_from_ = end_ = 0;
  held_back_ = damaged_ = false;
  message_.clear();
}

}  // namespace runtail
