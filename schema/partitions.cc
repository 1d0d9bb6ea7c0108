#include "schema/partitions.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <thread>

#include "schema/detach.h"
#include "schema/lock_wait.h"
#include "schema/migrate.h"

namespace runtail {
namespace {

struct TableRule {
  const char* table;
  PartitionSpan span;
  int ahead;
  std::chrono::hours RetentionConfig::*kept;
  // What is written when it happens needs no past: it grows by itself.
  bool grows = false;
};

// A run may be scheduled up to 13 months ahead.
constexpr TableRule kRules[] = {
    {"job_runs", PartitionSpan::kMonth, 13, &RetentionConfig::runs},
    {"dq_observations", PartitionSpan::kMonth, 13, &RetentionConfig::runs},
    {"dq_check_results", PartitionSpan::kMonth, 13, &RetentionConfig::runs},
    {"log_events", PartitionSpan::kDay, 3, &RetentionConfig::lines},
    {"metric_snapshots", PartitionSpan::kDay, 3, &RetentionConfig::lines},
    {"traces", PartitionSpan::kDay, 3, &RetentionConfig::lines},
    {"spans", PartitionSpan::kDay, 3, &RetentionConfig::lines},
    {"document_events", PartitionSpan::kDay, 3, &RetentionConfig::lines},
    {"chat_messages", PartitionSpan::kWeek, 2, &RetentionConfig::messages},
    {"metrics_aggregates", PartitionSpan::kWeek, 2, &RetentionConfig::messages},
    {"access_log", PartitionSpan::kMonth, 13, &RetentionConfig::audit, true},
    {"audit_events", PartitionSpan::kMonth, 13, &RetentionConfig::audit, true},
};

// So many whole spans that nothing as old as `time` lies before them. n months have at least n / 12 years less 3 days.
int spans_of(std::chrono::hours time, PartitionSpan span) {
  const int days = std::chrono::ceil<std::chrono::days>(time).count();
  if (span == PartitionSpan::kDay) return days;
  if (span == PartitionSpan::kWeek) return (days + 6) / 7;
  return static_cast<int>(std::ceil((days + 3) * 12 / 365.2425));
}

std::string two_digits(unsigned value) { return (value < 10 ? "0" : "") + std::to_string(value); }

// `step` spans after the one `now` lies in.
Partition partition_at(const PartitionRule& rule, TimePoint now, int step) {
  using namespace std::chrono;
  const sys_days today = floor<days>(now);
  sys_days from = today + days(step), to = from + days(1);
  if (rule.span == PartitionSpan::kWeek) {
    from = today - (weekday(today) - Monday) + weeks(step);
    to = from + weeks(1);
  } else if (rule.span == PartitionSpan::kMonth) {
    const year_month month{year_month_day(today).year(), year_month_day(today).month()};
    from = sys_days((month + months(step)) / 1);
    to = sys_days((month + months(step + 1)) / 1);
  }
  const year_month_day first(from);
  std::string name = std::string(rule.table) + "_" + std::to_string(static_cast<int>(first.year())) + "_" +
                     two_digits(static_cast<unsigned>(first.month()));
  if (rule.span != PartitionSpan::kMonth) name += "_" + two_digits(static_cast<unsigned>(first.day()));
  return {std::move(name), {TimePoint(from), TimePoint(to)}};
}

// Of the partitioned tables, by name.
PgOutcome<std::map<std::string, std::string>> table_owners(PgConnection& connection, const std::string& schema) {
  const std::optional<std::string> params[] = {schema};
  auto rows = connection.query(
      "SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c "
      "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'p'",
      params);
  if (!rows) return rows.error();
  std::map<std::string, std::string> owners;
  for (int row = 0; row < rows->rows(); ++row) owners.emplace(rows->text(row, 0), rows->text(row, 1));
  return owners;
}

// Relations whose names a partition of `table` may have, and that are none.
PgOutcome<std::set<std::string>> names_taken(PgConnection& connection, const std::string& schema,
                                             const std::string& table) {
  const std::optional<std::string> params[] = {schema, table + "_"};
  auto rows = connection.query(
      "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
      "WHERE n.nspname = $1 AND starts_with(c.relname, $2) AND NOT c.relispartition AND c.relkind NOT IN ('i', 'I')",
      params);
  if (!rows) return rows.error();
  std::set<std::string> names;
  for (int row = 0; row < rows->rows(); ++row) names.emplace(rows->text(row, 0));
  return names;
}

std::string attach_statement(const std::string& schema, const PartitionRule& rule, const Partition& partition) {
  return "ALTER TABLE " + quote_identifier(schema) + "." + rule.table + " ATTACH PARTITION " +
         quote_identifier(schema) + "." + partition.name + " FOR VALUES FROM (" +
         quote_literal(to_rfc3339(partition.bounds.from)) + ") TO (" + quote_literal(to_rfc3339(partition.bounds.to)) +
         ");\n";
}

// CREATE TABLE ... PARTITION OF would lock the whole table against readers; ATTACH does not.
std::string create_statement(const std::string& schema, const PartitionRule& rule, const Partition& partition,
                             const std::string& owner) {
  const std::string child = quote_identifier(schema) + "." + partition.name;
  return "CREATE TABLE " + child + " (LIKE " + quote_identifier(schema) + "." + rule.table +
         " INCLUDING ALL);\nALTER TABLE " + child + " OWNER TO " + quote_identifier(owner) + ";\n" +
         attach_statement(schema, rule, partition);
}

// In the open transaction. What is refused is undone and named in `refused`.
PgOutcome<bool> attach_again(PgConnection& connection, const std::string& schema, const PartitionRule& rule,
                             const Partition& due, std::string& refused) {
  if (auto saved = connection.exec("SAVEPOINT attach"); !saved) return saved.error();
  const std::string child = quote_identifier(schema) + "." + due.name;
  // Whatever it was marked as: now it is a partition again.
  auto attached =
      connection.exec(attach_statement(schema, rule, due) + "COMMENT ON TABLE " + child + " IS NULL; RELEASE attach");
  if (attached) return true;
  if (attached.error().is_connection_failure() || was_locked(attached.error())) return attached.error();
  if (auto undone = connection.exec("ROLLBACK TO attach"); !undone) return undone.error();
  refused = schema + "." + due.name + " stands where a partition of " + rule.table +
            " must be, and cannot be attached: " + attached.error().message +
            "; copy the rows you need out of it and drop or rename it, until then rows of its time are not stored";
  return false;
}

PgOutcome<std::vector<std::string>> maintain_table(PgConnection& connection, const std::string& schema,
                                                   const PartitionRule& rule, const std::string& owner, TimePoint now,
                                                   std::string& refused) {
  auto existing = existing_partitions(connection, schema, rule.table);  // under the lock: nobody adds one meanwhile
  if (!existing) return existing.error();
  auto taken = names_taken(connection, schema, rule.table);
  if (!taken) return taken.error();
  std::string statements;
  std::vector<std::string> made;
  for (const Partition& due : partitions_due(rule, now)) {
    const bool covered = std::any_of(existing->begin(), existing->end(), [&](const ExistingPartition& have) {
      return have.bounds.from <= due.bounds.from && have.bounds.to >= due.bounds.to;
    });
    if (covered) continue;
    if (taken->count(due.name) > 0) {
      auto attached = attach_again(connection, schema, rule, due, refused);
      if (!attached) return attached.error();
      if (!*attached) continue;
    } else {
      statements += create_statement(schema, rule, due, owner);
    }
    made.push_back(due.name);
  }
  if (!statements.empty()) {
    if (auto done = connection.exec(statements); !done) return done.error();
  }
  return made;
}

// One transaction, and one short wait.
PgOutcome<std::vector<std::string>> maintain_exclusively(PgConnection& connection, const std::string& schema,
                                                         const PartitionRule& rule, const std::string& owner,
                                                         TimePoint now, std::chrono::milliseconds lock_timeout,
                                                         std::string& refused) {
  if (auto locked = begin_exclusive(connection, schema, std::min(kShortWait, lock_timeout)); !locked) {
    return PgError{"57014", locked.error().message};
  }
  auto names = maintain_table(connection, schema, rule, owner, now, refused);
  auto ended = connection.exec(names ? "COMMIT" : "ROLLBACK");
  if (names && !ended) return ended.error();
  return names;
}

}  // namespace

std::vector<PartitionRule> partition_rules(const RetentionConfig& retention) {
  std::vector<PartitionRule> rules;
  for (const TableRule& rule : kRules) {
    const int kept = spans_of(retention.*rule.kept, rule.span);
    rules.push_back({rule.table, rule.span, rule.grows ? 1 : kept, rule.ahead, kept});
  }
  return rules;
}

std::vector<Partition> partitions_due(const PartitionRule& rule, TimePoint now) {
  std::vector<Partition> due;
  for (int step = -rule.back; step <= rule.ahead; ++step) due.push_back(partition_at(rule, now, step));
  return due;
}

Partition oldest_kept(const PartitionRule& rule, TimePoint now) { return partition_at(rule, now, -rule.kept); }

// Bounds are printed in the session's time zone, with its offset, and so read back right in any.
PgOutcome<std::vector<ExistingPartition>> existing_partitions(PgConnection& connection, const std::string& schema,
                                                              const std::optional<std::string>& table) {
  const std::optional<std::string> params[] = {schema, table};
  auto rows = connection.query(R"sql(
      SELECT p.relname, c.relname,
             (extract(epoch FROM b.bounds[1]::timestamptz) * 1000000)::bigint AS lower,
             (extract(epoch FROM b.bounds[2]::timestamptz) * 1000000)::bigint, i.inhdetachpending
      FROM pg_catalog.pg_class p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
      JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid
      JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
      CROSS JOIN LATERAL (
        SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$FROM \('([^']+)'\) TO \('([^']+)'\)$re$) AS bounds
      ) b
      WHERE n.nspname = $1 AND p.relname = coalesce($2, p.relname) AND p.relkind = 'p' AND b.bounds IS NOT NULL
      ORDER BY 1, lower)sql",
                               params);
  if (!rows) return rows.error();
  std::vector<ExistingPartition> found;
  for (int row = 0; row < rows->rows(); ++row) {
    found.push_back({std::string(rows->text(row, 0)),
                     std::string(rows->text(row, 1)),
                     {from_micros(rows->integer(row, 2)), from_micros(rows->integer(row, 3))},
                     rows->boolean(row, 4)});
  }
  return found;
}

