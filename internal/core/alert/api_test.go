package alert

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

// until waits for something that other goroutines bring about.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// faster has a group evaluated more often than people may choose.
func faster(t *testing.T, m *Module, ws kernel.WorkspaceID, group string) {
	t.Helper()
	err := m.d.DB.Tx(t.Context(), func(tx *db.Tx) error {
		if err := m.setInterval(t.Context(), tx, ws, group, 500*time.Millisecond); err != nil {
			return err
		}
		return m.touch(t.Context(), tx, ws)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAPI walks the API: rules in and out, Prometheus's own answers, alerts, silences.
func TestAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t, dbtest.SQLite(t))
	want := func(status int, method, path, kind, body string, texts ...string) string {
		t.Helper()
		code, got := s.api(t, method, path, kind, body)
		if code != status {
			t.Fatalf("%s %s: %d, want %d\n%s", method, path, code, status, got)
		}
		for _, text := range texts {
			if !strings.Contains(got, text) {
				t.Fatalf("%s %s: no %q in\n%s", method, path, text, got)
			}
		}
		return got
	}
	want(200, "GET", "/prometheus/api/v1/rules", "", "", `{"status":"success","data":{"groups":[]}}`)
	want(200, "GET", "/prometheus/api/v1/alerts", "", "", `{"status":"success","data":{"alerts":[]}}`)
	file := "groups:\n  - name: g\n    rules:\n      - record: double\n        expr: load * 2\n      - alert: High\n        expr: load > 5\n        labels:\n          severity: critical\n        annotations:\n          summary: it is {{ $value }}\n"
	want(422, "PUT", "/api/v1/rules", "application/yaml", strings.Replace(file, "load > 5", "load >", 1), `"name":"High"`, `could not parse expression`)
	want(422, "PUT", "/api/v1/rules", "application/yaml", "groups: [", "yaml")
	want(422, "PUT", "/api/v1/rules", "application/yaml", "groups: [{name: g, interval: 1s, rules: []}]", "5 seconds")
	want(200, "PUT", "/api/v1/rules", "application/yaml", file, `"imported":2`)
	if got := want(200, "GET", "/api/v1/rules", "", ""); got != file {
		t.Errorf("the rules come back as\n%s", got)
	}
	faster(t, s.m, s.ws, "g")
	w := &world{t: t, ws: s.ws, store: s.store}
	w.put(9, "__name__", "load", "instance", "a")
	if err := s.m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.m.Stop(context.Background()) })
	until(t, "an alert fires", func() bool {
		_, got := s.api(t, "GET", "/prometheus/api/v1/alerts", "", "")
		return strings.Contains(got, "firing")
	})

	// The shape is Prometheus's, to the last field: unknown ones are refused, and what is read is written the same again.
	var rules struct {
		Status string `json:"status"`
		Data   struct {
			Groups []struct {
				Name  string `json:"name"`
				File  string `json:"file"`
				Rules []struct {
					State          string            `json:"state,omitempty"`
					Name           string            `json:"name"`
					Query          string            `json:"query"`
					Duration       *float64          `json:"duration,omitempty"`
					KeepFiringFor  *float64          `json:"keepFiringFor,omitempty"`
					Labels         map[string]string `json:"labels"`
					Annotations    map[string]string `json:"annotations,omitempty"`
					Alerts         []promAlert       `json:"alerts,omitempty"`
					Health         string            `json:"health"`
					LastError      string            `json:"lastError,omitempty"`
					EvaluationTime float64           `json:"evaluationTime"`
					LastEvaluation time.Time         `json:"lastEvaluation"`
					Type           string            `json:"type"`
				} `json:"rules"`
				Interval       float64   `json:"interval"`
				Limit          int       `json:"limit"`
				EvaluationTime float64   `json:"evaluationTime"`
				LastEvaluation time.Time `json:"lastEvaluation"`
			} `json:"groups"`
		} `json:"data"`
	}
	text := want(200, "GET", "/prometheus/api/v1/rules", "", "")
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rules); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	var again strings.Builder
	enc := json.NewEncoder(&again)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(rules); err != nil || strings.TrimSpace(again.String()) != strings.TrimSpace(text) {
		t.Errorf("%v: read as\n%s\nwritten as\n%s", err, again.String(), text)
	}
	g := rules.Data.Groups[0]
	if g.Rules[0].Type != "recording" || g.Rules[1].Type != "alerting" || g.Rules[1].State != "firing" || g.Rules[1].Health != "ok" || len(g.Rules[1].Alerts) != 1 || g.Rules[1].Alerts[0].Value != "9e+00" {
		t.Errorf("rules: %s", text)
	}
	want(200, "GET", "/prometheus/api/v1/rules?type=record", "", "", `"double"`)
	want(200, "GET", "/prometheus/api/v1/rules?rule_name[]=none", "", "", `"groups":[]`)
	want(400, "GET", "/prometheus/api/v1/rules?type=x", "", "", `"status":"error"`, `"errorType":"bad_data"`)

	list := want(200, "GET", "/api/v1/alerts?state=firing&severity=critical", "", "", `"name":"High"`, `"summary":"it is 9"`)
	var alerts AlertListJSON
	if err := json.Unmarshal([]byte(list), &alerts); err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/alerts/" + string(alerts.Alerts[0].ID)
	want(200, "POST", path+"/ack", "application/json", `{"note":"on it"}`, `"ack_note":"on it"`, `"acked_by":"an API key"`)
	want(200, "DELETE", path+"/ack", "", "", `"acked_at":null`)
	want(404, "GET", "/api/v1/alerts/01jzzzzzzzzzzzzzzzzzzzzzzz", "", "")

	end := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	made := want(200, "POST", "/api/v1/silences", "application/json", `{"matchers":[{"name":"alertname","value":"Hi.*","isRegex":true}],"startsAt":"2020-01-01T00:00:00Z","endsAt":"`+end+`","comment":"known"}`, "silenceID")
	var id SilenceIDJSON
	if err := json.Unmarshal([]byte(made), &id); err != nil {
		t.Fatal(err)
	}
	want(200, "GET", "/api/v1/silences/"+id.SilenceID, "", "", `"state":"active"`, `"isRegex":true`, `"isEqual":true`)
	want(422, "POST", "/api/v1/silences", "application/json", `{"matchers":[],"startsAt":"2020-01-01T00:00:00Z","endsAt":"`+end+`","comment":""}`, "matchers")
	want(204, "DELETE", "/api/v1/silences/"+id.SilenceID, "", "")
	want(200, "GET", "/api/v1/silences", "", "", `"state":"expired"`)
}

