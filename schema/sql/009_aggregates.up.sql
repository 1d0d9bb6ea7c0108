-- Metrics of dashboards, computed ahead. Optional: migrate --without aggregates.

CREATE TABLE {{schema}}.metrics_aggregates (
  id             uuid        NOT NULL,
  bucket         timestamptz NOT NULL,
  bucket_seconds integer     NOT NULL,
  metric         text COLLATE "C" NOT NULL,
  dimensions     jsonb       NOT NULL,
  count          bigint      NOT NULL,
  sum            double precision,
  buckets        bigint[],
  error_count    bigint,
  tokens         bigint,
  cost_usd       numeric(10,6),
  min            double precision,
  max            double precision,
  p50            double precision,
  p95            double precision,
  p99            double precision,
  CONSTRAINT metrics_aggregates_pkey PRIMARY KEY (id, bucket),
  CONSTRAINT metrics_aggregates_bucket_metric_dimensions_key UNIQUE (bucket, bucket_seconds, metric, dimensions),
  CONSTRAINT metrics_aggregates_dimensions_are_short CHECK (octet_length(dimensions::text) <= 1024)
) PARTITION BY RANGE (bucket);
COMMENT ON COLUMN {{schema}}.metrics_aggregates.bucket IS 'Start of the time that the row sums up, bucket_seconds long';
COMMENT ON COLUMN {{schema}}.metrics_aggregates.buckets IS 'Counts by fixed upper bounds; p50, p95 and p99 are computed from them';