Result<std::vector<std::string>> maintain_partitions(PgConnection& connection, const std::string& schema, TimePoint now,
                                                     std::chrono::milliseconds lock_timeout,
                                                     const RetentionConfig& retention) {
  auto owners = table_owners(connection, schema);
  if (!owners) return to_error(owners.error(), "read the tables of schema " + schema);
  std::vector<std::string> made;
  std::string refused, detaching;
  bool any = false;
  // One transaction a table: its locks are held no longer than that table needs.
  for (const PartitionRule& rule : partition_rules(retention)) {
    const auto owner = owners->find(rule.table);
    if (owner == owners->end()) continue;
    any = true;
    const std::string what = "make partitions of " + schema + "." + rule.table;
    auto left = finish_detaches(connection, schema, rule.table, oldest_kept(rule, now).bounds.from, lock_timeout);
    if (!left) return left.error().in(what);
    if (!left->empty()) detaching = *left;
    const auto end = std::chrono::steady_clock::now() + lock_timeout;
    auto names = maintain_exclusively(connection, schema, rule, owner->second, now, lock_timeout, refused);
    while (!names && was_locked(names.error()) && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(kPauseBetweenWaits);
      names = maintain_exclusively(connection, schema, rule, owner->second, now, lock_timeout, refused);
    }
    if (!names) {
      Error error = to_error(names.error(), what);
      if (was_locked(names.error())) error.message += "; a lock is " + lock_holders(connection, schema, rule.table);
      return error;
    }
    made.insert(made.end(), names->begin(), names->end());
  }
  if (!any) {
    return Error{ErrorCode::kNotFound,
                 "schema " + schema + " has no partitioned table of runtail; run: runtail migrate"};
  }
  if (!refused.empty()) return Error{ErrorCode::kInvalidInput, refused};
  if (!detaching.empty()) return Error{ErrorCode::kUnavailable, detaching};
  return made;
}

Result<std::map<std::string, PartitionBounds>> read_partition_bounds(PgConnection& connection,
                                                                     const std::string& schema) {
  auto existing = existing_partitions(connection, schema);
  if (!existing) return to_error(existing.error(), "read partitions of schema " + schema);
  std::map<std::string, PartitionBounds> bounds;
  for (const ExistingPartition& partition : *existing) {
    if (partition.detaching) continue;
    PartitionBounds& whole = bounds.try_emplace(partition.table, partition.bounds).first->second;
    whole.from = std::min(whole.from, partition.bounds.from);
    whole.to = std::max(whole.to, partition.bounds.to);
  }
  return bounds;
}

}  // namespace runtail
