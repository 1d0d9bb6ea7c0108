#!/usr/bin/env bash
# Usage: ./test.sh [--long] [ctest arguments]
# Installs what is missing, builds the release preset, runs every test. --long: the full numbers instead of the small
# ones. Examples: ./test.sh -R unit_      ./test.sh --long -R scenario_kill_9
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then sed -n '2,4s/^# //p' test.sh; exit 0; fi
export RUNTAIL_TEST_SCALE=short
if [ "${1:-}" = --long ]; then RUNTAIL_TEST_SCALE=long; shift; fi

started=$SECONDS
packaging/install-dependencies.sh build test
# A clone in another folder finds what was compiled before.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
cmake --preset release
cmake --build --preset release -j "$(nproc)"
echo
echo "Built in $((SECONDS - started)) s. Tests at scale \"$RUNTAIL_TEST_SCALE\" ($(nproc) cores, $(uname -sr)):"
results=$PWD/build/release/test-results
rm -rf "$results"
code=0
GTEST_OUTPUT=xml:$results/ ctest --test-dir build/release --output-on-failure -j "$(nproc)" "$@" || code=$?
# A test that this machine cannot run, or that is disabled, is not one that passed.
not_run=$(sed -nE '/result="(skipped|suppressed)"/s/.*<testcase name="([^"]*)".*result="([a-z]*)".*classname="([^"]*)".*/  \3.\1 (\2)/p' \
  "$results"/*.xml 2>/dev/null | sort || true)
[ -z "$not_run" ] || printf '\nNot run: %d tests\n%s\n' "$(wc -l <<<"$not_run")" "$not_run"
exit "$code"
