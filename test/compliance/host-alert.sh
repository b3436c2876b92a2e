#!/bin/sh
# A host alert explains itself, from end to end: an agent reports this machine, a process burns a core, and the message that
# a webhook gets, as well as the alert's page, name that process. It needs Go and Linux, and takes two minutes.
. "$(dirname "$0")/lib.sh"
port=${PORT:-18970}

build_kept
agent=${KEPT_AGENT:-$work/kept-agent}
[ -x "$agent" ] || (cd "$root" && CGO_ENABLED=0 go build -o "$agent" ./cmd/kept-agent)
mkdir "$work/hook"
cat >"$work/hook/main.go" <<'GO'
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	panic(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		os.Stdout.Write(append(body, '\n'))
	})))
}
GO
(cd "$work/hook" && GOWORK=off go build -o "$work/receiver" main.go)
serve_kept data "$port" --allow-private
start hooked "$work/receiver" "127.0.0.1:$((port + 1))"

form() {
	path=$1
	shift
	curl -fsS -b "$work/cookies" -c "$work/cookies" -H "Origin: $url" -H 'Sec-Fetch-Site: same-origin' "$@" "$url$path"
}
form /sign-in -o "$work/page" -d email=suite@example.com --data-urlencode 'password=a long enough password'
form "/w/$workspace/channels" -o "$work/page" -d kind=webhook -d name=hook -d resolved=on --data-urlencode "url=http://127.0.0.1:$((port + 1))/"
channel=$(grep -o "/w/$workspace/channels/[0-9a-z]\{26\}" "$work/page" | head -1 | sed 's/.*\///')
form "/w/$workspace/alerts/routing/default" -o "$work/page" --data-urlencode "name=Everything else" -d "channel-0=$channel" -d group_by=alertname -d wait=1s -d interval=1m -d repeat=4h
start agent env KEPT_AGENT_KEY="$key" "$agent" run --server "$url" --instance this-host --interval 5s --state "$work/state"

# A while of calm comes first: how much a process uses is known from its second measurement on.
i=0
until [ -n "$(curl -fsS -H "Authorization: Bearer $key" -G "$url/prometheus/api/v1/query" --data-urlencode 'query=count_over_time(node_load1{instance="this-host"}[1m]) > 2' | grep -o '"value"')" ]; do
	i=$((i + 1))
	[ $i -lt 120 ] || { echo "the agent does not report"; cat "$work/agent.log"; exit 1; }
	sleep 0.5
done
cp "$(command -v yes)" "$work/coreburner"
for n in 1 2 3 4; do start "burner$n" sh -c 'exec "$0" >/dev/null' "$work/coreburner"; done

# The agent measures processes once a minute: an alert that has waited for longer than that names who was at it.
i=0
until [ -n "$(curl -fsS -H "Authorization: Bearer $key" -G "$url/prometheus/api/v1/query" --data-urlencode 'query=kept_process_cpu_ratio{process="coreburner"} > 0.1' | grep -o '"value"')" ]; do
	i=$((i + 1))
	[ $i -lt 300 ] || { echo "the agent does not tell of the process"; exit 1; }
	sleep 0.5
done

curl -fsS -X PUT -H "Authorization: Bearer $key" -H 'Content-Type: application/yaml' "$url/api/v1/rules" --data-binary @- >/dev/null <<'YAML'
groups:
  - name: host
    interval: 5s
    rules:
      - alert: BusyHost
        expr: sum by (instance) (rate(node_cpu_seconds_total{mode!~"idle|iowait"}[30s])) > 0.3
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.instance }} is busy"}
YAML

i=0
until grep -q '"status":"firing"' "$work/hooked.log" 2>/dev/null; do
	i=$((i + 1))
	[ $i -lt 120 ] || { echo "no message within a minute"; tail -n 5 "$work/agent.log"; tail -n 5 "$work/data.log"; curl -sS -H "Authorization: Bearer $key" "$url/api/v1/alerts"; cat "$work/hooked.log"; exit 1; }
	sleep 0.5
done
grep -o '"explanation":"[^"]*"' "$work/hooked.log" | head -1
grep -q 'Top process by CPU: coreburner' "$work/hooked.log" || { echo "the message does not name the process"; cat "$work/hooked.log"; exit 1; }
id=$(curl -fsS -H "Authorization: Bearer $key" "$url/api/v1/alerts?state=firing&name=BusyHost" | grep -o '"id":"[0-9a-z]\{26\}"' | head -1 | cut -d'"' -f4)
form "/w/$workspace/alerts/a/$id" -o "$work/page"
grep -q 'coreburner' "$work/page" || { echo "the alert's page does not name the process"; exit 1; }
echo "The message and the page name the process that burns."
