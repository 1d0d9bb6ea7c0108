-- Rates leave out runs inside of a run of the same job: whose run is inside of another stands in the index, too.
CREATE INDEX job_runs_job_id_scheduled_at_parent_idx ON {{schema}}.job_runs (job_id, scheduled_at DESC)
  INCLUDE (status, duration_ms, records_loaded, started_at, finished_at, run_id, parent_run_id);
DROP INDEX {{schema}}.job_runs_job_id_scheduled_at_covering_idx;
