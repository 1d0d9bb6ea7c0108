DROP TABLE {{schema}}.alert_deliveries;
DROP TABLE {{schema}}.alert_events;
DROP TABLE {{schema}}.alert_rule_channels;
DROP TABLE {{schema}}.alert_rules;
DROP TABLE {{schema}}.alert_channels;
