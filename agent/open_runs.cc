#include "agent/open_runs.h"

#include <utility>

#include "core/bytes.h"

namespace runtail {

void OpenRuns::take(const RunFact& fact) {
  changed_ |= !std::exchange(has_named_any_, true);
  if (fact.status && is_terminal(*fact.status)) return forget(fact.run_id);
  const auto known = runs_.find(fact.run_id);
  if (known == runs_.end()) {
    if (runs_.size() >= kMax) return;
    runs_.emplace(fact.run_id, fact.attempt);
  } else if (fact.attempt > known->second) {
    known->second = fact.attempt;
  } else {
    return;
  }
  changed_ = true;
}

void OpenRuns::forget(const Uuid& run_id) { changed_ |= runs_.erase(run_id) > 0; }

std::optional<std::string> OpenRuns::take_changed() {
  if (!std::exchange(changed_, false)) return std::nullopt;
  std::string bytes;
  ByteWriter writer(bytes);
  for (const auto& [run_id, attempt] : runs_) {
    writer.raw(run_id.bytes.data(), run_id.bytes.size());
    writer.varint(static_cast<std::uint64_t>(attempt));
  }
  return bytes;
}

OpenRuns OpenRuns::decode(const std::optional<std::string>& bytes) {
  OpenRuns open;
  open.has_named_any_ = bytes.has_value();
  ByteReader reader(bytes ? std::string_view(*bytes) : std::string_view());
  while (!reader.at_end() && !reader.failed()) {
    Uuid run_id;
    reader.raw(run_id.bytes.data(), run_id.bytes.size());
    open.runs_[run_id] = static_cast<int>(reader.varint());
  }
  return open;
}

}  // namespace runtail
