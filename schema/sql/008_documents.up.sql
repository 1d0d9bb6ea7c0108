-- Steps of document processing. Optional: migrate --without documents. Ids are kept by value, without foreign keys.

CREATE TABLE {{schema}}.document_events (
  id             uuid        NOT NULL,
  ts             timestamptz NOT NULL,
  document_id    text COLLATE "C" NOT NULL,
  event_type     text COLLATE "C" NOT NULL,
  status         text COLLATE "C",
  job_id         text COLLATE "C",
  run_id         uuid,
  trace_id       text COLLATE "C",
  user_id        text COLLATE "C",
  duration_ms    bigint,
  page_count     integer,
  chunk_count    integer,
  tokens         bigint,
  cost_usd       numeric(10,6),
  bytes          bigint,
  error_category text COLLATE "C",
  error_message  text,
  metadata       jsonb,
  CONSTRAINT document_events_pkey PRIMARY KEY (id, ts),
  CONSTRAINT document_events_event_type_is_known
    CHECK (event_type IN ('upload', 'parse', 'chunk', 'embed', 'index', 'delete', 'reprocess')),
  CONSTRAINT document_events_status_is_known CHECK (status IN ('started', 'success', 'failed')),
  CONSTRAINT document_events_error_category_is_known CHECK (error_category IN ('API', 'DB', 'Data', 'System')),
  CONSTRAINT document_events_error_message_is_short CHECK (octet_length(error_message) <= 2048)
) PARTITION BY RANGE (ts);
CREATE INDEX document_events_document_id_ts_idx ON {{schema}}.document_events (document_id, ts DESC);
CREATE INDEX document_events_event_type_ts_idx ON {{schema}}.document_events (event_type, ts DESC);
CREATE INDEX document_events_trace_id_idx ON {{schema}}.document_events (trace_id);
