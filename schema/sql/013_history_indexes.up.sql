-- What lists of the history are read by: each in the order of its pages, so that a page costs what a page holds.

CREATE INDEX job_runs_environment_scheduled_at_idx ON {{schema}}.job_runs (environment, scheduled_at DESC, run_id);
CREATE INDEX dq_check_results_job_id_created_at_idx ON {{schema}}.dq_check_results (job_id, created_at DESC);
CREATE INDEX dq_check_results_recent_findings_idx ON {{schema}}.dq_check_results (created_at DESC)
  WHERE status IN ('warn', 'fail');

-- With all that rates and averages of a job are made of, so that they need no look at the rows.
CREATE INDEX job_runs_job_id_scheduled_at_covering_idx ON {{schema}}.job_runs (job_id, scheduled_at DESC)
  INCLUDE (status, duration_ms, records_loaded, started_at, finished_at);
DROP INDEX {{schema}}.job_runs_job_id_scheduled_at_idx;
