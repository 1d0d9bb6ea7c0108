DROP TABLE {{schema}}.metrics_aggregates;