// TestTwoServers share a database: one of them evaluates, the other shows what it finds and takes over when it goes, and
// nobody is told twice.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.Postgres(t), schema()...)
	ws, keys := newWorkspace(t, d), testKeys(t, d)
	store, between := openStore(t, t.TempDir()), bus.NewMemory()
	q, err := query.New(query.Deps{Store: store, Clock: kernel.SystemClock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	out := &fakeChannels{fails: map[kernel.ID]error{}}
	server := func() *Module {
		m, err := New(Deps{DB: d, Keys: keys, Bus: between, Store: store, Query: q, Channels: out, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Stop(context.Background()) })
		return m
	}
	one, two := server(), server()
	rule := high
	rule.Group, rule.Enabled = "g", true
	if _, err := one.SaveRule(t.Context(), ws, rule, 0, 0); err != nil {
		t.Fatal(err)
	}
	faster(t, one, ws, "g")
	w := &world{t: t, ws: ws, store: store}
	w.put(9, "__name__", "load", "instance", "a")
	if err := one.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the first evaluates", func() bool { return one.engineOf(ws) != nil })
	if err := two.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "a message leaves", func() bool { out.mu.Lock(); defer out.mu.Unlock(); return len(out.sent) > 0 })
	until(t, "the second shows the rule", func() bool {
		g, err := two.status(t.Context(), ws)
		return err == nil && len(g) == 1 && len(g[0].Rules) == 1
	})
	if two.engineOf(ws) != nil {
		t.Fatal("both evaluate")
	}
	var lease due
	if err := d.QueryRow(t.Context(), `SELECT holder, lease_until FROM alert_workspaces WHERE workspace_id = $1`, string(ws)).Scan(&lease.holder, &lease.until); err != nil {
		t.Fatal(err)
	}
	lease.ws = ws
	if held, err := two.lease(t.Context(), lease); held != 0 || err != nil {
		t.Fatalf("the second has the lease of the first: %v", err)
	}
	if err := one.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the second takes over", func() bool { return two.engineOf(ws) != nil })
	until(t, "it evaluates", func() bool {
		e := two.engineOf(ws)
		r := e.mgr.AlertingRules()
		return len(r) == 1 && r[0].Restored() && len(r[0].ActiveAlerts()) == 1
	})
	list, err := two.Alerts(t.Context(), ws, Filter{})
	if err != nil || len(list) != 1 || list[0].State != Firing {
		t.Fatalf("%v: %+v", err, list)
	}
	if sent := out.take(); len(sent) != 1 {
		t.Errorf("%d messages: %+v", len(sent), sent)
	}
}
