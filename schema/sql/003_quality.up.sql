-- Data quality and datasets.

CREATE TABLE {{schema}}.dq_check_definitions (
  check_id       uuid        NOT NULL,
  job_id         text COLLATE "C",
  table_name     text COLLATE "C" NOT NULL,
  column_name    text COLLATE "C",
  check_type     text COLLATE "C" NOT NULL,
  metric         text COLLATE "C" NOT NULL,
  threshold      double precision,
  absolute_limit double precision,
  expected       jsonb,
  severity       text COLLATE "C" NOT NULL,
  enabled        boolean     NOT NULL DEFAULT true,
  source         text COLLATE "C" NOT NULL,
  updated_at     timestamptz NOT NULL,
  CONSTRAINT dq_check_definitions_pkey PRIMARY KEY (check_id),
  CONSTRAINT dq_check_definitions_job_id_fkey FOREIGN KEY (job_id) REFERENCES {{schema}}.etl_jobs (job_id),
  CONSTRAINT dq_check_definitions_check_type_is_known
    CHECK (check_type IN ('row_count_delta', 'null_rate', 'schema_drift', 'reported')),
  CONSTRAINT dq_check_definitions_severity_is_known CHECK (severity IN ('warn', 'fail')),
  CONSTRAINT dq_check_definitions_source_is_known CHECK (source IN ('yaml', 'env', 'api', 'line'))
);

-- What was seen; the baselines of later runs.
CREATE TABLE {{schema}}.dq_observations (
  id          uuid        NOT NULL,
  observed_at timestamptz NOT NULL,
  run_id      uuid,
  job_id      text COLLATE "C" NOT NULL,
  attempt_no  integer,
  table_name  text COLLATE "C" NOT NULL,
  kind        text COLLATE "C" NOT NULL,
  row_count   bigint,
  data        jsonb,
  event_id    uuid        NOT NULL,
  CONSTRAINT dq_observations_pkey PRIMARY KEY (id, observed_at),
  CONSTRAINT dq_observations_run_id_fkey
    FOREIGN KEY (run_id) REFERENCES {{schema}}.run_ids (run_id) ON DELETE SET NULL,
  CONSTRAINT dq_observations_kind_is_known CHECK (kind IN ('row_count', 'null_rates', 'columns'))
) PARTITION BY RANGE (observed_at);
COMMENT ON COLUMN {{schema}}.dq_observations.data IS 'Column names with rates or types; never values of the data';
CREATE INDEX dq_observations_baseline_idx ON {{schema}}.dq_observations (job_id, table_name, kind, observed_at DESC);
CREATE INDEX dq_observations_run_id_idx ON {{schema}}.dq_observations (run_id);

CREATE TABLE {{schema}}.dq_check_results (
  id             uuid        NOT NULL,
  created_at     timestamptz NOT NULL,
  check_id       uuid        NOT NULL,
  run_id         uuid,
  job_id         text COLLATE "C",
  attempt_no     integer,
  type           text COLLATE "C" NOT NULL,
  status         text COLLATE "C" NOT NULL,
  metric         text COLLATE "C" NOT NULL,
  value          double precision,
  baseline       double precision,
  threshold      double precision,
  severity       text COLLATE "C",
  table_name     text COLLATE "C",
  column_name    text COLLATE "C",
  details        jsonb       NOT NULL DEFAULT '{}',
  correlation_id text COLLATE "C",
  request_id     text COLLATE "C",
  ruleset        text COLLATE "C",
  CONSTRAINT dq_check_results_pkey PRIMARY KEY (id, created_at),
  CONSTRAINT dq_check_results_check_id_fkey
    FOREIGN KEY (check_id) REFERENCES {{schema}}.dq_check_definitions (check_id),
  CONSTRAINT dq_check_results_run_id_fkey
    FOREIGN KEY (run_id) REFERENCES {{schema}}.run_ids (run_id) ON DELETE SET NULL,
  CONSTRAINT dq_check_results_job_id_fkey FOREIGN KEY (job_id) REFERENCES {{schema}}.etl_jobs (job_id),
  CONSTRAINT dq_check_results_status_is_known CHECK (status IN ('pass', 'warn', 'fail'))
) PARTITION BY RANGE (created_at);
COMMENT ON COLUMN {{schema}}.dq_check_results.created_at IS 'Time of the observation, so that a replay gives the same row';
CREATE INDEX dq_check_results_check_id_created_at_idx ON {{schema}}.dq_check_results (check_id, created_at DESC);
CREATE INDEX dq_check_results_run_id_idx ON {{schema}}.dq_check_results (run_id);
CREATE INDEX dq_check_results_findings_idx ON {{schema}}.dq_check_results (job_id, created_at DESC)
  WHERE status IN ('warn', 'fail');
CREATE INDEX dq_check_results_details_idx ON {{schema}}.dq_check_results USING gin (details jsonb_path_ops);
CREATE INDEX dq_check_results_created_at_brin ON {{schema}}.dq_check_results USING brin (created_at);

CREATE TABLE {{schema}}.dataset_status (
  id              uuid        NOT NULL,
  environment     text COLLATE "C",
  dataset         text COLLATE "C" NOT NULL,
  job_id          text COLLATE "C",
  last_success_at timestamptz,
  record_count    bigint,
  last_run_id     uuid,
  last_status     text COLLATE "C",
  last_status_at  timestamptz,
  last_event_at   timestamptz NOT NULL,
  CONSTRAINT dataset_status_pkey PRIMARY KEY (id),
  CONSTRAINT dataset_status_environment_dataset_key UNIQUE NULLS NOT DISTINCT (environment, dataset)
);
