ALTER TABLE {{schema}}.service_heartbeats DROP COLUMN lost_bytes;
DROP TABLE {{schema}}.fleet_totals;
DROP TABLE {{schema}}.fleet_counts;
