#include "buffer/durable_buffer.h"

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>

#include "buffer/chunk_value.h"
#include "core/bytes.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

// Of the directory as a whole. A newer version reads this and the one before; an older refuses.
constexpr std::uint32_t kFormat = 2;
// Long lines: what a reader holds at once is bounded by bytes, too (one chunk more at most).
constexpr std::uint64_t kReadBytesMax = 16 << 20;
constexpr std::uintmax_t kFirstBytes = 256 << 10;
constexpr std::string_view kFormatKey = "m/format";
constexpr std::string_view kAppendedKey = "m/appended";

std::string sequence_key(Sequence sequence) {
  std::string key(8, '\0');
  for (int i = 0; i < 8; ++i) key[static_cast<std::size_t>(i)] = static_cast<char>(sequence >> (56 - 8 * i));
  return key;
}

Sequence sequence_of(const rocksdb::Slice& key) {
  Sequence sequence = 0;
  for (std::size_t i = 0; i < 8 && i < key.size(); ++i) sequence = sequence << 8 | static_cast<unsigned char>(key[i]);
  return sequence;
}

Error from(const rocksdb::Status& status, const std::string& what) {
  if (status.IsInvalidArgument()) {
    return {ErrorCode::kInvalidInput,
            what + ": " + status.ToString() + "; if a newer runtail wrote it, run that one again"};
  }
  return {status.IsCorruption() ? ErrorCode::kCorrupt : ErrorCode::kUnavailable, what + ": " + status.ToString()};
}

rocksdb::BlockBasedTableOptions table_options() {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 16 << 10;
  table.block_cache = rocksdb::NewLRUCache(2 << 20);
  table.checksum = rocksdb::kCRC32c;
  return table;
}

rocksdb::DBOptions db_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_background_jobs = 2;
  options.max_total_wal_size = 64 << 20;
  options.atomic_flush = true;       // both families move on together, so old logs can go
  options.recycle_log_file_num = 0;  // a recycled log may hide where the last write ended
  options.track_and_verify_wals_in_manifest = true;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1 << 20;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.max_open_files = 64;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.max_manifest_file_size = 4 << 20;
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> families() {
  rocksdb::ColumnFamilyOptions queue;
  queue.compression = rocksdb::kNoCompression;  // values are compressed already
  queue.write_buffer_size = 8 << 20;
  queue.max_write_buffer_number = 3;
  queue.arena_block_size = 256 << 10;
  // Keys only grow, so files never overlap and move from level 0 to 1 without being rewritten; on level 1 whole files
  // can be dropped. The level has no size limit: nothing moves further.
  queue.level0_file_num_compaction_trigger = 1;
  queue.level0_slowdown_writes_trigger = 1 << 20;
  queue.level0_stop_writes_trigger = 1 << 20;
  queue.max_bytes_for_level_base = 1ull << 50;
  queue.target_file_size_base = 64 << 20;
  queue.num_levels = 2;
  queue.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options()));

  rocksdb::ColumnFamilyOptions state;
  state.compression = rocksdb::kZSTD;
  state.write_buffer_size = 4 << 20;
  state.max_write_buffer_number = 3;
  state.arena_block_size = 256 << 10;
  state.max_bytes_for_level_base = 32 << 20;
  state.target_file_size_base = 8 << 20;
  auto table = table_options();
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  state.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));

  return {{rocksdb::kDefaultColumnFamilyName, state}, {"queue", queue}};
}

std::uint64_t disk_usage(const fs::path& directory) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    struct stat status {};
    if (lstat(at->path().c_str(), &status) == 0) bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

std::uint64_t default_bytes_max(const fs::path& directory) {
  std::error_code error;
  const fs::space_info space = fs::space(directory, error);
  const std::uint64_t half = error ? 2ull << 30 : space.available / 2;
  return std::clamp<std::uint64_t>(half, 64ull << 20, 2ull << 30);
}

std::string encode_watermark(const Watermark& mark) {
  std::string out;
  ByteWriter writer(out);
  writer.varint(mark.sequence);
  append_counts(writer, mark.records);
  return out;
}

Watermark read_watermark(ByteReader& reader) {
  Watermark mark;
  mark.sequence = reader.varint();
  mark.records = read_counts(reader);
  return mark;
}

}  // namespace

