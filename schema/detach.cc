#include "schema/detach.h"

#include <algorithm>
#include <thread>

#include "schema/lock_wait.h"
#include "schema/migrate.h"
#include "schema/partitions.h"

namespace runtail {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Written on a table before it is detached: what bears it may be dropped. Never change it: old ones are in databases.
constexpr char kToBeDropped[] = "runtail: to be dropped";

enum class Standing { kGone, kDetached, kDetaching, kAttached };

struct Look {
  Standing standing = Standing::kGone;
  bool to_be_dropped = false;
  bool has_keys = false;    // foreign keys to or from it, so that other tables are locked with it
  std::string foreign_key;  // one of those it has itself
};

PgOutcome<Look> look_at(PgConnection& connection, const std::string& schema, const std::string& partition) {
  const std::optional<std::string> params[] = {schema, partition, kToBeDropped};
  auto rows = connection.query(
      "SELECT i.inhparent IS NOT NULL, coalesce(i.inhdetachpending, false), "
      "coalesce(obj_description(c.oid, 'pg_class') = $3, false), "
      "EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND c.oid IN (k.conrelid, k.confrelid)), "
      "(SELECT min(k.conname) FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conrelid = c.oid) "
      "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
      "LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid WHERE n.nspname = $1 AND c.relname = $2",
      params);
  if (!rows) return rows.error();
  if (rows->rows() == 0) return Look{};
  const bool attached = rows->boolean(0, 0), detaching = rows->boolean(0, 1);
  return Look{detaching  ? Standing::kDetaching
              : attached ? Standing::kAttached
                         : Standing::kDetached,
              rows->boolean(0, 2), rows->boolean(0, 3), std::string(rows->text(0, 4))};
}

// A lock that was not to be had, an alert that refers to the partition by now, or another runtail that did the same
// step at the same time: then the names are gone, or another partition of the table is being detached.
bool passes(const PgError& error) {
  for (const char* state : {"57014", "23503", "55000", "42P01", "42704", "XX000"}) {
    if (error.sqlstate == state) return true;
  }
  return was_locked(error);
}

PgOutcome<void> exec(PgConnection& connection, const std::string& sql) {
  auto done = connection.exec(sql);
  if (!done) return done.error();
  return {};
}

class Exit {
 public:
  Exit(PgConnection& connection, std::string schema, std::string table, std::string partition, milliseconds patience,
       bool to_the_end)
      : connection_(connection),
        schema_(std::move(schema)),
        table_(std::move(table)),
        partition_(std::move(partition)),
        patience_(patience),
        to_the_end_(to_the_end) {}

  // Step by step, until it is gone (else: no longer half detached) or patience ends.
  Result<std::string> go() {
    const auto end = steady_clock::now() + patience_;
    std::string obstacle;
    while (true) {
      auto look = look_at(connection_, schema_, partition_);
      if (!look) return to_error(look.error(), "look at " + schema_ + "." + partition_);
      if (is_done(*look)) return std::string();
      if (!obstacle.empty()) {
        if (steady_clock::now() >= end) return obstacle;
        std::this_thread::sleep_for(kPauseBetweenWaits);
      }
      auto stepped = step(*look);
      static_cast<void>(connection_.exec("RESET lock_timeout"));
      if (stepped) continue;
      if (!passes(stepped.error())) return to_error(stepped.error(), "drop " + schema_ + "." + partition_);
      obstacle = schema_ + "." + partition_ + " is not detached and dropped yet: " +
                 (was_locked(stepped.error()) ? "a lock is " + lock_holders(connection_, schema_, partition_)
                                              : stepped.error().message);
    }
  }

 private:
  bool is_done(const Look& look) const {
    if (!to_the_end_) return look.standing != Standing::kDetaching;
    // What bears no mark was detached by somebody else meanwhile.
    return look.standing == Standing::kGone || (look.standing == Standing::kDetached && !look.to_be_dropped);
  }

  PgOutcome<void> step(const Look& look) {
    switch (look.standing) {
      case Standing::kGone:
        return {};
      case Standing::kAttached:
        return detach(look.has_keys);
      case Standing::kDetaching:
        return finish(look);
      case Standing::kDetached:
        return look.foreign_key.empty() ? drop() : drop_key(look.foreign_key);
    }
    return {};
  }

