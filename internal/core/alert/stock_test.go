package alert

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/series"
)

// The four families of cases of Prometheus's alert generator compliance suite, in one file: pending, firing and resolved;
// pending and resolved without firing, and always inactive; no for, and one that is shorter than the interval; alerts that
// are new while others fire, in a group whose rules build on one another.
const lifeRules = `groups:
  - name: PendingAndFiringAndResolved
    interval: 30s
    rules:
      - alert: PFR
        expr: load > 5
        for: 90s
        labels: {severity: critical, where: "{{ $labels.instance }}"}
        annotations: {summary: "{{ $value | humanize }} on {{ $labels.instance }}"}
      - alert: Kept
        expr: load > 5
        keep_firing_for: 2m
  - name: PendingAndResolved
    interval: 30s
    rules:
      - alert: NeverLongEnough
        expr: load > 5
        for: 1h
      - alert: AlwaysInactive
        expr: load > 1000
  - name: ZeroFor_SmallFor
    interval: 30s
    rules:
      - alert: ZeroFor
        expr: load > 5
      - alert: SmallFor
        expr: load > 5
        for: 7s
  - name: NewAlerts_OrderCheck
    interval: 15s
    labels: {team: shop}
    rules:
      - record: instance:load:double
        expr: load * 2
      - alert: OnRecorded
        expr: instance:load:double > 10
        for: 45s
      - alert: OnAlert
        expr: ALERTS{alertname="OnRecorded", alertstate="firing"} == 1
`

// lifeOf is the load of an instance at a time since the beginning: instances rise, fall and vanish at different times.
func lifeOf(instance string, since time.Duration) (float64, bool) {
	minute := since.Minutes()
	switch instance {
	case "a":
		if minute > 4 && minute < 9 || minute > 15 && minute < 16.2 || minute > 20 && minute < 26 {
			return 9, true
		}
		return 1, true
	case "b":
		if minute > 6 && minute < 12 {
			return 7 + minute, true
		}
		return 2, true
	}
	if minute > 18 && minute < 22 {
		return 30, true // it comes with the wrong value, and goes without a word
	}
	return 0, false
}

// stock is Prometheus's rule manager as its own server runs it, over a store of its own.
type stock struct {
	store *series.TSDB
	mgr   *rules.Manager

	mu   sync.Mutex
	sent []string
	all  []string // each time, as an Alertmanager gets it
}

func newStock(t *testing.T, w *world, text string) *stock {
	t.Helper()
	s := &stock{}
	var err error
	if s.store, err = series.OpenTSDB(series.Config{Dir: filepath.Join(w.dir, "stock"), Clock: clock}); err != nil {
		t.Fatal(err)
	}
	parse := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.Parse([]byte(text), false, model.UTF8Validation, parse, promslog.NewNopLogger())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	source := &source{parser: parse}
	source.groups.Store(groups)
	external, err := url.Parse("https://kept.example")
	if err != nil {
		t.Fatal(err)
	}
	s.mgr = rules.NewManager(&rules.ManagerOptions{ExternalURL: external, QueryFunc: rules.EngineQueryFunc(w.query.Engine(), s.store.For(w.ws)), AppendableV2: s.store.For(w.ws),
		Queryable: s.store.For(w.ws), OutageTolerance: time.Hour, ForGracePeriod: 10 * time.Minute, ResendDelay: time.Minute, GroupLoader: source, Parser: parse,
		NotifyFunc: func(_ context.Context, _ string, list ...*rules.Alert) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, a := range list {
				s.sent = append(s.sent, sentLine(a.Labels, a.Annotations.Map()["summary"], a.FiredAt, a.ResolvedAt))
				end := a.ResolvedAt
				if end.IsZero() {
					end = a.ValidUntil
				}
				s.all = append(s.all, forwardLine(time.Now(), a.Labels.Map(), a.Annotations.Map(), a.FiredAt, end))
			}
		}})
	if err := s.mgr.Update(DefaultInterval, []string{string(w.ws)}, labels.EmptyLabels(), "https://kept.example", nil); err != nil {
		t.Fatal(err)
	}
	go s.mgr.Run()
	return s
}

