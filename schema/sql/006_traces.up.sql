-- Traces and their spans. Optional: migrate --without traces. Ids are kept by value, without foreign keys.

-- A row per trace and UTC day; readers add up. A row never changes its day.
CREATE TABLE {{schema}}.traces (
  id             uuid        NOT NULL,
  bucket         timestamptz NOT NULL,
  trace_id       text COLLATE "C" NOT NULL,
  root_span_id   text COLLATE "C",
  name           text COLLATE "C",
  service        text COLLATE "C",
  environment    text COLLATE "C",
  job_id         text COLLATE "C",
  run_id         uuid,
  user_id        text COLLATE "C",
  session_id     text COLLATE "C",
  operation_type text COLLATE "C",
  correlation_id text COLLATE "C",
  request_id     text COLLATE "C",
  metadata       jsonb,
  status         text COLLATE "C",
  started_at     timestamptz,
  ended_at       timestamptz,
  span_count     bigint,
  error_count    bigint,
  tokens_in      bigint,
  tokens_out     bigint,
  cost_usd       numeric(10,6),
  CONSTRAINT traces_pkey PRIMARY KEY (id, bucket),
  CONSTRAINT traces_trace_id_is_32_hex CHECK (octet_length(trace_id) = 32),
  CONSTRAINT traces_status_is_known CHECK (status IN ('ok', 'error'))
) PARTITION BY RANGE (bucket);
COMMENT ON COLUMN {{schema}}.traces.id IS 'The 16 bytes of trace_id as a UUID';
COMMENT ON COLUMN {{schema}}.traces.bucket IS 'Midnight (UTC) of the day';
CREATE INDEX traces_trace_id_idx ON {{schema}}.traces (trace_id);
CREATE INDEX traces_user_id_bucket_idx ON {{schema}}.traces (user_id, bucket DESC);
CREATE INDEX traces_session_id_bucket_idx ON {{schema}}.traces (session_id, bucket DESC);
CREATE INDEX traces_operation_type_bucket_idx ON {{schema}}.traces (operation_type, bucket DESC);

CREATE TABLE {{schema}}.spans (
  id              uuid        NOT NULL,
  ts              timestamptz NOT NULL,
  span_id         text COLLATE "C" NOT NULL,
  trace_id        text COLLATE "C" NOT NULL,
  parent_span_id  text COLLATE "C",
  name            text COLLATE "C",
  span_type       text COLLATE "C",
  kind            text COLLATE "C",
  service         text COLLATE "C",
  job_id          text COLLATE "C",
  run_id          uuid,
  status          text COLLATE "C",
  duration_ms     double precision,
  user_id         text COLLATE "C",
  session_id      text COLLATE "C",
  operation_type  text COLLATE "C",
  metadata        jsonb,
  error_category  text COLLATE "C",
  error_message   text,
  -- llm
  model           text COLLATE "C",
  provider        text COLLATE "C",
  tokens_in       bigint,
  tokens_out      bigint,
  cost_usd        numeric(10,6),
  -- embedding
  embedding_dims  integer,
  batch_size      integer,
  -- retrieval
  top_k           integer,
  results_count   integer,
  top_score       double precision,
  -- parse
  document_id     text COLLATE "C",
  parser          text COLLATE "C",
  page_count      integer,
  -- chunk
  chunk_count     integer,
  chunk_size      integer,
  CONSTRAINT spans_pkey PRIMARY KEY (id, ts),
  CONSTRAINT spans_span_id_is_16_hex CHECK (octet_length(span_id) = 16),
  CONSTRAINT spans_trace_id_is_32_hex CHECK (octet_length(trace_id) = 32),
  CONSTRAINT spans_span_type_is_known CHECK (span_type IN ('llm', 'embedding', 'retrieval', 'parse', 'chunk')),
  CONSTRAINT spans_status_is_known CHECK (status IN ('ok', 'error')),
  CONSTRAINT spans_error_category_is_known CHECK (error_category IN ('API', 'DB', 'Data', 'System')),
  CONSTRAINT spans_error_message_is_short CHECK (octet_length(error_message) <= 2048)
) PARTITION BY RANGE (ts);
COMMENT ON COLUMN {{schema}}.spans.ts IS 'Start of the span';
CREATE INDEX spans_trace_id_idx ON {{schema}}.spans (trace_id);
CREATE INDEX spans_parent_span_id_idx ON {{schema}}.spans (parent_span_id);
CREATE INDEX spans_span_type_ts_idx ON {{schema}}.spans (span_type, ts DESC);
CREATE INDEX spans_run_id_idx ON {{schema}}.spans (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX spans_ts_brin ON {{schema}}.spans USING brin (ts);
