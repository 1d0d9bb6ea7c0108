#!/usr/bin/env bash
# Usage: packaging/test-container-image.sh BUILD_FOLDER [--whole]
# Builds the image of packaging/docker with buildah on a base made here by mmdebstrap, and runs it with podman: read-only, as
# nobody, beside a worker that writes a file, and as the pod of packaging/kubernetes/sidecar-job.yaml. The programs come from
# the finished build; --whole compiles them in the image's own first stage. Needs root and a Debian mirror.
# Exit codes: 0 all as it should be, 1 not, 77 this machine cannot do it (the last line says what lacks).
set -euo pipefail
[ $# -ge 1 ] && [ -x "$1/runtail" ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
build=$(realpath "$1")
whole=${2:-}
tree=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
cannot() { echo "cannot run here: $1"; exit 77; }
[ "$(id -u)" = 0 ] || cannot "needs root"
for tool in mmdebstrap buildah podman runc catatonit; do command -v "$tool" >/dev/null || cannot "no $tool"; done
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null) || true
[ -n "$mirror" ] || cannot "no Debian mirror in /etc/apt/sources.list.d/debian.sources"

work=$(mktemp -d)
# No limit above what this machine lets a container have; runc, which knows every kind of control group.
cat >"$work/containers.conf" <<'C'
[containers]
default_ulimits=["nofile=20000:20000","nproc=32768:32768"]
[engine]
cgroup_manager="cgroupfs"
runtime="runc"
events_logger="file"
C
export CONTAINERS_CONF=$work/containers.conf
store=(--root "$work/store" --runroot "$work/run" --storage-driver overlay)
# Without systemd nobody calls a healthcheck by the clock, and podman says so each time.
pod() { podman --log-level=fatal "${store[@]}" "$@"; }
cleanup() {
  pod pod rm -a -f -t 0 >/dev/null 2>&1 || true
  pod rm -a -f -t 0 >/dev/null 2>&1 || true
  # What the store holds mounted, deepest first.
  awk -v under="$work/" 'index($2, under) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
say() { echo "ok  $1 ($((SECONDS)) s)"; }
fail() { echo "FAILED: $1"; pod logs agent 2>&1 | tail -20 || true; exit 1; }
until_true() {  # until_true SECONDS COMMAND...: waits for an event no tool tells of
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; read -rt 0.2 <> <(:) || true; done
}

mmdebstrap -q --variant=minbase bookworm "$work/base.tar" "$mirror" >"$work/base.log" 2>&1 ||
  cannot "no Debian 12 to be had: $(tail -3 "$work/base.log")"
pod import -q -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' -c 'CMD ["bash"]' \
  "$work/base.tar" localhost/debian:12-slim >"$work/import.log" 2>&1 || cannot "podman: $(tail -3 "$work/import.log")"
rm "$work/base.tar"
say "a base image was made"

bud=(buildah "${store[@]}" bud --network host --format docker --pull=never --build-arg BASE=localhost/debian:12-slim
  -t localhost/runtail:test)
if [ "$whole" = --whole ]; then
  mkdir -p "${CCACHE_DIR:=$HOME/.cache/ccache}"
  "${bud[@]}" --env CCACHE_DIR=/ccache -v "$CCACHE_DIR:/ccache" -f "$tree/packaging/docker/Dockerfile" "$tree" >"$work/bud.log" 2>&1 ||
    { tail -30 "$work/bud.log"; fail "the image builds, every stage of it"; }
else
  "$tree/packaging/docker/stage.sh" "$build" "$work/build/stage" 2>/dev/null
  # The last stage alone: what it takes from the first one lies in a folder.
  sed -e '/ AS build$/,/^FROM \${BASE}$/{/^FROM \${BASE}$/!d}' -e 's/--from=build \/stage\//stage\//' \
    "$tree/packaging/docker/Dockerfile" >"$work/build/Dockerfile"
  "${bud[@]}" "$work/build" >"$work/bud.log" 2>&1 || { tail -30 "$work/bud.log"; fail "the image builds"; }
fi
size() { pod image inspect --format '{{.Size}}' "$1"; }
ours=$(( ($(size localhost/runtail:test) - $(size localhost/debian:12-slim)) / 1000000 ))
[ "$ours" -le 45 ] || fail "our layers have $ours MB, more than 45"
[ "$(pod image inspect --format '{{.Config.User}}' localhost/runtail:test)" = 65532:65532 ] || fail "its user is nobody's"
say "the image was built; our layers have $ours MB"

closed=(--read-only --read-only-tmpfs=false --cap-drop all --security-opt no-new-privileges)
pod run --rm "${closed[@]}" --network none localhost/runtail:test version >/dev/null || fail "it runs"
pod run --rm "${closed[@]}" --network none --entrypoint /bin/sh localhost/runtail:test -c '! touch /x 2>/dev/null' ||
  fail "its root cannot be written"
pod run --rm "${closed[@]}" --network none --entrypoint /bin/sh localhost/runtail:test -c 'test "$(id -u)" = 65532' || fail "its user"
line() { printf '{"ts":"2026-03-01T00:00:00Z","level":"INFO","msg":"m","job_id":"%s","run_id":"%s","event":"run.finished","status":"success"}\n' "$1" "$2"; }

# Only a loopback: nothing here needs more, and it takes no firewall.
pod pod create --network none --name etl >/dev/null 2>"$work/pod.log" || cannot "podman makes no pod: $(tail -3 "$work/pod.log")"
pod volume create logs >/dev/null; pod volume create state >/dev/null
# As the kubelet's fsGroup does; a volume takes after what the image has in that place, and a worker's image has nothing.
pod run --rm --network none --user 0 -v logs:/logs localhost/debian:12-slim chmod 777 /logs
pod run -d --pod etl --name agent "${closed[@]}" --memory 96m -v logs:/logs:ro -v state:/var/lib/runtail \
  -e RUNTAIL_NAME=etl -e 'RUNTAIL_SOURCE_INCLUDE=/logs/*.log' localhost/runtail:test >/dev/null || fail "the agent starts"
pod run --rm --pod etl "${closed[@]}" --user 1000:1000 -v logs:/logs -e "LINE=$(line orders r1)" localhost/debian:12-slim \
  sh -c 'echo "$LINE" > /logs/orders.log' || fail "a worker writes beside it"
runs() { pod exec agent runtail runs --output csv; }
has_run() { runs | grep "$1" >/dev/null; }
until_true 20 has_run orders || fail "a line in the shared volume becomes a run"
pod healthcheck run agent >/dev/null 2>&1 || fail "its healthcheck says yes"
pod run --rm --pod etl "${closed[@]}" localhost/debian:12-slim bash -c \
  'exec 3<>/dev/tcp/127.0.0.1/9847; printf "GET /metrics HTTP/1.0\r\n\r\n" >&3; grep -m1 "^trialsync_jobs_total{.*orders" <&3' >/dev/null ||
  fail "its metrics are there for the pod"
say "beside a worker, sharing a volume: a run, healthy, metrics; read-only, no capability, 96 MB"
before=$SECONDS
pod stop -t 20 agent >/dev/null 2>&1
[ "$(pod inspect --format '{{.State.ExitCode}}' agent)" = 0 ] && [ $((SECONDS - before)) -le 10 ] || fail "it ends on SIGTERM within 8 s"
pod healthcheck run agent >/dev/null 2>&1 && fail "its healthcheck says no once it is gone"
pod start agent >/dev/null || fail "it starts again"
until_true 20 has_run orders || fail "the history is there again"
[ "$(runs | grep -c orders)" = 1 ] || fail "nothing twice"
pod pod rm -f -t 0 etl >/dev/null 2>&1
say "ended on SIGTERM, started again, nothing twice"

# The Job's pod as podman knows it: a native sidecar is a container, probes and secrets are left out.
python3 - "$tree/packaging/kubernetes/sidecar-job.yaml" >"$work/pod.yaml" <<'P'
import sys, yaml
job = yaml.safe_load(open(sys.argv[1]))
spec = job["spec"]["template"]["spec"]
sidecars = [c for c in spec["initContainers"] if c.get("restartPolicy") == "Always"]
spec["initContainers"] = [c for c in spec["initContainers"] if c not in sidecars]
for each in sidecars:
    for key in ("restartPolicy", "startupProbe", "livenessProbe", "ports"):
        del each[key]
    each["env"] = [e for e in each["env"] if "value" in e and "POSTGRES" not in e["name"]]
    each["volumeMounts"] = [m for m in each["volumeMounts"] if m["name"] != "postgres"]
spec["volumes"] = [v for v in spec["volumes"] if v["name"] != "postgres"]
for each in spec["initContainers"] + sidecars:
    each["image"] = "localhost/runtail:test"
for worker in spec["containers"]:
    worker["image"] = "localhost/debian:12-slim"
    worker["args"] = ["bash", "-c", "echo '{\"level\":\"INFO\",\"msg\":\"half\"}'; exit 3"]
spec["containers"] = sidecars + spec["containers"]
for each in spec["initContainers"] + spec["containers"]:
    each["imagePullPolicy"] = "Never"
print(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "job"}, "spec": spec}))
P
pod play kube --network none "$work/pod.yaml" >"$work/kube.log" 2>&1 || { tail -5 "$work/kube.log"; fail "podman plays the Job's pod"; }
agent_of_job() { pod exec job-runtail runtail runs --output csv; }
failed_run() { agent_of_job | grep 'orders.*failed' >/dev/null; }
until_true 20 failed_run || { pod logs job-worker 2>&1 | tail -5; agent_of_job || true; fail "a wrapped worker's exit code ends its run"; }
[ "$(pod wait job-worker)" = 3 ] || fail "the worker's exit code is its own"
say "the Job's pod: runtail-exec copied in, its worker's exit code ended the run as failed"
