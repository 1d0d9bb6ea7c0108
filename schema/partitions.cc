#include "schema/partitions.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "schema/migrate.h"

namespace runtail {
namespace {

// A run is kept 400 days and may be scheduled up to 13 months ahead; a log line 30 days.
constexpr PartitionRule kRules[] = {
    {"job_runs", PartitionSpan::kMonth, 14, 13},
    {"dq_observations", PartitionSpan::kMonth, 14, 13},
    {"dq_check_results", PartitionSpan::kMonth, 14, 13},
    {"log_events", PartitionSpan::kDay, 30, 3},
};

std::string two_digits(unsigned value) { return (value < 10 ? "0" : "") + std::to_string(value); }

struct ExistingPartition {
  std::string table;
  PartitionBounds bounds;
};

// Bounds are printed in the session's time zone, with its offset, and so read back right in any.
PgOutcome<std::vector<ExistingPartition>> existing_partitions(PgConnection& connection, const std::string& schema) {
  const std::optional<std::string> params[] = {schema};
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
      WHERE n.nspname = $1 AND p.relkind = 'p' AND b.bounds IS NOT NULL
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

// CREATE TABLE ... PARTITION OF would lock the whole table against readers; ATTACH does not.
std::string create_statement(const std::string& schema, const PartitionRule& rule, const Partition& partition) {
  const std::string parent = quote_identifier(schema) + "." + rule.table;
  const std::string child = quote_identifier(schema) + "." + partition.name;
  return "CREATE TABLE " + child + " (LIKE " + parent + " INCLUDING ALL);\nALTER TABLE " + parent +
         " ATTACH PARTITION " + child + " FOR VALUES FROM (" + quote_literal(to_rfc3339(partition.bounds.from)) +
         ") TO (" + quote_literal(to_rfc3339(partition.bounds.to)) + ");\n";
}

PgOutcome<std::vector<std::string>> maintain_table(PgConnection& connection, const std::string& schema,
                                                   const PartitionRule& rule, TimePoint now) {
  auto existing = existing_partitions(connection, schema);  // under the lock, so nobody adds one meanwhile
  if (!existing) return existing.error();
  std::string statements;
  std::vector<std::string> made;
  for (const Partition& due : partitions_due(rule, now)) {
    const bool covered = std::any_of(existing->begin(), existing->end(), [&](const ExistingPartition& have) {
      return have.table == rule.table && have.bounds.from <= due.bounds.from && have.bounds.to >= due.bounds.to;
    });
    if (covered) continue;
    statements += create_statement(schema, rule, due);
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
  std::vector<Partition> due;
  for (int step = -rule.back; step <= rule.ahead; ++step) {
    sys_days from = today + days(step), to = from + days(1);
    if (rule.span == PartitionSpan::kMonth) {
      from = sys_days((month + months(step)) / 1);
      to = sys_days((month + months(step + 1)) / 1);
    }
    const year_month_day first(from);
    std::string name = std::string(rule.table) + "_" + std::to_string(static_cast<int>(first.year())) + "_" +
                       two_digits(static_cast<unsigned>(first.month()));
    if (rule.span == PartitionSpan::kDay) name += "_" + two_digits(static_cast<unsigned>(first.day()));
    due.push_back({std::move(name), {TimePoint(from), TimePoint(to)}});
  }
  return due;
}

Result<std::vector<std::string>> maintain_partitions(PgConnection& connection, const std::string& schema,
                                                     TimePoint now) {
  std::vector<std::string> made;
  // One transaction a table: its locks are held no longer than that table needs.
  for (const PartitionRule& rule : kRules) {
    const std::string what = "make partitions of " + schema + "." + rule.table;
    if (auto locked = begin_exclusive(connection, schema); !locked) return locked.error().in(what);
    auto names = maintain_table(connection, schema, rule, now);
    auto ended = connection.exec(names ? "COMMIT" : "ROLLBACK");
    if (!names) return to_error(names.error(), what);
    if (!ended) return to_error(ended.error(), what);
    made.insert(made.end(), names->begin(), names->end());
  }
  return made;
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
