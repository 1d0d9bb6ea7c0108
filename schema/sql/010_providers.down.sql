DROP TABLE {{schema}}.provider_sync_status;
