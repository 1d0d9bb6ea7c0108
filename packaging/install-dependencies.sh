#!/usr/bin/env bash
# Usage: packaging/install-dependencies.sh SECTION...
# Installs the packages of debian-packages.txt that are missing, and nothing else. Asks for no password if nothing is
# missing. Services of newly installed packages (PostgreSQL, Prometheus) are not started: only the programs are wanted.
set -euo pipefail
list="$(dirname "${BASH_SOURCE[0]}")/debian-packages.txt"
[ $# -gt 0 ] || { echo "usage: $0 SECTION... (sections: $(sed -n 's/^\[\(.*\)\]$/\1/p' "$list" | xargs))" >&2; exit 2; }

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
is_known() { [ -n "$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([^(].*\)/\1/p')" ]; }

# Lines of one section, alternatives as "a b".
packages_of() {
  awk -v want="[$1]" '/^\[/ { inside = ($0 == want); seen += inside; next }
    inside && NF && !/^#/ { gsub(/\|/, " "); print }
    END { if (!seen) exit 1 }' "$list" || { echo "$list: no section [$1]" >&2; exit 2; }
}

# One line a package that still has to come: the alternatives where none of them is installed.
missing=()
for section in "$@"; do
  lines="$(packages_of "$section")"
  while read -r -a alternatives; do
    found=
    for package in "${alternatives[@]}"; do if is_installed "$package"; then found=1; fi; done
    [ -n "$found" ] || missing+=("${alternatives[*]}")
  done <<<"$lines"
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "missing packages: ${missing[*]}; install sudo, or install them as root" >&2
    exit 4
  fi
  as_root=(sudo)
fi

# Debian starts a service when its package is installed, unless this file says no. It is there only while apt runs.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '%s\n' '#!/bin/sh' '# Made by install-dependencies.sh of runtail while it installs; may be removed.' 'exit 101' |
    "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi

retry_once() { "$@" || { echo "trying once more: $*" >&2; sleep 5; "$@"; }; }
retry_once "${as_root[@]}" apt-get update -q

wanted=()
for alternatives in "${missing[@]}"; do
  chosen=
  for package in $alternatives; do
    if [ -z "$chosen" ] && is_known "$package"; then chosen="$package"; fi
  done
  [ -n "$chosen" ] || { echo "no package of \"$alternatives\" is known to apt on this release; see $list" >&2; exit 4; }
  wanted+=("$chosen")
done
echo "installing: ${wanted[*]}"
retry_once "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -q -y -o Dpkg::Use-Pty=0 --no-install-recommends "${wanted[@]}"
