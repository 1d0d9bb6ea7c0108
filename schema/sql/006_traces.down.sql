DROP TABLE {{schema}}.spans;
DROP TABLE {{schema}}.traces;
