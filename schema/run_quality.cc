#include "schema/run_quality.h"

#include <string_view>

namespace runtail {

std::string set_run_quality(const std::string& schema) {
  std::string sql = R"sql(
WITH latest AS (
  SELECT DISTINCT ON (d.run_id, d.check_id) d.*
  FROM {{schema}}.dq_check_results d
  WHERE d.run_id = ANY($1::uuid[]) AND d.attempt_no = (
    SELECT max(h.attempt_no) FROM {{schema}}.dq_check_results h WHERE h.run_id = d.run_id)
  ORDER BY d.run_id, d.check_id, d.created_at DESC
), verdict AS (
  SELECT run_id,
    CASE WHEN bool_or(status = 'fail') THEN 'fail' WHEN bool_or(status = 'warn') THEN 'warn' ELSE 'pass' END AS worst,
    jsonb_agg(jsonb_build_object('check', type, 'table', table_name, 'column', column_name, 'metric', metric,
      'status', status, 'value', value, 'threshold', threshold) ORDER BY check_id)
      FILTER (WHERE status <> 'pass') AS findings
  FROM latest GROUP BY run_id
)
UPDATE {{schema}}.job_runs j SET dq_status = v.worst, dq_findings = v.findings
FROM {{schema}}.run_ids r LEFT JOIN verdict v ON v.run_id = r.run_id
WHERE r.run_id = ANY($1::uuid[]) AND j.run_id = r.run_id AND j.scheduled_at = r.scheduled_at
  AND (j.dq_status IS DISTINCT FROM v.worst OR j.dq_findings IS DISTINCT FROM v.findings)
RETURNING j.job_id, j.environment, j.scheduled_at)sql";
  constexpr std::string_view kMark = "{{schema}}";
  for (std::size_t at = 0; (at = sql.find(kMark, at)) != std::string::npos; at += schema.size()) {
    sql.replace(at, kMark.size(), schema);
  }
  return sql;
}

}  // namespace runtail
