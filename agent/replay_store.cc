#include "agent/replay_store.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "sinks/postgres.h"

namespace runtail {
namespace {

constexpr std::chrono::milliseconds kFirstWait{100}, kLongestWait{2000}, kAskEvery{50};

class PostgresStore final : public ReplayStore {
 public:
  PostgresStore(const Config& config, const DeriverSettings& settings, const std::vector<std::string>& kinds,
                const ReplayWish& wish, OnReplayWait on_wait)
      : wish_(wish),
        on_wait_(std::move(on_wait)),
        questions_(config.postgres),
        sink_(config.postgres, settings, kinds, clock_) {
    sink_.write_history();
    if (wish_.is_verify) {
      sink_.rehearse();
    } else if (wish_.is_full) {
      sink_.store_missing_lines();
    }
  }

  // Positions are the covered ranges of the chunks.
  Result<Delivery> put(std::span<const SequencedChunk> chunks, const ReplayStep&, std::span<const Uuid> runs) override {
    const auto until = std::chrono::steady_clock::now() + kReplayPatience;
    bool maybe_delivered = false;
    for (auto wait = kFirstWait;; wait = std::min(2 * wait, kLongestWait)) {
      Delivery delivery;
      if (const auto noted = note(runs); noted) {
        delivery = sink_.deliver(chunks, maybe_delivered, kAllTables);
      } else {
        delivery.reason = noted.error().message;
        if (noted.error().code != ErrorCode::kUnavailable) return noted.error();
      }
      if (delivery.status == Delivery::Status::kDelivered) return delivery;
      if (delivery.status == Delivery::Status::kOperator) return Error{ErrorCode::kInvalidInput, delivery.reason};
      maybe_delivered = maybe_delivered || delivery.unknown;
      for (const auto next = std::chrono::steady_clock::now() + wait; std::chrono::steady_clock::now() < next;) {
        if (on_wait_(delivery.reason) || std::chrono::steady_clock::now() > until) {
          return Error{ErrorCode::kUnavailable, delivery.reason};
        }
        std::this_thread::sleep_for(kAskEvery);
      }
    }
  }

  Result<std::uint64_t> stored(const FileIdentity&, std::span<const LineTrace> lines) override {
    return questions_.stored(lines);
  }

  Result<RunChanges> runs() override {
    RunChanges out;
    std::vector<Uuid> ids;
    const auto compare = [&]() -> Result<void> {
      auto now = questions_.digests(ids);
      if (!now) return now.error();
      for (const Uuid& id : ids) {
        const auto there = now->find(id);
        if (there == now->end()) continue;  // older than runs are kept
        const auto& before = before_.at(id);
        out[id] = !before                    ? RunChange::kCreated
                  : *before == there->second ? RunChange::kUnchanged
                                             : RunChange::kUpdated;
      }
      ids.clear();
      return {};
    };
    for (const auto& [id, digest] : before_) {
      ids.push_back(id);
      if (ids.size() < kRunsAsked) continue;
      if (const auto done = compare(); !done) return done.error();
    }
    if (const auto done = compare(); !done) return done.error();
    return out;
  }

  Result<std::vector<RowDifference>> differences() override { return sink_.compare_rehearsed(wish_.is_full); }
  Result<void> rebuild(Rebuild& done) override { return sink_.rebuild_rehearsed(done); }

 private:
  static constexpr std::size_t kRunsAsked = 1000;

  // How the runs look that are met for the first time.
  Result<void> note(std::span<const Uuid> runs) {
    if (wish_.is_verify) return {};
    std::vector<Uuid> fresh;
    for (const Uuid& id : runs) {
      if (!before_.contains(id)) fresh.push_back(id);
    }
    for (std::size_t at = 0; at < fresh.size(); at += kRunsAsked) {
      const auto part = std::span(fresh).subspan(at, std::min(kRunsAsked, fresh.size() - at));
      auto there = questions_.digests(part);
      if (!there) return there.error();
      for (const Uuid& id : part) {
        const auto found = there->find(id);
        before_[id] = found == there->end() ? std::nullopt : std::optional(found->second);
      }
    }
    return {};
  }

  SystemClock clock_;
  const ReplayWish wish_;
  const OnReplayWait on_wait_;
  PostgresQuestions questions_;
  PostgresSink sink_;
  std::map<Uuid, std::optional<std::int64_t>> before_;  // digests of runs; nothing: it was not there
};

}  // namespace

std::unique_ptr<ReplayStore> make_postgres_store(const Config& config, const DeriverSettings& settings,
                                                 const std::vector<std::string>& kinds, const ReplayWish& wish,
                                                 OnReplayWait on_wait) {
  return std::make_unique<PostgresStore>(config, settings, kinds, wish, std::move(on_wait));
}

}  // namespace runtail
