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