struct DurableBuffer::State {
  ~State() {
    for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
  }
  fs::path directory;
  std::uint64_t bytes_max = 0;
  bool created = false;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;  // state, queue; destroyed before db
  rocksdb::ColumnFamilyHandle* state = nullptr;
  rocksdb::ColumnFamilyHandle* queue = nullptr;

  // No more is written until it is opened anew; the first reason is the one to be told.
  Error fail(const rocksdb::Status& status) {
    const std::lock_guard lock(mutex);
    if (!failed) fault = from(status, "append to buffer " + directory.string());
    failed = true;
    return fault;
  }
  Error failure() const {
    const std::lock_guard lock(mutex);
    return fault;
  }

  ChunkPacker packer;                   // append() only
  std::string packed;                   // append() only
  std::uint64_t bytes_since_usage = 0;  // append() only
  unsigned appends_since_usage = 0;     // append() only
  std::atomic<bool> failed{false};
  std::atomic<std::uint64_t> usage{0};
  std::atomic<std::int64_t> measured_at{0};  // second of has_room()'s last look

  mutable std::mutex mutex;  // guards all below
  Error fault;               // once `failed`
  Watermark appended;
  Sequence released = 0;
  Sequence dropped = 0;  // files dropped up to here
};

DurableBuffer::DurableBuffer(std::unique_ptr<State> state) : state_(std::move(state)) {}
DurableBuffer::~DurableBuffer() = default;

Result<std::unique_ptr<DurableBuffer>> DurableBuffer::open(const BufferConfig& config) {
  const std::string what = "open buffer " + config.directory.string();
  std::error_code error;
  fs::create_directories(config.directory, error);
  if (error)
    return Error{ErrorCode::kUnavailable,
                 what + ": " + error.message() + "; set buffer.directory to a place this user may write"};
  fs::permissions(config.directory, fs::perms::owner_all, error);
  if (error)
    return Error{ErrorCode::kUnavailable,
                 what + ": " + error.message() + "; it must belong to the user runtail runs as"};
  const fs::path database = config.directory / "rocksdb";

  auto state = std::make_unique<State>();
  state->directory = config.directory;
  state->created = !fs::exists(database / "CURRENT", error);
  // Where the first files of a database do not fit, RocksDB aborts the process (an assertion of 7.8).
  if (const auto space = fs::space(config.directory, error);
      state->created && !error && space.available < kFirstBytes) {
    return Error{ErrorCode::kUnavailable, what + ": No space left on device; make room there"};
  }
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(db_options(), database.string(), families(), &state->handles, &db);
  if (!opened.ok()) {
    const std::string text = opened.ToString();
    if (text.find("lock") != std::string::npos || text.find("LOCK") != std::string::npos) {
      return Error{ErrorCode::kInUse,
                   what + ": another runtail holds it; stop it, or give this one a buffer.directory of its own"};
    }
    return from(opened, what);
  }
  state->db.reset(db);
  state->state = state->handles[0];
  state->queue = state->handles[1];
  state->bytes_max = config.bytes_max != 0 ? config.bytes_max : default_bytes_max(config.directory);
  state->usage = disk_usage(config.directory);
  std::unique_ptr<DurableBuffer> buffer(new DurableBuffer(std::move(state)));

  if (const auto format = buffer->get(kFormatKey)) {
    if (*format != std::to_string(kFormat)) {
      return Error{ErrorCode::kInvalidInput, what + ": it has format " + *format + ", this version knows " +
                                                 std::to_string(kFormat) +
                                                 "; drain the buffer with the runtail that wrote it first"};
    }
  } else if (const auto put = buffer->put(kFormatKey, std::to_string(kFormat)); !put) {
    return put.error().in(what);
  }
  if (const auto bytes = buffer->get(kAppendedKey)) {
    ByteReader reader(*bytes);
    buffer->state_->appended = read_watermark(reader);
  }
  buffer->state_->released = buffer->state_->dropped = 0;
  if (const Sequence oldest = buffer->oldest(); oldest > 0)
    buffer->state_->released = buffer->state_->dropped = oldest - 1;
  return buffer;
}

