#include "agent/replay_embedded.h"

#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "agent/counters.h"
#include "agent/identity_key.h"
#include "agent/last_known.h"
#include "agent/run_book.h"
#include "core/event_codec.h"
#include "core/run_record.h"

namespace runtail {
namespace {

// As the agent's pipeline keeps them.
constexpr std::string_view kCountersPrefix = "c/pipeline/";
constexpr std::uint64_t kLinesAtATime = 5000;

bool is_empty(const RunningAs& names) { return names.job_id.empty(); }

}  // namespace

// Runs are folded as the agent folds them, with counters nobody will see: what a run has counted is marked in its
// record, so that the agent does not count it later either.
struct EmbeddedReplay::State {
  State(std::unique_ptr<DurableBuffer> opened, HashKey identity, const Config& config)
      : buffer(std::move(opened)),
        key(identity),
        shown(config.metrics.max_series),
        unseen(config.metrics.max_series),
        known(*buffer),
        book(*buffer, unseen, known) {
    restore_counters(*buffer, kCountersPrefix, shown);
  }

  std::mutex mutex;  // guards all that follows
  const std::unique_ptr<DurableBuffer> buffer;
  const HashKey key;
  MetricTable shown;   // as the agent left them
  MetricTable unseen;  // where the counts of the replay go
  LastKnown known;     // never kept: the newest column list is not the one read last here
  RunBook book;
  std::map<Uuid, std::optional<std::string>> before;  // records of the runs touched; nothing: it was not there
};

namespace {

class EmbeddedStore final : public ReplayStore {
 public:
  EmbeddedStore(EmbeddedReplay::State& state, DeriverSettings settings)
      : state_(state), deriver_(std::move(settings)) {}

  Result<Delivery> put(std::span<const SequencedChunk> chunks, std::span<const Position> positions,
                       std::span<const Uuid> runs) override {
    const std::lock_guard lock(state_.mutex);
    for (const Uuid& run : runs) {
      if (!state_.before.contains(run)) state_.before[run] = state_.buffer->get(run_key(run));
    }
    Delivery delivery;
    delivery.status = Delivery::Status::kDelivered;
    Commit commit;
    for (const SequencedChunk& each : chunks) {
      fold(each.chunk);
      delivery.outcomes.applied += each.chunk.records;
      Chunk chunk = each.chunk;
      chunk.read_at = SystemClock().now();  // history is let go by the time it was read
      commit.chunks.push_back(std::move(chunk));
    }
    commit.positions.assign(positions.begin(), positions.end());
    for (StateEntry& entry : state_.book.take_changed()) commit.state.push_back(quiet(std::move(entry)));
    for (const Series& series : state_.shown.take_changed()) {
      commit.state.push_back({std::string(kCountersPrefix) + series_key(series), encode_series(series)});
    }
    if (const auto kept = state_.buffer->append(commit); !kept) return kept.error();
    return delivery;
  }

  Result<std::uint64_t> stored(const FileIdentity& file, std::span<const LineTrace> lines) override {
    const std::lock_guard lock(state_.mutex);
    std::set<Uuid> asked;
    for (const LineTrace& line : lines) asked.insert(line.event_id);
    const EventIds ids(file);
    Sequence at = state_.buffer->oldest();
    for (at = at > 0 ? at - 1 : 0;;) {
      auto chunks = state_.buffer->read_after(at, kLinesAtATime);
      if (!chunks) return chunks.error();
      if (chunks->empty()) return std::uint64_t{0};
      for (const SequencedChunk& each : *chunks) {
        if (each.chunk.file != file) continue;
        for (EventReader events(each.chunk.events); events.next();) {
          if (asked.contains(ids.at(events.offset_in(each.chunk.covers.from)))) return std::uint64_t{1};
        }
      }
      at = chunks->back().sequence;
    }
  }

  Result<std::vector<RowDifference>> differences() override {
    return Error{ErrorCode::kInvalidInput, "a verification needs PostgreSQL (postgres.url)"};
  }
  Result<Rebuild> rebuild() override {
    return Error{ErrorCode::kInvalidInput, "to make runs anew needs PostgreSQL (postgres.url)"};
  }

  Result<RunChanges> runs() override {
    const std::lock_guard lock(state_.mutex);
    RunChanges out;
    for (const auto& [run, before] : state_.before) {
      const auto now = state_.buffer->get(run_key(run));
      if (!now) continue;
      out[run] = !before ? RunChange::kCreated : *before == *now ? RunChange::kUnchanged : RunChange::kUpdated;
    }
    return out;
  }

 private:
  void fold(const Chunk& chunk) {
    const EventIds ids(chunk.file);
    Origin origin{&ids, 0, chunk.default_job_id, chunk.default_job_rank};
    for (EventReader events(chunk.events); events.next();) {
      origin.offset = events.offset_in(chunk.covers.from);
      deriver_.derive(events.event(), origin, derived_, &ids_);
      state_.book.apply(derived_, events.event());
    }
  }

  // Of a record that leaves the gauge of what runs, the gauge has to know; none enters it by a replay.
  StateEntry quiet(StateEntry entry) {
    auto record = decode_run_record(entry.value);
    const auto bytes = state_.buffer->get(entry.key);
    const auto before = bytes ? decode_run_record(*bytes) : std::nullopt;
    if (!record) return entry;
    const RunningAs was = before ? before->running : RunningAs{};
    if (!is_empty(was) && is_empty(record->running)) {
      state_.shown.add(Metric::kJobsRunning, {was.job_id}, -1);
      if (!was.queue.empty()) state_.shown.add(Metric::kQueueJobsActive, {was.queue, was.job_type}, -1);
    } else {
      record->running = was;
    }
    return {std::move(entry.key), encode_run_record(*record)};
  }

  EmbeddedReplay::State& state_;
  const Deriver deriver_;
  Derived derived_;
  IdMemory ids_;
};

}  // namespace

EmbeddedReplay::EmbeddedReplay(std::unique_ptr<State> state) : state_(std::move(state)) {}
EmbeddedReplay::~EmbeddedReplay() = default;

Result<std::unique_ptr<EmbeddedReplay>> EmbeddedReplay::open(const Config& config) {
  auto buffer = DurableBuffer::open(config.buffer);
  if (!buffer) return buffer.error();
  auto identity = settle_identity(config, **buffer);
  if (!identity) return identity.error();
  if ((*buffer)->get(kIdentityStateKey) != "local") {
    if (const auto kept = (*buffer)->put(kIdentityStateKey, "local"); !kept) return kept.error();
  }
  return std::unique_ptr<EmbeddedReplay>(
      new EmbeddedReplay(std::make_unique<State>(std::move(*buffer), identity->key, config)));
}

ReplayStart EmbeddedReplay::start() const {
  ReplayStart start{state_->key, {}};
  for (const Position& position : state_->buffer->positions()) {
    StoredPosition stored{position.file, {}, position.confirm, position.first_seen, {}};
    stored.covered.add({0, position.emitted});
    start.positions.push_back(std::move(stored));
  }
  return start;
}

std::unique_ptr<ReplayStore> EmbeddedReplay::store(const DeriverSettings& settings) {
  return std::make_unique<EmbeddedStore>(*state_, settings);
}

}  // namespace runtail
