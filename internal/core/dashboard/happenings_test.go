package dashboard

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/kernel"
)

type knows struct {
	list []Annotation
	err  error
}

func (k knows) Annotations(context.Context, kernel.WorkspaceID, time.Time, time.Time) ([]Annotation, error) {
	return k.list, k.err
}

// TestWhatHappened: events of others, a query's moments and notes are marked; alerts that fire stand first; kinds can be
// hidden; what concerns what was not chosen is left out; who cannot answer is said.
func TestWhatHappened(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w := newWorld(t, s)
	now := s.Clock.Now()
	w.m.UseAnnotators(knows{list: []Annotation{
		{At: now.Add(-20 * time.Minute), Kind: "deploy", Text: "till 1.2", Href: "/w/x/deploys"},
		{At: now.Add(-10 * time.Minute), Kind: "alert", Text: "Disk full on db-2", Labels: map[string]string{"instance": "db-2"}},
		{At: now.Add(-30 * time.Minute), Until: now.Add(-25 * time.Minute), Kind: "alert", Text: "Was slow", Href: "https://evil.example"},
	}}, knows{err: errors.New("down")})
	d := example()
	d.Marks = []Mark{{Name: "Growth", Expr: `requests_total{instance="web-1",code="200"} > 1800`, Text: "many on {{instance}}"}}
	place := dashHref(w.ws, w.make(t, d))
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	a := b.Get(place).Is(200, "1 alert is firing, 2 values are beyond a limit", "Disk full on db-2", "till 1.2", "Was slow", "many on web-1", "Some events could not be read")
	if strings.Index(a.Body, "Disk full on db-2") > strings.Index(a.Body, `id="p-requests"`) {
		t.Error("an alert that fires does not stand first")
	}
	b.Get(place+"?hide=deploy&hide=growth").Is(200, "deploy 1: show", "growth 0: show").Lacks("till 1.2", "many on web-1")
	b.Get(place+"?var-instance=web-1").Is(200, "till 1.2").Lacks("Disk full on db-2", "alert is firing")
	share := between(t, b.Get(place+"?var-instance=web-1").Body, `href="`+place+`?done=share`, `"`)
	b.Get(place+"?done=share"+strings.ReplaceAll(share, "&amp;", "&")).Is(200, "exactly this", "web-1").Lacks("alert is firing")
}

// TestSpells: where a series begins and ends to be there and not 0.
func TestSpells(t *testing.T) {
	t.Parallel()
	step := time.Minute
	at := func(m int64, v float64) promql.FPoint { return promql.FPoint{T: m * 60_000, F: v} }
	got := spells([]promql.FPoint{at(0, 0), at(1, 1), at(2, 1), at(3, 0), at(4, 1), at(8, 1), at(9, 1)}, step, false)
	want := [][2]int64{{1, 2}, {4, 0}, {8, 9}}
	if len(got) != len(want) {
		t.Fatal(got)
	}
	for i, w := range want {
		until := int64(0)
		if !got[i].Until.IsZero() {
			until = got[i].Until.UnixMilli() / 60_000
		}
		if got[i].At.UnixMilli()/60_000 != w[0] || until != w[1] {
			t.Errorf("%d: %v – %v, want %v", i, got[i].At, got[i].Until, w)
		}
	}
	if got := spells([]promql.FPoint{at(0, 5000), at(1, 5000), at(2, 9000)}, step, true); len(got) != 2 || got[1].At.UnixMilli() != 9000 {
		t.Error(got)
	}
}

// TestRepeats: a row and a panel are drawn once for each chosen value, each with its own numbers and its own address.
func TestRepeats(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w := newWorld(t, s)
	d := &Dashboard{Version: Format, Title: "R", Variables: []Variable{{Name: "host", Kind: VarQuery, Query: "label_values(up, instance)", Multi: true, All: true}}, Rows: []Row{
		{Title: "On $host", Repeat: "host", Panels: []Panel{{ID: "one", Title: "Up of $host", Kind: KindTable, Targets: []Target{{Expr: `up{instance="$host"}`}}}}},
		{Title: "All", Panels: []Panel{{ID: "two", Title: "Disk of $host", Kind: KindBar, Repeat: "host", Targets: []Target{{Expr: `disk_used_ratio{instance="$host"}`, Legend: "{{instance}}"}}}}},
	}}
	place := dashHref(w.ws, w.make(t, d))
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	a := b.Get(place).Is(200, "On db-1", "On web-2", "Up of web-1", "Disk of db-2", `id="p-one-r3"`, `id="p-two-3"`, "var-host=web-2")
	if n := strings.Count(a.Body, `id="p-`); n != 8 {
		t.Errorf("%d panels", n)
	}
	a = b.Get(place+"?var-host=db-1&var-host=web-1").Is(200, "On db-1", "On web-1").Lacks("On web-2")
	if n := strings.Count(a.Body, `id="p-`); n != 4 {
		t.Errorf("%d panels", n)
	}
}

// TestBuckets: a histogram's buckets count from zero; a heat map shows what is in each.
func TestBuckets(t *testing.T) {
	t.Parallel()
	l := func(le string, v float64) line {
		return line{label: le, labels: labels.FromStrings("le", le), points: []promql.FPoint{{T: 1, F: v}}}
	}
	var got []string
	for _, x := range buckets([]line{l("+Inf", 10), l("0.5", 2), l("1", 7)}) {
		got = append(got, x.label, promql.FPoint{T: 1, F: x.points[0].F}.String())
	}
	if want := "0.5 2 @[1] 1 5 @[1] +Inf 3 @[1]"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if got := buckets([]line{l("a", 1), l("b", 2)}); len(got) != 2 || got[1].points[0].F != 2 {
		t.Error("other series are rows as they are")
	}
}
