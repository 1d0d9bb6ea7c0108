#include "agent/replay_agent.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "agent/control_socket.h"
#include "agent/look.h"
#include "agent/replay_talk.h"

namespace runtail {
namespace {

constexpr std::chrono::seconds kAnswerWithin{60};
constexpr std::chrono::milliseconds kFirstWait{50}, kLongestWait{1000};

class AgentStore final : public ReplayStore {
 public:
  AgentStore(const Config& config, std::string ruleset, OnReplayWait on_wait)
      : config_(config),
        ruleset_(std::move(ruleset)),
        socket_(control_socket_path(config.buffer.directory)),
        on_wait_(std::move(on_wait)) {}

  Result<Delivery> put(std::span<const SequencedChunk> chunks, const ReplayStep& step, std::span<const Uuid>) override {
    Delivery delivery;
    delivery.status = Delivery::Status::kDelivered;
    RecordCounts records;
    for (const SequencedChunk& each : chunks) records += each.chunk.records;
    const Chunk& last = chunks.back().chunk;
    const std::string batch = encode_past_batch(chunks, step);
    bool maybe_taken = false;  // an answer was lost
    std::uint64_t seen_at = 0;
    auto until = std::chrono::steady_clock::now() + kReplayPatience;
    for (auto wait = kFirstWait;; wait = std::min(2 * wait, kLongestWait)) {
      std::string reason;
      const auto told = ask(socket_, {"replay", "put"}, kAnswerWithin, &batch);
      if (told) {
        auto answer = decode_past_answer(*told);
        if (!answer) return answer.error();
        const FilePlace& place = answer->place;
        for (const auto& [run, change] : answer->runs) {
          RunChange& all = runs_.try_emplace(run, change).first->second;
          all = std::max(all, change);
        }
        const bool is_at_its_end = place.emitted == last.covers.to && place.confirm == last.confirm;
        if (answer->is_taken ||
            (maybe_taken && place.is_all_there && !place.is_as_known && !place.is_followed && is_at_its_end)) {
          delivery.outcomes.applied = records;
          delivery.outcomes.applied -= answer->expired;
          delivery.outcomes.expired = answer->expired;
          return delivery;
        }
        if (answer->not_now.empty() && !place.is_as_known) {
          // A file that was new to this replay may be another one there, which begins alike.
          const bool is_known = !step.before.empty() || place.emitted == 0;
          if (is_known && place.is_all_there) {
            delivery.outcomes.duplicate = records;
            return delivery;
          }
          if (!is_known || !place.is_followed) {
            return Error{ErrorCode::kInUse, "the agent read on in a file while it was replayed: it has come to byte " +
                                                std::to_string(place.emitted) + "; run the same command again"};
          }
        }
        reason = !answer->not_now.empty() ? answer->not_now
                                          : "the agent reads that file itself and has come to byte " +
                                                std::to_string(place.emitted) + " of " + std::to_string(last.covers.to);
        // It gets on.
        if (std::exchange(seen_at, place.emitted) != place.emitted) {
          until = std::chrono::steady_clock::now() + kReplayPatience;
        }
      } else {
        if (told.error().code == ErrorCode::kInvalidInput) return told.error();
        maybe_taken = maybe_taken || told.error().code == ErrorCode::kUnavailable;
        reason = told.error().message;
      }
      if (on_wait_(reason) || std::chrono::steady_clock::now() > until) return Error{ErrorCode::kUnavailable, reason};
      std::this_thread::sleep_for(wait);
    }
  }

  Result<std::vector<StoredPosition>> positions() override {
    auto start = ask_agent(config_, ruleset_);
    if (!start) return start.error();
    return std::move(start->positions);
  }

  Result<std::uint64_t> stored(const FileIdentity& file, std::span<const LineTrace> lines) override {
    const std::string asked = encode_file(file, lines);
    const auto told = ask(socket_, {"replay", "stored"}, kAnswerWithin, &asked);
    if (!told) return told.error();
    return std::uint64_t{*told == "1"};
  }

  Result<RunChanges> runs() override { return runs_; }
  Result<std::vector<RowDifference>> differences() override {
    return Error{ErrorCode::kInvalidInput, "this store is looked at by a rehearsal"};
  }
  Result<void> rebuild(Rebuild&) override {
    return Error{ErrorCode::kInvalidInput, "this store is looked at by a rehearsal"};
  }

 private:
  const Config& config_;
  const std::string ruleset_;
  const std::filesystem::path socket_;
  const OnReplayWait on_wait_;
  RunChanges runs_;
};

}  // namespace

Result<ReplayStart> ask_agent(const Config& config, const std::string& ruleset) {
  const auto told = ask(control_socket_path(config.buffer.directory), {"replay", "begin", ruleset}, kAnswerWithin);
  if (!told) return told.error();
  return decode_start(*told);
}

std::unique_ptr<ReplayStore> make_agent_store(const Config& config, std::string ruleset, OnReplayWait on_wait) {
  return std::make_unique<AgentStore>(config, std::move(ruleset), std::move(on_wait));
}

}  // namespace runtail
