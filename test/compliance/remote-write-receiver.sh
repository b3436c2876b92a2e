#!/bin/sh
# Runs the receiver suite of Prometheus's compliance tests against a real Kept server and prints how many results passed.
# It needs Go and a Go module proxy, and about two minutes the first time. Arguments go to go test.
#
#	test/compliance/remote-write-receiver.sh [-run TestBadContentTypes]
. "$(dirname "$0")/lib.sh"
suite=github.com/prometheus/compliance/remotewrite/receiver@v0.0.0-20260806071727-67b8327a2e93

# The suite is a module of tests: it is copied out of the module cache, so that nothing of it comes into our go.mod.
mkdir "$work/module"
cd "$work/module"
printf 'module scratch\n\ngo 1.26\n' >go.mod
dir=$(go mod download -json "$suite" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
cp -R "$dir" suite
chmod -R u+w suite

build_kept
serve_kept data "${PORT:-18919}"

cat >"$work/config.yml" <<CONFIG
remote_write:
  - name: kept
    url: $url/prometheus/api/v1/write
    authorization:
      credentials: $key
CONFIG
cd suite
status=0
PROMETHEUS_RW2_COMPLIANCE_CONFIG_FILE="$work/config.yml" go test -count=1 -v "$@" . >"$work/results" 2>&1 || status=$?
grep -E '^ *--- FAIL|^(FAIL|panic)' "$work/results" || true
echo "passed $(grep -c '^ *--- PASS' "$work/results" || true), failed $(grep -c '^ *--- FAIL' "$work/results" || true), skipped $(grep -c '^ *--- SKIP' "$work/results" || true)"
[ $status = 0 ] || tail -5 "$work/results"
exit $status
