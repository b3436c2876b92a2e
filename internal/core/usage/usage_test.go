package usage_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/core/usage"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/series"
)

// world is the module with somebody who asks it.
type world struct {
	*accesstest.Stack
	*usage.Module
	query  *query.Module
	ws     kernel.WorkspaceID
	has    usage.Holdings
	limits usage.Limits
	broken error // of asking for Holdings
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		w := &world{Stack: s, has: usage.Holdings{Series: 90, Bytes: 4096, Hosts: 2}}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		store, err := series.OpenTSDB(series.Config{Dir: t.TempDir(), Clock: s.Clock.Now})
		must(err)
		t.Cleanup(func() { must(store.Close()) })
		w.query, err = query.New(query.Deps{Store: store, Clock: s.Clock.Now})
		must(err)
		w.Module, err = usage.New(usage.Deps{DB: s.DB, Clock: s.Clock.Now,
			Holdings: func(context.Context, kernel.WorkspaceID) (usage.Holdings, error) { return w.has, w.broken },
			Limits:   func(context.Context, kernel.WorkspaceID) (usage.Limits, error) { return w.limits, nil }})
		must(err)
		w.query.Use(w.Module)
		w.query.UseDescribers(w.Module)
		must(s.DB.Migrate(t.Context(), db.Module{Name: "usage", Migrations: w.Migrations()}))
		_, w.ws, _ = s.Owner(t, "ada@example.com", "Shop")
		f(t, w)
	})
}

// came counts something and writes it down.
func (w *world) came(t *testing.T, ws kernel.WorkspaceID, c usage.Counts) {
	t.Helper()
	w.Add(ws, c)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ask asks for a value now: "none" where there is none.
func (w *world) ask(t *testing.T, ws kernel.WorkspaceID, expr string) string {
	t.Helper()
	res, err := w.query.Instant(t.Context(), ws, expr, w.Clock.Now())
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	v := res.Value.(promql.Vector)
	if len(v) == 0 {
		return "none"
	}
	return fmt.Sprintf("%.4g", v[0].F)
}

// TestCountsBecomeSeries: what was counted is what a query adds up, exactly, wherever one looks and however long ago it was.
func TestCountsBecomeSeries(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, other, _ := w.Owner(t, "bob@example.com", "Other")
		if got := w.ask(t, w.ws, `{__name__=~"kept_usage_.*"}`); got != "none" {
			t.Errorf("before anything came there is %s", got)
		}
		for range 24 { // two hours
			w.came(t, w.ws, usage.Counts{Samples: 200, Refused: 3, JobEvents: 10, Ingests: 2, Requests: 1})
			w.came(t, w.ws, usage.Counts{Samples: 100})
			w.Clock.Add(5 * time.Minute)
		}
		for expr, want := range map[string]string{
			`kept_usage_samples_total`: "7200", `kept_usage_samples_refused_total`: "72", `kept_usage_job_events_total`: "240",
			`kept_usage_api_requests_total{kind="ingest"}`: "48", `kept_usage_api_requests_total{kind="other"}`: "24", `sum(kept_usage_api_requests_total)`: "72",
			`rate(kept_usage_samples_total[30m])`: "1", `increase(kept_usage_samples_total[1h])`: "3600",
			`kept_usage_series`: "90", `kept_usage_metric_bytes`: "4096", `kept_usage_hosts`: "2", `count({__name__=~"kept_usage_.*_limit"}) or vector(0)`: "0",
		} {
			if got := w.ask(t, w.ws, expr); got != want {
				t.Errorf("%s is %s, want %s", expr, got, want)
			}
		}
		if got := w.ask(t, other, `{__name__=~"kept_usage_.*"}`); got != "none" {
			t.Errorf("another workspace sees %s", got)
		}
		// Nothing more comes: counters stay, and what the workspace has is no longer told after a while.
		w.Clock.Add(2 * time.Hour)
		if got := w.ask(t, w.ws, `kept_usage_samples_total`) + " " + w.ask(t, w.ws, `kept_usage_series`) + " " + w.ask(t, w.ws, `rate(kept_usage_samples_total[30m])`); got != "7200 none 0" {
			t.Errorf("two quiet hours later: %s", got)
		}
		// After two days there is one slot for an hour, and the sums are the same.
		w.Clock.Add(72 * time.Hour)
		w.came(t, other, usage.Counts{Requests: 1})
		if n, err := w.Collections()[0].Count(t.Context(), w.ws); err != nil || n != 2 {
			t.Errorf("%d slots are left, want 2: %v", n, err)
		}
		if got := w.ask(t, w.ws, `kept_usage_samples_total`) + " " + w.ask(t, w.ws, `increase(kept_usage_samples_total[4d])`); got != "7200 7200" {
			t.Errorf("of whole hours: %s", got)
		}
	})
}