Result<std::unique_ptr<DurableBuffer>> DurableBuffer::open_read_only(const BufferConfig& config) {
  const fs::path database = config.directory / "rocksdb";
  if (std::error_code error; !fs::exists(database / "CURRENT", error)) {
    if (error)
      return Error{ErrorCode::kUnavailable, "read buffer " + config.directory.string() + ": " + error.message()};
    return Error{ErrorCode::kNotFound,
                 "no buffer in " + config.directory.string() + "; name its directory with --directory"};
  }
  // An agent makes a new buffer in steps; for some milliseconds it has no queue.
  std::vector<std::string> made;
  if (rocksdb::DB::ListColumnFamilies(db_options(), database.string(), &made).ok() && made.size() < families().size()) {
    return Error{ErrorCode::kUnavailable,
                 "buffer " + config.directory.string() + " is being made by an agent; ask again in a second"};
  }
  auto state = std::make_unique<State>();
  state->directory = config.directory;
  rocksdb::DB* db = nullptr;
  rocksdb::DBOptions options = db_options();
  options.max_open_files = -1;  // all at once: the agent may compact away what would be opened later
  const rocksdb::Status opened =
      rocksdb::DB::OpenForReadOnly(options, database.string(), families(), &state->handles, &db);
  if (!opened.ok()) return from(opened, "read buffer " + config.directory.string());
  state->db.reset(db);
  state->state = state->handles[0];
  state->queue = state->handles[1];
  std::unique_ptr<DurableBuffer> buffer(new DurableBuffer(std::move(state)));
  if (const auto bytes = buffer->get(kAppendedKey)) {
    ByteReader reader(*bytes);
    buffer->state_->appended = read_watermark(reader);
  }
  return buffer;
}

Result<std::string> DurableBuffer::set_aside(const BufferConfig& config) {
  for (int n = 1; n < 1000; ++n) {
    const fs::path aside = config.directory.string() + ".corrupt-" + std::to_string(n);
    if (fs::exists(aside)) continue;
    // The database only: the identity key and the sockets beside it stay.
    std::error_code error;
    fs::create_directories(aside, error);
    if (!error) fs::permissions(aside, fs::perms::owner_all, error);
    if (!error) fs::rename(config.directory / "rocksdb", aside / "rocksdb", error);
    if (error) return Error{ErrorCode::kUnavailable, "set aside " + config.directory.string() + ": " + error.message()};
    return aside.string();
  }
  return Error{ErrorCode::kUnavailable, "set aside " + config.directory.string() +
                                            ": a thousand corrupt buffers are there already; remove them"};
}

bool DurableBuffer::has_room() const {
  if (state_->usage < state_->bytes_max) return true;
  // Full: what others freed meanwhile counts, looked up at most once a second.
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const std::int64_t second = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  if (state_->measured_at.exchange(second) != second) state_->usage = disk_usage(state_->directory);
  return state_->usage < state_->bytes_max;
}
std::uint64_t DurableBuffer::bytes_on_disk() const { return state_->usage; }
std::uint64_t DurableBuffer::bytes_max() const { return state_->bytes_max; }
bool DurableBuffer::created() const { return state_->created; }

Result<Sequence> DurableBuffer::append(const Commit& commit, Sync sync) {
  State& s = *state_;
  if (s.failed) return s.failure();
  Watermark mark = appended();
  rocksdb::WriteBatch batch;
  std::uint64_t bytes = 0;
  const auto put = [&](const PackedChunk& chunk) {
    ++mark.sequence;
    mark.records += chunk.records;
    place_chunk(chunk, mark, s.packed);
    batch.Put(s.queue, sequence_key(mark.sequence), s.packed);
    for (const DeadLetter& letter : chunk.dead_letters) {
      Chunk alone;
      alone.file = chunk.file;
      alone.dead_letters = {letter};
      batch.Put(s.state, "d/" + to_string(letter.id), encode_chunk(alone));
    }
    bytes += s.packed.size();
  };
  for (const Chunk& chunk : commit.chunks) put(s.packer.pack(chunk));
  for (const PackedChunk& chunk : commit.packed) put(chunk);
  for (const Position& position : commit.positions)
    batch.Put(s.state, position_key(position.file), encode_position(position));
  for (const std::string& key : commit.forget) batch.Delete(s.state, key);
  for (const StateEntry& entry : commit.state) {
    batch.Put(s.state, entry.key, entry.value);
    bytes += entry.value.size();
  }
  if (!commit.chunks.empty() || !commit.packed.empty())
    batch.Put(s.state, rocksdb::Slice(kAppendedKey.data(), kAppendedKey.size()), encode_watermark(mark));
  rocksdb::WriteOptions options;
  options.sync = sync == Sync::kNow;
  const rocksdb::Status written = s.db->Write(options, &batch);
  if (!written.ok()) return s.fail(written);
  {
    const std::lock_guard lock(s.mutex);
    s.appended = mark;
  }
  s.bytes_since_usage += bytes;
  if (++s.appends_since_usage >= 64 || s.bytes_since_usage >= 8 << 20) {
    s.usage = disk_usage(s.directory);
    s.bytes_since_usage = s.appends_since_usage = 0;
  }
  return mark.sequence;
}

