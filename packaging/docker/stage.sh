#!/usr/bin/env bash
# Usage: packaging/docker/stage.sh BUILD_FOLDER TO
# Lays out what the image takes from a finished build: TO/root (both programs, stripped) and TO/packages (the Debian
# packages whose libraries they load, one a line). Needs dpkg-dev and binutils.
set -euo pipefail
[ $# = 2 ] && [ -x "$1/runtail" ] && [ -x "$1/runtail-exec" ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
build=$(realpath "$1")
mkdir -p "$2/root/usr/bin"
to=$(realpath "$2")
for program in runtail runtail-exec; do
  strip -o "$to/root/usr/bin/$program" "$build/$program"
  chmod 755 "$to/root/usr/bin/$program"
done
# dpkg-shlibdeps wants to be called where a source package lies.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/debian"
printf 'Source: runtail\n\nPackage: runtail\nArchitecture: any\n' >"$scratch/debian/control"
(cd "$scratch" && dpkg-shlibdeps -O --ignore-missing-info "$to/root/usr/bin/runtail") |
  sed -n 's/^shlibs:Depends=//p' | tr ',' '\n' | sed -E 's/^ *([^ ]+).*/\1/' | sort -u >"$to/packages"
[ -s "$to/packages" ] || { echo "dpkg-shlibdeps named no package" >&2; exit 1; }