// TestLimitsAreSeriesToo: so that a rule can say how near a workspace is.
func TestLimitsAreSeriesToo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.limits = usage.Limits{Series: 100, SampleRate: 50}
		w.came(t, w.ws, usage.Counts{Samples: 1})
		w.Clock.Add(time.Minute)
		for expr, want := range map[string]string{`kept_usage_series / kept_usage_series_limit`: "0.9", `kept_usage_samples_limit`: "50", `kept_usage_hosts_limit`: "none"} {
			if got := w.ask(t, w.ws, expr); got != want {
				t.Errorf("%s is %s, want %s", expr, got, want)
			}
		}
		known, err := w.query.Metadata(t.Context(), w.ws, "kept_usage_samples_total")
		if err != nil || len(known["kept_usage_samples_total"]) != 1 || known["kept_usage_samples_total"][0].Type != "counter" {
			t.Errorf("%v, %v", known, err)
		}
		names, err := w.query.LabelValues(t.Context(), w.ws, "__name__", nil, w.Clock.Now().Add(-time.Hour), w.Clock.Now())
		if err != nil || fmt.Sprint(names) != "[kept_usage_hosts kept_usage_metric_bytes kept_usage_samples_limit kept_usage_samples_total kept_usage_series kept_usage_series_limit]" {
			t.Errorf("%q, %v", names, err)
		}
	})
}

// TestCountsSurviveTrouble: what cannot be asked is left out, what cannot be written is written the next time, and a
// workspace that is gone leaves nothing.
func TestCountsSurviveTrouble(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.broken = errors.New("the store is away")
		w.came(t, w.ws, usage.Counts{Samples: 5})
		w.Add(w.ws, usage.Counts{Samples: 7})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.Flush(ctx); err == nil {
			t.Error("a write that failed was not told")
		}
		w.broken = nil
		w.Clock.Add(5 * time.Minute)
		w.came(t, "ws_gone", usage.Counts{Samples: 1})
		if err := w.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Clock.Add(5 * time.Minute)
		if got := w.ask(t, w.ws, `kept_usage_samples_total`) + " " + w.ask(t, w.ws, `kept_usage_series`); got != "12 90" {
			t.Errorf("%s, want 12 90", got)
		}
		c := w.Collections()[0]
		if n, err := c.Count(t.Context(), ""); err != nil || n != 2 {
			t.Errorf("%d slots, want 2: %v", n, err)
		}
		w.Add(w.ws, usage.Counts{Samples: 1000})
		if n, err := c.Erase(t.Context(), w.ws); err != nil || n != 2 {
			t.Errorf("erased %d: %v", n, err)
		}
		w.came(t, w.ws, usage.Counts{})
		if got := w.ask(t, w.ws, `kept_usage_samples_total`); got != "none" {
			t.Errorf("after the erasure %s samples are there", got)
		}
	})
}

// plan is a planner that says always the same.
type plan string

func (p plan) PlanOf(context.Context, kernel.WorkspaceID) (privacy.Plan, error) {
	return privacy.Plan{Name: string(p)}, nil
}

// TestLimitsByPlan: small plans have limits, nobody has more than the operator allows, and 0 is none.
func TestLimitsByPlan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		plan     string
		operator usage.Limits
		want     usage.Limits
	}{
		{privacy.PlanSelfHosted, usage.Limits{}, usage.Limits{}},
		{privacy.PlanSelfHosted, usage.Limits{Series: 7, Hosts: 9}, usage.Limits{Series: 7, Hosts: 9}},
		{privacy.PlanFree, usage.Limits{}, usage.Limits{Series: 20_000, SampleRate: 2_000, Hosts: 20}},
		{privacy.PlanStarter, usage.Limits{Series: 7, SampleRate: 1e9, Hosts: 10_000}, usage.Limits{Series: 7, SampleRate: 10_000, Hosts: 100}},
		{privacy.PlanScale, usage.Limits{SampleRate: 5}, usage.Limits{SampleRate: 5}},
	} {
		if got, err := usage.ByPlan(plan(c.plan), c.operator)(t.Context(), "ws"); err != nil || got != c.want {
			t.Errorf("%s within %+v: %+v, %v", c.plan, c.operator, got, err)
		}
	}
}
