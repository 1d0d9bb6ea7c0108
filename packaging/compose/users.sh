#!/usr/bin/env bash
# PostgreSQL's image runs it once, when the database is made: users for the agent, the server and Grafana, each a member of
# the role that `runtail migrate --roles runtail` grants its rights to. Passwords are files below $SECRETS.
set -euo pipefail
secrets=${SECRETS:-/run/secrets}
psql -X -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" \
  -v agent="$(cat "$secrets/agent")" -v reader="$(cat "$secrets/reader")" -v server="$(cat "$secrets/server")" <<'SQL'
CREATE ROLE runtail_writer NOLOGIN;
CREATE ROLE runtail_reader NOLOGIN;
CREATE ROLE runtail_retention NOLOGIN;
CREATE ROLE runtail_agent LOGIN PASSWORD :'agent' IN ROLE runtail_writer;
CREATE ROLE runtail_dashboards LOGIN PASSWORD :'reader' IN ROLE runtail_reader;
CREATE ROLE runtail_server LOGIN PASSWORD :'server' IN ROLE runtail_reader, runtail_writer, runtail_retention;
SQL
