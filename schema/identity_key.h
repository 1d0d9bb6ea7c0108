// The key of every keyed hash of raw bytes: one per database, made by `runtail migrate`, for the writer role only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "core/digest.h"
#include "core/result.h"
#include "schema/pg.h"

namespace runtail {

// 32 bytes of the kernel's randomness.
Result<HashKey> new_identity_key();
// Exactly 64 hex digits, white space around them allowed. kInvalidInput names the file, never its content.
Result<HashKey> read_identity_key_file(const std::filesystem::path& path);
// kNotFound: no key yet, `runtail migrate` makes it.
Result<HashKey> read_identity_key(PgConnection& connection, const std::string& schema);

}  // namespace runtail
