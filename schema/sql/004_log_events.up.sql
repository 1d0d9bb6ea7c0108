-- One row a stored line, written by COPY. Refers to runs and tasks by value: a foreign key here would halve the writer,
-- and a referenced partition cannot be detached.

CREATE TABLE {{schema}}.log_events (
  event_id          uuid        NOT NULL,
  ts                timestamptz NOT NULL,
  level             text COLLATE "C" NOT NULL,
  message           text,
  service           text COLLATE "C",
  environment       text COLLATE "C",
  org_id            text COLLATE "C",
  project_id        text COLLATE "C",
  user_id           text COLLATE "C",
  ip                text COLLATE "C",
  job_id            text COLLATE "C",
  run_id            uuid,
  task_run_id       uuid,
  attempt           integer,
  phase             text COLLATE "C",
  dataset           text COLLATE "C",
  table_name        text COLLATE "C",
  duration_ms       bigint,
  records_extracted bigint,
  records_loaded    bigint,
  error_category    text COLLATE "C",
  error_code        text COLLATE "C",
  error_type        text COLLATE "C",
  error_message     text,
  error_stack       text,
  http_status       integer,
  route             text COLLATE "C",
  method            text COLLATE "C",
  outcome           text COLLATE "C",
  source            text COLLATE "C",
  correlation_id    text COLLATE "C",
  request_id        text COLLATE "C",
  trace_id          text COLLATE "C",
  span_id           text COLLATE "C",
  context           jsonb,
  raw_text          text,
  redacted          boolean     NOT NULL,
  pii_safe          boolean     NOT NULL,
  redaction_counts  jsonb,
  redaction_state   text COLLATE "C" NOT NULL,
  ruleset           text COLLATE "C" NOT NULL,
  stream            text COLLATE "C" NOT NULL,
  agent_id          text COLLATE "C" NOT NULL,
  CONSTRAINT log_events_pkey PRIMARY KEY (event_id, ts),
  CONSTRAINT log_events_level_is_known CHECK (level IN ('TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL')),
  CONSTRAINT log_events_error_category_is_known CHECK (error_category IN ('API', 'DB', 'Data', 'System')),
  CONSTRAINT log_events_error_message_is_short CHECK (octet_length(error_message) <= 2048),
  CONSTRAINT log_events_outcome_is_known CHECK (outcome IN ('success', 'error', 'retry')),
  CONSTRAINT log_events_source_is_known CHECK (source IN ('api', 'job', 'frontend', 'worker')),
  CONSTRAINT log_events_redaction_state_is_known
    CHECK (redaction_state IN ('clean', 'masked', 'pseudonymised', 'partial', 'failed_closed'))
) PARTITION BY RANGE (ts);
CREATE INDEX log_events_ts_brin ON {{schema}}.log_events USING brin (ts);
CREATE INDEX log_events_run_id_ts_idx ON {{schema}}.log_events (run_id, ts) WHERE run_id IS NOT NULL;
CREATE INDEX log_events_task_run_id_idx ON {{schema}}.log_events (task_run_id) WHERE task_run_id IS NOT NULL;
CREATE INDEX log_events_correlation_id_idx ON {{schema}}.log_events (correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX log_events_trace_id_idx ON {{schema}}.log_events (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX log_events_errors_idx ON {{schema}}.log_events (ts DESC) WHERE level IN ('ERROR', 'FATAL');
CREATE INDEX log_events_context_idx ON {{schema}}.log_events USING gin (context jsonb_path_ops);
