-- Of the service itself: summaries, snapshots of metrics, heartbeats, who read and who changed what, positions of facts.
-- This version is no optional group: what lies below the newest version and is not there was left out on purpose.

-- Per job, environment and UTC day of scheduled_at; computed whole from the days in summary_dirty.
CREATE TABLE {{schema}}.job_daily_summary (
  id               uuid             NOT NULL,
  job_id           text COLLATE "C" NOT NULL,
  environment      text COLLATE "C" NOT NULL,
  day              date             NOT NULL,
  runs             integer,
  succeeded        integer,
  failed           integer,
  cancelled        integer,
  skipped          integer,
  success_rate     double precision,
  p95_duration_ms  double precision,
  duration_buckets bigint[],
  records_loaded   bigint,
  dq_warn          integer,
  dq_fail          integer,
  computed_at      timestamptz      NOT NULL,
  CONSTRAINT job_daily_summary_pkey PRIMARY KEY (id),
  CONSTRAINT job_daily_summary_job_id_environment_day_key UNIQUE (job_id, environment, day),
  CONSTRAINT job_daily_summary_job_id_fkey FOREIGN KEY (job_id) REFERENCES {{schema}}.etl_jobs (job_id)
);
COMMENT ON COLUMN {{schema}}.job_daily_summary.environment IS 'Empty for runs that name none, as in summary_dirty';
CREATE INDEX job_daily_summary_day_idx ON {{schema}}.job_daily_summary (day);

CREATE TABLE {{schema}}.metric_snapshots (
  id         uuid        NOT NULL,
  ts         timestamptz NOT NULL,
  agent_id   text COLLATE "C" NOT NULL,
  name       text COLLATE "C" NOT NULL,
  value_type text COLLATE "C" NOT NULL,
  labels     jsonb       NOT NULL,
  value      double precision,
  sum        double precision,
  count      bigint,
  buckets    bigint[],
  CONSTRAINT metric_snapshots_pkey PRIMARY KEY (id, ts),
  CONSTRAINT metric_snapshots_value_type_is_known CHECK (value_type IN ('counter', 'gauge', 'histogram'))
) PARTITION BY RANGE (ts);
COMMENT ON COLUMN {{schema}}.metric_snapshots.buckets IS 'Counts by the fixed upper bounds of the family';
CREATE INDEX metric_snapshots_labels_idx ON {{schema}}.metric_snapshots USING gin (labels jsonb_path_ops);
CREATE INDEX metric_snapshots_name_ts_idx ON {{schema}}.metric_snapshots (name, ts DESC);
CREATE INDEX metric_snapshots_ts_brin ON {{schema}}.metric_snapshots USING brin (ts);

CREATE TABLE {{schema}}.service_heartbeats (
  id             uuid        NOT NULL,
  service        text COLLATE "C" NOT NULL,
  instance       text COLLATE "C",
  environment    text COLLATE "C",
  version        text COLLATE "C",
  git_sha        text COLLATE "C",
  status         text COLLATE "C" NOT NULL,
  started_at     timestamptz,
  uptime_seconds double precision,
  agent_id       text COLLATE "C",
  config_digest  text COLLATE "C",
  lag_bytes      bigint,
  lag_seconds    double precision,
  buffer_bytes   bigint,
  details        jsonb       NOT NULL DEFAULT '{}',
  last_seen_at   timestamptz NOT NULL,
  CONSTRAINT service_heartbeats_pkey PRIMARY KEY (id),
  CONSTRAINT service_heartbeats_service_instance_key UNIQUE NULLS NOT DISTINCT (service, instance),
  CONSTRAINT service_heartbeats_status_is_known CHECK (status IN ('ok', 'degraded', 'stopping', 'down'))
);
COMMENT ON COLUMN {{schema}}.service_heartbeats.last_seen_at IS 'The stamp: the heartbeat with the latest one is the row';

-- Append-only: the writer role may insert and nothing else.
CREATE TABLE {{schema}}.access_log (
  id             uuid        NOT NULL,
  at             timestamptz NOT NULL,
  subject_hmac   bytea,
  scope          text COLLATE "C",
  method         text COLLATE "C",
  route          text COLLATE "C",
  params_digest  bytea,
  status         integer,
  rows           integer,
  duration_ms    integer,
  correlation_id text COLLATE "C",
  remote_hmac    bytea,
  CONSTRAINT access_log_pkey PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
COMMENT ON COLUMN {{schema}}.access_log.subject_hmac IS 'Keyed hash of who asked; remote_hmac: of the address';

-- Append-only, too.
CREATE TABLE {{schema}}.audit_events (
  id             uuid        NOT NULL,
  at             timestamptz NOT NULL,
  actor          text COLLATE "C" NOT NULL,
  action         text COLLATE "C" NOT NULL,
  object         text COLLATE "C",
  before         jsonb,
  after          jsonb,
  correlation_id text COLLATE "C",
  CONSTRAINT audit_events_pkey PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);

-- Run facts are written by transactions of their own, which go ahead of the log lines: a day of queued lines does not
-- keep the states of runs waiting. They have positions of their own, as both lock the row they advance.

CREATE TABLE {{schema}}.source_facts (
  stream           text COLLATE "C" NOT NULL,
  file_key         bytea            NOT NULL,
  generation       integer          NOT NULL,
  covered          int8multirange   NOT NULL,
  last_advanced_at timestamptz      NOT NULL,
  covers_until     timestamptz      NOT NULL,
  CONSTRAINT source_facts_pkey PRIMARY KEY (stream, file_key, generation),
  CONSTRAINT source_facts_file_key_is_16_bytes CHECK (octet_length(file_key) = 16)
);
COMMENT ON COLUMN {{schema}}.source_facts.covered IS
  'Byte ranges whose facts about runs, datasets and data quality are in the database; never less than source_files.covered';
CREATE INDEX source_facts_last_advanced_at_idx ON {{schema}}.source_facts (last_advanced_at);

-- Until now one transaction wrote both.
INSERT INTO {{schema}}.source_facts (stream, file_key, generation, covered, last_advanced_at, covers_until)
SELECT stream, file_key, generation, covered, last_advanced_at, covers_until FROM {{schema}}.source_files;
