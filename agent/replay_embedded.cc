#include "agent/replay_embedded.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "agent/counters.h"
#include "agent/identity_key.h"
#include "agent/kept_history.h"
#include "agent/last_known.h"
#include "agent/old_runs.h"
#include "agent/read_place.h"
#include "agent/run_book.h"
#include "core/event_codec.h"
#include "core/run_record.h"
#include "history/history_fold.h"

namespace runtail {
namespace {

// As the agent's pipeline keeps them.
constexpr std::string_view kCountersPrefix = "c/pipeline/";
constexpr std::uint64_t kLinesAtATime = 5000;

}  // namespace

// Runs are folded as the agent folds them, and its counters stay. One worker folds at a time; each packs its own chunks
// before, and waits for the disk after, while others fold.
struct EmbeddedReplay::State {
  State(std::unique_ptr<DurableBuffer> opened, HashKey identity, const Config& config)
      : buffer(std::move(opened)),
        key(identity),
        counters(config.metrics.max_series),
        known(*buffer),
        book(*buffer, counters, known, true),
        kept(*buffer) {
    restore_counters(*buffer, kCountersPrefix, counters);
  }

  // Durable up to `sequence`. One sync serves all that was appended before it.
  Result<void> make_durable(Sequence sequence) {
    const std::lock_guard lock(sync_mutex);
    if (sequence <= durable) return {};
    const Sequence appended = buffer->appended().sequence;
    if (const auto synced = buffer->sync(); !synced) return synced.error();
    durable = appended;
    return {};
  }

  const std::unique_ptr<DurableBuffer> buffer;
  const HashKey key;
  std::mutex sync_mutex;  // guards what follows
  Sequence durable = 0;
  std::mutex mutex;      // guards what follows; never taken with the other one
  MetricTable counters;  // as the agent left them
  LastKnown known;       // never asked: it is of what is read now
  RunBook book;
  const KeptHistory kept;
  std::optional<DeriverSettings> settings;
  std::optional<HistoryFold> history;              // what the agent keeps beside runs
  std::unordered_map<Uuid, std::uint64_t> before;  // digests of the runs touched; 0: it was not there
};

namespace {

class EmbeddedStore final : public ReplayStore {
 public:
  EmbeddedStore(EmbeddedReplay::State& state, DeriverSettings settings) : state_(state), deriver_(std::move(settings)) {
    const std::lock_guard lock(state_.mutex);
    if (!state_.history) state_.history.emplace(state_.kept, state_.settings.emplace(deriver_.settings()));
  }

  Result<Delivery> put(std::span<const SequencedChunk> chunks, const ReplayStep& step,
                       std::span<const Uuid> runs) override {
    Delivery delivery;
    delivery.status = Delivery::Status::kDelivered;
    Commit commit;
    for (const SequencedChunk& each : chunks) {
      delivery.outcomes.applied += each.chunk.records;
      Chunk chunk = each.chunk;
      chunk.read_at = clock_.now();  // history is let go by the time it was read
      commit.packed.push_back(packer_.pack(chunk));
    }
    std::vector<const Chunk*> covering;
    for (const SequencedChunk& each : chunks) covering.push_back(&each.chunk);
    ReadPlace place = read_place(*state_.buffer, step.after.file);
    move_on(place, covering, step.after);
    put_place(place, commit);
    const auto appended = fold(chunks, runs, commit, delivery.outcomes.expired);
    delivery.outcomes.applied -= delivery.outcomes.expired;
    if (!appended) return appended.error();
    if (const auto durable = state_.make_durable(*appended); !durable) return durable.error();
    return delivery;
  }

  Result<std::uint64_t> stored(const FileIdentity& file, std::span<const LineTrace> lines) override {
    const auto held = holds_any(*state_.buffer, file, lines);
    if (!held) return held.error();
    return std::uint64_t{*held};
  }

  Result<std::vector<RowDifference>> differences() override {
    return Error{ErrorCode::kInvalidInput, "this store is looked at by a rehearsal"};
  }
  Result<void> rebuild(Rebuild&) override {
    return Error{ErrorCode::kInvalidInput, "this store is looked at by a rehearsal"};
  }

