DROP TABLE {{schema}}.document_events;
