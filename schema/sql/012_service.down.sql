DROP TABLE {{schema}}.source_facts;
DROP TABLE {{schema}}.audit_events;
DROP TABLE {{schema}}.access_log;
DROP TABLE {{schema}}.service_heartbeats;
DROP TABLE {{schema}}.metric_snapshots;
DROP TABLE {{schema}}.job_daily_summary;
