#include "core/identity.h"

#include <charconv>

namespace runtail {
namespace {

std::string_view bytes_of(const Uuid& uuid) {
  return {reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()};
}

Uuid named(std::initializer_list<std::string_view> parts) { return uuid_v5(runtail_namespace(), parts); }

}  // namespace

const Uuid& runtail_namespace() {
  static const Uuid value = uuid_v5(Uuid{}, {"runtail"});
  return value;
}

const Uuid& default_run_namespace() {
  static const Uuid value = uuid_v5(Uuid{}, {"runtail.run"});
  return value;
}

EventIds::EventIds(const FileIdentity& file)
    : prefix_(std::string(bytes_of(runtail_namespace())) + file.stream + '\x1F' + to_hex(file.file_key) + '\x1F' +
              std::to_string(file.generation) + '\x1F') {}

Uuid EventIds::at(std::uint64_t offset, unsigned k) const {
  char name[48];
  char* end = std::to_chars(name, name + 20, offset).ptr;  // 2^64 has 20 digits
  if (k > 0) {
    *end++ = '#';
    end = std::to_chars(end, end + 10, k).ptr;
  }
  return uuid_v5_of(prefix_.with({name, static_cast<std::size_t>(end - name)}));
}

Uuid run_id_of(const Uuid& run_namespace, std::string_view environment, std::string_view job_id,
               std::string_view text) {
  if (const auto uuid = parse_uuid(text)) return *uuid;
  return uuid_v5(run_namespace, {environment, job_id, text});
}

Uuid attempt_id_of(const Uuid& run_id, int attempt_no) {
  return named({to_string(run_id), std::to_string(attempt_no)});
}

Uuid task_run_id_of(const Uuid& run_id, std::string_view text) {
  if (const auto uuid = parse_uuid(text)) return *uuid;
  return named({to_string(run_id), text});
}

Uuid job_uuid_of(std::string_view job_id) { return named({job_id}); }

Uuid dataset_id_of(std::string_view environment, std::string_view dataset) { return named({environment, dataset}); }

Uuid span_uuid_of(const Uuid& trace_id, std::string_view span_id) { return named({to_hex(trace_id.bytes), span_id}); }

Uuid provider_sync_id_of(std::string_view provider, std::string_view resource) { return named({provider, resource}); }

Uuid heartbeat_id_of(std::string_view service, std::string_view instance) { return named({service, instance}); }

Uuid snapshot_id_of(std::string_view agent_id, std::string_view series, TimePoint at) {
  return named({agent_id, series, to_rfc3339(at)});
}

Uuid check_id_of(std::string_view job_id, std::string_view type, std::string_view table, std::string_view column,
                 std::string_view metric) {
  return named({job_id, type, table, column, metric});
}
Uuid result_id_of(const std::optional<Uuid>& run_id, int attempt, const Uuid& check_id) {
  return named({run_id ? to_string(*run_id) : std::string(), std::to_string(attempt), to_string(check_id)});
}

}  // namespace runtail