  Result<RunChanges> runs() override {
    const std::lock_guard lock(state_.mutex);
    RunChanges out;
    // The first worker that asks tells of those of all. In order, as they lie in the store.
    const auto before = std::exchange(state_.before, {});
    std::vector<Uuid> touched;
    for (const auto& [run, digest] : before) touched.push_back(run);
    std::sort(touched.begin(), touched.end());
    for (const Uuid& run : touched) {
      const std::uint64_t was = before.at(run), now = digest_of(run);
      if (now == 0) continue;
      out[run] = was == 0 ? RunChange::kCreated : was == now ? RunChange::kUnchanged : RunChange::kUpdated;
    }
    return out;
  }

 private:
  // Of its record; 0: there is none.
  std::uint64_t digest_of(const Uuid& run) const {
    const auto record = state_.buffer->get(run_key(run));
    return record ? std::hash<std::string>()(*record) | 1 : 0;
  }

  Result<Sequence> fold(std::span<const SequencedChunk> chunks, std::span<const Uuid> runs, Commit& commit,
                        RecordCounts& expired) {
    const TimePoint now = clock_.now();
    const std::lock_guard lock(state_.mutex);
    for (const Uuid& run : runs) {
      const auto [at, is_new] = state_.before.try_emplace(run, 0);
      if (is_new) at->second = digest_of(run);
    }
    // Chunks of this commit get the numbers after the last one: whoever appends holds the lock.
    Sequence sequence = state_.buffer->appended().sequence;
    for (const SequencedChunk& each : chunks) {
      ++sequence;
      const EventIds ids(each.chunk.file);
      Origin origin{&ids, 0, each.chunk.default_job_id, each.chunk.default_job_rank};
      for (EventReader events(each.chunk.events); events.next();) {
        origin.offset = events.offset_in(each.chunk.covers.from);
        deriver_.derive(events.event(), origin, derived_, &ids_);
        if (derived_.run && is_too_old(derived_.run->at, now)) {
          add_run_records(derived_.tables, expired);
          continue;
        }
        StateGroup before;
        if (derived_.run) {
          if (const RunRecord* known = state_.book.find(derived_.run->run_id)) before = known->run.state;
          state_.book.apply_past(*derived_.run, events.event());
        }
        state_.history->add(events.event(), origin, derived_, sequence);
        if (derived_.run) state_.history->add_change(before, state_.book.find(derived_.run->run_id)->run);
      }
    }
    for (StateEntry& entry : state_.book.take_changed()) commit.state.push_back(std::move(entry));
    for (std::string& key : state_.book.take_replaced()) commit.forget.push_back(std::move(key));
    for (auto& [key, value] : state_.history->take_changed()) commit.state.push_back({key, std::move(value)});
    for (const Series& series : state_.counters.take_changed()) {
      commit.state.push_back({std::string(kCountersPrefix) + series_key(series), encode_series(series)});
    }
    return state_.buffer->append(commit, DurableBuffer::Sync::kLater);
  }

  EmbeddedReplay::State& state_;
  const Deriver deriver_;
  const SystemClock clock_;
  ChunkPacker packer_;
  Derived derived_;
  IdMemory ids_;
};

}  // namespace

Result<bool> holds_any(const DurableBuffer& buffer, const FileIdentity& file, std::span<const LineTrace> lines) {
  std::set<std::pair<Uuid, TimePoint>> asked;
  for (const LineTrace& line : lines) asked.emplace(line.event_id, line.at);
  const EventIds ids(file);
  Sequence at = buffer.oldest();
  for (at = at > 0 ? at - 1 : 0;;) {
    auto chunks = buffer.read_after(at, kLinesAtATime);
    if (!chunks) return chunks.error();
    if (chunks->empty()) return false;
    for (const SequencedChunk& each : *chunks) {
      if (each.chunk.file != file) continue;
      for (EventReader events(each.chunk.events); events.next();) {
        if (asked.contains({ids.at(events.offset_in(each.chunk.covers.from)), events.event().ts})) return true;
      }
    }
    at = chunks->back().sequence;
  }
}

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
  if (const auto indexed = index_kept_runs(**buffer); !indexed) return indexed.error();
  return std::unique_ptr<EmbeddedReplay>(
      new EmbeddedReplay(std::make_unique<State>(std::move(*buffer), identity->key, config)));
}

ReplayStart EmbeddedReplay::start() const { return {state_->key, stored_positions(*state_->buffer)}; }

std::unique_ptr<ReplayStore> EmbeddedReplay::store(const DeriverSettings& settings) {
  return std::make_unique<EmbeddedStore>(*state_, settings);
}

}  // namespace runtail
