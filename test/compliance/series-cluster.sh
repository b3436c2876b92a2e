#!/bin/sh
# Runs the suite that every store of series passes against the adapter for clusters (--series-url), with a real Prometheus as
# the cluster: remote write, remote read, the query and the admin API. It needs Go and a Go module proxy.
. "$(dirname "$0")/lib.sh"
build_prometheus
cd "$root"
PROMETHEUS="$prometheus" go test -tags cluster -count=1 -parallel 4 -run TestRealPrometheus "$@" ./internal/platform/series
