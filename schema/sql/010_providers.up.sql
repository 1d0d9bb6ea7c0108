-- How far each resource of an external provider is synchronised. Optional: migrate --without providers.

CREATE TABLE {{schema}}.provider_sync_status (
  id              uuid        NOT NULL,
  provider        text COLLATE "C" NOT NULL,
  resource        text COLLATE "C",
  sync_status     text COLLATE "C" NOT NULL,
  started_at      timestamptz,
  finished_at     timestamptz,
  records_synced  bigint,
  cursor_digest   text COLLATE "C",
  error_category  text COLLATE "C",
  error_message   text,
  metadata        jsonb,
  state_at        timestamptz NOT NULL,
  state_event     uuid        NOT NULL,
  last_success_at timestamptz,
  CONSTRAINT provider_sync_status_pkey PRIMARY KEY (id),
  CONSTRAINT provider_sync_status_provider_resource_key UNIQUE NULLS NOT DISTINCT (provider, resource),
  CONSTRAINT provider_sync_status_sync_status_is_known CHECK (sync_status IN ('idle', 'running', 'success', 'error')),
  CONSTRAINT provider_sync_status_error_category_is_known CHECK (error_category IN ('API', 'DB', 'Data', 'System')),
  CONSTRAINT provider_sync_status_error_message_is_short CHECK (octet_length(error_message) <= 2048)
);
COMMENT ON COLUMN {{schema}}.provider_sync_status.state_at IS 'With state_event: the stamp by which the newest state wins';
