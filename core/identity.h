// How things are named. Nothing here holds content: raw bytes enter only through a keyed hash.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/digest.h"
#include "core/time.h"
#include "core/uuid.h"

namespace runtail {

// The namespace of every UUIDv5 that is not a run's: v5(nil, "runtail").
const Uuid& runtail_namespace();
// Default namespace of run ids given as text: v5(nil, "runtail.run").
const Uuid& default_run_namespace();

// Which file this is, whatever its name: a stream (a configured name of one physical log), the keyed hash of its first
// complete line, and the count of files with the same first line seen to differ.
// For a pipe the key is its instance id; for a journal the boot.
struct FileIdentity {
  std::string stream;
  Bytes16 file_key{};
  std::int32_t generation = 0;
  auto operator<=>(const FileIdentity&) const = default;
};

// Makes event ids of one file; the constant part is prepared once.
class EventIds {
 public:
  explicit EventIds(const FileIdentity& file);
  // Id of the event whose first byte is at `offset`; `k` numbers further events of the same line (0: the first).
  Uuid at(std::uint64_t offset, unsigned k = 0) const;

 private:
  Sha1 prefix_;
};

// A UUID stays itself; other text becomes v5(run namespace; environment, job_id, text).
Uuid run_id_of(const Uuid& run_namespace, std::string_view environment, std::string_view job_id, std::string_view text);
Uuid attempt_id_of(const Uuid& run_id, int attempt_no);
// A UUID stays itself; other text (an id or the task's name) becomes v5(run_id, text).
Uuid task_run_id_of(const Uuid& run_id, std::string_view text);
Uuid job_uuid_of(std::string_view job_id);
Uuid dataset_id_of(std::string_view environment, std::string_view dataset);
Uuid span_uuid_of(const Uuid& trace_id, std::string_view span_id);  // span_id: 16 hex digits, lower case
Uuid provider_sync_id_of(std::string_view provider, std::string_view resource);
Uuid heartbeat_id_of(std::string_view service, std::string_view instance);
Uuid snapshot_id_of(std::string_view agent_id, std::string_view series, TimePoint at);
Uuid check_id_of(std::string_view job_id, std::string_view type, std::string_view table, std::string_view column,
                 std::string_view metric);
// Of a check's result in an attempt of a run; of a result that no run is known of, without it.
Uuid result_id_of(const std::optional<Uuid>& run_id, int attempt, const Uuid& check_id);

}  // namespace runtail
