// What an agent asks of the database before it reads its first line.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "core/digest.h"
#include "core/identity.h"
#include "core/result.h"
#include "core/time.h"
#include "sinks/postgres_ranges.h"

namespace runtail {

// A file of one of the streams, as far as the database has it.
struct StoredPosition {
  FileIdentity file;
  CoveredRanges covered;
  Bytes32 confirm{};  // keyed hash of the <= 1 KiB before covered.upper()
  TimePoint first_seen_at{}, covers_until{};
};

struct PostgresStart {
  HashKey identity_key;
  std::vector<StoredPosition> positions;  // by stream, key, generation
};

// What the sink writes into: a start asks check_tables() (schema/applied.h) for them. Those of a group that was left
// out are passed over.
std::span<const std::string_view> written_tables();

// The files of `streams`, and those that `agent` was the last to advance: streams of pods and pipes have names nobody
// knows beforehand. Opens a connection of its own and closes it. kUnavailable: server out of reach, later again.
// kNotFound: schema, one of written_tables() or key missing; it says which, and what to run. kInvalidInput: the user
// may not read them, or may not log in.
Result<PostgresStart> read_start(const PostgresConfig& config, const std::string& agent,
                                 std::span<const std::string> streams);

}  // namespace runtail
