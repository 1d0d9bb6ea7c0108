DROP VIEW monitoring.dataset_status;
DROP VIEW monitoring.job_runs;
DO $$
BEGIN
  -- It may hold what others put there.
  DROP SCHEMA monitoring;
EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN
  NULL;
END $$;
DROP VIEW {{schema}}.runs;
