-- What is delivered: source positions, the key of keyed hashes, migrations, dead letters.
-- {{schema}} is replaced by the configured schema name, quoted.

DO $$
BEGIN
  -- Not CREATE SCHEMA IF NOT EXISTS: that asks for rights on the database even where the schema is there.
  IF to_regnamespace($name${{schema}}$name$) IS NULL THEN
    CREATE SCHEMA {{schema}};
  END IF;
END $$;

CREATE TABLE {{schema}}.schema_migrations (
  version    integer     NOT NULL,
  name       text        NOT NULL,
  checksum   bytea       NOT NULL,
  applied_at timestamptz NOT NULL,
  applied_by text        NOT NULL,
  CONSTRAINT schema_migrations_pkey PRIMARY KEY (version)
);
COMMENT ON COLUMN {{schema}}.schema_migrations.checksum IS 'SHA-256 of the .up.sql file, before the schema name is put in';

CREATE TABLE {{schema}}.identity_key (
  only_row   boolean     NOT NULL DEFAULT true,
  key        bytea       NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT identity_key_pkey PRIMARY KEY (only_row),
  CONSTRAINT identity_key_only_row_is_true CHECK (only_row),
  CONSTRAINT identity_key_key_is_32_bytes CHECK (octet_length(key) = 32)
);
COMMENT ON TABLE {{schema}}.identity_key IS 'Key of every keyed hash of raw bytes. For the writer role only.';
REVOKE ALL ON {{schema}}.identity_key FROM PUBLIC;

CREATE TABLE {{schema}}.source_files (
  stream           text COLLATE "C" NOT NULL,
  file_key         bytea            NOT NULL,
  generation       integer          NOT NULL,
  covered          int8multirange   NOT NULL,
  confirm          bytea            NOT NULL,
  first_seen_at    timestamptz      NOT NULL,
  last_advanced_at timestamptz      NOT NULL,
  covers_until     timestamptz      NOT NULL,
  agent_id         text COLLATE "C" NOT NULL,
  CONSTRAINT source_files_pkey PRIMARY KEY (stream, file_key, generation),
  CONSTRAINT source_files_file_key_is_16_bytes CHECK (octet_length(file_key) = 16)
);
COMMENT ON COLUMN {{schema}}.source_files.covered IS 'Byte ranges whose effect is in the database';
COMMENT ON COLUMN {{schema}}.source_files.confirm IS 'HMAC of the last 1 KiB or less before upper(covered)';
CREATE INDEX source_files_last_advanced_at_idx ON {{schema}}.source_files (last_advanced_at);

CREATE TABLE {{schema}}.dead_letters (
  id           uuid        NOT NULL,
  at           timestamptz NOT NULL,
  stream       text COLLATE "C",
  file_key     bytea,
  generation   integer,
  byte_offset  bigint      NOT NULL,
  byte_length  bigint      NOT NULL,
  reason       text COLLATE "C" NOT NULL,
  sqlstate     text COLLATE "C",
  target_table text COLLATE "C",
  body         text,
  body_hmac    bytea,
  agent_id     text COLLATE "C" NOT NULL,
  resolved_at  timestamptz,
  CONSTRAINT dead_letters_pkey PRIMARY KEY (id),
  CONSTRAINT dead_letters_file_key_is_16_bytes CHECK (octet_length(file_key) = 16)
);
COMMENT ON COLUMN {{schema}}.dead_letters.body IS 'Redacted text of the line; null where it could not be redacted';
CREATE INDEX dead_letters_reason_at_idx ON {{schema}}.dead_letters (reason, at DESC);
