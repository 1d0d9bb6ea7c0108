DROP TABLE {{schema}}.summary_dirty;
DROP TABLE {{schema}}.run_state_changes;
DROP TABLE {{schema}}.task_runs;
DROP TABLE {{schema}}.run_attempts;
DROP TABLE {{schema}}.job_runs;
DROP TABLE {{schema}}.run_ids;
DROP TABLE {{schema}}.etl_jobs;
