#!/usr/bin/env bash
# Usage: ./demo.sh [--postgres] [--keep] [--binary FILE]
# Installs what is missing, builds runtail, and shows it at work on sample ETL workers, in a private temporary folder
# that is removed at the end (--keep leaves it). --postgres: the same into a private PostgreSQL started for the demo.
# --binary: shows that runtail instead; nothing is installed or built.
# Exits 5 if anything runtail wrote holds one of the sample secrets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
postgres= keep= runtail=
while [ $# -gt 0 ]; do
  case "$1" in
    --postgres) postgres=1 ;;
    --keep) keep=1 ;;
    --binary)
      [ -x "${2:-}" ] && [ -f "$2" ] || { echo "demo: --binary needs a program, not \"${2:-}\"" >&2; exit 2; }
      runtail="$(realpath "$2")"
      shift
      ;;
    -h | --help) sed -n '2,6s/^# //p' demo.sh; exit 0 ;;
    *) echo "demo: no option $1; ./demo.sh --help lists them" >&2; exit 2 ;;
  esac
  shift
done
step=0
title() {
  step=$((step + 1))
  if [ -t 1 ]; then printf '\n\033[1m== %d. %s\033[0m\n' "$step" "$*"; else printf '\n== %d. %s\n' "$step" "$*"; fi
}
fail() { echo "demo: $*" >&2; exit 1; }

if [ -z "$runtail" ]; then
  title "Install and build"
  sections=(build demo)
  if [ -n "$postgres" ]; then sections+=(demo-postgres); fi
  packaging/install-dependencies.sh "${sections[@]}"
  if [ ! -f build/release/build.ninja ]; then cmake --preset release; fi
  cmake --build --preset release --target runtail -j "$(nproc)"
  runtail="$PWD/build/release/runtail"
fi
"$runtail" version

# Everything below lives in $dir and ends with this script: processes by their id, files by the folder.
dir="$(mktemp -d "${TMPDIR:-/tmp}/runtail-demo.XXXXXX")"
agent= pg_bin= pg_dir=
as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
stop_agent() {
  if [ -n "$agent" ]; then kill "$agent" 2>/dev/null || true; wait "$agent" 2>/dev/null || true; agent=; fi
}
clean_up() {
  stop_agent
  if [ -n "$pg_dir" ]; then
    as_postgres "$pg_bin/pg_ctl" -D "$pg_dir/data" -m immediate stop >/dev/null 2>&1 || true
    if [ -z "$keep" ]; then rm -rf "$pg_dir"; fi
  fi
  if [ -n "$keep" ]; then echo "kept: $dir $pg_dir"; else rm -rf "$dir"; fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local deadline=$((SECONDS + $1)) what="$2"
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || { tail -n 20 "$dir/agent.log" >&2 || true; fail "$what did not happen in time"; }
    sleep 0.1
  done
}

# These variables are the whole configuration: nothing of the caller's or of an installed runtail may slip in.
for name in $(compgen -e | grep '^RUNTAIL_' || true); do unset "$name"; done
export RUNTAIL_CONFIG=/dev/null RUNTAIL_BUFFER_DIRECTORY="$dir/buffer"
if [ -n "$postgres" ]; then
  title "A private PostgreSQL, and runtail's schema in it"
  pg_bin="$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)"
  pg_dir="$(mktemp -d "${TMPDIR:-/tmp}/runtail-demo-pg.XXXXXX")"
  if [ "$(id -u)" = 0 ]; then chown postgres: "$pg_dir"; fi
  as_postgres "$pg_bin/initdb" -D "$pg_dir/data" -U demo -A trust -N -E UTF8 --locale=C.UTF-8 >/dev/null
  as_postgres "$pg_bin/pg_ctl" -D "$pg_dir/data" -l "$pg_dir/log" -w start \
    -o "-c listen_addresses='' -c unix_socket_directories='$pg_dir'" >/dev/null
  export RUNTAIL_POSTGRES_URL="host=$pg_dir user=demo dbname=postgres"
  "$runtail" migrate --url "$RUNTAIL_POSTGRES_URL"
fi

title "An agent that follows log files (no configuration file)"
mkdir "$dir/logs"
port="$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
export RUNTAIL_HTTP_LISTEN="127.0.0.1:$port" RUNTAIL_SOURCE_INCLUDE="$dir/logs/*.log"
"$runtail" agent >"$dir/agent.log" 2>&1 &
agent=$!
is_ready() { curl -fsS -o /dev/null "http://127.0.0.1:$port/readyz" 2>/dev/null || ! kill -0 "$agent" 2>/dev/null; }
wait_for 20 "the agent's /readyz" is_ready
kill -0 "$agent" 2>/dev/null || { cat "$dir/agent.log" >&2; fail "the agent ended"; }
echo "ready: http://127.0.0.1:$port/readyz   buffer: $RUNTAIL_BUFFER_DIRECTORY"

