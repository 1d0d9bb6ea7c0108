-- Roles of runtail: writer, reader, retention. May be run again at any time, and before there is a schema.
-- {{schema}} and {{prefix}} are replaced by the names, as literals.

DO $roles$
DECLARE
  spot      constant text := {{schema}};
  writer    constant text := {{prefix}} || '_writer';
  reader    constant text := {{prefix}} || '_reader';
  retention constant text := {{prefix}} || '_retention';
  role_name text;
  owner     text;  -- of the tables
  part      record;
  entry     record;
  is_hypertable boolean;
BEGIN
  FOREACH role_name IN ARRAY ARRAY[writer, reader, retention] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name);
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE insufficient_privilege USING MESSAGE = format(
        'role %s is missing and %s may not make roles; somebody with CREATEROLE must run: '
        'CREATE ROLE %I NOLOGIN; CREATE ROLE %I NOLOGIN; CREATE ROLE %I NOLOGIN; GRANT %I TO %I',
        role_name, current_user, writer, reader, retention, retention, current_user);
    END;
  END LOOP;

  SELECT pg_catalog.pg_get_userbyid(relowner) INTO owner FROM pg_catalog.pg_class
  WHERE oid = to_regclass(format('%I.schema_migrations', spot));
  IF owner IS NULL THEN
    RETURN;  -- no schema yet
  END IF;

  IF NOT pg_has_role(owner, retention, 'USAGE') THEN
    BEGIN
      EXECUTE format('GRANT %I TO %I', retention, owner);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE insufficient_privilege USING MESSAGE = format(
        '%s must be a member of %s, to which the partitioned tables go; somebody with CREATEROLE must run: '
        'GRANT %I TO %I', owner, retention, retention, owner);
    END;
  END IF;

  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I, %I, %I', spot, writer, reader, retention);
  EXECUTE format('GRANT CREATE ON SCHEMA %I TO %I', spot, retention);
  EXECUTE format('GRANT USAGE ON SCHEMA monitoring TO %I', reader);
  -- A grant by somebody who does not own the schema is only a warning.
  IF NOT has_schema_privilege(writer, spot, 'USAGE') OR NOT has_schema_privilege(retention, spot, 'USAGE, CREATE')
     OR NOT has_schema_privilege(retention, spot, 'CREATE') THEN
    RAISE insufficient_privilege USING MESSAGE = format(
      'schema %s belongs to %s, who must run: GRANT USAGE ON SCHEMA %I TO %I, %I, %I; GRANT CREATE ON SCHEMA %I TO %I',
      spot, (SELECT pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = spot),
      spot, writer, reader, retention, spot, retention);
  END IF;
  IF NOT has_schema_privilege(reader, 'monitoring', 'USAGE') THEN
    RAISE insufficient_privilege USING MESSAGE = format(
      'schema monitoring belongs to %s, who must run: GRANT USAGE ON SCHEMA monitoring TO %I',
      (SELECT pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'monitoring'), reader);
  END IF;

  -- table, rights of the writer, rights of retention, columns that the reader does not see ('*': none of them)
  FOR entry IN SELECT * FROM (VALUES
    ('schema_migrations',    'SELECT',                        'SELECT',                                         NULL),
    ('identity_key',         'SELECT',                        NULL,                                             '*'),
    ('source_files',         'SELECT, INSERT, UPDATE',
     'SELECT (stream, file_key, generation, last_advanced_at, covers_until), DELETE', 'confirm'),
    ('source_facts',         'SELECT, INSERT, UPDATE',
     'SELECT (stream, file_key, generation, last_advanced_at, covers_until), DELETE', NULL),
    ('dead_letters',         'INSERT, SELECT (reason)',       'SELECT (id, at), DELETE',                        'body_hmac'),
    ('etl_jobs',             'SELECT, INSERT',                'SELECT, REFERENCES',                             NULL),
    ('run_ids',              'SELECT, INSERT, UPDATE',        'SELECT, DELETE, REFERENCES',                     NULL),
    ('job_runs',             'SELECT, INSERT, UPDATE',        NULL,                                             NULL),
    ('run_attempts',         'SELECT, INSERT, UPDATE',        'SELECT',                                         NULL),
    ('task_runs',            'SELECT, INSERT, UPDATE',        'SELECT',                                         NULL),
    ('run_state_changes',    'INSERT',                        NULL,                                             NULL),
    ('summary_dirty',        'INSERT',                        'SELECT, UPDATE, DELETE',                         NULL),
    ('job_daily_summary',    NULL,                            'SELECT, INSERT, UPDATE, DELETE',                 NULL),
    ('dq_check_definitions', 'SELECT, INSERT',                'SELECT, REFERENCES',                             NULL),
    ('dq_observations',      'INSERT',                        NULL,                                             NULL),
    ('dq_check_results',     'SELECT, INSERT',                NULL,                                             NULL),
    ('dataset_status',       'SELECT, INSERT, UPDATE',        NULL,                                             NULL),
    ('log_events',           'INSERT, SELECT (event_id, ts)', NULL,                                             NULL),
    ('traces',               'SELECT, INSERT, UPDATE',        NULL,                                             NULL),
    ('spans',                'INSERT, SELECT (id, ts)',       NULL,                                             NULL),
    ('chat_messages',        'INSERT, SELECT (id, ts)',       NULL,                                             NULL),
    ('document_events',      'INSERT, SELECT (id, ts)',       NULL,                                             NULL),
    ('metrics_aggregates',   'SELECT, INSERT, UPDATE',        NULL,                                             NULL),
    ('provider_sync_status', 'SELECT, INSERT, UPDATE',        NULL,                                             NULL),
    ('metric_snapshots',     'INSERT, SELECT (id, ts)',       NULL,                                             NULL),
    ('service_heartbeats',   'SELECT, INSERT, UPDATE',        'SELECT (last_seen_at), DELETE',                  NULL),
    ('fleet_counts',         'INSERT',                        'SELECT, DELETE',                                 NULL),
    ('fleet_totals',         NULL,                            'SELECT, INSERT, UPDATE',                         NULL),
    ('access_log',           'INSERT',                        NULL,                                             NULL),
    ('audit_events',         'INSERT',                        NULL,                                             NULL),
    ('alert_channels',       NULL,                            NULL,                                             NULL),
    ('alert_rules',          NULL,                            NULL,                                             NULL),
    ('alert_rule_channels',  NULL,                            NULL,                                             NULL),
    ('alert_events',         NULL,                            'SELECT, INSERT, UPDATE, DELETE',                 NULL),
    ('alert_deliveries',     NULL,                            'SELECT, INSERT, UPDATE, DELETE',                 NULL),
    ('alert_watch',          NULL,                            'SELECT, INSERT, UPDATE, DELETE',                 NULL),
    ('alert_silences',       NULL,                            'SELECT, INSERT',                                 NULL),
    ('evaluation_progress',  NULL,                            'SELECT, INSERT, UPDATE',                         NULL),
    ('runs',                 NULL,                            NULL,                                             NULL)
  ) AS v(name, writer_rights, retention_rights, unseen)
  JOIN LATERAL (SELECT to_regclass(format('%I.%I', spot, v.name)) AS oid) AS t ON t.oid IS NOT NULL LOOP
    -- What only an owner may do: the partitioned tables and all their partitions. Each needs a short exclusive lock, once.
    FOR part IN SELECT c.oid::regclass AS name
        FROM pg_catalog.pg_partition_tree(entry.oid) tree JOIN pg_catalog.pg_class c ON c.oid = tree.relid
        WHERE c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = entry.oid AND relkind = 'p')
          AND pg_get_userbyid(c.relowner) <> retention LOOP
      EXECUTE format('ALTER TABLE %s OWNER TO %I', part.name, retention);
    END LOOP;
    -- And hypertables, whose chunks go along.
    is_hypertable := false;
    IF to_regclass('timescaledb_information.hypertables') IS NOT NULL THEN
      EXECUTE 'SELECT EXISTS (SELECT FROM timescaledb_information.hypertables '
              'WHERE hypertable_schema = $1 AND hypertable_name = $2 AND owner <> $3)'
        INTO is_hypertable USING spot, entry.name, retention;
    END IF;
    IF is_hypertable THEN
      EXECUTE format('ALTER TABLE %s OWNER TO %I', entry.oid, retention);
    END IF;
    EXECUTE format('REVOKE ALL ON %s FROM %I, %I', entry.oid, writer, reader);
    IF entry.writer_rights IS NOT NULL THEN
      EXECUTE format('GRANT %s ON %s TO %I', entry.writer_rights, entry.oid, writer);
    END IF;
    IF entry.retention_rights IS NOT NULL THEN
      EXECUTE format('REVOKE ALL ON %s FROM %I', entry.oid, retention);
      EXECUTE format('GRANT %s ON %s TO %I', entry.retention_rights, entry.oid, retention);
    END IF;
    IF entry.unseen IS NULL THEN
      EXECUTE format('GRANT SELECT ON %s TO %I', entry.oid, reader);
    ELSIF entry.unseen <> '*' THEN
      EXECUTE (SELECT format('GRANT SELECT (%s) ON %s TO %I', string_agg(quote_ident(attname), ', '), entry.oid, reader)
               FROM pg_catalog.pg_attribute
               WHERE attrelid = entry.oid AND attnum > 0 AND NOT attisdropped AND attname <> entry.unseen);
    END IF;
  END LOOP;
  EXECUTE format('GRANT SELECT ON monitoring.job_runs, monitoring.dataset_status TO %I', reader);
END $roles$;
