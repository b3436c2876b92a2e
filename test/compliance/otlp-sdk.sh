#!/bin/sh
# Sends metrics with the OTLP exporter of OpenTelemetry's Go SDK (protobuf, gzip) to a real Kept server, and asks for them
# again. It needs Go and a Go module proxy.
. "$(dirname "$0")/lib.sh"

mkdir "$work/client"
cat >"$work/client/main.go" <<'GO'
package main

import (
	"context"
	"log"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

func main() {
	ctx := context.Background()
	for _, t := range []metricdata.Temporality{metricdata.CumulativeTemporality, metricdata.DeltaTemporality} {
		exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(os.Args[1]), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression),
			otlpmetrichttp.WithHeaders(map[string]string{"Authorization": "Bearer " + os.Args[2]}),
			otlpmetrichttp.WithTemporalitySelector(func(sdk.InstrumentKind) metricdata.Temporality { return t }))
		if err != nil {
			log.Fatal(err)
		}
		p := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(exporter)), sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "shop"), attribute.String("host.name", "web-1"), attribute.String("deployment.environment.name", t.String()))))
		m := p.Meter("test")
		orders, _ := m.Int64Counter("orders")
		took, _ := m.Float64Histogram("request.duration", metric.WithUnit("s"))
		queue, _ := m.Int64Gauge("queue.length")
		orders.Add(ctx, 3)
		took.Record(ctx, 0.2)
		queue.Record(ctx, 7)
		if err := p.ForceFlush(ctx); err != nil {
			log.Fatal(err)
		}
		if err := p.Shutdown(ctx); err != nil {
			log.Fatal(err)
		}
	}
}
GO
cd "$work/client"
go mod init client >/dev/null 2>&1
go get go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp@v1.38.0 go.opentelemetry.io/otel/sdk/metric@v1.38.0 >/dev/null 2>&1
go build -o "$work/sender" .

build_kept
serve_kept data "${PORT:-18920}"
"$work/sender" "$url/v1/metrics" "$key"

status=0
ask() { # query, expected value
	got=$(curl -fsSG -H "Authorization: Bearer $key" --data-urlencode "query=$1" "$url/prometheus/api/v1/query" | sed -n 's/.*"value":\[[^,]*,"\([^"]*\)"\].*/\1/p')
	if [ "$got" = "$2" ]; then
		echo "ok    $1 = $2"
	else
		echo "WRONG $1 = ${got:-nothing}, want $2"
		status=1
	fi
}
ask 'orders_total{host_name="web-1",job="shop",deployment_environment_name="CumulativeTemporality"}' 3
ask 'sum_over_time(orders_total{deployment_environment_name="DeltaTemporality"}[1m])' 3
ask 'queue_length{deployment_environment_name="CumulativeTemporality"}' 7
ask 'request_duration_seconds_count{deployment_environment_name="CumulativeTemporality"}' 1
ask 'request_duration_seconds_bucket{deployment_environment_name="CumulativeTemporality",le="5"}' 1
ask 'count(target_info)' 2
exit $status
