// Where the key of all keyed hashes comes from, and what the database knows of our files.
#pragma once

#include <vector>

#include "buffer/durable_buffer.h"
#include "config/config.h"
#include "core/digest.h"

namespace runtail {

// State key of the buffer: whom the key was settled with, "postgres" or "local".
inline constexpr std::string_view kIdentityStateKey = "m/identity";

struct IdentityStart {
  HashKey key;
  std::vector<Position> known;  // files the database has and the buffer does not
  bool is_settled = true;       // false: a key for this start only, the database did not answer
};

// identity.key_file, else <buffer directory>/identity.key kept from before, else the database's, else one made now
// (only without a database: two agents must not make two). With a database it has to answer once for each buffer: it
// may know files the buffer does not. kUnavailable: it has not yet, and files wait; pipes and sockets do not need the
// key, and where no other source is configured the start goes on without. kInvalidInput: the kept key is not the
// database's.
Result<IdentityStart> settle_identity(const Config& config, const DurableBuffer& buffer);

}  // namespace runtail