  std::string parent() const { return quote_identifier(schema_) + "." + quote_identifier(table_); }
  std::string child() const { return quote_identifier(schema_) + "." + quote_identifier(partition_); }

  PgOutcome<void> wait_at_most(milliseconds time) {
    return exec(connection_, "SET lock_timeout = " + std::to_string(std::min(time, patience_).count()));
  }

  PgOutcome<void> detach(bool has_keys) {
    // Without foreign keys only this partition is locked, into which nobody writes.
    if (auto set = wait_at_most(has_keys ? kShortWait : patience_); !set) return set;
    if (auto marked = mark(); !marked) return marked;
    return exec(connection_, "ALTER TABLE " + parent() + " DETACH PARTITION " + child() + " CONCURRENTLY");
  }

  PgOutcome<void> mark() {
    return exec(connection_, "COMMENT ON TABLE " + child() + " IS " + quote_literal(kToBeDropped));
  }

  PgOutcome<void> finish(const Look& look) {
    if (auto set = wait_at_most(kShortWait); !set) return set;
    if (to_the_end_ && !look.to_be_dropped) {
      if (auto marked = mark(); !marked) return marked;
    }
    return exec(connection_, "ALTER TABLE " + parent() + " DETACH PARTITION " + child() + " FINALIZE");
  }

  // Dropping a foreign key locks the table it refers to against all. One at a time: a writer holds one of those tables
  // when it comes to the next, so who wants both in another order waits for it in a circle.
  PgOutcome<void> drop_key(const std::string& foreign_key) {
    if (auto set = wait_at_most(kShortWait); !set) return set;
    return exec(connection_, "ALTER TABLE " + child() + " DROP CONSTRAINT IF EXISTS " + quote_identifier(foreign_key));
  }

  // Under the lock of those who attach: what is dropped is no partition again meanwhile.
  PgOutcome<void> drop() {
    if (auto locked = begin_exclusive(connection_, schema_, std::min(kShortWait, patience_)); !locked) {
      return PgError{"57014", locked.error().message};
    }
    auto look = look_at(connection_, schema_, partition_);
    PgOutcome<void> dropped{};
    if (!look) {
      dropped = look.error();
    } else if (look->standing == Standing::kDetached) {
      dropped = exec(connection_, "DROP TABLE " + child());
    }
    auto ended = exec(connection_, dropped ? "COMMIT" : "ROLLBACK");
    return dropped ? ended : dropped;
  }

  PgConnection& connection_;
  const std::string schema_, table_, partition_;
  const milliseconds patience_;
  const bool to_the_end_;
};

}  // namespace

Result<std::string> drop_partition(PgConnection& connection, const std::string& schema, const std::string& table,
                                   const std::string& partition, milliseconds lock_timeout) {
  return Exit(connection, schema, table, partition, lock_timeout, true).go();
}

Result<std::string> finish_detaches(PgConnection& connection, const std::string& schema, const std::string& table,
                                    TimePoint from, milliseconds lock_timeout) {
  auto existing = existing_partitions(connection, schema, table);
  if (!existing) return to_error(existing.error(), "read partitions of " + schema + "." + table);
  for (const ExistingPartition& partition : *existing) {
    if (!partition.detaching || partition.bounds.to <= from) continue;
    auto left = Exit(connection, schema, table, partition.name, lock_timeout, false).go();
    if (!left || !left->empty()) return left;
  }
  return std::string();
}

PgOutcome<std::vector<DetachedTable>> detached_tables(PgConnection& connection, const std::string& schema,
                                                      const std::string& table) {
  const std::optional<std::string> params[] = {schema, "^" + table + "_\\d{4}_\\d{2}(_\\d{2})?$", kToBeDropped};
  auto rows = connection.query(
      "SELECT c.relname, coalesce(obj_description(c.oid, 'pg_class') = $3, false) FROM pg_catalog.pg_class c "
      "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
      "WHERE n.nspname = $1 AND c.relname ~ $2 AND c.relkind = 'r' AND NOT c.relispartition ORDER BY 1",
      params);
  if (!rows) return rows.error();
  std::vector<DetachedTable> tables;
  for (int row = 0; row < rows->rows(); ++row)
    tables.push_back({std::string(rows->text(row, 0)), rows->boolean(row, 1)});
  return tables;
}

}  // namespace runtail
