// Least privilege: what the owner of the schema grants to PREFIX_writer, PREFIX_reader and PREFIX_retention. They are
// group roles without a login: the users of agents and people become their members.
//   writer     what the agent's statements need. It can delete nothing, and only add to what is append-only.
//   reader     every table and view but the identity key and the keyed hashes of raw text.
//   retention  owns the partitioned tables, because only an owner may make, detach and drop partitions, and deletes
//              what is kept for a time in the others. It reads neither identity key nor positions. What servers write
//              of alerts is its, too: no agent raises or silences one.
// A server's user is a member of all three.
// The owner (whoever runs `migrate`) is a member of retention, so that it may still change those tables.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "schema/pg.h"

namespace runtail {

// Makes the roles that are missing (needs CREATEROLE) and grants, in the open transaction; grants that are no longer
// needed are taken back. kInvalidInput: a right is missing; the message says which statement somebody else must run.
Result<void> grant_roles(PgConnection& connection, const std::string& schema, const std::string& prefix);
// The same as a script for psql. It may be run before there is a schema: then it only makes the roles.
Result<std::string> roles_script(const std::string& schema, const std::string& prefix);

// Prefixes of the roles that were granted to before: whoever is called PREFIX_writer and may read the identity key,
// if the other two are there.
Result<std::vector<std::string>> granted_roles(PgConnection& connection, const std::string& schema);

}  // namespace runtail
