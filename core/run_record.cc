#include "core/run_record.h"

#include "core/bytes.h"

namespace runtail {
namespace {

// Records begin with this and a byte that is all ones less (layout - 2); those of layout 1 with the run's id, which no
// one makes of ones.
constexpr std::string_view kMark = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
constexpr int kLayout = 4;
constexpr std::uint8_t byte_of(int layout) { return static_cast<std::uint8_t>(0xFF - (layout - 2)); }

// 0: of a version to come, or damaged.
int layout_of(std::string_view bytes) {
  if (!bytes.starts_with(kMark)) return 1;
  if (bytes.size() == kMark.size()) return 0;
  const auto byte = static_cast<std::uint8_t>(bytes[kMark.size()]);
  for (int layout = 2; layout <= kLayout; ++layout) {
    if (byte == byte_of(layout)) return layout;
  }
  return 0;
}

// One list of members per struct serves both directions: Archive is Saver or Loader.
class Saver {
 public:
  explicit Saver(std::string& out) : writer_(out) {
    writer_.raw(kMark.data(), kMark.size());
    writer_.u8(byte_of(kLayout));
  }
  void since(int, const auto& value) { (*this)(value); }
  void operator()(const std::string& value) { writer_.text(value); }
  void operator()(const RunMetrics& value) {
    (*this)(value.attempt);
    writer_.text(value.json());
  }
  void operator()(const Uuid& value) { writer_.raw(value.bytes.data(), value.bytes.size()); }
  void operator()(const TimePoint& value) { writer_.zigzag(to_micros(value)); }
  void operator()(bool value) { writer_.u8(value); }
  template <std::signed_integral T>
  void operator()(T value) {
    writer_.zigzag(value);
  }
  template <typename T>
  requires std::is_enum_v<T>
  void operator()(T value) { writer_.u8(static_cast<std::uint8_t>(value)); }
  template <typename T>
  void operator()(const std::optional<T>& value) {
    writer_.u8(value.has_value());
    if (value) (*this)(*value);
  }
  template <typename K, typename V, typename Fn>
  void map(const std::map<K, V>& values, Fn&& each) {
    writer_.varint(values.size());
    for (const auto& [key, value] : values) {
      (*this)(key);
      each(*this, value);
    }
  }

 private:
  ByteWriter writer_;
};

class Loader {
 public:
  explicit Loader(std::string_view bytes)
      : layout_(layout_of(bytes)), reader_(layout_ < 2 ? bytes : bytes.substr(kMark.size() + 1)) {}
  void since(int layout, auto& value) {
    if (layout_ >= layout) (*this)(value);
  }
  bool failed() const { return layout_ == 0 || reader_.failed(); }
  void operator()(std::string& value) { value = reader_.text(); }
  void operator()(RunMetrics& value) {
    std::int32_t attempt = 0;
    (*this)(attempt);
    value.apply(attempt, reader_.text());
  }
  void operator()(Uuid& value) { reader_.raw(value.bytes.data(), value.bytes.size()); }
  void operator()(TimePoint& value) { value = from_micros(reader_.zigzag()); }
  void operator()(bool& value) { value = reader_.u8() != 0; }
  template <std::signed_integral T>
  void operator()(T& value) {
    value = static_cast<T>(reader_.zigzag());
  }
  template <typename T>
  requires std::is_enum_v<T>
  void operator()(T& value) { value = static_cast<T>(reader_.u8()); }
  template <typename T>
  void operator()(std::optional<T>& value) {
    value.reset();
    if (reader_.u8() != 0) (*this)(value.emplace());
  }
  template <typename K, typename V, typename Fn>
  void map(std::map<K, V>& values, Fn&& each) {
    for (std::uint64_t left = reader_.varint(); left > 0 && !reader_.failed(); --left) {
      K key{};
      (*this)(key);
      each(*this, values[key]);
    }
  }

