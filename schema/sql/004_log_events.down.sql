DROP TABLE {{schema}}.log_events;
