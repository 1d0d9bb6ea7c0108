DROP TABLE {{schema}}.source_facts;