 private:
  const int layout_;
  ByteReader reader_;
};

template <typename Archive, typename T>
void stamp(Archive& archive, T& value) {
  archive(value.attempt);
  archive(value.rank);
  archive(value.at);
  archive(value.event);
}

template <typename Archive, typename T>
void state_group(Archive& archive, T& value) {
  stamp(archive, value.stamp);
  archive(value.status);
  archive(value.end_reason);
  archive(value.verdict_source);
  archive(value.ts_source);
  archive(value.finished_at);
  archive(value.duration_ms);
  archive(value.records_extracted_total);
  archive(value.records_loaded_total);
  archive(value.agent_id);
  archive(value.ruleset);
}

template <typename Archive, typename T>
void error_group(Archive& archive, T& value) {
  stamp(archive, value.stamp);
  archive(value.category);
  archive(value.code);
  archive(value.message);
}

template <typename Archive, typename T>
void run_state(Archive& archive, T& value) {
  archive(value.run_id);
  archive(value.job_id);
  archive(value.job_id_rank);
  for (auto& text : value.texts) archive(text);
  archive(value.parent_run_id);
  state_group(archive, value.state);
  error_group(archive, value.error);
  archive(value.scheduled_stated);
  archive(value.queued_at);
  archive(value.started_at);
  archive(value.first_event_at);
  archive(value.last_event_at);
  archive(value.exit_attempt);
  archive(value.exit_code);
  archive(value.exit_signal);
  archive(value.records_extracted_sum);
  archive(value.records_loaded_sum);
  archive(value.tokens_in);
  archive(value.tokens_out);
  archive(value.cost_micros);
  archive(value.attempt_count);
  archive(value.max_attempts);
  archive(value.retries_exhausted);
}

constexpr auto attempt_state = [](auto& archive, auto& value) {
  archive(value.run_id);
  archive(value.attempt_no);
  state_group(archive, value.state);
  error_group(archive, value.error);
  archive(value.started_at);
  archive(value.exit_code);
  archive(value.exit_signal);
  archive(value.records_extracted_sum);
  archive(value.records_loaded_sum);
  archive(value.correlation_id);
  archive(value.request_id);
  archive.since(2, value.agent_id);
  archive.since(2, value.ruleset);
};

constexpr auto task_state = [](auto& archive, auto& value) {
  archive(value.task_run_id);
  archive(value.run_id);
  archive(value.attempt_no);
  archive(value.external_task_id);
  archive(value.name);
  archive(value.phase);
  archive(value.dataset);
  archive(value.table);
  archive(value.correlation_id);
  archive(value.request_id);
  archive(value.trace_id);
  archive(value.span_id);
  archive.since(2, value.ruleset);
  state_group(archive, value.state);
  error_group(archive, value.error);
  archive(value.queued_at);
  archive(value.started_at);
  archive(value.first_event_at);
  archive(value.last_event_at);
  archive(value.records_extracted);
  archive(value.records_loaded);
};

constexpr auto counted_attempt = [](auto& archive, auto& value) {
  archive(value.verdict);
  stamp(archive, value.verdict_stamp);
  archive(value.retry);
  archive(value.failure);
  archive.since(3, value.queue_retry);
  archive.since(3, value.queue_end);
};

template <typename Archive, typename T>
void run_record(Archive& archive, T& value) {
  run_state(archive, value.run);
  archive.map(value.attempts, attempt_state);
  archive.map(value.tasks, task_state);
  archive.map(value.counted, counted_attempt);
  archive(value.loaded_counted);
  archive.since(3, value.queue);
  archive.since(3, value.enqueued);
  archive.since(3, value.running.job_id);
  archive.since(3, value.running.queue);
  archive.since(3, value.running.job_type);
  archive.since(4, value.run.metrics);
}

}  // namespace

void RunRecord::apply(const RunFact& fact, FieldConflicts* conflicts) {
  run.apply(fact, conflicts);
  attempts[fact.attempt].apply(fact);
  if (fact.has_task) tasks[fact.task_run_id].apply(fact);
}

std::string encode_run_record(const RunRecord& record) {
  std::string out;
  Saver saver(out);
  run_record(saver, record);
  return out;
}

std::optional<RunRecord> decode_run_record(std::string_view bytes) {
  RunRecord record;
  Loader loader(bytes);
  run_record(loader, record);
  if (loader.failed()) return std::nullopt;
  return record;
}

}  // namespace runtail
