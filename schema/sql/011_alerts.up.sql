-- Alerts: where they go, what raises them, what was raised, what was sent.

CREATE TABLE {{schema}}.alert_channels (
  id            uuid        NOT NULL,
  name          text COLLATE "C" NOT NULL,
  kind          text COLLATE "C" NOT NULL,
  target_ref    text        NOT NULL,
  send_resolved boolean     NOT NULL,
  enabled       boolean     NOT NULL DEFAULT true,
  source        text COLLATE "C" NOT NULL,
  updated_at    timestamptz NOT NULL,
  CONSTRAINT alert_channels_pkey PRIMARY KEY (id),
  CONSTRAINT alert_channels_name_key UNIQUE (name),
  CONSTRAINT alert_channels_kind_is_known CHECK (kind IN ('slack', 'email', 'alertmanager', 'webhook')),
  CONSTRAINT alert_channels_source_is_known CHECK (source IN ('yaml', 'env', 'api'))
);
COMMENT ON COLUMN {{schema}}.alert_channels.target_ref IS 'Name of the setting that holds the target; never a secret';

CREATE TABLE {{schema}}.alert_rules (
  id          uuid        NOT NULL,
  name        text COLLATE "C" NOT NULL,
  kind        text COLLATE "C" NOT NULL,
  job_id      text COLLATE "C",
  params      jsonb       NOT NULL DEFAULT '{}',
  window_s    integer,
  for_s       integer,
  severity    text COLLATE "C" NOT NULL,
  labels      jsonb       NOT NULL DEFAULT '{}',
  annotations jsonb       NOT NULL DEFAULT '{}',
  enabled     boolean     NOT NULL DEFAULT true,
  source      text COLLATE "C" NOT NULL,
  updated_at  timestamptz NOT NULL,
  CONSTRAINT alert_rules_pkey PRIMARY KEY (id),
  CONSTRAINT alert_rules_name_key UNIQUE (name),
  CONSTRAINT alert_rules_job_id_fkey FOREIGN KEY (job_id) REFERENCES {{schema}}.etl_jobs (job_id),
  CONSTRAINT alert_rules_source_is_known CHECK (source IN ('yaml', 'env', 'api'))
);

CREATE TABLE {{schema}}.alert_rule_channels (
  id         uuid    NOT NULL,
  rule_id    uuid    NOT NULL,
  channel_id uuid    NOT NULL,
  repeat_s   integer,
  CONSTRAINT alert_rule_channels_pkey PRIMARY KEY (id),
  CONSTRAINT alert_rule_channels_rule_id_channel_id_key UNIQUE (rule_id, channel_id),
  CONSTRAINT alert_rule_channels_rule_id_fkey
    FOREIGN KEY (rule_id) REFERENCES {{schema}}.alert_rules (id) ON DELETE CASCADE,
  CONSTRAINT alert_rule_channels_channel_id_fkey
    FOREIGN KEY (channel_id) REFERENCES {{schema}}.alert_channels (id) ON DELETE CASCADE
);

CREATE TABLE {{schema}}.alert_events (
  id              uuid        NOT NULL,
  rule_id         uuid        NOT NULL,
  dedupe_key      text COLLATE "C" NOT NULL,
  status          text COLLATE "C" NOT NULL,
  severity        text COLLATE "C" NOT NULL,
  fired_at        timestamptz NOT NULL,
  last_seen_at    timestamptz NOT NULL,
  resolved_at     timestamptz,
  count           integer     NOT NULL,
  job_id          text COLLATE "C",
  run_id          uuid,
  dq_result_id    uuid,
  dq_result_at    timestamptz,
  labels          jsonb       NOT NULL DEFAULT '{}',
  annotations     jsonb       NOT NULL DEFAULT '{}',
  correlation_id  text COLLATE "C",
  acknowledged_by text COLLATE "C",
  acknowledged_at timestamptz,
  CONSTRAINT alert_events_pkey PRIMARY KEY (id),
  CONSTRAINT alert_events_rule_id_fkey FOREIGN KEY (rule_id) REFERENCES {{schema}}.alert_rules (id),
  CONSTRAINT alert_events_job_id_fkey FOREIGN KEY (job_id) REFERENCES {{schema}}.etl_jobs (job_id),
  CONSTRAINT alert_events_run_id_fkey FOREIGN KEY (run_id) REFERENCES {{schema}}.run_ids (run_id) ON DELETE SET NULL,
  CONSTRAINT alert_events_dq_result_fkey FOREIGN KEY (dq_result_id, dq_result_at)
    REFERENCES {{schema}}.dq_check_results (id, created_at) MATCH FULL ON DELETE SET NULL,
  CONSTRAINT alert_events_status_is_known CHECK (status IN ('firing', 'resolved', 'stale'))
);
COMMENT ON COLUMN {{schema}}.alert_events.count IS 'Evaluations that saw it';
COMMENT ON COLUMN {{schema}}.alert_events.labels IS 'What the alert is; its texts and run are annotations';
COMMENT ON COLUMN {{schema}}.alert_events.dq_result_at IS 'created_at of the result: the rest of its key';
-- One alert at a time fires for a key.
CREATE UNIQUE INDEX alert_events_firing_key ON {{schema}}.alert_events (dedupe_key) WHERE status = 'firing';
CREATE INDEX alert_events_status_fired_at_idx ON {{schema}}.alert_events (status, fired_at DESC);
CREATE INDEX alert_events_dedupe_key_idx ON {{schema}}.alert_events (dedupe_key);
CREATE INDEX alert_events_run_id_idx ON {{schema}}.alert_events (run_id);
CREATE INDEX alert_events_dq_result_idx ON {{schema}}.alert_events (dq_result_id, dq_result_at);

-- What is to be sent, and was.
CREATE TABLE {{schema}}.alert_deliveries (
  id              uuid        NOT NULL,
  alert_id        uuid        NOT NULL,
  channel_id      uuid        NOT NULL,
  kind            text COLLATE "C" NOT NULL,
  seq             integer     NOT NULL,
  state           text COLLATE "C" NOT NULL,
  attempts        integer     NOT NULL,
  next_attempt_at timestamptz,
  leased_until    timestamptz,
  sent_at         timestamptz,
  last_error      text,
  created_at      timestamptz NOT NULL,
  CONSTRAINT alert_deliveries_pkey PRIMARY KEY (id),
  CONSTRAINT alert_deliveries_alert_id_channel_id_kind_seq_key UNIQUE (alert_id, channel_id, kind, seq),
  CONSTRAINT alert_deliveries_alert_id_fkey
    FOREIGN KEY (alert_id) REFERENCES {{schema}}.alert_events (id) ON DELETE CASCADE,
  CONSTRAINT alert_deliveries_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES {{schema}}.alert_channels (id),
  CONSTRAINT alert_deliveries_kind_is_known CHECK (kind IN ('firing', 'repeat', 'resolved')),
  CONSTRAINT alert_deliveries_state_is_known CHECK (state IN ('pending', 'sent', 'failed'))
);
COMMENT ON COLUMN {{schema}}.alert_deliveries.leased_until IS 'Until then one sender has it; after it another may take it';
CREATE INDEX alert_deliveries_pending_idx ON {{schema}}.alert_deliveries (next_attempt_at) WHERE state = 'pending';