func forwardLine(at time.Time, ls, annotations map[string]string, begin, end time.Time) string {
	return fmt.Sprint(at.UTC().Truncate(time.Second), ls, annotations, begin.UTC(), end.UTC())
}

func sentLine(ls labels.Labels, summary string, fired, resolved time.Time) string {
	if resolved.IsZero() {
		return fmt.Sprintf("%s %q fires since %s", ls, summary, fired.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano))
	}
	return fmt.Sprintf("%s %q resolved at %s", ls, summary, resolved.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano))
}

// active are all alerts of a manager, in order.
func active(mgr *rules.Manager) string {
	var out []string
	for _, r := range mgr.AlertingRules() {
		for _, a := range r.ActiveAlerts() {
			out = append(out, fmt.Sprintf("%s %s value %v active %s fired %s kept %s", a.Labels, a.State, a.Value, a.ActiveAt, a.FiredAt, a.KeepFiringSince))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// written are the samples that rules have written: ALERTS, ALERTS_FOR_STATE and recordings.
func written(t *testing.T, s *series.TSDB, ws kernel.WorkspaceID) string {
	t.Helper()
	q, err := s.For(ws).Querier(0, time.Now().UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	var out []string
	set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", "ALERTS|ALERTS_FOR_STATE|instance:.*"))
	for set.Next() {
		var b bytes.Buffer
		fmt.Fprint(&b, set.At().Labels())
		it := set.At().Iterator(nil)
		for it.Next() != 0 {
			at, v := it.At()
			fmt.Fprintf(&b, " %d:%v", at, v)
		}
		out = append(out, b.String())
	}
	return strings.Join(out, "\n")
}

// TestLifeIsPrometheus runs Prometheus's own rule manager beside ours over the same samples: at every moment they have the
// same alerts in the same states, in the end they have written the same series, ours has told of every firing and every
// end that Prometheus would have sent, and what goes to Alertmanagers goes as Prometheus would send it, each time.
func TestLifeIsPrometheus(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		if _, err := w.m.ImportYAML(t.Context(), w.ws, []byte(lifeRules), true, false); err != nil {
			t.Fatal(err)
		}
		s := newStock(t, w, lifeRules)
		defer func() { s.mgr.Stop(); s.store.Close() }()
		w.start()
		begin := time.Now()
		seenStates := map[string]bool{}
		for since := time.Duration(0); since < 32*time.Minute; since = time.Since(begin) {
			for _, instance := range []string{"a", "b", "c"} {
				if v, ok := lifeOf(instance, since); ok {
					w.put(v, "__name__", "load", "instance", instance)
					app := s.store.For(w.ws).AppenderV2(t.Context())
					if _, err := app.Append(0, labels.FromStrings("__name__", "load", "instance", instance), 0, time.Now().UnixMilli(), v, nil, nil, storage.AOptions{}); err != nil {
						t.Fatal(err)
					}
					if err := app.Commit(); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			ours, theirs := active(w.m.engineOf(w.ws).mgr), active(s.mgr)
			if ours != theirs {
				t.Fatalf("after %v ours\n%s\ntheirs\n%s", since, ours, theirs)
			}
			for _, a := range w.alerts(Pending, Firing) {
				seenStates[a.Name+" "+a.State] = true
			}
		}
		for _, want := range []string{"PFR pending", "PFR firing", "Kept firing", "NeverLongEnough pending", "ZeroFor firing", "SmallFor firing", "OnRecorded pending", "OnRecorded firing", "OnAlert firing"} {
			if !seenStates[want] {
				t.Errorf("never seen: %s", want)
			}
		}
		for _, never := range []string{"NeverLongEnough firing", "AlwaysInactive firing", "AlwaysInactive pending"} {
			if seenStates[never] {
				t.Errorf("seen: %s", never)
			}
		}
		if ours, theirs := written(t, w.store, w.ws), written(t, s.store, w.ws); ours != theirs {
			t.Errorf("series differ:\n%s\n\n%s", ours, theirs)
		}
		history := map[string]bool{}
		for _, a := range w.alerts() {
			ls := labels.FromMap(a.Labels)
			history[sentLine(ls, a.Annotations["summary"], a.FiredAt, time.Time{})] = true
			if a.State == Resolved {
				history[sentLine(ls, a.Annotations["summary"], a.FiredAt, a.ResolvedAt)] = true
			}
		}
		ends := 0
		for _, line := range s.sent {
			if strings.Contains(line, " resolved at ") {
				ends++
				if !history[line] {
					t.Errorf("Prometheus would have sent what our history does not have: %s", line)
				}
			}
		}
		if ends < 8 {
			t.Errorf("only %d ends: the scenario is too poor", ends)
		}
		var away []string
		for _, f := range w.out.takeForwarded() {
			for _, a := range f.Alerts {
				ls, annotations := map[string]string{}, map[string]string{}
				for n, v := range a.Labels {
					ls[string(n)] = string(v)
				}
				for n, v := range a.Annotations {
					annotations[string(n)] = string(v)
				}
				away = append(away, forwardLine(f.At, ls, annotations, a.StartsAt, a.EndsAt))
			}
		}
		slices.Sort(away)
		slices.Sort(s.all)
		if !slices.Equal(away, s.all) || len(away) < 50 {
			t.Errorf("to Alertmanagers %d, by Prometheus %d:\n%s\n\n%s", len(away), len(s.all), strings.Join(away, "\n"), strings.Join(s.all, "\n"))
		}
		told := map[string]int{}
		for _, m := range w.out.take() {
			for _, name := range m.Firing {
				told[name]++
			}
		}
		for _, name := range []string{"PFR/a", "PFR/b", "Kept/a", "ZeroFor/a", "SmallFor/b", "OnRecorded/a", "OnAlert/a", "ZeroFor/c"} {
			if told[name] == 0 {
				t.Errorf("nobody was told of %s", name)
			}
		}
	})
}

// TestBacktestIsWhatHappens evaluates live for a while, and then asks the backtest what would have happened: the firings are
// the same, as far as the moments of evaluation allow.
func TestBacktestIsWhatHappens(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		slow := high
		slow.For, slow.KeepFiringFor = model.Duration(2*time.Minute), model.Duration(3*time.Minute)
		w.rule(slow)
		w.start()
		begin := time.Now()
		for since := time.Duration(0); since < 2*time.Hour; since = time.Since(begin) {
			for _, instance := range []string{"a", "b"} {
				v, _ := lifeOf(instance, since%(30*time.Minute))
				w.put(v, "__name__", "load", "instance", instance)
			}
			time.Sleep(15 * time.Second)
		}
		synctest.Wait()
		b, err := w.m.Backtest(t.Context(), w.ws, slow, DefaultInterval, 2*time.Hour, false)
		if err != nil {
			t.Fatal(err)
		}
		lived := w.alerts(Resolved, Firing)
		if !b.Whole || b.Total != len(lived) || b.Total < 8 {
			t.Fatalf("%d firings in the backtest (whole: %v), %d in life", b.Total, b.Whole, len(lived))
		}
		for _, f := range b.Firings {
			i := slices.IndexFunc(lived, func(a Alert) bool {
				return a.Labels["instance"] == f.Labels["instance"] && a.FiredAt.Sub(f.From).Abs() <= DefaultInterval && (f.Until.IsZero() || a.ResolvedAt.Sub(f.Until).Abs() <= DefaultInterval)
			})
			if i < 0 {
				t.Errorf("only in the backtest: %+v", f)
				continue
			}
			lived = slices.Delete(lived, i, i+1)
		}
	})
}
