CREATE INDEX job_runs_job_id_scheduled_at_idx ON {{schema}}.job_runs (job_id, scheduled_at DESC)
  INCLUDE (status, duration_ms, records_loaded);
DROP INDEX {{schema}}.job_runs_job_id_scheduled_at_covering_idx;
DROP INDEX {{schema}}.dq_check_results_recent_findings_idx;
DROP INDEX {{schema}}.dq_check_results_job_id_created_at_idx;
DROP INDEX {{schema}}.job_runs_environment_scheduled_at_idx;
