#!/usr/bin/env bash
# Usage: make-secrets.sh [FOLDER]    Makes the passwords that are not there yet, one file each. Default: /secrets
# Readable by every user of the containers that mount the volume: each runs as a user of its own.
set -euo pipefail
folder=${1:-/secrets}
for name in owner agent reader server grafana api; do
  file=$folder/$name
  [ -s "$file" ] || head -c 48 /dev/urandom | base64 -w 0 | tr '+/' '-_' >"$file"
  chmod 444 "$file"
done
