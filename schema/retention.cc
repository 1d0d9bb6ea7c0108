#include "schema/retention.h"

#include <algorithm>
#include <map>
#include <set>

#include "schema/detach.h"
#include "schema/hypertables.h"
#include "schema/lock_wait.h"
#include "schema/migrate.h"
#include "schema/partitions.h"

namespace runtail {
namespace {

using std::chrono::days;
using std::chrono::milliseconds;

// Rows of one transaction. Each of run_ids takes attempts, tasks and state changes along: about half a second.
constexpr int kSlice = 1000;
// A file that may still be appended to keeps its position, however old its lines are.
constexpr days kQuietFile{90};

struct Deletion {
  const char* table;
  std::string sql;  // {{schema}}; $1 is the bound
  TimePoint bound;
};

class Retention {
 public:
  Retention(PgConnection& connection, const std::string& schema, TimePoint now, milliseconds lock_timeout,
            const RetentionConfig& kept)
      : connection_(connection), schema_(schema), now_(now), lock_timeout_(lock_timeout), kept_(kept) {}

  Result<RetentionReport> apply() {
    if (auto read = read_tables(); !read) return read.error();
    for (const PartitionRule& rule : partition_rules(kept_)) {
      if (hypertables_.count(rule.table) > 0) {
        if (auto done = drop_old_chunks(rule); !done) return done.error();
      }
      if (partitioned_.count(rule.table) == 0) continue;
      if (auto done = drop_old_partitions(rule); !done) return done.error();
    }
    for (const Deletion& deletion : deletions()) {
      if (auto done = delete_rows(deletion); !done) return done.error();
    }
    if (auto done = delete_positions(); !done) return done.error();
    return std::move(report_);
  }

 private:
  Result<void> read_tables() {
    const std::optional<std::string> params[] = {schema_};
    auto rows = connection_.query(
        "SELECT c.relname, c.relkind = 'p' FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')",
        params);
    if (!rows) return to_error(rows.error(), "read the tables of schema " + schema_);
    for (int row = 0; row < rows->rows(); ++row) {
      tables_.emplace(rows->text(row, 0));
      if (rows->boolean(row, 1)) partitioned_.emplace(rows->text(row, 0));
    }
    auto found = hypertables(connection_, schema_);
    if (!found) return to_error(found.error(), "read the hypertables of schema " + schema_);
    hypertables_ = std::move(*found);
    return {};
  }

  Result<void> drop_old_chunks(const PartitionRule& rule) {
    auto dropped = drop_chunks(connection_, schema_, rule.table, oldest_kept(rule, now_).bounds.from,
                               std::min(kShortWait, lock_timeout_));
    if (!dropped && !was_locked(dropped.error())) {
      return to_error(dropped.error(), "drop chunks of " + schema_ + "." + rule.table);
    }
    if (!dropped) {
      report_.undone.push_back(schema_ + "." + rule.table + " still has old chunks: a lock is " +
                               lock_holders(connection_, schema_, rule.table));
      return {};
    }
    for (std::int64_t chunk = 0; chunk < *dropped; ++chunk) {
      report_.dropped.push_back(std::string(rule.table) + " (chunk)");
    }
    return {};
  }

  bool has(const char* table) const { return tables_.count(table) > 0; }

  Result<void> drop_old_partitions(const PartitionRule& rule) {
    const std::string what = "read partitions of " + schema_ + "." + rule.table;
    auto detached = detached_tables(connection_, schema_, rule.table);
    if (!detached) return to_error(detached.error(), what);
    auto existing = existing_partitions(connection_, schema_, rule.table);
    if (!existing) return to_error(existing.error(), what);
    const Partition first_kept = oldest_kept(rule, now_);

    std::vector<std::string> old;
    for (const DetachedTable& table : *detached) {
      if (table.name >= first_kept.name) continue;
      if (table.to_be_dropped) {
        old.push_back(table.name);
      } else {
        report_.strays.push_back(schema_ + "." + table.name);
      }
    }
    TimePoint bound{};
    for (const ExistingPartition& partition : *existing) {
      if (partition.bounds.to > first_kept.bounds.from) continue;
      old.push_back(partition.name);
      bound = partition.bounds.to;
    }
    if (old.empty()) return {};
    if (rule.table == std::string_view("dq_check_results")) {
      if (auto done = forget_results(bound); !done) return done.error();
    }
    for (const std::string& partition : old) {
      auto left = drop_partition(connection_, schema_, rule.table, partition, lock_timeout_);
      if (!left) return left.error();
      if (!left->empty()) {
        report_.undone.push_back(*left);
        held_up_.insert(rule.table);
        break;
      }
      report_.dropped.push_back(partition);
    }
    return {};
  }

  // A result that an alert refers to keeps its partition from being detached.
  Result<void> forget_results(TimePoint bound) {
    if (!has("alert_events")) return {};
    return delete_rows({"alert_events",
                        "UPDATE {{schema}}.alert_events SET dq_result_id = NULL, dq_result_at = NULL WHERE id IN "
                        "(SELECT id FROM {{schema}}.alert_events WHERE dq_result_at < $1 LIMIT ",
                        bound},
                       false);
  }

