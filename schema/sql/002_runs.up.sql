-- Jobs, runs, attempts, tasks and the history of their states.
-- Text that is an identity, or merged by byte order, compares as "C".

CREATE TABLE {{schema}}.etl_jobs (
  id             uuid        NOT NULL,
  job_id         text COLLATE "C" NOT NULL,
  name           text,
  job_type       text COLLATE "C",
  owner          text,
  service        text COLLATE "C",
  dataset        text COLLATE "C",
  schedule       text,
  expected_every interval,
  stall_after    interval,
  enabled        boolean     NOT NULL DEFAULT true,
  source         text COLLATE "C" NOT NULL,
  metadata       jsonb       NOT NULL DEFAULT '{}',
  created_at     timestamptz NOT NULL,
  updated_at     timestamptz NOT NULL,
  CONSTRAINT etl_jobs_pkey PRIMARY KEY (id),
  CONSTRAINT etl_jobs_job_id_key UNIQUE (job_id),
  CONSTRAINT etl_jobs_job_type_is_known CHECK (job_type IN ('batch', 'streaming')),
  CONSTRAINT etl_jobs_source_is_known CHECK (source IN ('config', 'line'))
);

-- run_id is unique here; job_runs is partitioned and cannot say so itself.
CREATE TABLE {{schema}}.run_ids (
  run_id           uuid        NOT NULL,
  scheduled_at     timestamptz NOT NULL,
  scheduled_stated boolean     NOT NULL,
  CONSTRAINT run_ids_pkey PRIMARY KEY (run_id),
  CONSTRAINT run_ids_run_id_scheduled_at_key UNIQUE (run_id, scheduled_at)
);
CREATE INDEX run_ids_scheduled_at_idx ON {{schema}}.run_ids (scheduled_at);

CREATE TABLE {{schema}}.job_runs (
  run_id                  uuid        NOT NULL,
  scheduled_at            timestamptz NOT NULL,
  external_run_id         text COLLATE "C",
  parent_run_id           uuid,
  retry_of                uuid,
  service                 text COLLATE "C",
  environment             text COLLATE "C",
  org_id                  text COLLATE "C",
  project_id              text COLLATE "C",
  correlation_id          text COLLATE "C",
  request_id              text COLLATE "C",
  trace_id                text COLLATE "C",
  dataset                 text COLLATE "C",
  dialect                 text COLLATE "C",
  job_type                text COLLATE "C",
  job_id                  text COLLATE "C" NOT NULL,
  job_id_rank             smallint    NOT NULL,
  -- State group: moves as one, by (state_attempt, state_rank, state_at, state_event).
  status                  text COLLATE "C" NOT NULL,
  end_reason              text COLLATE "C",
  verdict_source          text COLLATE "C" NOT NULL,
  finished_at             timestamptz,
  duration_ms             bigint,
  agent_id                text COLLATE "C",
  ts_source               text COLLATE "C",
  ruleset                 text COLLATE "C",
  records_extracted_total bigint,
  records_loaded_total    bigint,
  state_attempt           integer     NOT NULL,
  state_rank              smallint    NOT NULL,
  state_at                timestamptz NOT NULL,
  state_event             uuid        NOT NULL,
  -- Error group: moves as one, by (error_attempt, error_rank, error_at, error_event).
  error_category          text COLLATE "C",
  error_code              text COLLATE "C",
  error_message           text,
  error_attempt           integer,
  error_rank              smallint,
  error_at                timestamptz,
  error_event             uuid,
  -- Of the highest attempt.
  exit_code               integer,
  exit_signal             integer,
  metrics                 jsonb,
  -- Sums of progress lines; a stated total wins over them.
  records_extracted_sum   bigint,
  records_loaded_sum      bigint,
  tokens_in               bigint,
  tokens_out              bigint,
  cost_usd                numeric(10,6),
  queued_at               timestamptz,
  started_at              timestamptz,
  first_event_at          timestamptz NOT NULL,
  last_event_at           timestamptz NOT NULL,
  attempt_count           integer     NOT NULL,
  max_attempts            integer,
  retries_exhausted       boolean     NOT NULL,
  records_extracted       bigint      GENERATED ALWAYS AS (coalesce(records_extracted_total, records_extracted_sum)) STORED,
  records_loaded          bigint      GENERATED ALWAYS AS (coalesce(records_loaded_total, records_loaded_sum)) STORED,
  -- Recomputed from dq_check_results of the highest attempt.
  dq_status               text COLLATE "C",
  dq_findings             jsonb,
  CONSTRAINT job_runs_pkey PRIMARY KEY (run_id, scheduled_at),
  CONSTRAINT job_runs_run_id_fkey FOREIGN KEY (run_id, scheduled_at)
    REFERENCES {{schema}}.run_ids (run_id, scheduled_at) ON UPDATE CASCADE ON DELETE CASCADE,
  CONSTRAINT job_runs_job_id_fkey FOREIGN KEY (job_id) REFERENCES {{schema}}.etl_jobs (job_id),
  CONSTRAINT job_runs_job_type_is_known CHECK (job_type IN ('batch', 'streaming')),
  CONSTRAINT job_runs_status_is_known
    CHECK (status IN ('queued', 'running', 'success', 'failed', 'cancelled', 'skipped')),
  CONSTRAINT job_runs_end_reason_is_known
    CHECK (end_reason IN ('completed', 'exit_code', 'signal', 'oom', 'lost', 'timeout')),
  CONSTRAINT job_runs_verdict_source_is_known CHECK (verdict_source IN ('log', 'exit', 'inferred')),
  CONSTRAINT job_runs_ts_source_is_known CHECK (ts_source IN ('line', 'envelope', 'previous', 'next', 'seen')),
  CONSTRAINT job_runs_error_category_is_known CHECK (error_category IN ('API', 'DB', 'Data', 'System')),
  CONSTRAINT job_runs_error_message_is_short CHECK (octet_length(error_message) <= 2048),
  CONSTRAINT job_runs_dq_status_is_known CHECK (dq_status IN ('pass', 'warn', 'fail'))
) PARTITION BY RANGE (scheduled_at);
CREATE INDEX job_runs_job_id_scheduled_at_idx ON {{schema}}.job_runs (job_id, scheduled_at DESC)
  INCLUDE (status, duration_ms, records_loaded);