Result<void> DurableBuffer::sync() {
  // A failed fsync is never repeated: what it was about may be gone from the cache.
  if (state_->failed) return state_->failure();
  // A synced write takes all earlier ones with it. SyncWAL() would do the same, but together with
  // track_and_verify_wals_in_manifest it can make a buffer that does not open again (rocksdb#10892, mended in 7.10).
  rocksdb::WriteOptions options;
  options.sync = true;
  const rocksdb::Status synced = state_->db->Put(options, state_->state, "m/synced", "");
  if (synced.ok()) return {};
  return state_->fail(synced);
}

Watermark DurableBuffer::appended() const {
  const std::lock_guard lock(state_->mutex);
  return state_->appended;
}

Result<std::vector<SequencedChunk>> DurableBuffer::read_after(Sequence after, std::uint64_t lines_max) const {
  std::vector<SequencedChunk> out;
  std::uint64_t lines = 0, bytes = 0;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> at(state_->db->NewIterator(options, state_->queue));
  // Nothing beyond the synced sequence may leave.
  const Sequence last = appended().sequence;
  for (at->Seek(sequence_key(after + 1)); at->Valid(); at->Next()) {
    const Sequence sequence = sequence_of(at->key());
    if (sequence > last) break;
    auto unpacked = unpack_chunk({at->value().data(), at->value().size()});
    if (!unpacked || unpacked->totals.sequence != sequence) {
      if (!out.empty()) break;
      const std::string why = unpacked ? "it carries another number" : unpacked.error().message;
      return Error{ErrorCode::kCorrupt,
                   "buffer " + state_->directory.string() + ", chunk " + std::to_string(sequence) + ": " + why};
    }
    if (!out.empty() && lines + unpacked->chunk.lines > lines_max) break;
    lines += unpacked->chunk.lines;
    bytes += unpacked->chunk.events.size();
    out.push_back({sequence, std::move(unpacked->chunk)});
    if (lines >= lines_max || bytes >= kReadBytesMax) break;
  }
  if (!at->status().ok()) return from(at->status(), "read buffer " + state_->directory.string());
  return out;
}

Sequence DurableBuffer::oldest() const {
  std::unique_ptr<rocksdb::Iterator> at(state_->db->NewIterator({}, state_->queue));
  Sequence released = 0;
  {
    const std::lock_guard lock(state_->mutex);
    released = state_->released;
  }
  at->Seek(sequence_key(released + 1));
  return at->Valid() ? sequence_of(at->key()) : 0;
}

std::optional<TimePoint> DurableBuffer::oldest_read_at() const {
  const Sequence first = oldest();
  if (first == 0) return std::nullopt;
  const auto chunks = read_after(first - 1, 1);
  if (!chunks || chunks->empty()) return std::nullopt;
  return chunks->front().chunk.read_at;
}

Watermark DurableBuffer::before_oldest() const {
  const Sequence first = oldest();
  if (first == 0) return appended();
  std::string value;
  const rocksdb::Status found = state_->db->Get({}, state_->queue, sequence_key(first), &value);
  const auto unpacked = found.ok() ? unpack_chunk(value) : Result<UnpackedChunk>(from(found, "read chunk"));
  if (!unpacked) return {};  // damaged: read_after() says so
  Watermark mark{first - 1, unpacked->totals.records};
  mark.records -= unpacked->chunk.records;
  return mark;
}

