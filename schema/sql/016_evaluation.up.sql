-- What the evaluation of data quality and alerts needs: what is new since the last round, what to look at when, what is
-- to be kept quiet.

-- The transaction that stored a row. Rows of transactions that ended before a round's snapshot are all seen by it, so
-- "new" needs no clock and misses nothing, however long a writer took.
ALTER TABLE {{schema}}.dq_observations
  ADD COLUMN stored_in bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);
ALTER TABLE {{schema}}.run_state_changes
  ADD COLUMN stored_in bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);
CREATE INDEX dq_observations_stored_in_idx ON {{schema}}.dq_observations (stored_in);
CREATE INDEX run_state_changes_stored_in_idx ON {{schema}}.run_state_changes (stored_in);

-- A run that moves to another time gets other neighbours: what it observed is new again.
CREATE FUNCTION {{schema}}.mark_observations_of_moved_run() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  UPDATE {{schema}}.dq_observations SET stored_in = pg_current_xact_id()::text::bigint WHERE run_id = NEW.run_id;
  RETURN NULL;
END $$;
CREATE TRIGGER run_ids_moved AFTER UPDATE OF scheduled_at ON {{schema}}.run_ids
  FOR EACH ROW WHEN (OLD.scheduled_at IS DISTINCT FROM NEW.scheduled_at)
  EXECUTE FUNCTION {{schema}}.mark_observations_of_moved_run();

CREATE TABLE {{schema}}.evaluation_progress (
  name          text COLLATE "C" NOT NULL,
  stored_before bigint      NOT NULL,
  updated_at    timestamptz NOT NULL,
  CONSTRAINT evaluation_progress_pkey PRIMARY KEY (name)
);
COMMENT ON COLUMN {{schema}}.evaluation_progress.stored_before IS 'All of earlier transactions is evaluated';

-- When time alone may change what a rule says of a job. A row for each pair that waits for something.
CREATE TABLE {{schema}}.alert_watch (
  rule_id uuid        NOT NULL,
  job_id  text COLLATE "C" NOT NULL,
  due_at  timestamptz NOT NULL,
  CONSTRAINT alert_watch_pkey PRIMARY KEY (rule_id, job_id),
  CONSTRAINT alert_watch_rule_id_fkey FOREIGN KEY (rule_id) REFERENCES {{schema}}.alert_rules (id) ON DELETE CASCADE
);
CREATE INDEX alert_watch_due_at_idx ON {{schema}}.alert_watch (due_at);

-- Maintenance: alerts of matching jobs are recorded, and notified only if they still fire when it ends.
CREATE TABLE {{schema}}.alert_silences (
  id          uuid        NOT NULL,
  job_pattern text COLLATE "C" NOT NULL,
  rule_name   text COLLATE "C",
  starts_at   timestamptz NOT NULL,
  ends_at     timestamptz NOT NULL,
  created_by  text        NOT NULL,
  comment     text,
  CONSTRAINT alert_silences_pkey PRIMARY KEY (id)
);
COMMENT ON COLUMN {{schema}}.alert_silences.job_pattern IS 'A job id, in which * stands for any text';
COMMENT ON COLUMN {{schema}}.alert_silences.rule_name IS 'Null: every rule';
CREATE INDEX alert_silences_ends_at_idx ON {{schema}}.alert_silences (ends_at);

ALTER TABLE {{schema}}.alert_events ADD COLUMN notify_at timestamptz, ADD COLUMN notified_at timestamptz;
COMMENT ON COLUMN {{schema}}.alert_events.notify_at IS 'Null: nobody is to be told';
COMMENT ON COLUMN {{schema}}.alert_events.notified_at IS 'When its first deliveries were queued';
CREATE INDEX alert_events_to_notify_idx ON {{schema}}.alert_events (notify_at)
  WHERE status = 'firing' AND notified_at IS NULL;
