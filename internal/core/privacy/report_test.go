package privacy

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/ui"
)

func TestRunAllStoresWhatLatestReads(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		never, err := w.module.Latest(t.Context())
		if err != nil || never.CheckedAt != nil || never.Totals[NoCheck] != len(Promises()) {
			t.Fatalf("before the first run: %s, %v", never.Summary(), err)
		}
		if _, err := w.module.RunAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(day)
		w.auditBad = 1
		ran, err := w.module.RunAll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		latest, err := w.module.Latest(t.Context())
		if err != nil || jsonOf(t, latest) != jsonOf(t, ran) {
			t.Errorf("%v\nran    %s\nlatest %s", err, jsonOf(t, ran), jsonOf(t, latest))
		}
		if ran.OK() || ran.Totals[Broken] != 1 || ran.Totals[Kept] == 0 || !ran.CheckedAt.Equal(w.now) {
			t.Errorf("%s at %v", ran.Summary(), ran.CheckedAt)
		}
		var runs int
		if err := w.db.QueryRow(t.Context(), `SELECT count(*) FROM promise_checks WHERE id = 'SEC-6'`).Scan(&runs); err != nil || runs != 2 {
			t.Errorf("history has %d runs, %v", runs, err)
		}
	})
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func fixedReport() Report {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	m := &Module{version: "1.2.3"}
	return m.report(map[string]stored{
		"COL-1": {Result{Outcome: Broken, Reason: "They differ.", Evidence: Evidence{map[string]int64{"live_tables": 3, "differences": 1}, []string{"db: t.c: the column exists, but is not declared"}}}, at},
		"SEC-5": {Result{Outcome: Kept, Evidence: Evidence{Counts: map[string]int64{"routes": 40}}}, at},
	})
}

func TestReportAsText(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	if err := fixedReport().WriteText(&buf); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"COL-1   broken        The account holds: email, name (first and last optional)…",
		"differences 1, live tables 3\n",
		"SEC-5   kept          Rate limiting and abuse detection on all endpoints",
		"USE-1   no check yet  AI features",
		"\nCOL-1 broken: They differ.\n  - db: t.c: the column exists, but is not declared\n",
		"\n46 promises: 1 broken, 44 no check yet, 1 kept\n",
	} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("%q is not in\n%s", want, buf.String())
		}
	}
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	var got struct {
		Version  string
		Totals   map[string]int
		Promises []struct {
			ID, Outcome, Reason string
			By                  []string
			CheckedAt           *time.Time `json:"checked_at"`
			NotYet              *NotYet    `json:"not_checked_yet"`
			Evidence            Evidence
		}
	}
	if err := json.Unmarshal([]byte(jsonOf(t, fixedReport())), &got); err != nil {
		t.Fatal(err)
	}
	first := got.Promises[0]
	if got.Version != "1.2.3" || got.Totals["broken"] != 1 || got.Totals["check_failed"] != 0 || len(got.Totals) != 5 {
		t.Errorf("head: %+v", got.Totals)
	}
	if first.ID != "COL-1" || first.Outcome != "broken" || len(first.By) != 5 || first.CheckedAt == nil || first.Evidence.Counts["differences"] != 1 {
		t.Errorf("first: %+v", first)
	}
	if third := got.Promises[2]; third.Outcome != "no_check" || third.CheckedAt != nil || third.NotYet == nil || third.NotYet.Area == "" {
		t.Errorf("third: %+v", third)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		shell, err := ui.New(ui.Config{})
		if err != nil {
			t.Fatal(err)
		}
		w.exec(t, `ALTER TABLE accounts ADD COLUMN shoe_size TEXT`)
		w.module = New(Deps{DB: w.db, Sources: w.sources, UI: shell, Clock: func() time.Time { return w.now }})
		if _, err := w.module.RunAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		pages := map[string]string{}
		for _, r := range w.module.Routes() {
			rec := httptest.NewRecorder()
			if err := r.Handler(rec, httptest.NewRequestWithContext(t.Context(), r.Method, r.Path, nil)); err != nil || rec.Code != http.StatusOK {
				t.Fatalf("%s: %d, %v", r.Path, rec.Code, err)
			}
			pages[r.Path] = rec.Body.String()
		}
		page := pages["/privacy"]
		for _, want := range []string{
			`id="COL-1"`, `href="#RGT-6"`, "Made by Jobviz, Clairvio, Unimoni, Jobplanr, JobTrax.", "1 broken", "2026-03-01",
			"no check yet", `id="data-jobs-database-job_events"`, "<code>payload</code>", "Example Mail", "delivers mail",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("%q is not on the page", want)
			}
		}
		for path, body := range pages {
			if strings.Contains(body, "shoe_size") || strings.Contains(body, "live_columns") {
				t.Errorf("%s shows the operator's evidence to everybody", path)
			}
		}
		if !json.Valid([]byte(pages["/privacy/promises.json"])) {
			t.Error("promises.json is not JSON")
		}
	})
}

func TestRoutesWithoutPages(t *testing.T) {
	t.Parallel()
	if routes := New(Deps{}).Routes(); len(routes) != 1 || routes[0].Path != "/privacy/promises.json" {
		t.Errorf("%v", routes)
	}
}
