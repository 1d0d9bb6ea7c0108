#include "schema/partitions.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "schema/migrate.h"

namespace runtail {
namespace {

// Back: how long rows are kept, so that rows of old files find their partition. A run is kept 400 days and may be
// scheduled up to 13 months ahead. What is kept for six years is written when it happens, so its past grows by itself.
constexpr PartitionRule kRules[] = {
    {"job_runs", PartitionSpan::kMonth, 14, 13},
    {"dq_observations", PartitionSpan::kMonth, 14, 13},
    {"dq_check_results", PartitionSpan::kMonth, 14, 13},
    {"log_events", PartitionSpan::kDay, 30, 3},
    {"metric_snapshots", PartitionSpan::kDay, 30, 3},
    {"traces", PartitionSpan::kDay, 30, 3},
    {"spans", PartitionSpan::kDay, 30, 3},
    {"document_events", PartitionSpan::kDay, 30, 3},
    {"chat_messages", PartitionSpan::kWeek, 13, 2},
    {"metrics_aggregates", PartitionSpan::kWeek, 13, 2},
    {"access_log", PartitionSpan::kMonth, 1, 13},
    {"audit_events", PartitionSpan::kMonth, 1, 13},
};

std::string two_digits(unsigned value) { return (value < 10 ? "0" : "") + std::to_string(value); }

struct ExistingPartition {
  std::string table;
  PartitionBounds bounds;
};

// Of one table, or of all. Bounds are printed in the session's time zone, with its offset, and so read back right in
// any.
PgOutcome<std::vector<ExistingPartition>> existing_partitions(PgConnection& connection, const std::string& schema,
                                                              const std::optional<std::string>& table = {}) {
  const std::optional<std::string> params[] = {schema, table};
  auto rows = connection.query(R"sql(
      SELECT p.relname,
             (extract(epoch FROM b.bounds[1]::timestamptz) * 1000000)::bigint,
             (extract(epoch FROM b.bounds[2]::timestamptz) * 1000000)::bigint
      FROM pg_catalog.pg_class p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
      JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid AND NOT i.inhdetachpending
      JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
      CROSS JOIN LATERAL (
        SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$FROM \('([^']+)'\) TO \('([^']+)'\)$re$) AS bounds
      ) b
      WHERE n.nspname = $1 AND p.relname = coalesce($2, p.relname) AND p.relkind = 'p' AND b.bounds IS NOT NULL
      ORDER BY 1, 2)sql",
                               params);
  if (!rows) return rows.error();
  std::vector<ExistingPartition> found;
  for (int row = 0; row < rows->rows(); ++row) {
    found.push_back(
        {std::string(rows->text(row, 0)), {from_micros(rows->integer(row, 1)), from_micros(rows->integer(row, 2))}});
  }
  return found;
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

// CREATE TABLE ... PARTITION OF would lock the whole table against readers; ATTACH does not.
std::string create_statement(const std::string& schema, const PartitionRule& rule, const Partition& partition,
                             const std::string& owner) {
  const std::string parent = quote_identifier(schema) + "." + rule.table;
  const std::string child = quote_identifier(schema) + "." + partition.name;
  return "CREATE TABLE " + child + " (LIKE " + parent + " INCLUDING ALL);\nALTER TABLE " + child + " OWNER TO " +
         quote_identifier(owner) + ";\nALTER TABLE " + parent + " ATTACH PARTITION " + child + " FOR VALUES FROM (" +
         quote_literal(to_rfc3339(partition.bounds.from)) + ") TO (" + quote_literal(to_rfc3339(partition.bounds.to)) +
         ");\n";
}

PgOutcome<std::vector<std::string>> maintain_table(PgConnection& connection, const std::string& schema,
                                                   const PartitionRule& rule, const std::string& owner, TimePoint now) {
  auto existing = existing_partitions(connection, schema, rule.table);  // under the lock: nobody adds one meanwhile
  if (!existing) return existing.error();
  std::string statements;
  std::vector<std::string> made;
  for (const Partition& due : partitions_due(rule, now)) {
    const bool covered = std::any_of(existing->begin(), existing->end(), [&](const ExistingPartition& have) {
      return have.bounds.from <= due.bounds.from && have.bounds.to >= due.bounds.to;
    });
    if (covered) continue;
    statements += create_statement(schema, rule, due, owner);
    made.push_back(due.name);
  }
  if (!statements.empty()) {
    if (auto done = connection.exec(statements); !done) return done.error();
  }
  return made;
}

}  // namespace

std::span<const PartitionRule> partition_rules() { return kRules; }

std::vector<Partition> partitions_due(const PartitionRule& rule, TimePoint now) {
  using namespace std::chrono;
  const sys_days today = floor<days>(now);
  const year_month month{year_month_day(today).year(), year_month_day(today).month()};
  const sys_days monday = today - (weekday(today) - Monday);
  std::vector<Partition> due;
  for (int step = -rule.back; step <= rule.ahead; ++step) {
    sys_days from = today + days(step), to = from + days(1);
    if (rule.span == PartitionSpan::kWeek) {
      from = monday + weeks(step);
      to = from + weeks(1);
    } else if (rule.span == PartitionSpan::kMonth) {
      from = sys_days((month + months(step)) / 1);
      to = sys_days((month + months(step + 1)) / 1);
    }
    const year_month_day first(from);
    std::string name = std::string(rule.table) + "_" + std::to_string(static_cast<int>(first.year())) + "_" +
                       two_digits(static_cast<unsigned>(first.month()));
    if (rule.span != PartitionSpan::kMonth) name += "_" + two_digits(static_cast<unsigned>(first.day()));
    due.push_back({std::move(name), {TimePoint(from), TimePoint(to)}});
  }
  return due;
}

Result<std::vector<std::string>> maintain_partitions(PgConnection& connection, const std::string& schema, TimePoint now,
                                                     std::chrono::milliseconds lock_timeout) {
  auto owners = table_owners(connection, schema);
  if (!owners) return to_error(owners.error(), "read the tables of schema " + schema);
  std::vector<std::string> made;
  bool any = false;
  // One transaction a table: its locks are held no longer than that table needs.
  for (const PartitionRule& rule : kRules) {
    const auto owner = owners->find(rule.table);
    if (owner == owners->end()) continue;
    any = true;
    const std::string what = "make partitions of " + schema + "." + rule.table;
    if (auto locked = begin_exclusive(connection, schema, lock_timeout); !locked) return locked.error().in(what);
    auto names = maintain_table(connection, schema, rule, owner->second, now);
    auto ended = connection.exec(names ? "COMMIT" : "ROLLBACK");
    if (!names) return to_error(names.error(), what);
    if (!ended) return to_error(ended.error(), what);
    made.insert(made.end(), names->begin(), names->end());
  }
  if (any) return made;
  return Error{ErrorCode::kNotFound, "schema " + schema + " has no partitioned table of runtail; run: runtail migrate"};
}

Result<std::map<std::string, PartitionBounds>> read_partition_bounds(PgConnection& connection,
                                                                     const std::string& schema) {
  auto existing = existing_partitions(connection, schema);
  if (!existing) return to_error(existing.error(), "read partitions of schema " + schema);
  std::map<std::string, PartitionBounds> bounds;
  for (const ExistingPartition& partition : *existing) {
    PartitionBounds& whole = bounds.try_emplace(partition.table, partition.bounds).first->second;
    whole.from = std::min(whole.from, partition.bounds.from);
    whole.to = std::max(whole.to, partition.bounds.to);
  }
  return bounds;
}

}  // namespace runtail
