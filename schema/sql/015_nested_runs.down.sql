CREATE INDEX job_runs_job_id_scheduled_at_covering_idx ON {{schema}}.job_runs (job_id, scheduled_at DESC)
  INCLUDE (status, duration_ms, records_loaded, started_at, finished_at);
DROP INDEX {{schema}}.job_runs_job_id_scheduled_at_parent_idx;
