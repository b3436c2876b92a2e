#!/bin/sh
# Runs the receiver suite of Prometheus's compliance tests against a real Kept server and prints how many results passed.
# It needs Go and a Go module proxy, and about two minutes the first time. Arguments go to go test.
#
#	test/compliance/remote-write-receiver.sh [-run TestBadContentTypes]
set -eu
suite=github.com/prometheus/compliance/remotewrite/receiver@v0.0.0-20260806071727-67b8327a2e93
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; chmod -R u+w "$work"; rm -rf "$work"' EXIT INT TERM

# The suite is a module of tests: it is copied out of the module cache, so that nothing of it comes into our go.mod.
cd "$work"
printf 'module scratch\n\ngo 1.26\n' >go.mod
dir=$(go mod download -json "$suite" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
cp -R "$dir" suite
chmod -R u+w suite

kept=${KEPT:-$work/kept}
[ -x "$kept" ] || (cd "$root" && CGO_ENABLED=0 go build -o "$kept" ./cmd/kept)
"$kept" setup --data "$work/data" --email suite@example.com --password "a long enough password" --json >"$work/setup.json"
key=$(sed -n 's/.*"api_key":"\([^"]*\)".*/\1/p' "$work/setup.json")
port=${PORT:-18919}
"$kept" serve --data "$work/data" --addr "127.0.0.1:$port" >"$work/server.log" 2>&1 &
server=$!
i=0
until curl -fsS "http://127.0.0.1:$port/readyz" >/dev/null 2>&1; do
	i=$((i + 1))
	[ $i -lt 100 ] || { cat "$work/server.log"; exit 1; }
	sleep 0.1
done

cat >"$work/config.yml" <<CONFIG
remote_write:
  - name: kept
    url: http://127.0.0.1:$port/prometheus/api/v1/write
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