  std::vector<Deletion> deletions() const {
    const auto slice_of = [](const std::string& table, const std::string& key, const std::string& time) {
      return "DELETE FROM {{schema}}." + table + " WHERE (" + key + ") IN (SELECT " + key + " FROM {{schema}}." +
             table + " WHERE " + time + " < $1 ORDER BY " + time + " LIMIT ";
    };
    const TimePoint quiet = now_ - kept_.messages;
    const TimePoint runs_from = oldest_kept_of("job_runs");
    std::vector<Deletion> all;
    // In step with the months of job_runs, whose rows belong to them.
    if (held_up_.count("job_runs") == 0) {
      all.push_back({"run_ids", slice_of("run_ids", "run_id", "scheduled_at"), runs_from});
      all.push_back({"summary_dirty",
                     slice_of("summary_dirty", "job_id, environment, day", "(day::timestamp AT TIME ZONE 'UTC')"),
                     runs_from});
      all.push_back(
          {"job_daily_summary", slice_of("job_daily_summary", "id", "(day::timestamp AT TIME ZONE 'UTC')"), runs_from});
    }
    all.push_back({"alert_events", slice_of("alert_events", "id", "resolved_at"), now_ - kept_.runs});
    all.push_back({"dead_letters", slice_of("dead_letters", "id", "at"), quiet});
    all.push_back({"service_heartbeats", "DELETE FROM {{schema}}.service_heartbeats WHERE last_seen_at < $1", quiet});
    return all;
  }

  TimePoint oldest_kept_of(std::string_view table) const {
    for (const PartitionRule& rule : partition_rules(kept_)) {
      if (rule.table == table) return oldest_kept(rule, now_).bounds.from;
    }
    return TimePoint{};
  }

  // A position goes when its file is quiet, and every fact of it is older than what is there and was to be kept.
  Result<void> delete_positions() {
    if (!held_up_.empty() || !report_.undone.empty() || !has("source_files")) return {};
    auto bounds = read_partition_bounds(connection_, schema_);
    if (!bounds) return bounds.error();
    TimePoint covered = now_ - std::max({kept_.runs, kept_.lines, kept_.messages});
    for (const auto& [table, whole] : *bounds) {
      if (table != "access_log" && table != "audit_events") covered = std::min(covered, whole.from);
    }
    const std::string quiet = quote_literal(to_rfc3339(now_ - kQuietFile));
    const auto old = [&](const std::string& row) {
      return row + ".last_advanced_at < " + quiet + " AND " + row + ".covers_until < $1";
    };
    if (!has("source_facts")) {
      return delete_rows({"source_files", "DELETE FROM {{schema}}.source_files s WHERE " + old("s"), covered});
    }
    // Two rows of one file go together: the second one once the first is gone.
    const std::string same = "s.stream = f.stream AND s.file_key = f.file_key AND s.generation = f.generation";
    auto done = delete_rows({"source_files",
                             "DELETE FROM {{schema}}.source_files s WHERE " + old("s") +
                                 " AND NOT EXISTS (SELECT FROM {{schema}}.source_facts f WHERE " + same + " AND NOT (" +
                                 old("f") + "))",
                             covered});
    if (!done) return done;
    return delete_rows({"source_facts",
                        "DELETE FROM {{schema}}.source_facts f WHERE " + old("f") +
                            " AND NOT EXISTS (SELECT FROM {{schema}}.source_files s WHERE " + same + ")",
                        covered});
  }

  // What ends in "LIMIT " is repeated in slices.
  Result<void> delete_rows(const Deletion& deletion, bool counted = true) {
    if (!has(deletion.table)) return {};
    const bool sliced = deletion.sql.ends_with("LIMIT ");
    const std::string sql =
        sql_for_schema(sliced ? deletion.sql + std::to_string(kSlice) + ")" : deletion.sql, schema_);
    const std::optional<std::string> params[] = {to_rfc3339(deletion.bound)};
    const std::string what = "clear " + schema_ + "." + deletion.table;
    std::int64_t all = 0;
    for (std::int64_t rows = kSlice; rows == kSlice;) {
      // One slice at a time, whoever deletes: two in different orders would wait for each other.
      if (auto locked = begin_exclusive(connection_, schema_, lock_timeout_); !locked) return locked.error().in(what);
      auto done = connection_.query(sql, params);
      auto ended = connection_.exec(done ? "COMMIT" : "ROLLBACK");
      if (!done && was_locked(done.error())) {
        report_.undone.push_back(schema_ + "." + deletion.table + " still has old rows: a lock is " +
                                 lock_holders(connection_, schema_, deletion.table));
        break;
      }
      if (!done) return to_error(done.error(), what);
      if (!ended) return to_error(ended.error(), what);
      rows = sliced ? done->affected() : 0;
      all += done->affected();
    }
    if (all > 0 && counted) report_.deleted.emplace_back(deletion.table, all);
    return {};
  }

  PgConnection& connection_;
  const std::string& schema_;
  const TimePoint now_;
  const milliseconds lock_timeout_;
  const RetentionConfig& kept_;
  std::set<std::string, std::less<>> tables_, partitioned_, hypertables_, held_up_;
  RetentionReport report_;
};

}  // namespace

Result<RetentionReport> apply_retention(PgConnection& connection, const std::string& schema, TimePoint now,
                                        milliseconds lock_timeout, const RetentionConfig& retention) {
  return Retention(connection, schema, now, lock_timeout, retention).apply();
}

}  // namespace runtail
