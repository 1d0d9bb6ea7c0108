ALTER TABLE {{schema}}.alert_events DROP COLUMN notified_at, DROP COLUMN notify_at;
DROP TABLE {{schema}}.alert_silences;
DROP TABLE {{schema}}.alert_watch;
DROP TABLE {{schema}}.evaluation_progress;
DROP TRIGGER run_ids_moved ON {{schema}}.run_ids;
DROP FUNCTION {{schema}}.mark_observations_of_moved_run();
ALTER TABLE {{schema}}.run_state_changes DROP COLUMN stored_in;
ALTER TABLE {{schema}}.dq_observations DROP COLUMN stored_in;