Result<void> DurableBuffer::put_cursor(std::string_view sink, const Cursor& cursor,
                                       const std::vector<StateEntry>& state, bool synced) {
  std::string value = encode_watermark(cursor.delivered);
  ByteWriter(value).varint(cursor.intent);
  rocksdb::WriteBatch batch;
  batch.Put(state_->state, "s/" + std::string(sink), value);
  for (const StateEntry& entry : state) batch.Put(state_->state, entry.key, entry.value);
  rocksdb::WriteOptions options;
  options.sync = synced;
  const rocksdb::Status written = state_->db->Write(options, &batch);
  if (!written.ok()) return from(written, "keep cursor of " + std::string(sink));
  return {};
}

std::optional<Cursor> DurableBuffer::cursor(std::string_view sink) const {
  const auto bytes = get("s/" + std::string(sink));
  if (!bytes) return std::nullopt;
  ByteReader reader(*bytes);
  Cursor cursor;
  cursor.delivered = read_watermark(reader);
  cursor.intent = reader.varint();
  if (reader.failed()) return std::nullopt;
  return cursor;
}

void DurableBuffer::release(Sequence sequence) {
  {
    const std::lock_guard lock(state_->mutex);
    if (sequence <= state_->released) return;
    state_->released = sequence;
    // Looking for whole files to drop costs a manifest write: not at every delivery.
    if (sequence - state_->dropped < 64 && state_->usage < state_->bytes_max / 2) return;
    state_->dropped = sequence;
  }
  if (state_->usage >= state_->bytes_max / 2) {
    // Near the limit what is delivered must leave the log and the memtable, too.
    state_->db->Flush({}, {state_->state, state_->queue});
  }
  const std::string first = sequence_key(0), last = sequence_key(sequence);
  const rocksdb::Slice begin(first), end(last);
  // Files that lie wholly in the range go; the one the cursor stands in stays until it has passed.
  rocksdb::DeleteFilesInRange(state_->db.get(), state_->queue, &begin, &end, true);
  state_->usage = disk_usage(state_->directory);
}

std::optional<std::string> DurableBuffer::get(std::string_view key) const {
  std::string value;
  if (!state_->db->Get({}, state_->state, rocksdb::Slice(key.data(), key.size()), &value).ok()) return std::nullopt;
  return value;
}

Result<void> DurableBuffer::put(std::string_view key, std::string_view value) {
  rocksdb::WriteOptions options;
  options.sync = true;
  const rocksdb::Status written = state_->db->Put(options, state_->state, rocksdb::Slice(key.data(), key.size()),
                                                  rocksdb::Slice(value.data(), value.size()));
  if (!written.ok()) return from(written, "write " + std::string(key));
  return {};
}

void DurableBuffer::forget(const std::vector<std::string>& keys) {
  rocksdb::WriteBatch batch;
  for (const std::string& key : keys) batch.Delete(state_->state, key);
  state_->db->Write({}, &batch);
}

std::vector<StateEntry> DurableBuffer::scan(std::string_view prefix) const {
  return scan(prefix, "", std::numeric_limits<std::size_t>::max());
}

std::vector<StateEntry> DurableBuffer::scan(std::string_view prefix, std::string_view after, std::size_t max) const {
  std::vector<StateEntry> out;
  each(prefix, after, [&](std::string_view key, std::string_view value) {
    if (out.size() == max) return false;
    if (key != after) out.push_back({std::string(key), std::string(value)});
    return true;
  });
  return out;
}

void DurableBuffer::each(std::string_view prefix, std::string_view from,
                         const std::function<bool(std::string_view key, std::string_view value)>& visit) const {
  std::unique_ptr<rocksdb::Iterator> at(state_->db->NewIterator({}, state_->state));
  const rocksdb::Slice start(prefix.data(), prefix.size());
  const std::string_view first = std::max(prefix, from);
  for (at->Seek({first.data(), first.size()}); at->Valid() && at->key().starts_with(start); at->Next()) {
    if (!visit({at->key().data(), at->key().size()}, {at->value().data(), at->value().size()})) return;
  }
}

std::vector<Position> DurableBuffer::positions() const {
  std::vector<Position> out;
  for (const StateEntry& entry : scan("p/")) {
    if (auto position = decode_position(entry.value)) out.push_back(std::move(*position));
  }
  return out;
}

std::string position_key(const FileIdentity& file) {
  return "p/" + file.stream + '\x1F' + to_hex(file.file_key) + '\x1F' + std::to_string(file.generation);
}

std::string run_key(const Uuid& run_id) { return "r/" + to_string(run_id); }

}  // namespace runtail
