DROP TABLE {{schema}}.dead_letters;
DROP TABLE {{schema}}.source_files;
DROP TABLE {{schema}}.identity_key;
DROP TABLE {{schema}}.schema_migrations;
DO $$
BEGIN
  -- It may hold what others put there, or belong to another role.
  DROP SCHEMA {{schema}};
EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN
  NULL;
END $$;
