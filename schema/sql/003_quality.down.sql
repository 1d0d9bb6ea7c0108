DROP TABLE {{schema}}.dataset_status;
DROP TABLE {{schema}}.dq_check_results;
DROP TABLE {{schema}}.dq_observations;
DROP TABLE {{schema}}.dq_check_definitions;
