#include "server/fleet_totals.h"

#include "schema/migrations.h"

namespace runtail {
namespace {

// One statement, so one snapshot: what is deleted is what is added.
constexpr std::string_view kAddUp = R"sql(
WITH taken AS (
  DELETE FROM {{schema}}.fleet_counts
  WHERE pg_try_advisory_xact_lock(hashtextextended('runtail fleet counts', 0))
  RETURNING counter, label_1, label_2, amount
)
INSERT INTO {{schema}}.fleet_totals AS t (counter, label_1, label_2, amount)
SELECT counter, label_1, label_2, sum(amount)::bigint FROM taken GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (counter, label_1, label_2) DO UPDATE SET amount = t.amount + excluded.amount)sql";

constexpr std::string_view kRead = R"sql(
SELECT counter, label_1, label_2, sum(amount)::bigint
FROM (SELECT counter, label_1, label_2, amount FROM {{schema}}.fleet_totals
      UNION ALL SELECT counter, label_1, label_2, amount FROM {{schema}}.fleet_counts) AS counted
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3)sql";

}  // namespace

Result<void> add_up_fleet_counts(PgConnection& connection, const std::string& schema) {
  const auto done = connection.exec(sql_for_schema(kAddUp, schema));
  if (!done) return to_error(done.error(), "add up fleet_counts");
  return {};
}

Result<std::vector<FleetTotal>> read_fleet_totals(PgConnection& connection, const std::string& schema) {
  const auto rows = connection.exec(sql_for_schema(kRead, schema));
  if (!rows) return to_error(rows.error(), "read fleet_totals");
  std::vector<FleetTotal> out;
  for (int row = 0; row < rows->rows(); ++row) {
    out.push_back({std::string(rows->text(row, 0)), std::string(rows->text(row, 1)), std::string(rows->text(row, 2)),
                   rows->integer(row, 3)});
  }
  return out;
}

}  // namespace runtail
