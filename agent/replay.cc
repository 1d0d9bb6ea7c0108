#include "agent/replay.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <utility>

#include "agent/deriver_settings.h"
#include "agent/replay_identity.h"
#include "config/line_share.h"
#include "core/event_codec.h"

namespace runtail {
namespace {

// One transaction at most, beside postgres.batch_rows_max: it bounds the memory.
constexpr std::uint64_t kBatchBytes = 8 << 20;
// Of a file that is shorter than what was read of its like: so many of its last lines are looked for in the store.
constexpr std::size_t kTraces = 256;
// Of a file whose like others read meanwhile.
constexpr int kTries = 20;

// What the workers share.
struct Shared {
  const ReplayPlan& plan;
  ReplayProgress& progress;
  const std::atomic<bool>& stop;
  std::vector<std::vector<std::size_t>> groups;  // inputs that begin alike
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex{};  // guards what follows
  std::optional<Error> fault{};
  std::unordered_set<Uuid> runs_found{};
  RunChanges runs{};
  std::vector<RowDifference> differences{};
  std::optional<Rebuild> rebuild{};
};

ReplayRules rules_of(const ReplayPlan& plan, bool is_full) {
  ReplayRules rules;
  rules.line_bytes_max = plan.config.line_bytes_max;
  rules.from = plan.wish.from;
  rules.to = plan.wish.to;
  if (plan.wish.level) rules.level = parse_level(*plan.wish.level).value_or(Level::kWarn);
  rules.is_full = is_full;
  rules.goes_over_covered = is_full && plan.has_rows;
  return rules;
}

// A verification tells extra lines by those that are expected, and metrics count every line.
bool keeps_all(const ReplayWish& wish) { return wish.is_full || wish.is_verify || !wish.openmetrics_path.empty(); }

class Worker {
 public:
  Worker(Shared& shared, std::vector<ReplayFile>& files, const DeriverSettings& settings, const LineFilter& filter,
         std::unique_ptr<ReplayStore> store)
      : shared_(shared),
        is_dry_(shared.plan.wish.is_dry),
        files_(files),
        deriver_(settings),
        filter_(filter),
        reader_(reader(keeps_all(shared.plan.wish))),
        buffer_(shared.plan.config.line_bytes_max),
        store_(std::move(store)) {}

  void run() {
    for (std::size_t at; !is_stopped() && (at = shared_.next++) < shared_.groups.size();) {
      read_group(shared_.groups[at]);
    }
  }

  // What came of it, once no worker runs any more.
  void finish() {
    shared_.runs_found.merge(runs_found_);
    if (is_dry_ || shared_.fault) return;
    if (shared_.plan.wish.is_verify) return finish_verification();
    auto runs = store_->runs();
    if (!runs) shared_.fault = runs.error();
    if (!runs) return;
    shared_.runs.merge(*runs);
    // Those left were touched by another worker, too.
    for (const auto& [run, change] : *runs) shared_.runs[run] = std::max(shared_.runs[run], change);
  }

 private:
  ReplayReader reader(bool is_full) const {
    const ReplayPlan& plan = shared_.plan;
    return {rules_of(plan, is_full), plan.start.key, Parser(plan.dialects), plan.redactor.clone(), deriver_, filter_};
  }

  bool is_stopped() const { return shared_.stop || shared_.failed; }

  void finish_verification() {
    auto differences = store_->differences();
    if (!differences) shared_.fault = differences.error();
    if (!differences) return;
    shared_.differences = std::move(*differences);
    if (!shared_.plan.wish.is_rebuild || is_stopped()) return;
    // Of half of the files half of a run would be made.
    if (std::any_of(files_.begin(), files_.end(), [](const ReplayFile& each) { return !is_whole(each.state); })) {
      shared_.fault = Error{ErrorCode::kInvalidInput, "nothing is made anew, as not all of the files could be read"};
      return;
    }
    const auto rebuilt = store_->rebuild(shared_.rebuild.emplace());
    if (!rebuilt) shared_.fault = rebuilt.error();
  }

