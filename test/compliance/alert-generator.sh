#!/bin/sh
# Runs the alert generator suite of Prometheus's compliance tests: its rules are imported, it writes samples for 37 minutes
# and compares rules, alerts, ALERTS series, and what comes to an Alertmanager, which it stands in for. It needs Go and a Go
# module proxy, and git.
. "$(dirname "$0")/lib.sh"
port=${PORT:-18950}

build_kept
suite alert_generator
(cd "$work/suite" && go build -o "$work/tester" ./cmd/alert_generator_compliance_tester)
serve_kept data "$port" --allow-private
curl -fsS -X PUT -H "Authorization: Bearer $key" -H 'Content-Type: application/yaml' --data-binary "@$work/suite/rules.yaml" "$url/api/v1/rules" >/dev/null

# The channel to the suite is made as a person would make it.
form() {
	path=$1
	shift
	curl -fsS -o /dev/null -b "$work/cookies" -c "$work/cookies" -H "Origin: $url" -H 'Sec-Fetch-Site: same-origin' "$@" "$url$path"
}
form /sign-in -d email=suite@example.com --data-urlencode 'password=a long enough password'
form "/w/$workspace/channels" -d kind=alertmanager -d name=suite -d resolved=on --data-urlencode "url=http://127.0.0.1:$((port + 1))"

cat >"$work/test.yaml" <<CONFIG
settings:
  remote_write_url: $url/prometheus/api/v1/write
  query_base_url: $url/prometheus
  rules_and_alerts_api_base_url: $url/prometheus
  alert_reception_server_port: $((port + 1))
auth:
  remote_write: {basic_auth_user: suite, basic_auth_pass: $key}
  rules_and_alerts_api: {basic_auth_user: suite, basic_auth_pass: $key}
  query: {basic_auth_user: suite, basic_auth_pass: $key}
CONFIG
sleep 35 # until every group was evaluated once, as the suite asks for
status=0
"$work/tester" -config-file "$work/test.yaml" >"$work/results" 2>&1 || status=$?
grep -v 'level=' "$work/results" || true
exit $status
