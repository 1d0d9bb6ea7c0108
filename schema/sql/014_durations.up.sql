-- Clocks may disagree: a run that ended before it started has no duration.
CREATE OR REPLACE VIEW {{schema}}.runs AS
SELECT
  r.run_id, r.scheduled_at, r.external_run_id, r.parent_run_id, r.retry_of,
  r.service, r.environment, r.org_id, r.project_id, r.correlation_id, r.request_id, r.trace_id,
  r.dataset, r.dialect, r.job_type, r.job_id,
  r.status, r.end_reason, r.verdict_source,
  r.queued_at, r.started_at AS start_at, r.finished_at AS end_at,
  coalesce(r.duration_ms, CASE WHEN r.finished_at >= r.started_at
    THEN (extract(epoch FROM r.finished_at - r.started_at) * 1000)::bigint END) AS duration_ms,
  r.status IN ('queued', 'running')
    AND now() - r.last_event_at > coalesce(j.stall_after, interval '15 minutes') AS stalled,
  CASE WHEN r.status = 'failed' THEN r.error_category END AS error_category,
  CASE WHEN r.status = 'failed' THEN r.error_code END AS error_code,
  CASE WHEN r.status = 'failed' THEN r.error_message END AS error_message,
  r.exit_code, r.exit_signal, r.attempt_count, r.max_attempts, r.retries_exhausted,
  r.records_extracted, r.records_loaded,
  r.records_extracted_sum, r.records_extracted_total, r.records_loaded_sum, r.records_loaded_total,
  r.tokens_in, r.tokens_out, r.cost_usd, r.metrics,
  r.dq_status, r.dq_findings, r.first_event_at, r.last_event_at,
  r.agent_id, r.ts_source, r.ruleset
FROM {{schema}}.job_runs r
LEFT JOIN {{schema}}.etl_jobs j ON j.job_id = r.job_id;
