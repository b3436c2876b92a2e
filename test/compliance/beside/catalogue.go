package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is asked of each metric of a sort. %s is a selector of it, %[1]s where it stands more than once.
var (
	ofCounters = []string{
		`%s`, `rate(%s[1m])`, `rate(%s[5m])`, `irate(%s[1m])`, `increase(%s[10m])`, `sum by (job) (rate(%s[2m]))`, `resets(%s[30m])`, `changes(%s[5m])`,
		`max_over_time(rate(%s[1m])[10m:30s])`, `rate(%s[5m] offset 7m)`, `topk(2, rate(%s[5m]))`, `sum(rate(%[1]s[1m])) / sum(rate(%[1]s[5m]))`,
	}
	ofGauges = []string{
		`%s`, `avg_over_time(%s[5m])`, `min_over_time(%s[5m])`, `max_over_time(%s[5m])`, `sum_over_time(%s[1m])`, `count_over_time(%s[2m])`, `last_over_time(%s[30s])`,
		`stddev_over_time(%s[5m])`, `stdvar_over_time(%s[5m])`, `quantile_over_time(0.9, %s[5m])`, `present_over_time(%s[1m])`, `absent_over_time(%s[1m])`,
		`delta(%s[5m])`, `idelta(%s[1m])`, `deriv(%s[5m])`, `predict_linear(%s[10m], 3600)`, `%[1]s - %[1]s offset 5m`, `avg(%s)`, `stddev(%s)`, `quantile(0.5, %s)`,
		`timestamp(%s)`, `clamp(%s, 0, 100)`, `round(%s, 0.1)`, `abs(-%s)`, `ln(%s)`, `%[1]s > bool avg(%[1]s)`, `sort_desc(%s)`, `count_values("v", round(%s))`,
	}
	ofHistograms = []string{
		`histogram_quantile(0.9, sum by (le, job) (rate(%s[5m])))`, `histogram_quantile(0.99, rate(%s[5m]))`, `sum by (le) (%s)`, `histogram_fraction(0, 0.1, rate(%s[5m]))`,
	}
	ofNative = []string{
		`%s`, `histogram_quantile(0.95, rate(%s[5m]))`, `histogram_count(%s)`, `histogram_sum(rate(%s[1m]))`, `histogram_avg(%s)`, `histogram_fraction(0, 0.2, sum(rate(%s[5m])))`,
		`histogram_stddev(%s)`, `histogram_stdvar(rate(%s[5m]))`, `sum(%s)`, `avg(rate(%s[2m]))`, `increase(%s[10m])`, `count_over_time(%s[1m])`, `sum_over_time(%s[1m])`, `%[1]s + %[1]s`, `%s * 2`,
		`resets(%s[10m])`, `histogram_quantile(0.5, %s)`,
	}
)

// Questions about no metric in particular, and such that go wrong.
var others = []string{
	`up`, `count by (job) ({job!=""})`, `count({job="node"})`, `sum by (job, instance) (up)`, `group by (job) (up)`, `topk(5, count by (__name__) ({job="node"}))`, `time()`, `vector(1)`, `scalar(sum(up))`,
	`day_of_week()`, `hour(vector(1700000000))`, `days_in_month()`, `minute()`, `pi()`, `1 + 2 * 3 ^ 2`, `"text"`, `Inf`, `NaN`, `-Inf`, `0x1f`, `1e3`,
	`absent(up{job="nothing"})`, `absent(up)`, `up{job=~"n.*"}`, `up{job!~"n.*"}`, `up{job=""}`, `up == 1`, `up unless up{job="node"}`, `up{job="node"} or up`, `up and on (job) up{job="prometheus"}`,
	`node_filesystem_avail_bytes / node_filesystem_size_bytes`, `1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[1m]))`,
	`sum without (cpu) (rate(node_cpu_seconds_total[1m]))`, `node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes`,
	`rate(node_cpu_seconds_total[1m]) * on (instance) group_left (nodename) node_uname_info`, `node_load1 > bool 1`, `sum by (mode) (node_cpu_seconds_total) > 100`,
	`label_replace(up, "host", "$1", "instance", "(.*):.*")`, `label_join(up, "both", "-", "job", "instance")`, `quantile by (job) (0.5, scrape_duration_seconds)`,
	`max_over_time((sum(rate(node_cpu_seconds_total[1m])))[10m:1m])`, `avg_over_time(up[10m:])`, `up @ end()`, `up @ start() offset 1m`, `sum(scrape_samples_scraped) @ end()`, `limitk(1, up)`, `info(up)`,
	`sort_by_label(up, "job")`, `scrape_duration_seconds{job="node"} * 1000`, `ceil(node_load1)`, `sgn(node_load1 - 1)`, `exp(node_load1)`, `sqrt(node_load5)`, `log2(node_load1)`, `deg(node_load1)`,
	`up{`, `sum(`, `rate(up)`, `rate(up[5m)`, `foo bar`, `up[5m]`, `up[5m:1m]`, `histogram_quantile("a", up)`, `sum by (job (up)`, `{}`, `{job=~".*"}`, `unknown_function(up)`, `up offset`, `1 == 1`, `"a" + 1`,
	`up * ignoring (job) up`, `node_cpu_seconds_total * on (instance) node_cpu_seconds_total`, `count_values("job", up)`, `topk(1, up) by (job)`, `stddev(up)`, `bottomk by (job) (1, scrape_duration_seconds)`,
}

