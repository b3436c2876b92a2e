#!/bin/sh
# Asks Kept what Grafana asks, with the program that Grafana asks with: the backend of its Prometheus data source (commit
# 1f9b3227), as a person sets it up: address, method, and the key as a header or as the password of Basic authentication. The
# same is asked of a stock Prometheus with the same samples, and what Grafana would draw is compared. It needs Go, a Go
# module proxy and git. The data source is under the AGPL: it is built and run in a temporary folder, and nothing of it is kept.
. "$(dirname "$0")/lib.sh"
port=${PORT:-18960}
source=${GRAFANA_DATASOURCE:-https://github.com/grafana/grafana-prometheus-datasource}

build_kept
build_prometheus
(cd "$root" && go build -o "$work/beside" ./test/compliance/beside)
git clone -q "$source" "$work/grafana"
git -C "$work/grafana" checkout -q 1f9b3227
cp -R "$work/grafana/pkg/promlib" "$work/promlib"

# Two of its modules are in no module proxy. One is types of filters, which stand here as they are in JSON; the other is for
# Grafana's SQL, which is left out.
mkdir -p "$work/scope/pkg/apis/scope/v0alpha1"
printf 'module github.com/grafana/grafana/apps/scope\n\ngo 1.26\n' >"$work/scope/go.mod"
cat >"$work/scope/pkg/apis/scope/v0alpha1/types.go" <<'GO'
package v0alpha1

type FilterOperator string

const (
	FilterOperatorEquals        FilterOperator = "equals"
	FilterOperatorNotEquals     FilterOperator = "not-equals"
	FilterOperatorRegexMatch    FilterOperator = "regex-match"
	FilterOperatorRegexNotMatch FilterOperator = "regex-not-match"
	FilterOperatorOneOf         FilterOperator = "one-of"
	FilterOperatorNotOneOf      FilterOperator = "not-one-of"
)

type ScopeFilter struct {
	Key      string         `json:"key"`
	Value    string         `json:"value"`
	Values   []string       `json:"values,omitempty"`
	Operator FilterOperator `json:"operator"`
}

type ScopeSpec struct {
	Filters []ScopeFilter `json:"filters"`
}
GO
cd "$work/promlib"
rm -f sql*.go flatten*.go resource/schema*.go admission_handler*.go conversion_handler*.go
find . -name '*_test.go' -delete
sed -i -e '/grafana\/schemads"/d' -e '/schemaDatasource/d' -e '/normalizeGrafanaSQLRequest/d' \
	-e '/Create schema provider/,/^\t\t)$/d' -e '/Flatten schemads/,/^\t}$/d' -e '/Route schemads/,/^\t}$/d' library.go
go mod edit -replace "github.com/grafana/grafana/apps/scope=$work/scope" -droprequire github.com/grafana/schemads \
	-droprequire github.com/grafana/grafana/pkg/apimachinery
mkdir ask
cp "$root/test/compliance/testdata/grafana.go.txt" ask/main.go
GOFLAGS=-mod=mod go build -o "$work/ask" ./ask

printf 'storage: {tsdb: {out_of_order_time_window: 25h}}\n' >"$work/stock.yml"
serve_prometheus stock "$port" "$work/stock.yml"
serve_kept data $((port + 1))
STOCK="http://127.0.0.1:$port" KEPT="$url/prometheus" KEY="$key" "$work/beside" demo
STOCK="http://127.0.0.1:$port" KEPT="$url/prometheus" KEY="$key" "$work/ask" 2>"$work/ask.log"