title "Workers"
code=0
echo "\$ runtail exec -- worker.py orders         (a retry, data quality, secrets in the log)"
"$runtail" exec --job orders -- /usr/bin/python3 demo/worker.py orders >"$dir/orders.out" 2>"$dir/orders.err" || code=$?
[ "$code" = 0 ] || { cat "$dir/orders.err" >&2; fail "exec returned $code, not 0, for a worker that succeeds"; }
echo "  exit code 0, $(wc -l <"$dir/orders.out") lines passed through"
echo "\$ worker.py customers logs/customers.log   (the agent tails the file: one run succeeds, one fails)"
/usr/bin/python3 demo/worker.py customers "$dir/logs/customers.log"
echo "  $(wc -l <"$dir/logs/customers.log") lines written"
echo "\$ runtail exec -- worker.py inventory      (killed with SIGKILL in the middle)"
"$runtail" exec --job inventory -- /usr/bin/python3 demo/worker.py inventory \
  >"$dir/inventory.out" 2>"$dir/inventory.err" || code=$?
echo "  exit code $code = 128 + SIGKILL"
[ "$code" = 137 ] || { cat "$dir/inventory.err" >&2; fail "exec returned $code, not 137, for a killed worker"; }

runs_csv() { "$runtail" runs --output csv 2>/dev/null; }
metrics() { curl -fsS "http://127.0.0.1:$port/metrics"; }
# Four runs have ended and nothing waits for a sink.
all_settled() {
  [ "$(runs_csv | grep -cE '(^|,)(success|failed)(,|$)')" -ge 4 ] &&
    ! metrics | grep -E '^runtail_records_pending' | grep -qvE ' 0$'
}
wait_for 20 "the verdict of four runs" all_settled

title "What runtail knows: runtail runs"
"$runtail" runs

title "A piece of /metrics"
metrics >"$dir/metrics.txt"
families='jobs_total|job_failures_total|job_retries_total|records_loaded_total|dq_null_rate'
grep -E "^trialsync_($families)" "$dir/metrics.txt" | grep -vE ' 0$'

title "The ledgers: every line and every record has exactly one outcome"
grep -E '^runtail_(lines_read_total|lines_total|records_total|records_pending|ledger_imbalance)' "$dir/metrics.txt" |
  grep -vE '_total.* 0$'
grep -qE '^runtail_ledger_imbalance 0$' "$dir/metrics.txt" || fail "the ledgers do not add up"

if [ -n "$postgres" ]; then
  title "The rows in PostgreSQL"
  sql() { "$pg_bin/psql" -X -q -P pager=off -h "$pg_dir" -U demo -d postgres -c "$1"; }
  sql "SELECT job_id, external_run_id, status, end_reason, attempt_count AS attempts, records_loaded, error_category
       FROM observability.runs ORDER BY first_event_at, job_id, external_run_id"
  sql "SELECT t.name AS task, t.phase, t.attempt_no AS attempt, t.status, t.records_extracted, t.records_loaded
       FROM observability.task_runs t ORDER BY t.first_event_at, t.records_loaded"
  sql "SELECT level, count(*) AS lines, count(*) FILTER (WHERE redacted) AS redacted
       FROM observability.log_events GROUP BY level ORDER BY level"
fi

title "No secret in anything runtail wrote"
mkdir "$dir/search"
"$runtail" runs --output json >"$dir/search/runs.json"
"$runtail" status >"$dir/search/status.txt"
# Chunks on disk are compressed, and grep would miss what is in them: this is their content. Delivered chunks leave the
# buffer, so with PostgreSQL it is the database that has to hold the events.
"$runtail" buffer ls --events --limit 100000 >"$dir/search/events.jsonl"
"$runtail" buffer dead-letters --limit 100000 >"$dir/search/dead-letters.txt"
searched="$dir/search/events.jsonl"
if [ -n "$postgres" ]; then
  searched="$dir/search/pg_dump.sql"
  "$pg_bin/pg_dump" -h "$pg_dir" -U demo postgres >"$searched"
fi
grep -q 'refund to card' "$searched" || fail "$searched holds no events: the search would prove nothing"
stop_agent   # so that the files lie still
places=("buffer files:$dir/buffer" "events:$dir/search/events.jsonl $dir/search/dead-letters.txt"
  "/metrics:$dir/metrics.txt" "socket:$dir/search/runs.json $dir/search/status.txt"
  "own logs:$dir/agent.log $dir/orders.err $dir/inventory.err")
if [ -n "$postgres" ]; then places+=("postgres:$dir/search/pg_dump.sql"); fi
count() { { grep -raoF -e "$1" "${@:2}" || true; } | wc -l; }

printf '%-16s %14s |' "secret" "worker's output"
for place in "${places[@]}"; do printf ' %12s' "${place%%:*}"; done
echo
found=0
while IFS=$'\t' read -r kind text; do
  planted="$(count "$text" "$dir/orders.out")"
  [ "$planted" -gt 0 ] || fail "the sample worker did not print its $kind: the search would prove nothing"
  printf '%-16s %15s |' "$kind" "$planted"
  for place in "${places[@]}"; do
    read -r -a paths <<<"${place#*:}"
    hits="$(count "$text" "${paths[@]}")"
    found=$((found + hits))
    printf ' %12s' "$hits"
  done
  echo
done < <(/usr/bin/python3 demo/worker.py --secrets)
if [ "$found" -gt 0 ]; then
  echo "demo: $found places hold a secret (run with --keep to look at them)" >&2
  exit 5
fi
echo "None found. One of them as it was stored:"
grep -m 1 -oE 'postgresql://[^"[:space:]]+' "$searched" || true
