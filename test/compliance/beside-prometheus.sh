#!/bin/sh
# Runs Kept beside a stock Prometheus of the same version: a Prometheus in agent mode scrapes node_exporter and the two
# Prometheus servers every 5 s, and every request of its remote write (1.0 for one job, 2.0 with native histograms for the
# others) goes to both, the same bytes in the same order. Then some three thousand questions are asked of both, and the
# answers compared byte for byte; in the end it says how much disk the samples take on either side. It needs Go, a Go module proxy and prometheus-node-exporter.
#
#	test/compliance/beside-prometheus.sh [MINUTES]     60 if not given; the questions look back up to an hour
. "$(dirname "$0")/lib.sh"
minutes=${1:-60}
port=${PORT:-18930}

build_kept
build_prometheus
(cd "$root" && go build -o "$work/beside" ./test/compliance/beside)

cat >"$work/stock.yml" <<CONFIG
storage:
  tsdb: {out_of_order_time_window: 25h}
  exemplars: {max_exemplars: 1024}
CONFIG
cat >"$work/agent.yml" <<CONFIG
global:
  scrape_interval: 5s
  scrape_timeout: 4s
  external_labels: {replica: a}
scrape_configs:
  - job_name: node
    static_configs: [{targets: ['127.0.0.1:$((port + 4))']}]
  - job_name: prometheus
    scrape_native_histograms: true
    always_scrape_classic_histograms: true
    static_configs: [{targets: ['127.0.0.1:$port', '127.0.0.1:$((port + 3))']}]
remote_write:
  - url: http://127.0.0.1:$((port + 2))/1
    send_exemplars: true
    write_relabel_configs: [{source_labels: [job], regex: node, action: keep}]
  - url: http://127.0.0.1:$((port + 2))/2
    protobuf_message: io.prometheus.write.v2.Request
    send_exemplars: true
    send_native_histograms: true
    write_relabel_configs: [{source_labels: [job], regex: node, action: drop}]
CONFIG
serve_prometheus stock "$port" "$work/stock.yml" --web.enable-admin-api
serve_kept data $((port + 1))
export STOCK="http://127.0.0.1:$port" KEPT="$url/prometheus" KEY="$key"
start tee "$work/beside" tee "127.0.0.1:$((port + 2))" "$work/requests"
start node prometheus-node-exporter --web.listen-address="127.0.0.1:$((port + 4))"
start agent "$prometheus" --agent --config.file="$work/agent.yml" --storage.agent.path="$work/agent" \
	--web.listen-address="127.0.0.1:$((port + 3))" --scrape.timestamp-tolerance=50ms
agent=$(echo "$started" | cut -d' ' -f1)

sleep $((minutes * 60))
kill "$agent"
wait "$agent" 2>/dev/null || true
server=$(echo "$started" | cut -d' ' -f4) # of agent, node, tee, data and stock
grep -E 'again|differently' "$work/tee.log" | tail -1
status=0
"$work/beside" compare || status=$?
kill "$server"
wait "$server" 2>/dev/null || true
"$work/beside" bytes "$work/stock" "$work/data"
exit $status