  // The longest first: the others may be the beginning of it.
  void read_group(std::vector<std::size_t>& group) {
    const auto& inputs = shared_.plan.inputs;
    if (group.size() > 1) {
      std::map<std::size_t, std::pair<std::uint64_t, Bytes32>> lengths;
      for (const std::size_t i : group) {
        auto opened = open_input(inputs[i]);
        if (!opened) continue;
        const WholeFile whole = look_through(shared_.plan.start.key, *opened, buffer_);
        lengths[i] = {whole.length, whole.end};
      }
      std::stable_sort(group.begin(), group.end(),
                       [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
    }
    std::optional<ReplayIdentity> identity;
    for (const std::size_t i : group) {
      if (is_stopped()) return;
      read_file(inputs[i], files_[i], identity);
      ++shared_.progress.files;
    }
  }

  void read_file(const ReplayInput& input, ReplayFile& file, std::optional<ReplayIdentity>& identity) {
    using State = ReplayFile::State;
    file.state = State::kUnreadable;
    file.fault = input.fault;
    if (!file.fault.empty()) return;
    auto opened = open_input(input);
    if (!opened) {
      file.fault = opened.error().message;
      return;
    }
    const HashKey& key = shared_.plan.start.key;
    const auto head = head_key(key, *opened, input.is_live, shared_.plan.config.line_bytes_max, buffer_, file.fault);
    if (!file.fault.empty()) file.state = State::kIncomplete;
    if (!head && file.fault.empty()) file.state = State::kEmpty;
    if (!file.fault.empty()) file.fault = "read " + input.path + ": " + file.fault;
    if (!head) return;
    // Where an archive is damaged, its bytes are wrong some way before anything shows it: taken, they would make
    // another file of it once it is mended.
    if (opened->is_packed()) {
      if (const WholeFile whole = look_through(key, *opened, buffer_); !whole.fault.empty()) {
        file.state = State::kIncomplete;
        file.fault = "read " + input.path + ": " + whole.fault + "; nothing of it was taken: mend it, or unpack what " +
                     "can be unpacked and replay that under another name";
        return;
      }
    }
    const FileIdentity as_new{input.log->stream, *head, 0};
    const auto alike = [&](const std::vector<StoredPosition>& all) {
      std::vector<StoredPosition> out;
      for (const StoredPosition& each : all) {
        if (each.file.stream == as_new.stream && each.file.file_key == as_new.file_key) out.push_back(each);
      }
      return out;
    };
    if (!identity) identity.emplace(key, alike(shared_.plan.start.positions));
    for (int tries = 1;; ++tries) {
      auto who = identity->identify(input, *opened, as_new, buffer_,
                                    [&](const FileIdentity& each) { return holds(input, each); });
      if (!who) {
        file.fault = who.error().message;
        if (who.error().code != ErrorCode::kNotFound) fail(who.error());  // of the store, not of this file
        return;
      }
      file.file = who->position.file;
      file.is_new = who->is_new;
      const auto moved = read_lines(input, std::move(*opened), who->position, file);
      if (!moved) return identity->remember(input, who->position);
      // Somebody else reads files, too: nothing of this one was taken, and it may be another than it was taken for.
      auto now = tries < kTries ? store_->positions() : Result<std::vector<StoredPosition>>(*moved);
      opened = open_input(input);
      if (!now) return fail(now.error());
      if (!opened) {
        file.fault = opened.error().message;
        return;
      }
      identity->know(alike(*now));
      file.lines = {};
      file.records = {};
    }
  }

  // `known` moves on with what the store has taken. Gives why the store has something else under that name, if it does
  // and nothing was taken yet.
  std::optional<Error> read_lines(const ReplayInput& input, FileBytes bytes, StoredPosition& known, ReplayFile& file) {
    using State = ReplayFile::State;
    moved_.reset();
    is_any_taken_ = false;
    StoredPosition before = known;
    if (shared_.plan.wish.is_verify) before.covered = {};  // it is all to be said again
    const CoveredRanges covered_before = known.covered;
    std::uint64_t on_disk = 0;
    bool store_failed = false;
    const auto take = [&](ReplayChunk&& chunk) {
      shared_.progress.lines += chunk.lines.read;
      runs_found_.insert(chunk.runs.begin(), chunk.runs.end());
      const bool is_news = !before.covered.missing_of(chunk.chunk.covers).empty() || chunk.rows > 0;
      // What may be the agent's to read is put by itself: the reader ends a chunk there.
      if (chunk.chunk.covers.from == before.covered.upper()) store_failed = !flush(known, file);
      if (store_failed) return false;
      if (!is_news || is_dry_) {
        file.lines += chunk.lines;
        if (is_news) known.covered.add(chunk.chunk.covers);
        return !is_stopped();
      }
      batch_lines_ += chunk.lines;
      batch_bytes_ += chunk.chunk.covers.to - chunk.chunk.covers.from;
      batch_size_ += chunk.chunk.lines;
      batch_runs_.insert(batch_runs_.end(), chunk.runs.begin(), chunk.runs.end());
      batch_position_ = std::move(chunk.position);
      batch_position_.source = input.log->source;
      batch_.push_back({++sequence_, std::move(chunk.chunk)});
      if (batch_bytes_ >= kBatchBytes || batch_size_ >= shared_.plan.config.postgres.batch_rows_max)
        store_failed = !flush(known, file);
      return !store_failed && !is_stopped();
    };
    const ReplayRead read =
        reader_.read(input, std::move(bytes), before, before_of(input), take, [&](std::uint64_t at) {
          shared_.progress.bytes += at - std::min(at, on_disk);
          on_disk = std::max(on_disk, at);
        });
    // What was read before a stop is worth keeping.
    if (!store_failed) store_failed = !flush(known, file);
    if (moved_) return moved_;
    shared_.progress.bytes += input.size - std::min(input.size, on_disk);
    file.bytes = read.bytes;
    file.untaken = read.untaken;
    file.first = read.first;
    file.last = read.last;
    for (const ByteRange& range : covered_before.ranges()) {
      file.covered_before += std::min(range.to, read.bytes) - std::min(range.from, read.bytes);
    }
    if (store_failed || read.is_stopped) {
      file.state = State::kInterrupted;
    } else if (!read.fault.empty()) {
      file.state = State::kIncomplete;
      file.fault = "read " + input.path + ": " + read.fault;
    } else {
      file.state = read.untaken > 0 ? State::kGrowing : State::kRead;
    }
    return std::nullopt;
  }

  // The file of the same log whose lines come before; null: none is given.
  const ReplayInput* before_of(const ReplayInput& input) const {
    const auto& inputs = shared_.plan.inputs;
    for (const ReplayInput* each = &input; each != inputs.data();) {
      --each;
      if (!each->log || each->log->stream != input.log->stream) return nullptr;
      if (each->head != input.head && each->fault.empty()) return each;
    }
    return nullptr;
  }

  // False: the store takes no more.
  bool flush(StoredPosition& known, ReplayFile& file) {
    if (batch_.empty()) return true;
    std::sort(batch_runs_.begin(), batch_runs_.end());
    batch_runs_.erase(std::unique(batch_runs_.begin(), batch_runs_.end()), batch_runs_.end());
    auto put = store_->put(batch_, {known.covered, batch_position_}, batch_runs_);
    if (put) {
      is_any_taken_ = true;
      // Lines with a row by what became of it; a row that another writer was faster with is a duplicate.
      const auto of_rows = [](const RecordCounts& counts) { return counts[Table::kLogEvents]; };
      const std::uint64_t duplicate = of_rows(put->outcomes.duplicate), expired = of_rows(put->outcomes.expired),
                          dead = of_rows(put->outcomes.dead_lettered);
      batch_lines_.stored -= duplicate + expired + dead;
      batch_lines_.duplicate += duplicate;
      batch_lines_.expired += expired;
      batch_lines_.dead_lettered += dead;
      file.lines += batch_lines_;
      file.records += put->outcomes;
      for (const SequencedChunk& each : batch_) {
        known.covered.add(each.chunk.covers);
        if (each.chunk.covers.to == known.covered.upper()) known.confirm = each.chunk.confirm;
      }
    } else if (put.error().code == ErrorCode::kInUse && !is_any_taken_) {
      moved_ = put.error();
    } else {
      fail(put.error());
    }
    batch_.clear();
    batch_runs_.clear();
    batch_lines_ = {};
    batch_bytes_ = batch_size_ = 0;
    return put.has_value();
  }

  void fail(Error error) {
    if (error.code == ErrorCode::kInUse) error.code = ErrorCode::kUnavailable;
    const std::lock_guard lock(shared_.mutex);
    if (!shared_.fault) shared_.fault = std::move(error);
    shared_.failed = true;
  }

  // Whether the last lines of `input`, read as `file`, left something in the store.
  Result<bool> holds(const ReplayInput& input, const FileIdentity& file) {
    auto opened = open_input(input);
    if (!opened) return Error{ErrorCode::kNotFound, opened.error().message};
    std::vector<LineTrace> first, traces;
    std::uint64_t first_end = 0;
    const EventIds ids(file);
    Derived derived;
    StoredPosition nothing;
    nothing.file = file;
    nothing.first_seen_at = from_micros(input.mtime_ns / 1000);
    const auto take = [&](ReplayChunk&& each) {
      const Chunk& chunk = each.chunk;
      Origin origin{&ids, 0, chunk.default_job_id, chunk.default_job_rank};
      for (EventReader events(chunk.events); events.next();) {
        origin.offset = events.offset_in(chunk.covers.from);
        deriver_.derive(events.event(), origin, derived);
        const std::uint64_t end = origin.offset + events.length();
        if (origin.offset == 0) first_end = end;
        (end == first_end ? first : traces)
            .push_back({event_id_of(derived, origin), events.event().ts,
                        derived.run ? std::optional(derived.run->run_id) : std::nullopt});
      }
      if (traces.size() > kTraces) traces.erase(traces.begin(), traces.end() - kTraces);
      return true;
    };
    reader(true).read(input, std::move(*opened), nothing, nullptr, take, [](std::uint64_t) {});
    // The first line is that of all files that begin alike.
    auto found = store_->stored(file, traces.empty() ? first : traces);
    if (!found) return found.error();
    return *found > 0;
  }

  Shared& shared_;
  const bool is_dry_;
  std::vector<ReplayFile>& files_;
  const Deriver deriver_;
  const LineFilter filter_;
  ReplayReader reader_;
  ReadBuffer buffer_;
  const std::unique_ptr<ReplayStore> store_;
  std::unordered_set<Uuid> runs_found_;

  // Chunks of one file on their way.
  std::vector<SequencedChunk> batch_;
  Sequence sequence_ = 0;
  Position batch_position_;
  std::vector<Uuid> batch_runs_;
  ReplayLines batch_lines_;
  std::uint64_t batch_bytes_ = 0, batch_size_ = 0;  // size: in lines
  bool is_any_taken_ = false;                       // of this reading of the file
  std::optional<Error> moved_;
};

}  // namespace

ReplayReceipt replay(ReplayPlan plan, const MakeReplayStore& make_store, ReplayProgress& progress,
                     const std::atomic<bool>& stop) {
  const auto began = std::chrono::steady_clock::now();
  const DeriverSettings settings = deriver_settings(plan.config, plan.redactor.ruleset());
  // What settings leave out of the rows counts all the same.
  const LineFilter filter =
      plan.wish.openmetrics_path.empty() ? LineFilter(plan.config.lines, plan.config.environment) : LineFilter();
  ReplayReceipt receipt;
  receipt.is_dry = plan.wish.is_dry;
  receipt.is_full = plan.wish.is_full;
  receipt.files.resize(plan.inputs.size());
  Shared shared{plan, progress, stop, {}};
  std::map<std::pair<std::string, Bytes32>, std::size_t> alike;
  for (std::size_t i = 0; i < plan.inputs.size(); ++i) {
    const ReplayInput& input = plan.inputs[i];
    receipt.files[i].path = input.path;
    progress.bytes_total += input.size;
    ++progress.files_total;
    const auto [at, is_new] = alike.try_emplace({input.log ? input.log->stream : "", input.head}, shared.groups.size());
    if (is_new) shared.groups.emplace_back();
    shared.groups[at->second].push_back(i);
  }

  std::vector<std::unique_ptr<Worker>> workers;
  const std::size_t count = std::clamp<std::size_t>(shared.groups.size(), 1, std::max(plan.workers, 1U));
  for (std::size_t i = 0; i < count; ++i) {
    workers.push_back(
        std::make_unique<Worker>(shared, receipt.files, settings, filter, make_store(settings, plan.redactor.kinds())));
  }
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < workers.size(); ++i) threads.emplace_back([&, i] { workers[i]->run(); });
    workers.front()->run();
  }
  for (const auto& worker : workers) worker->finish();
  if (shared.fault) {
    receipt.fault = shared.fault->message;
    receipt.fault_code = shared.fault->code;
  }
  receipt.is_interrupted = stop;
  receipt.runs_found = shared.runs_found.size();
  for (const auto& [run, change] : shared.runs) {
    ++(change == RunChange::kCreated   ? receipt.created
       : change == RunChange::kUpdated ? receipt.updated
                                       : receipt.unchanged);
  }
  receipt.is_verify = plan.wish.is_verify;
  receipt.differences = std::move(shared.differences);
  receipt.rebuild = std::move(shared.rebuild);
  receipt.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return receipt;
}

}  // namespace runtail
