-- Conversations. Optional: migrate --without chat. Ids are kept by value, without foreign keys.

CREATE TABLE {{schema}}.chat_messages (
  id         uuid        NOT NULL,
  ts         timestamptz NOT NULL,
  session_id text COLLATE "C" NOT NULL,
  turn       integer,
  role       text COLLATE "C",
  content    text,
  sources    jsonb,
  citations  jsonb,
  user_id    text COLLATE "C",
  trace_id   text COLLATE "C",
  span_id    text COLLATE "C",
  model      text COLLATE "C",
  tokens_in  bigint,
  tokens_out bigint,
  cost_usd   numeric(10,6),
  redacted   boolean     NOT NULL,
  pii_safe   boolean     NOT NULL,
  metadata   jsonb,
  CONSTRAINT chat_messages_pkey PRIMARY KEY (id, ts),
  CONSTRAINT chat_messages_role_is_known CHECK (role IN ('user', 'assistant', 'system', 'tool'))
) PARTITION BY RANGE (ts);
COMMENT ON COLUMN {{schema}}.chat_messages.content IS 'Redacted, like every text';
CREATE INDEX chat_messages_session_id_ts_idx ON {{schema}}.chat_messages (session_id, ts);
CREATE INDEX chat_messages_user_id_ts_idx ON {{schema}}.chat_messages (user_id, ts DESC);
CREATE INDEX chat_messages_trace_id_idx ON {{schema}}.chat_messages (trace_id);
