#!/bin/sh
# Runs the PromQL tester of Prometheus's compliance tests: the same two hours of the metrics that it knows are written to a
# stock Prometheus and to a Kept server, and the tester compares their answers. It needs Go and a Go module proxy, and git.
. "$(dirname "$0")/lib.sh"
port=${PORT:-18940}

build_kept
build_prometheus
suite promql
(cd "$root" && go build -o "$work/beside" ./test/compliance/beside)
(cd "$work/suite" && go build -o "$work/tester" ./cmd/promql-compliance-tester)

printf 'storage: {tsdb: {out_of_order_time_window: 25h}}\n' >"$work/stock.yml"
serve_prometheus stock "$port" "$work/stock.yml"
serve_kept data $((port + 1))
STOCK="http://127.0.0.1:$port" KEPT="$url/prometheus" KEY="$key" "$work/beside" demo

# Since Prometheus 3 every UTF-8 text is the name of a label, so these do not fail in the reference any more.
sed -i '/~invalid/{n;d;}' "$work/suite/promql-test-queries.yml"
cat >"$work/targets.yml" <<CONFIG
reference_target_config: {query_url: 'http://127.0.0.1:$port'}
test_target_config: {query_url: '$url/prometheus', basic_auth_user: suite, basic_auth_pass: '$key'}
CONFIG
"$work/tester" -query-parallelism 4 -config-file "$work/suite/promql-test-queries.yml" -config-file "$work/targets.yml"
