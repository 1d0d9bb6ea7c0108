-- Counters of all agents together: what a writer's transaction counts goes in with its rows, and a server adds it up.

-- Insert-only, so that writers never wait for one another's counters.
CREATE TABLE {{schema}}.fleet_counts (
  id      bigint GENERATED ALWAYS AS IDENTITY,
  counter text COLLATE "C" NOT NULL,
  label_1 text COLLATE "C" NOT NULL,
  label_2 text COLLATE "C" NOT NULL,
  amount  bigint NOT NULL,
  CONSTRAINT fleet_counts_pkey PRIMARY KEY (id)
);
CREATE TABLE {{schema}}.fleet_totals (
  counter text COLLATE "C" NOT NULL,
  label_1 text COLLATE "C" NOT NULL,
  label_2 text COLLATE "C" NOT NULL,
  amount  bigint NOT NULL,
  CONSTRAINT fleet_totals_pkey PRIMARY KEY (counter, label_1, label_2)
);
COMMENT ON TABLE {{schema}}.fleet_totals IS 'What was in fleet_counts, added up; a counter is the sum of both';

ALTER TABLE {{schema}}.service_heartbeats ADD COLUMN lost_bytes bigint;
COMMENT ON COLUMN {{schema}}.service_heartbeats.lost_bytes IS 'Bytes an agent saw by size and never read, since its buffer began';
