package query_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
)

// What a stock Prometheus says to the same questions about the same data is in testdata/prometheus.txt. To record it anew,
// start one (of the version in go.mod) on an empty folder with
//
//	prometheus --web.enable-remote-write-receiver --enable-feature=exemplar-storage --storage.tsdb.retention.time=10y …
//
// and run go test -run TestAnswersAsPrometheus -prometheus http://localhost:9090 ./internal/core/query. The comparison is
// then also made with its live answers, byte for byte.
var stock = flag.String("prometheus", "", "address of an empty Prometheus to record the answers of")

const recorded = "testdata/prometheus.txt"

// longAnswer is up to what length answers are recorded in full; of longer ones the hash.
const longAnswer = 400

// exchange is a question and what came back.
type exchange struct {
	Path   string     `json:"path"`
	Params url.Values `json:"params,omitempty"`
	Status int        `json:"status"`
	Body   string     `json:"body,omitempty"`
	Hash   string     `json:"sha256,omitempty"`
}

func (e *exchange) keep(a answer) {
	e.Status = a.status
	if len(a.body) <= longAnswer {
		e.Body = a.body
		return
	}
	sum := sha256.Sum256([]byte(a.body))
	e.Hash = hex.EncodeToString(sum[:])
}

// TestAnswersAsPrometheus compares our HTTP API with that of a stock Prometheus, byte for byte: some 900 questions with
// every function and operator, errors, native histograms, lists and limits.
func TestAnswersAsPrometheus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := fixture()
	for from := fixtureStart; from < fixtureStart+3*3600_000; from += 600_000 {
		load(t, w.store, testWS, all, from, from+600_000)
	}
	if *stock != "" {
		record(t, w, all)
		return
	}
	text, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); n++ {
		var want exchange
		if err := json.Unmarshal(s.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		got := exchange{Path: want.Path, Params: want.Params}
		a := ordered(ask(t, w.url, "reader", want.Path, want.Params), want.Params)
		if got.keep(a); got.Status != want.Status || got.Body != want.Body || got.Hash != want.Hash {
			t.Errorf("%s %v\n got %d %.1000s\nwant %d %s%s", want.Path, want.Params, a.status, a.body, want.Status, want.Body, want.Hash)
		}
	}
	if n < 800 {
		t.Errorf("%d questions", n)
	}
}

