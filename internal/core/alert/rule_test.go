package alert

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"

	"github.com/kept-dev/kept/internal/kernel"
)

func compiler() *Module { return &Module{parser: parser.NewParser(parser.Options{})} }

// TestCompile: what a form says, as PromQL, or the field that is wrong.
func TestCompile(t *testing.T) {
	t.Parallel()
	m := compiler()
	for _, c := range []struct {
		name string
		rule Rule
		want string // PromQL, or "field: " and the beginning of the note
	}{
		{"threshold", Rule{Kind: KindThreshold, Expr: "load", Compare: ">", Value: 5}, "load > 5"},
		{"threshold of a sum", Rule{Kind: KindThreshold, Expr: "a + b", Compare: "<=", Value: -0.25}, "(a + b) <= -0.25"},
		{"threshold of a comparison", Rule{Kind: KindThreshold, Expr: "a > b", Compare: "==", Value: 1e21}, "(a > b) == 1e+21"},
		{"threshold of a number", Rule{Kind: KindThreshold, Expr: "time()", Compare: ">", Value: 1}, "vector(time()) > 1"},
		{"no comparison", Rule{Kind: KindThreshold, Expr: "load", Compare: "> 1 or vector(1) >"}, "compare: Choose"},
		{"nothing", Rule{Kind: KindThreshold, Expr: " ", Compare: ">"}, "expr: Write what"},
		{"wrong", Rule{Kind: KindThreshold, Expr: "sum(load", Compare: ">"}, "expr: At character"},
		{"a range", Rule{Kind: KindExpression, Expr: "load[5m]"}, "expr: The expression must give one value"},
		{"absence", Rule{Kind: KindAbsence, Expr: `up{job="web"}`, Window: model.Duration(10 * time.Minute)}, `absent_over_time(up{job="web"}[10m])`},
		{"absence of a sum", Rule{Kind: KindAbsence, Expr: `sum(up)`}, `absent_over_time((sum(up))[5m:1m])`},
		{"absence of each", Rule{Kind: KindAbsence, Expr: `up`, Each: true}, `present_over_time(up[1d]) unless present_over_time(up[5m])`},
		{"absence of each of a sum", Rule{Kind: KindAbsence, Expr: `sum(up)`, Each: true}, "expr: To watch each"},
		{"absence, too long", Rule{Kind: KindAbsence, Expr: `up`, Window: model.Duration(48 * time.Hour)}, "window: Choose between"},
		{"forecast", Rule{Kind: KindForecast, Expr: "free", Compare: "<", Horizon: model.Duration(4 * time.Hour)}, "predict_linear(free[6h], 14400) < 0"},
		{"forecast of a share", Rule{Kind: KindForecast, Expr: "free / size", Compare: "<", Value: 0.1, Horizon: model.Duration(24 * time.Hour), Window: model.Duration(24 * time.Hour)},
			"predict_linear((free / size)[1d:14m], 86400) < 0.1"},
		{"forecast of nothing", Rule{Kind: KindForecast, Expr: "free", Compare: "<"}, "horizon: Choose between"},
		{"anomaly of a number", Rule{Kind: KindAnomaly, Expr: "time()"}, "expr: An anomaly needs a series"},
		{"anomaly at a time", Rule{Kind: KindAnomaly, Expr: "load @ 1000"}, "expr: An anomaly compares"},
		{"anomaly of too many weeks", Rule{Kind: KindAnomaly, Expr: "load", Weeks: 9}, "weeks: Choose"},
		{"recording", Rule{Kind: KindRecording, Expr: "sum  by(a) (b)"}, "sum by (a) (b)"},
		{"no kind", Rule{Kind: "x", Expr: "b"}, "kind: Choose"},
	} {
		got, err := m.compileExpr(c.rule)
		if err != nil {
			for field, note := range kernel.AsError(err).Fields {
				got = field + ": " + note
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if _, err := m.parser.ParseExpr(got); err != nil {
			t.Errorf("%s: %q is no PromQL: %v", c.name, got, err)
		}
	}
}

// TestAnomaly: four weeks of a daily wave with noise, and an outage in one of them, make a baseline. A usual Saturday does not
// fire, at any time of the day; one that is half as high does, and so does one that is twice as high; and what differs by
// less than is ignored does not.
func TestAnomaly(t *testing.T) {
	t.Parallel()
	m := compiler()
	noise := rand.New(rand.NewPCG(1, 2))
	wave := func(i int) float64 { // 5-minute steps
		hour := float64(i%288) / 12
		return 100 + 60*(1-(hour-12)*(hour-12)/144) + noise.Float64()*6
	}
	const perWeek = 7 * 288
	load := "load 5m\n\trequests{host=\"a\"}"
	for i := range 5 * perWeek {
		v := wave(i)
		if i/perWeek == 2 && i%288 > 100 && i%288 < 200 {
			v = 0 // the outage, every day of that week
		}
		load += " " + number(v)
	}
	store := promqltest.LoadedStorage(t, load)
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery)
	ask := func(expr string, at time.Time) promql.Vector {
		t.Helper()
		q, err := engine.NewInstantQuery(t.Context(), store, nil, expr, at)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		res := q.Exec(t.Context())
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		v, err := res.Vector()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	rule := func(expr, direction string, ignore float64) string {
		t.Helper()
		out, err := m.compileExpr(Rule{Kind: KindAnomaly, Expr: expr, Direction: direction, Weeks: 4, Deviations: 6, Ignore: ignore})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	fired := 0
	for hour := 0; hour < 24; hour += 4 {
		at := time.Unix(0, 0).Add(4*week + 3*24*time.Hour + time.Duration(hour)*time.Hour)
		fired += len(ask(rule("requests", "either", 0), at))
		if n := len(ask(rule("requests / 2 - 60", "either", 0), at)); n > 0 { // any PromQL is compared with itself
			fired += n
		}
	}
	if fired > 2 {
		t.Errorf("fired %d times within of a usual day", fired)
	}
	at := time.Unix(0, 0).Add(5*week - 5*time.Minute)
	for _, c := range []struct {
		factor    float64
		direction string
		ignore    float64
		want      int
	}{{1.01, "either", 0, 0}, {2, "above", 0, 1}, {2, "below", 0, 0}, {2, "either", 0, 1}, {0.5, "below", 0, 1}, {0.5, "above", 0, 0}, {2, "above", 1000, 0}} {
		text := rule("requests", c.direction, c.ignore)
		// The first operand is the value of now; only that is changed.
		text = strings.Replace(text, "(requests - ", "(requests * "+number(c.factor)+" - ", 1)
		if n := len(ask(text, at)); n != c.want {
			t.Errorf("%v times as much, %s, ignoring %v: %d alerts, want %d", c.factor, c.direction, c.ignore, n, c.want)
		}
	}
}

// TestOtherKindsEvaluate runs the compiled absence and forecast in the engine, in Prometheus's own test language.
func TestOtherKindsEvaluate(t *testing.T) {
	t.Parallel()
	m := compiler()
	must := func(r Rule) string {
		t.Helper()
		out, err := m.compileExpr(r)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	script := `
load 1m
	up{host="a"} 1x30 _x30
	up{host="b"} 1x60
	free{disk="filling"} 1000-10x60
	free{disk="calm"} 1000x60

eval instant at 60m ` + must(Rule{Kind: KindAbsence, Expr: "up", Each: true}) + `
	{host="a"} 1

eval instant at 60m ` + must(Rule{Kind: KindAbsence, Expr: "up"}) + `

eval instant at 60m ` + must(Rule{Kind: KindAbsence, Expr: `up{host="c"}`}) + `
	{host="c"} 1

eval instant at 60m ` + must(Rule{Kind: KindForecast, Expr: "free", Compare: "<", Value: 0, Horizon: model.Duration(time.Hour)}) + `
	{disk="filling"} -200

eval instant at 60m ` + must(Rule{Kind: KindForecast, Expr: "free", Compare: "<", Value: 0, Horizon: model.Duration(30 * time.Minute)}) + `
`
	promqltest.RunTest(t, script, promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery))
}

// TestWindows: occurrences keep their hour when the clocks change, and end when their rule says so.
func TestWindows(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	sunday := Window{Name: "x", Start: time.Date(2026, 3, 22, 2, 30, 0, 0, berlin), Lasts: 2 * time.Hour, Rule: "FREQ=WEEKLY", Zone: "Europe/Berlin"}
	next := sunday.Next(time.Date(2026, 3, 24, 0, 0, 0, 0, time.UTC), 3)
	for i, want := range []string{"2026-03-29T01:30:00Z", "2026-04-05T00:30:00Z", "2026-04-12T00:30:00Z"} { // on the 29th there is no 02:30
		if got := next[i].From.UTC().Format(time.RFC3339); got != want {
			t.Errorf("occurrence %d at %s, want %s", i, got, want)
		}
	}
	if s, in := sunday.At(time.Date(2026, 4, 5, 1, 0, 0, 0, time.UTC)); !in || s.Until.UTC().Hour() != 2 {
		t.Errorf("not within: %v %v", s, in)
	}
	if _, in := sunday.At(time.Date(2026, 4, 5, 2, 30, 0, 0, time.UTC)); in {
		t.Error("within at its end")
	}
	twice := sunday
	twice.Rule = "FREQ=DAILY;COUNT=2"
	if got := twice.Next(sunday.Start.Add(-time.Hour), 10); len(got) != 2 || twice.end() != kernel.Micros(got[1].Until) {
		t.Errorf("occurrences: %v, end %v", got, kernel.FromMicros(twice.end()))
	}
	for rule, field := range map[string]string{"FREQ=MINUTELY": "rule", "FREQ=DAILY;BYHOUR=1,2": "rule", "DTSTART:20260101T000000Z\nFREQ=DAILY": "rule", "nonsense": "rule", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30": "start"} {
		w := sunday
		w.Rule = rule
		if err := checkWindow(w, sunday.Start); kernel.AsError(err).Fields[field] == "" {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

// TestMentions: what a rule asks for is known before it was ever evaluated, and no longer when it is gone.
func TestMentions(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.rule(Rule{Kind: KindThreshold, Name: "DiskFull", Expr: "disk_used", Compare: ">", Value: 0.9})
		got, err := w.m.Mentions(t.Context(), w.ws)
		if err != nil || len(got) != 1 || got[0].By != "Rule DiskFull" || got[0].Href != ruleHref(w.ws, r.ID) || got[0].Text[0] != "disk_used" {
			t.Errorf("%+v %v", got, err)
		}
		if err := w.m.DeleteRule(t.Context(), w.ws, r.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := w.m.Mentions(t.Context(), w.ws); err != nil || len(got) != 0 {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// TestHoursOverMidnight: the second half of a night belongs to the day after.
func TestHoursOverMidnight(t *testing.T) {
	t.Parallel()
	list, err := Hours{Days: []int{5}, From: "22:00", To: "06:00", Zone: "UTC"}.interval() // Friday
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]bool{"2026-01-02T21:59:00Z": false, "2026-01-02T22:00:00Z": true, "2026-01-03T05:59:00Z": true, "2026-01-03T06:00:00Z": false,
		"2026-01-03T22:30:00Z": false, "2026-01-02T05:00:00Z": false} {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		open := false
		for _, i := range list {
			open = open || i.ContainsTime(moment)
		}
		if open != want {
			t.Errorf("%s: open %v", at, open)
		}
	}
	for _, h := range []Hours{{From: "25:00", To: "06:00", Zone: "UTC"}, {From: "06:00", To: "06:00", Zone: "UTC"}, {From: "06:00", To: "07:00", Zone: "Nowhere"}, {From: "06:00", To: "07:00", Zone: "UTC", Days: []int{7}}} {
		if _, err := h.interval(); err == nil {
			t.Errorf("accepted: %+v", h)
		}
	}
}

// FuzzYAML: whatever a file says, it is refused or becomes rules that compile and can be written and read again.
func FuzzYAML(f *testing.F) {
	f.Add([]byte(lifeRules))
	f.Add([]byte(testPack))
	f.Add([]byte("groups: [{name: a, rules: [{alert: b, expr: c, labels: {d: '{{ .'}}]}]"))
	f.Add([]byte("groups: &a [*a]"))
	m := compiler()
	f.Fuzz(func(t *testing.T, text []byte) {
		_, rules, list, err := m.readYAML(text)
		if err != nil {
			return
		}
		if len(rules) > len(list) {
			t.Fatal("more rules than there are")
		}
		for _, r := range rules {
			if _, err := m.check(r); err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
		}
	})
}

// FuzzRuleForm: whatever a form says, it is refused, or becomes a rule that compiles and is the same when it is stored and read.
func FuzzRuleForm(f *testing.F) {
	for _, form := range []url.Values{
		{"kind": {"threshold"}, "name": {"HighLoad"}, "group": {"hosts"}, "expr": {`node_load5{instance=~"web.*"} / on (instance) count by (instance) (node_cpu_seconds_total{mode="idle"})`},
			"compare": {">"}, "value": {"1,5"}, "for": {"10m"}, "keep": {"5m"}, "severity": {"critical"}, "summary": {"Load of {{ $labels.instance }} is {{ $value | humanize }}"}, "interval": {"30s"}},
		{"kind": {"absence"}, "name": {"HostDown"}, "group": {"hosts"}, "expr": {"up{job=\"node\"}"}, "each": {"on"}, "window": {"5m"}, "severity": {"critical"}},
		{"kind": {"forecast"}, "name": {"DiskFills"}, "group": {"hosts"}, "expr": {`node_filesystem_avail_bytes{fstype!~"tmpfs|overlay"}`}, "compare": {"<"}, "value": {"0"}, "horizon": {"1d"}, "window": {"6h"}},
		{"kind": {"anomaly"}, "name": {"OrdersOdd"}, "group": {"shop"}, "expr": {"sum(rate(orders_total[5m]))"}, "direction": {"below"}, "weeks": {"4"}, "deviations": {"5"}, "ignore": {"0.1"}, "for": {"30m"}},
		{"kind": {"expression"}, "name": {"JobsFail"}, "group": {"jobs"}, "expr": {`sum by (queue) (rate(jobs_failed_total[5m])) > 0`}, "labels": {"team=shop\nsla=gold"}, "annotations": {"runbook_url=https://example.com/a=b"}},
		{"kind": {"recording"}, "name": {"instance:load:avg5m"}, "group": {"rec"}, "expr": {"avg_over_time(node_load1[5m])"}},
		{"kind": {"threshold"}, "name": {"x"}, "group": {"g"}, "expr": {"1"}, "compare": {"=="}, "value": {"NaN"}, "for": {"1y1s"}, "weeks": {"-1"}},
	} {
		f.Add(form.Encode())
	}
	f.Add("expr=0&group=0&name=0&summary=%e10") // no UTF-8
	f.Add("expr=0&group=0&name=0&summary=%e10") // no UTF-8
	m := compiler()
	f.Fuzz(func(t *testing.T, text string) {
		form, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		rule, _, err := readRule(form)
		if err != nil {
			return
		}
		if _, err := m.check(rule); err != nil {
			return
		}
		again := Rule{Group: rule.Group}
		if err := json.Unmarshal([]byte(encode(rule)), &again); err != nil {
			t.Fatalf("%+v: %v", rule, err)
		}
		want, _ := m.compile(rule)
		if got, err := m.check(again); err != nil || got.Expr != want.Expr || got.For != want.For || !maps.Equal(got.Labels, want.Labels) || !maps.Equal(got.Annotations, want.Annotations) {
			t.Fatalf("%+v became %+v: %v", rule, again, err)
		}
	})
}

// FuzzMatchers: what is read is written so that it is read again as the same.
func FuzzMatchers(f *testing.F) {
	f.Add("severity=\"critical\"\nhost=~\"web.*\"")
	f.Add(`a!~"(",b=c`)
	f.Add("{a=\"b\\\"c\\n\"}")
	for _, s := range []string{ // those of Alertmanager's own documents and tests
		`{foo="bar",dings!="bums"}`, `{quote="She said: \"Hi, ladies! That's gender-neutral…\""}`, `foo=~"bar|baz"`, `alertname = Watchdog`, `{"foo 🙂"!~"bar🙂"}`, `severity=~"critical|warning", env!=""`,
		"alertname=\"HostDiskFills\"\ninstance=\"db-1\"\nmountpoint=\"/var/lib/postgresql\"\ndevice=\"/dev/nvme0n1p1\"", `a="b", c`, `{}`, `a=`, `=b`, `a=~"["`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadMatchers(text)
		if err != nil {
			return
		}
		again, err := ReadMatchers(WriteMatchers(list))
		if err != nil {
			t.Fatalf("%q: %v", WriteMatchers(list), err)
		}
		if WriteMatchers(again) != WriteMatchers(list) {
			t.Fatalf("%q became %q", WriteMatchers(list), WriteMatchers(again))
		}
	})
}

// FuzzWindow: no rule of RFC 5545 makes the next occurrence take long or go wrong.
func FuzzWindow(f *testing.F) {
	f.Add("FREQ=WEEKLY;BYDAY=SU", int64(0))
	f.Add("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", int64(1e9))
	f.Add("FREQ=DAILY;INTERVAL=0;COUNT=-1", int64(1e9))
	f.Add("FREQ=MONTHLY;BYDAY=9FR", int64(1.8e9)) // the library panics
	for _, s := range []string{                   // those of RFC 5545, section 3.8.5.3
		"FREQ=DAILY;COUNT=10", "FREQ=DAILY;UNTIL=19971224T000000Z", "FREQ=WEEKLY;INTERVAL=2;WKST=SU", "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH", "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
		"FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU", "FREQ=MONTHLY;BYMONTHDAY=-3", "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
		"FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
		"RRULE:FREQ=MONTHLY;BYDAY=1SA", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
	} {
		f.Add(s, int64(1.8e9))
	}
	f.Fuzz(func(t *testing.T, rule string, start int64) {
		w := Window{Name: "x", Start: time.Unix(start%4e9, 0), Lasts: time.Hour, Rule: rule, Zone: "Europe/Berlin"}
		if checkWindow(w, time.Unix(2e9, 0)) != nil {
			return
		}
		last := time.Time{}
		for _, s := range w.Next(time.Unix(2e9, 0), 5) {
			if !s.From.After(last) || !s.Until.After(time.Unix(2e9, 0)) {
				t.Fatalf("%q: %v after %v", rule, s, last)
			}
			last = s.From
		}
		w.end()
	})
}
