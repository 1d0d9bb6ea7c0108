#!/usr/bin/env bash
# Usage: packaging/test-debian-package.sh BUILD_FOLDER
# Makes the Debian package and a newer one of a finished build, installs, uses, upgrades, removes and purges them in a booted
# Debian 12 (systemd-nspawn), and says each thing it saw. Needs root, mmdebstrap and systemd-container, and a Debian mirror.
# Exit codes: 0 all as it should be, 1 not, 77 this machine cannot do it (the last line says what lacks).
set -euo pipefail
[ $# = 1 ] && [ -f "$1/CPackConfig.cmake" ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
build=$(realpath "$1")
cannot() { echo "cannot run here: $1"; exit 77; }
[ "$(id -u)" = 0 ] || cannot "needs root"
for tool in mmdebstrap systemd-nspawn nsenter cpack; do command -v "$tool" >/dev/null || cannot "no $tool"; done
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null) || true
[ -n "$mirror" ] || cannot "no Debian mirror in /etc/apt/sources.list.d/debian.sources"

work=$(mktemp -d)
nspawn=
cleanup() {
  if [ -n "$nspawn" ]; then kill "$nspawn" 2>/dev/null || true; wait "$nspawn" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT
say() { echo "ok  $1 ($((SECONDS)) s)"; }
fail() { echo "FAILED: $1"; inside journalctl --no-pager -u runtail 2>/dev/null | tail -20 || true; exit 1; }

package() {  # package VERSION: its path
  (cd "$build" && cpack -G DEB -D CPACK_PACKAGE_VERSION="$1" -B "$work/$1" >"$work/cpack.log" 2>&1) || { cat "$work/cpack.log"; exit 1; }
  ls "$work/$1"/*.deb
}
old=$(package 0.1.0)
new=$(package 0.2.0)
root=$work/root
mmdebstrap -q --variant=minbase --include=systemd,systemd-sysv,dbus,procps \
  --customize-hook="copy-in $old $new /opt" \
  --customize-hook="chroot \"\$1\" apt-get -qq -y --no-install-recommends install /opt/$(basename "$old")" \
  --customize-hook='chroot "$1" dpkg --purge runtail' \
  bookworm "$root" "$mirror" >"$work/root.log" 2>&1 || cannot "no Debian 12 to be had: $(tail -3 "$work/root.log")"
say "a Debian 12 was made; installed and purged without systemd running"

systemd-nspawn --register=no --keep-unit -q --private-network -b -D "$root" >"$work/boot.log" 2>&1 &
nspawn=$!
pid=
is_up() { pid=$(pgrep -P "$nspawn" -x systemd); }
inside() { nsenter -t "$pid" -a -- env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
until_true() {  # until_true SECONDS COMMAND...: waits for an event no tool tells of
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; read -rt 0.2 <> <(:) || true; done
}
until_true 20 is_up || cannot "systemd-nspawn does not start: $(tail -3 "$work/boot.log")"
until_true 60 inside systemctl is-active multi-user.target || cannot "it does not boot: $(tail -3 "$work/boot.log")"
say "it booted"

inside apt-get -qq -y --no-install-recommends install "/opt/$(basename "$old")" >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; fail "install"; }
[ "$(inside stat -c %U:%G:%a /etc/runtail/runtail.yaml)" = root:runtail:640 ] || fail "owner and mode of runtail.yaml"
inside id runtail | grep '(adm)' >/dev/null || fail "user runtail is in adm"
inside systemctl is-active runtail && fail "it starts before it is configured"
inside runtail check >/dev/null || fail "the configuration it ships is valid"
for unit in runtail.service runtail@.service; do inside systemd-analyze verify "/lib/systemd/system/$unit" || fail "verify $unit"; done
inside systemd-analyze security --offline=true --threshold=20 /lib/systemd/system/runtail.service >/dev/null || fail "exposure above 2.0"
say "installed: user, modes, units, exposure at most 2.0"

inside sh -c 'mkdir -p /var/log/etl && chmod 750 /var/log/etl && chgrp adm /var/log/etl
cat >> /etc/runtail/runtail.yaml <<Y
sources:
  - {name: etl, include: [/var/log/etl/*.log]}
  - {name: journal, type: journald, units: [worker.service]}
Y'
line() { printf '{"ts":"2026-03-01T00:00:00Z","level":"INFO","msg":"m","job_id":"%s","run_id":"%s","event":"run.finished","status":"success"}\n' "$1" "$2"; }
line orders r1 | inside sh -c 'umask 027; cat > /var/log/etl/a.log; chgrp adm /var/log/etl/a.log'
inside systemctl enable -q --now runtail || fail "start"
[ "$(inside systemctl show -p StatusText --value runtail)" = "reads and delivers" ] || fail "its status in systemctl"
runs() { inside runtail runs --output csv --limit 100; }
has_run() { runs | grep "$1" >/dev/null; }
until_true 20 has_run orders || fail "a line of a file becomes a run"
line fromjournal j1 >"$root/opt/line"
inside systemd-run -q --wait --unit worker cat /opt/line || fail "a worker in the journal"
until_true 20 has_run fromjournal || fail "a line of the journal becomes a run under the sandbox"
say "runs from a file and from the journal, under the sandbox"

before=$(inside systemctl show -p MainPID --value runtail)
inside sh -c 'sed -i "s|/var/log/etl/\*.log|/var/log/etl/*.log, /var/log/etl/*.out|" /etc/runtail/runtail.yaml'
line reloaded l1 | inside sh -c 'umask 027; cat > /var/log/etl/b.out; chgrp adm /var/log/etl/b.out'
inside systemctl reload runtail || fail "reload"
until_true 20 has_run reloaded || fail "a reload follows another file"
inside sh -c 'cp /etc/runtail/runtail.yaml /opt/good.yaml; echo "sorces: []" >> /etc/runtail/runtail.yaml'
inside systemctl reload runtail 2>/dev/null && fail "a wrong configuration is refused by reload"
inside sh -c 'cat /opt/good.yaml > /etc/runtail/runtail.yaml'
[ "$(inside systemctl show -p MainPID --value runtail)" = "$before" ] || fail "a reload keeps the process"
say "reloaded: another file is followed, a wrong configuration is refused, the process stays"
inside systemctl kill -s KILL runtail
restarted() { [ "$(inside systemctl show -p NRestarts --value runtail)" = 1 ] && inside systemctl is-active runtail; }
until_true 20 restarted || fail "it comes back after SIGKILL"
[ "$(runs | grep -c 'orders')" = 1 ] || fail "no run twice after SIGKILL"
say "it came back after SIGKILL, nothing twice"
[ "$(inside systemctl show -p MainPID --value runtail)" != "$before" ] || fail "another process"
inside sh -c 'mkdir -p /etc/systemd/system/runtail.service.d
printf "[Service]\nWatchdogSec=20\n" > /etc/systemd/system/runtail.service.d/watchdog.conf; systemctl daemon-reload; systemctl restart runtail'
main=$(inside systemctl show -p MainPID --value runtail)
inside kill -STOP "$main"
revived() { [ "$(inside systemctl show -p MainPID --value runtail)" != "$main" ] && inside systemctl is-active runtail; }
until_true 60 revived || fail "the watchdog ends a process that hangs"
inside journalctl --no-pager -u runtail | grep -i watchdog >/dev/null || fail "the journal names the watchdog"
say "the watchdog ended a process that stood still, and it came back"

inside apt-get -qq -y install "/opt/$(basename "$new")" >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; fail "upgrade"; }
inside grep -q 'name: journal' /etc/runtail/runtail.yaml || fail "the upgrade kept the configuration"
until_true 20 inside systemctl is-active runtail || fail "it runs after the upgrade"
[ "$(inside systemctl show -p MainPID --value runtail)" != "$main" ] || fail "the upgrade started it anew"
line orders r2 | inside sh -c 'cat >> /var/log/etl/a.log'
two_runs() { [ "$(runs | grep -c orders)" = 2 ]; }
until_true 20 two_runs || fail "it reads on after the upgrade, and repeats nothing"
say "upgraded: configuration and state kept, started anew, reads on"

inside apt-get -qq -y remove runtail >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; fail "remove"; }
inside test -e /etc/runtail/runtail.yaml || fail "remove keeps the configuration"
inside test -e /var/lib/runtail/buffer || fail "remove keeps what is buffered"
inside pgrep -x runtail && fail "remove stops it"
inside apt-get -qq -y purge runtail >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; fail "purge"; }
inside test -e /etc/runtail && fail "purge takes the configuration"
inside test -e /var/lib/runtail && fail "purge takes the state"
say "removed and purged"