func record(t *testing.T, w *world, all []fixtureSeries) {
	for from := fixtureStart; from < fixtureStart+3*3600_000; from += 600_000 {
		remoteWrite(t, *stock+"/api/v1/write", all, from, from+600_000)
	}
	var out bytes.Buffer
	differ := 0
	for _, q := range questions() {
		want := ordered(ask(t, *stock+"/api/v1", "", q.Path, q.Params), q.Params)
		got := ordered(ask(t, w.url, "reader", q.Path, q.Params), q.Params)
		if got.status != want.status || got.body != want.body {
			differ++
			t.Errorf("%s %v\n got %d %.1500s\nwant %d %.1500s", q.Path, q.Params, got.status, got.body, want.status, want.body)
		}
		q.keep(want)
		line, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	t.Logf("%d questions, %d answers differ", len(questions()), differ)
	if err := os.WriteFile(recorded, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ordered sorts the elements of a vector that the engine finds in the order of a map.
func ordered(a answer, params url.Values) answer {
	const before = `"resultType":"vector","result":[`
	at := strings.Index(a.body, before)
	if q := params.Get("query"); at < 0 || !strings.Contains(q, "histogram_") && !strings.Contains(q, "count_values") {
		return a
	}
	at += len(before)
	list, rest, _ := strings.Cut(a.body[at:], "]}]")
	elements := strings.Split(list+"]}", ",{\"metric\"")
	elements[0] = strings.TrimPrefix(elements[0], "{\"metric\"")
	slices.Sort(elements)
	a.body = a.body[:at] + "{\"metric\"" + strings.Join(elements, ",{\"metric\"") + "]" + rest
	return a
}

// remoteWrite sends samples as another Prometheus would.
func remoteWrite(t *testing.T, address string, all []fixtureSeries, from, until int64) {
	t.Helper()
	var req prompb.WriteRequest
	for _, s := range all {
		ts := prompb.TimeSeries{Labels: prompb.FromLabels(s.labels, nil)}
		for _, p := range s.samples {
			switch {
			case p.t < from || p.t >= until:
				continue
			case p.h != nil:
				ts.Histograms = append(ts.Histograms, prompb.FromFloatHistogram(p.t, p.h))
			default:
				ts.Samples = append(ts.Samples, prompb.Sample{Timestamp: p.t, Value: p.f})
			}
			if e := p.exemplar; e != nil {
				ts.Exemplars = append(ts.Exemplars, prompb.Exemplar{Labels: prompb.FromLabels(e.Labels, nil), Value: e.Value, Timestamp: e.Ts})
			}
		}
		if len(ts.Samples)+len(ts.Histograms) > 0 {
			req.Timeseries = append(req.Timeseries, ts)
		}
	}
	body, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", address, bytes.NewReader(snappy.Encode(nil, body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "snappy")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatal(resp.Status)
	}
}

// variants are what templates are filled in with, as the tester of prometheus/compliance has them.
var variants = map[string][]string{
	"aggr":   {"sum", "avg", "max", "min", "count", "stddev", "stdvar", "group"},
	"top":    {"topk", "bottomk"},
	"q":      {"-0.5", "0.1", "0.5", "0.75", "0.95", "1.5"},
	"range":  {"15s", "1m", "5m", "15m", "1h"},
	"offset": {"1m", "5m", "1h"},
	"arith":  {"+", "-", "*", "/", "%", "^"},
	"comp":   {"==", "!=", "<", ">", "<=", ">="},
	"bin":    {"+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">=", "atan2"},
	"over":   {"sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last", "present"},
	"math": {"abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round", "sgn", "deg", "rad", "acos", "acosh", "asin", "asinh",
		"atan", "atanh", "cos", "cosh", "sin", "sinh", "tan", "tanh"},
	"rate":    {"delta", "rate", "increase"},
	"instant": {"idelta", "irate"},
	"clamp":   {"clamp_min", "clamp_max"},
	"date":    {"day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"},
	"set":     {"and", "or", "unless"},
}

var templates = []string{
	"42", ".123", "0x3d", "Inf", "-Inf", "NaN", `"a string"`, "1_000", "1h",
	"demo_memory_usage_bytes", `{__name__="demo_memory_usage_bytes"}`, `{"demo_num_cpus"}`, `demo_memory_usage_bytes{type="free"}`,
	`demo_memory_usage_bytes{type!="free"}`, `demo_memory_usage_bytes{instance=~"demo:.*"}`, `demo_memory_usage_bytes{instance=~"host"}`,
	`demo_memory_usage_bytes{instance!~".*:10000"}`, `{type="free", instance!="demo:10000"}`, `{__name__=~".*"}`, "nonexistent_metric_name",
	"demo_memory_usage_bytes offset {offset}", "demo_memory_usage_bytes offset -{offset}", "demo_memory_usage_bytes @ 1795160000",
	"demo_num_cpus @ start()", "demo_cpu_usage_seconds_total @ end()", "demo_intermittent_metric", "demo_odd", "demo_native_duration_seconds",
	"demo_api_request_duration_seconds_bucket", "demo_requests_total",
	"{aggr}(demo_memory_usage_bytes)", "{aggr}(nonexistent_metric_name)", "{aggr} by() (demo_memory_usage_bytes)",
	"{aggr} by(instance) (demo_memory_usage_bytes)", "{aggr} by(instance, type) (demo_memory_usage_bytes)",
	"{aggr} by(nonexistent) (demo_memory_usage_bytes)", "{aggr} without() (demo_memory_usage_bytes)",
	"{aggr} without(instance) (demo_memory_usage_bytes)", "{aggr} without(instance, type) (demo_memory_usage_bytes)",
	"{aggr}(demo_odd)", "{aggr}(demo_cpu_usage_seconds_total)", "{aggr} by (mode) (rate(demo_cpu_usage_seconds_total[5m]))",
	"{top}(3, demo_memory_usage_bytes)", "{top} by(instance) (2, demo_memory_usage_bytes)", "{top} without(instance) (2, demo_memory_usage_bytes)",
	"{top}(2, demo_num_cpus)", "{top}(1, group by (job) (demo_memory_usage_bytes))",
	"quantile({q}, demo_memory_usage_bytes)", "avg(max by(type) (demo_memory_usage_bytes))", `count_values("value", demo_num_cpus)`,
	"1 * 2 + 4 / 6 - 10 % 2 ^ 2", "demo_num_cpus + (1 {comp} bool 2)", "demo_memory_usage_bytes {bin} 1.2345",
	"demo_memory_usage_bytes {comp} bool 1.2345", "1.2345 {comp} bool demo_memory_usage_bytes", "0.12345 {bin} demo_memory_usage_bytes",
	"timestamp(demo_memory_usage_bytes * 1)", "timestamp(-demo_memory_usage_bytes)",
	"demo_memory_usage_bytes {bin} on(instance, job, type) demo_memory_usage_bytes",
	"sum by(instance, type) (demo_memory_usage_bytes) {bin} on(instance, type) group_left(job) demo_memory_usage_bytes",
	"demo_memory_usage_bytes {comp} bool on(instance, job, type) demo_memory_usage_bytes",
	"demo_memory_usage_bytes / on(instance, job) group_left demo_num_cpus", "demo_num_cpus / on(instance) demo_memory_usage_bytes",
	"demo_memory_usage_bytes {set} on(instance) demo_num_cpus", `demo_memory_usage_bytes {set} demo_memory_usage_bytes{type="free"}`,
	"demo_num_cpus * NaN", "demo_memory_usage_bytes + -(1)", "-demo_memory_usage_bytes", "-1 ^ 2", "1 {arith} time()", "time() {comp} bool 1",
	"time() {bin} demo_memory_usage_bytes", "demo_memory_usage_bytes {bin} time()",
	"{over}_over_time(demo_memory_usage_bytes[{range}])", "quantile_over_time({q}, demo_memory_usage_bytes[5m])",
	"{over}_over_time(demo_intermittent_metric[5m])", "{over}_over_time(demo_native_duration_seconds[5m])",
	"timestamp(demo_num_cpus)", "{math}(demo_memory_usage_bytes)", "{math}(demo_odd)", "{rate}(nonexistent_metric[5m])",
	"{rate}(demo_cpu_usage_seconds_total[{range}])", "{rate}(demo_native_duration_seconds[5m])", "{rate}(demo_intermittent_metric[{range}])",
	"deriv(demo_disk_usage_bytes[{range}])", "predict_linear(demo_disk_usage_bytes[{range}], 600)", "double_exponential_smoothing(demo_disk_usage_bytes[5m], 0.5, 0.5)",
	"time()", "pi()", `label_replace(demo_num_cpus, "job", "destination-value-$1", "instance", "demo:(.*)")`,
	`label_replace(demo_num_cpus, "job", "value-$1", "nonexistent-src", "(.*)")`, `label_replace(demo_num_cpus, "job", "value-$1", "src", "(.*")`,
	`label_replace(demo_num_cpus, "instance", "", "", "")`, `label_join(demo_num_cpus, "new_label", "-", "instance", "job")`,
	"{date}()", "{date}(demo_batch_last_success_timestamp_seconds offset {offset})", "{instant}(demo_cpu_usage_seconds_total[{range}])",
	"{instant}(demo_native_duration_seconds[1m])", "{clamp}(demo_memory_usage_bytes, 2)", "clamp(demo_memory_usage_bytes, 0, 1000000000000)",
	"clamp(demo_memory_usage_bytes, 1000000000000, 0)", "resets(demo_cpu_usage_seconds_total[{range}])",
	"changes(demo_batch_last_success_timestamp_seconds[{range}])", "vector(1.23)", "vector(time())", "scalar(demo_odd)", "sort(demo_memory_usage_bytes)",
	"sort_desc(demo_memory_usage_bytes)", "histogram_quantile({q}, rate(demo_api_request_duration_seconds_bucket[1m]))",
	"histogram_quantile({q}, rate(demo_native_duration_seconds[1m]))", "histogram_fraction(0, 1, demo_native_duration_seconds)",
	"histogram_avg(demo_native_duration_seconds)", "histogram_count(sum(demo_native_duration_seconds))", "histogram_sum(demo_native_duration_seconds)",
	"histogram_stddev(demo_native_duration_seconds)", "sum(rate(demo_native_duration_seconds[5m]))", "sum(demo_native_duration_seconds) + sum(demo_num_cpus)",
	"histogram_quantile(0.9, nonexistent_metric)", "histogram_quantile(0.9, demo_memory_usage_bytes)",
	`histogram_quantile(0.9, {__name__=~"demo_api_request_duration_seconds_.+"})`, "absent(demo_memory_usage_bytes)",
	`absent(nonexistent_metric_name{a="b"})`, "max_over_time((time() - max(demo_batch_last_success_timestamp_seconds) < 1000)[5m:10s] offset 5m)",
	"avg_over_time(rate(demo_cpu_usage_seconds_total[1m])[2m:10s])", "sum_over_time(demo_num_cpus[10m:])",
	// What is wrong.
	"demo_num_cpus{", "sum(", "rate(demo_num_cpus)", "demo_num_cpus + on(instance) demo_memory_usage_bytes", "foo bar", `{x=""}`, "1 + \"a\"",
	`demo_num_cpus{instance=~"("}`, "limitk(1, demo_num_cpus)", "unknown_function(1)", "demo_num_cpus[5m]", "", "🙂", "rate(demo_memory_usage_bytes[1m]) > 1e400",
}

var placeholder = regexp.MustCompile(`\{(aggr|top|q|range|offset|arith|comp|bin|over|math|rate|instant|clamp|date|set)\}`)

// expand fills in a template with every variant.
func expand(template string) []string {
	at := placeholder.FindStringSubmatchIndex(template)
	if at == nil {
		return []string{template}
	}
	var out []string
	for _, v := range variants[template[at[2]:at[3]]] {
		out = append(out, expand(template[:at[0]]+v+template[at[1]:])...)
	}
	return out
}

func seconds(ms int64) string { return fmt.Sprint(float64(ms) / 1000) }

// questions is what is asked.
func questions() (out []exchange) {
	add := func(path string, pairs ...string) {
		out = append(out, exchange{Path: path, Params: values(pairs...)})
	}
	from, to := fixtureStart+3600_000, fixtureStart+2*3600_000+420_000
	i := 0
	for _, template := range templates {
		for _, q := range expand(template) {
			if i++; i%4 == 0 {
				add("/query", "query", q, "time", seconds(from+int64(i)*1000))
			}
			add("/query_range", "query", q, "start", seconds(from), "end", seconds(to), "step", []string{"300", "7m"}[i%2])
		}
	}
	const cpu = "demo_cpu_usage_seconds_total"
	at := seconds(to)
	for _, q := range []string{cpu + "[1m]", "demo_native_duration_seconds[30s]", "demo_odd[3m]", "1", `"text"`} {
		add("POST /query", "query", q, "time", at)
	}
	add("/query", "query", cpu, "time", "2026-11-20T08:00:00Z", "limit", "2")
	add("/query", "query", cpu, "time", "2026-11-20T08:00:00.5Z", "lookback_delta", "1s")
	add("/query", "query", cpu, "time", "yesterday")
	add("/query", "query", cpu, "time", at, "limit", "-1")
	add("/query", "query", cpu, "time", at, "limit", "x")
	add("/query", "query", cpu, "time", at, "timeout", "0")
	add("/query", "query", cpu, "time", at, "timeout", "soon")
	add("/query", "query", cpu, "time", at, "lookback_delta", "long")
	add("/query_range", "query", cpu, "start", at, "end", at, "step", "1", "limit", "1")
	add("/query_range", "query", cpu, "start", at, "end", seconds(from), "step", "1")
	add("/query_range", "query", cpu, "start", seconds(from), "end", at, "step", "0")
	add("/query_range", "query", cpu, "start", seconds(from), "end", at, "step", "0.01")
	add("/query_range", "query", cpu, "start", seconds(from), "end", at, "step", "1e300")
	add("/query_range", "query", cpu, "end", at, "step", "1")
	add("POST /query_range", "query", "sum(rate("+cpu+"[1m]))", "start", seconds(from+1), "end", at, "step", "61.5")
	lists := [][]string{nil, {"match[]", cpu}, {"match[]", `{job="demo"}`, "match[]", "demo_odd"}, {"match[]", "{}"}, {"match[]", `{a=~".*"}`},
		{"match[]", "sum("}, {"limit", "2"}, {"match[]", cpu, "limit", "1"}, {"start", "a"}, {"match[]", cpu, "start", seconds(from), "end", at},
		{"match[]", `{instance="demo:10001"}`, "match[]", "demo_num_cpus", "limit", "3"}}
	for _, l := range lists {
		for _, path := range []string{"/labels", "POST /labels", "/label/__name__/values", "/label/instance/values", "/label/le/values", "/label/nothing/values",
			"/label/U__a_2e_b/values", "/series", "POST /series"} {
			add(path, l...)
		}
	}
	for _, q := range []string{"demo_requests_total", `sum(demo_requests_total{instance="demo:10000"})`, "1", "sum(", "demo_num_cpus"} {
		add("/query_exemplars", "query", q, "start", seconds(fixtureStart), "end", at)
	}
	add("POST /query_exemplars", "query", "demo_requests_total", "start", at, "end", seconds(from))
	formats := []string{"sum by (a)(rate(x[5m]))/on(b)group_left(c)y", "a{", "topk(3,sum without(x)(y offset 5m))", "max_over_time(x[1h:5m] @ end())", "-(1+2)",
		`count_values("v",x) > bool 3`, `{"a.b",c=~"d|e"}`, "x unless on() y", `label_replace(a,"b","$1","c","(.*)")`, "vector(1) and x @ 5", "1h30m + 1e3"}
	for _, q := range slices.Concat(formats, []string{"", "(((x)))"}) {
		add("/format_query", "query", q)
		add("POST /parse_query", "query", q)
	}
	return out
}

// TestQuestionsAreManifold guards the list against shrinking.
func TestQuestionsAreManifold(t *testing.T) {
	t.Parallel()
	if n := len(questions()); n < 800 || !strings.Contains(fmt.Sprint(questions()), "histogram_quantile") {
		t.Errorf("%d questions", n)
	}
}