// catalogue makes the questions out of what a server has.
func catalogue(s server) (out []question, err error) {
	last, err := s.lastSample()
	if err != nil {
		return nil, err
	}
	end := last.Truncate(5 * time.Second).Add(-30 * time.Second)
	moments := []time.Time{end, end.Add(-13*time.Minute - 1234*time.Millisecond)}
	ask := func(expr string) {
		for _, at := range moments {
			out = append(out, question{"/api/v1/query", values("query", expr, "time", stamp(at)), !strings.HasPrefix(expr, "sort")})
		}
		out = append(out,
			question{"/api/v1/query_range", values("query", expr, "start", stamp(end.Add(-55*time.Minute)), "end", stamp(end), "step", "60"), false},
			question{"/api/v1/query_range", values("query", expr, "start", stamp(end.Add(-7*time.Minute-time.Second)), "end", stamp(end), "step", "7.5"), false})
	}
	names, err := s.strings("/api/v1/label/__name__/values", values("match[]", `{job!=""}`, "start", stamp(end.Add(-10*time.Minute)), "end", stamp(end)))
	if err != nil {
		return nil, err
	}
	for _, sort := range []struct {
		names   []string
		of      []string
		atMost  int
		perName int
	}{
		{filter(names, func(n string) bool { return strings.HasSuffix(n, "_total") }), ofCounters, 24, 6},
		{filter(names, gauge), ofGauges, 40, 8},
		{filter(names, func(n string) bool { return strings.HasSuffix(n, "_bucket") }), ofHistograms, 10, 4},
		{s.native(names, end), ofNative, 8, 17},
	} {
		for i, name := range spread(sort.names, sort.atMost) {
			for j := range min(sort.perName, len(sort.of)) { // in turns, so that all are asked of something
				ask(fill(sort.of[(i*sort.perName+j)%len(sort.of)], name))
			}
		}
	}
	for _, expr := range others {
		ask(expr)
		out = append(out, question{"/api/v1/format_query", values("query", expr), false}, question{"/api/v1/parse_query", values("query", expr), false})
	}
	return append(out, lists(names, end)...), nil
}

func fill(form, name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(form, "%[1]s", name), "%s", name)
}

// lists are the questions about names and values. Everything that was scraped has a job; what Kept counts of a workspace's
// use (kept_usage_…) has none, and a stock server has nothing like it.
func lists(names []string, end time.Time) (out []question) {
	span := func(more ...string) url.Values {
		return values(append([]string{"start", stamp(end.Add(-50 * time.Minute)), "end", stamp(end)}, more...)...)
	}
	for _, name := range []string{"job", "instance", "__name__", "le", "mode", "device", "nothing", "fstype"} {
		path := "/api/v1/label/" + name + "/values"
		out = append(out, question{path, span("match[]", `{job!=""}`), false}, question{path, span("match[]", `{job="node"}`), false}, question{path, span("match[]", "up", "match[]", `{__name__=~"node_cpu.*"}`), false})
	}
	out = append(out, question{"/api/v1/labels", span("match[]", `{job!=""}`), false}, question{"/api/v1/labels", span("match[]", "up"), false}, question{"/api/v1/labels", span("match[]", "bad{"), false},
		question{"/api/v1/series", span(), false}, question{"/api/v1/series", span("match[]", "{}"), false}, question{"/api/v1/label/job/values", span("limit", "1"), false})
	for _, name := range append(spread(names, 60), `{job="node",__name__=~".+_total"}`, `{le="+Inf"}`) {
		out = append(out, question{"/api/v1/series", span("match[]", name), true})
	}
	for _, q := range []string{"up", `{__name__=~".+_bucket"}`, "bad{"} {
		out = append(out, question{"/api/v1/query_exemplars", span("query", q), false})
	}
	return out
}

// lastSample is when both had the last round of scrapes.
func (s server) lastSample() (time.Time, error) {
	var v struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := s.decode("/api/v1/query", values("query", "max(max_over_time(timestamp(up)[1d:1m]))"), &v); err != nil {
		return time.Time{}, err
	}
	if len(v.Data.Result) == 0 {
		return time.Time{}, errors.New("there are no samples of the last day")
	}
	text, _ := v.Data.Result[0].Value[1].(string)
	seconds, err := strconv.ParseFloat(text, 64)
	return time.UnixMilli(int64(seconds * 1000)), err
}

// native are the metrics that are native histograms.
func (s server) native(names []string, at time.Time) (out []string) {
	for _, n := range names {
		if !strings.HasSuffix(n, "_seconds") && !strings.HasSuffix(n, "_bytes") {
			continue
		}
		var v struct {
			Data struct{ Result []json.RawMessage }
		}
		if s.decode("/api/v1/query", values("query", "histogram_count("+n+")", "time", stamp(at)), &v) == nil && len(v.Data.Result) > 0 {
			out = append(out, n)
		}
	}
	return out
}

func (s server) strings(path string, params url.Values) ([]string, error) {
	var v struct{ Data []string }
	err := s.decode(path, params, &v)
	return v.Data, err
}

func (s server) decode(path string, params url.Values, v any) error {
	_, body, _ := strings.Cut(s.ask(question{path: path, params: params}), " ")
	return json.Unmarshal([]byte(body), v)
}

func gauge(n string) bool {
	return !slices.ContainsFunc([]string{"_total", "_bucket", "_count", "_sum", "_info"}, func(end string) bool { return strings.HasSuffix(n, end) })
}

func filter(list []string, keep func(string) bool) (out []string) {
	for _, v := range list {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}

// spread takes at most n of a list, from all over it.
func spread(list []string, n int) (out []string) {
	for i := range min(n, len(list)) {
		out = append(out, list[i*len(list)/min(n, len(list))])
	}
	return out
}

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func stamp(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMilli())/1000) }
