#include "agent/identity_key.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "schema/identity_key.h"
#include "sinks/postgres_start.h"

namespace runtail {
namespace {

// Readable by the agent's user only; whole or not there at all.
Result<void> keep_key(const std::filesystem::path& path, const HashKey& key) {
  const std::string hex = to_hex(key.bytes) + "\n", part = path.string() + ".part";
  const int fd = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool written =
      fd >= 0 && write(fd, hex.data(), hex.size()) == static_cast<ssize_t>(hex.size()) && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  if (!written || rename(part.c_str(), path.c_str()) != 0) {
    return Error{ErrorCode::kUnavailable, "write " + path.string() + ": " + std::strerror(errno)};
  }
  return {};
}

Position position_of(const StoredPosition& stored) {
  Position position;
  position.file = stored.file;
  position.emitted = stored.covered.upper();
  // What was open there the database does not know: units that reach over it are put together from the beginning.
  position.resume = 0;
  position.confirm = stored.confirm;
  position.first_seen = stored.first_seen_at;
  position.last_ts = stored.covers_until;  // near enough to the last time stated: untimed lines take it
  return position;
}

}  // namespace

Result<IdentityStart> settle_identity(const Config& config, const DurableBuffer& buffer) {
  const std::filesystem::path kept_path = config.buffer.directory / "identity.key";
  std::optional<HashKey> key;
  std::string origin;
  for (const std::filesystem::path& path : {config.identity.key_file, kept_path}) {
    if (key || path.empty() || (path == kept_path && !std::filesystem::exists(path))) continue;
    const auto read = read_identity_key_file(path);
    if (!read) return read.error();
    key = *read;
    origin = path.string();
  }
  IdentityStart start;
  // Once settled with the database, a start needs nothing from it: files are read while it is away.
  const bool settled = key && buffer.get(kIdentityStateKey) == "postgres";
  if (!config.postgres.url.empty() && !settled) {
    std::vector<std::string> streams;
    for (const SourceConfig& source : config.sources) streams.push_back(source.stream);
    auto database = read_start(config.postgres, config.name, streams);
    if (database) {
      if (key && key->bytes != database->identity_key.bytes) {
        return Error{ErrorCode::kInvalidInput, "the identity key in " + origin +
                                                   " is not the database's, so the database would not know these files "
                                                   "again; give a new database this key "
                                                   "(`runtail migrate --identity-key-file " +
                                                   origin + "`), or move " + config.buffer.directory.string() +
                                                   " away to start with the database's key"};
      }
      key = database->identity_key;
      std::set<FileIdentity> have;
      for (const Position& position : buffer.positions()) have.insert(position.file);
      for (const StoredPosition& stored : database->positions) {
        if (!have.contains(stored.file)) start.known.push_back(position_of(stored));
      }
    } else {
      const auto has_own_identity = [](const SourceConfig& source) {
        return source.type == "stdin" || source.type == "socket";
      };
      // Whatever it is, a person or time can mend it while we wait.
      if (!std::all_of(config.sources.begin(), config.sources.end(), has_own_identity)) {
        return Error{ErrorCode::kUnavailable, database.error().message};
      }
      start.is_settled = false;
    }
  }
  if (!key) {
    const auto made = new_identity_key();
    if (!made) return made.error();
    key = *made;
  }
  if (start.is_settled && !std::filesystem::exists(kept_path)) {
    if (const auto kept = keep_key(kept_path, *key); !kept) return kept.error();
  }
  start.key = *key;
  return start;
}

}  // namespace runtail