CREATE INDEX job_runs_status_finished_at_idx ON {{schema}}.job_runs (status, finished_at DESC);
CREATE INDEX job_runs_job_id_started_at_idx ON {{schema}}.job_runs (job_id, started_at DESC);
CREATE INDEX job_runs_scheduled_at_run_id_idx ON {{schema}}.job_runs (scheduled_at DESC, run_id);
CREATE INDEX job_runs_failed_idx ON {{schema}}.job_runs (error_category, finished_at DESC) WHERE status = 'failed';
CREATE INDEX job_runs_open_idx ON {{schema}}.job_runs (last_event_at) WHERE status IN ('queued', 'running');
CREATE INDEX job_runs_correlation_id_idx ON {{schema}}.job_runs (correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX job_runs_trace_id_idx ON {{schema}}.job_runs (trace_id) WHERE trace_id IS NOT NULL;

CREATE TABLE {{schema}}.run_attempts (
  id                      uuid        NOT NULL,
  run_id                  uuid        NOT NULL,
  attempt_no              integer     NOT NULL,
  -- State group: moves as one, by (state_rank, state_at, state_event).
  status                  text COLLATE "C" NOT NULL,
  end_reason              text COLLATE "C",
  verdict_source          text COLLATE "C" NOT NULL,
  finished_at             timestamptz,
  duration_ms             bigint,
  ts_source               text COLLATE "C",
  records_extracted_total bigint,
  records_loaded_total    bigint,
  state_rank              smallint    NOT NULL,
  state_at                timestamptz NOT NULL,
  state_event             uuid        NOT NULL,
  -- Error group: moves as one, by (error_rank, error_at, error_event).
  error_category          text COLLATE "C",
  error_code              text COLLATE "C",
  error_message           text,
  error_rank              smallint,
  error_at                timestamptz,
  error_event             uuid,
  started_at              timestamptz,
  exit_code               integer,
  exit_signal             integer,
  records_extracted_sum   bigint,
  records_loaded_sum      bigint,
  correlation_id          text COLLATE "C",
  request_id              text COLLATE "C",
  agent_id                text COLLATE "C",
  ruleset                 text COLLATE "C",
  CONSTRAINT run_attempts_pkey PRIMARY KEY (id),
  CONSTRAINT run_attempts_run_id_attempt_no_key UNIQUE (run_id, attempt_no),
  CONSTRAINT run_attempts_run_id_fkey FOREIGN KEY (run_id) REFERENCES {{schema}}.run_ids (run_id) ON DELETE CASCADE,
  CONSTRAINT run_attempts_attempt_no_is_positive CHECK (attempt_no >= 1),
  CONSTRAINT run_attempts_status_is_known
    CHECK (status IN ('queued', 'running', 'success', 'failed', 'cancelled', 'skipped')),
  CONSTRAINT run_attempts_end_reason_is_known
    CHECK (end_reason IN ('completed', 'exit_code', 'signal', 'oom', 'lost', 'timeout')),
  CONSTRAINT run_attempts_verdict_source_is_known CHECK (verdict_source IN ('log', 'exit', 'inferred')),
  CONSTRAINT run_attempts_ts_source_is_known CHECK (ts_source IN ('line', 'envelope', 'previous', 'next', 'seen')),
  CONSTRAINT run_attempts_error_category_is_known CHECK (error_category IN ('API', 'DB', 'Data', 'System')),
  CONSTRAINT run_attempts_error_message_is_short CHECK (octet_length(error_message) <= 2048)
);

CREATE TABLE {{schema}}.task_runs (
  task_run_id       uuid        NOT NULL,
  run_id            uuid        NOT NULL,
  external_task_id  text COLLATE "C",
  name              text COLLATE "C",
  phase             text COLLATE "C",
  dataset           text COLLATE "C",
  table_name        text COLLATE "C",
  correlation_id    text COLLATE "C",
  request_id        text COLLATE "C",
  trace_id          text COLLATE "C",
  span_id           text COLLATE "C",
  ruleset           text COLLATE "C",
  attempt_no        integer     NOT NULL,
  -- State group: moves as one, by (state_attempt, state_rank, state_at, state_event).
  status            text COLLATE "C" NOT NULL,
  end_reason        text COLLATE "C",
  verdict_source    text COLLATE "C" NOT NULL,
  finished_at       timestamptz,
  duration_ms       bigint,
  agent_id          text COLLATE "C",
  ts_source         text COLLATE "C",
  state_attempt     integer     NOT NULL,
  state_rank        smallint    NOT NULL,
  state_at          timestamptz NOT NULL,
  state_event       uuid        NOT NULL,
  -- Error group: moves as one, by (error_attempt, error_rank, error_at, error_event).
  error_category    text COLLATE "C",
  error_code        text COLLATE "C",
  error_message     text,
  error_attempt     integer,
  error_rank        smallint,
  error_at          timestamptz,
  error_event       uuid,
  queued_at         timestamptz,
  started_at        timestamptz,
  first_event_at    timestamptz,
  last_event_at     timestamptz,
  records_extracted bigint,
  records_loaded    bigint,
  CONSTRAINT task_runs_pkey PRIMARY KEY (task_run_id),
  CONSTRAINT task_runs_run_id_fkey FOREIGN KEY (run_id) REFERENCES {{schema}}.run_ids (run_id) ON DELETE CASCADE,
  CONSTRAINT task_runs_phase_is_known CHECK (phase IN ('extract', 'transform', 'load', 'dq')),
  CONSTRAINT task_runs_status_is_known
    CHECK (status IN ('queued', 'running', 'success', 'failed', 'cancelled', 'skipped')),
  CONSTRAINT task_runs_end_reason_is_known
    CHECK (end_reason IN ('completed', 'exit_code', 'signal', 'oom', 'lost', 'timeout')),
  CONSTRAINT task_runs_verdict_source_is_known CHECK (verdict_source IN ('log', 'exit', 'inferred')),
  CONSTRAINT task_runs_ts_source_is_known CHECK (ts_source IN ('line', 'envelope', 'previous', 'next', 'seen')),
  CONSTRAINT task_runs_error_category_is_known CHECK (error_category IN ('API', 'DB', 'Data', 'System')),
  CONSTRAINT task_runs_error_message_is_short CHECK (octet_length(error_message) <= 2048)
);
CREATE INDEX task_runs_run_id_idx ON {{schema}}.task_runs (run_id);
CREATE INDEX task_runs_status_idx ON {{schema}}.task_runs (status);

CREATE TABLE {{schema}}.run_state_changes (
  id             uuid        NOT NULL,
  run_id         uuid        NOT NULL,
  attempt_no     integer     NOT NULL,
  field          text COLLATE "C" NOT NULL,
  old            text,
  new            text,
  verdict_source text COLLATE "C" NOT NULL,
  event_id       uuid        NOT NULL,
  agent_id       text COLLATE "C" NOT NULL,
  at             timestamptz NOT NULL,
  CONSTRAINT run_state_changes_pkey PRIMARY KEY (id),
  CONSTRAINT run_state_changes_run_id_fkey
    FOREIGN KEY (run_id) REFERENCES {{schema}}.run_ids (run_id) ON DELETE CASCADE,
  CONSTRAINT run_state_changes_verdict_source_is_known CHECK (verdict_source IN ('log', 'exit', 'inferred'))
);
CREATE INDEX run_state_changes_run_id_at_idx ON {{schema}}.run_state_changes (run_id, at);

-- Days whose summary is to be made anew.
CREATE TABLE {{schema}}.summary_dirty (
  job_id      text COLLATE "C" NOT NULL,
  environment text COLLATE "C" NOT NULL,
  day         date             NOT NULL,
  since       timestamptz      NOT NULL,
  CONSTRAINT summary_dirty_pkey PRIMARY KEY (job_id, environment, day)
);
