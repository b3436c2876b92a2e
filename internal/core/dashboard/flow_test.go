package dashboard

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/kernel"
)

// TestAWayThroughDashboards is one without scripts: nothing yet, a dashboard with a panel, a variable, the view, a mistake
// and its undo, a conflict, deletion and its undo; on both engines.
func TestAWayThroughDashboards(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		w := newWorld(t, s)
		b := w.Browser(t, "192.0.2.1").SignIn(owner)
		b.Get(w.base).Is(200, "No dashboards yet", "New dashboard")
		b.Post(w.base+"/new", "title", " ").Is(422, "Give it a title")
		a := b.Post(w.base+"/new", "title", "Shop")
		place := strings.TrimSuffix(a.Header.Get("Location"), "/panel")
		a.To(place + "/panel")
		b.Get(place).Is(200, "No panels yet", "Add a panel")
		b.Get(place+"/panel").Is(200, "New panel", "PromQL")

		b.Post(place+"/panel", "version", "1", "title", "Up", "kind", "timeseries", "row", "0", "expr-0", "sum(up").Is(422, "parse error")
		b.Post(place+"/panel", "version", "1", "title", "Up", "kind", "timeseries", "row", "0", "expr-0", "").Is(422, "Write a query")
		b.Post(place+"/panel", "version", "1", "title", "Up", "kind", "timeseries", "row", "0", "expr-0", "up", "thresholds", "x bad").Is(422, "is no number")
		b.Post(place+"/panel", "version", "1", "title", "Up", "kind", "timeseries", "row", "0", "expr-0", "up", "op", "preview").Is(200, "Preview", "web-1")
		b.Post(place+"/panel", "version", "1", "title", "Up", "kind", "timeseries", "row", "0", "expr-0", "up", "op", "more").Is(200, "Query B")
		b.Post(place+"/panel", "version", "1", "title", "Up", "kind", "timeseries", "row", "0", "width", "24", "height", "8", "expr-0", "up").To(place + "/edit?undo=1")
		b.Post(place+"/variable", "version", "2", "name", "instance", "kind", "query", "query", "label_values(up, instance)", "multi", "on", "all", "on").To(place + "/edit?undo=2")
		b.Post(place+"/variable", "version", "3", "name", "instance", "kind", "query", "query", "nonsense").Is(422, "Write label_values", "Another variable is called instance")
		b.Post(place+"/panels/panel-1/edit", "version", "3", "title", "Up", "kind", "timeseries", "row", "0", "width", "24", "height", "8", "expr-0", `up{instance=~"$instance"}`, "legend-0", "host {{instance}}").To(place + "/edit?undo=3")
		b.Get(place).Is(200, "host web-1", "host db-2")
		b.Get(place+"?var-instance=web-1&var-instance=web-2").Is(200, "host web-1", "host web-2").Lacks("host db-2")
		b.Get(place + "?var-instance=web-1%22%7D+or+vector(7)+or+up%7Binstance%3D~%22db.*").Is(200).Lacks("host db-1")

		// A save from an old version is a conflict and changes nothing.
		b.Post(place+"/change", "version", "3", "op", "panel-remove panel-1").Is(409, "Somebody saved this dashboard meanwhile")
		b.Post(place+"/change", "version", "4", "op", "panel-copy panel-1").To(place + "/edit?undo=4")
		b.Post(place+"/change", "version", "5", "op", "row-add").To(place + "/edit?undo=5")
		b.Post(place+"/change", "version", "6", "op", "panel-down panel-2").To(place + "/edit?undo=6")
		b.Post(place+"/change", "version", "7", "op", "panel-remove panel-2").To(place + "/edit?undo=7")
		b.Get(place+"/edit?undo=7").Is(200, "Saved.", "Undo", "/history/7")
		b.Get(place+"/history").Is(200, `panel "Up" removed`, `panel "Up" duplicated`)
		b.Get(place+"/history/7").Is(200, "Go back to this version")
		b.Post(place + "/history/7/restore").To(place + "?done=back&undo=8")
		b.Get(place+"/edit").Is(200, "panel-2")
		b.Get(place+"/history/5").Is(200, `+           "id": "panel-2"`)

		b.Post(place + "/delete").To(w.base + "?done=deleted")
		b.Get(place).Is(404)
		b.Get(w.base+"?done=deleted").Is(200, "Bring back", "can be brought back")
		b.Post(place + "/restore").To(place + "?done=restored")
		b.Get(place).Is(200, "host web-1")
	})
}

// TestTheViewOfADashboard: every kind of panel, what is wrong first, rows, notes, the data of a panel, and nothing of
// another workspace.
func TestTheViewOfADashboard(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		w := newWorld(t, s)
		b := w.Browser(t, "192.0.2.1").SignIn(owner)
		id := w.make(t, example())
		place := dashHref(w.ws, id)
		a := b.Get(place).Is(200, "2 values are beyond a limit", "Disk used", "<strong>Ann</strong>", "web-1", "Hosts").Lacks("increase(latency_bucket")
		if strings.Index(a.Body, "beyond a limit") > strings.Index(a.Body, `id="p-requests"`) {
			t.Error("what is wrong does not come first")
		}
		if strings.Contains(a.Body, "<script>alert") || !strings.Contains(a.Body, "&lt;script&gt;alert") {
			t.Error("the text of a panel became HTML")
		}
		if strings.Contains(a.Body, `id="p-heat"`) {
			t.Error("a folded row is drawn")
		}
		b.Get(place+"?row-1=open").Is(200, `id="p-heat"`)
		b.Get(place + "?row-0=closed").Is(200).Lacks(`id="p-requests"`)
		b.Get(place+"?from=now-30m&to=now&var-instance=web-1").Is(200, "web-1")
		b.Get(place+"/panels/requests?var-instance=web-1").Is(200, `requests_total{instance=~"web-1",code="200"}`)
		b.Get(place + "/panels/nope").Is(404)

		data := b.Get(place+"/panels/requests/data?var-instance=web-1&from=now-30m&width=300").Is(200, `"label":"web-1"`)
		if data.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Error(data.Header)
		}
		b.Get(place + "/panels/requests/data?from=tomorrow").Is(400)
		b.Get(place+"/panels/requests/part?key=requests-0").Is(200, `id="c-requests-0-title"`).Lacks("<html")

		at := w.Clock.Now().Add(-10 * time.Minute).Format("2006-01-02T15:04:05")
		b.Post(place+"/notes", "text", "", "at", at).Is(422, "Say what happened")
		b.Post(place+"/notes", "text", "Deployed the till", "at", at).To(place + "?done=note")
		s.FindNowhere(t, "Deployed the till")
		page := b.Get(place).Is(200, "Deployed the till")
		remove := between(t, page.Body, `action="`+place+`/notes/`, `/remove"`)
		b.Get(place+"?hide=note").Is(200, "note 1: show").Lacks("Deployed the till")

		_, foreign, _ := s.Owner(t, stranger, "E")
		eve := w.Browser(t, "192.0.2.9").SignIn(stranger)
		eve.Get(place).Is(404)
		eve.Get(dashHref(foreign, id)).Is(404)
		eve.Get(dashHref(foreign, id) + "/panels/requests/data").Is(404)
		eve.Post(dashHref(foreign, id) + "/delete").Is(404)
		eve.Post(dashHref(foreign, id) + "/notes/" + remove + "/remove").Is(404)
		b.Post(place + "/notes/" + remove + "/remove").To(place + "?done=note-removed")
		b.Get(place).Is(200).Lacks("Deployed the till")
	})
}

func between(t *testing.T, s, before, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(s, before)
	text, _, ok2 := strings.Cut(rest, after)
	if !ok || !ok2 {
		t.Fatalf("no %q … %q", before, after)
	}
	return text
}

// TestViewersOnlyLook: a role that may not change sees no way to, and has none.
func TestViewersOnlyLook(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		w := newWorld(t, s)
		id := w.make(t, example())
		account, _, _ := s.Owner(t, stranger, "E")
		s.Join(t, w.ws, account, "viewer")
		b := w.Browser(t, "192.0.2.3").SignIn(stranger)
		place := dashHref(w.ws, id)
		b.Get(w.base).Is(200, "Shop").Lacks("New dashboard", "Import")
		b.Get(place).Is(200, "web-1").Lacks("/edit", "Add a note")
		for _, path := range []string{"/edit", "/json", "/panel", "/delete", "/panels/requests/edit"} {
			b.Get(place + path).Is(403)
		}
		b.Post(place+"/change", "version", "1", "op", "row-add").Is(403)
		b.Post(w.base+"/embedding", "origins", "https://a.example").Is(403)
		b.Get(w.base+"/embedding").Is(200, "An owner or admin can allow a site")
	})
}

// TestBroughtDashboards: those of apps and of the directory are shown, read-only, can be duplicated; broken ones are named.
func TestBroughtDashboards(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("shop.json", string(example().Encode()))
	put("broken.json", "{\n  \"version\": 1,\n  \"titel\": \"x\"\n}")
	put("grafana.json", `{"title": "From Grafana", "schemaVersion": 39, "panels": [{"id": 1, "type": "stat", "title": "S", "targets": [{"expr": "up", "refId": "A"}]}]}`)
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		w := newWorld(t, s, func(d *Deps) { d.Dir = dir })
		brought := example()
		brought.Title = "Queues"
		w.m.UseFiles(File{Key: "jobs/queues", JSON: brought.Encode()}, File{Key: "jobs/bad", JSON: []byte("{")})
		b := w.Browser(t, "192.0.2.1").SignIn(owner)
		b.Get(w.base).Is(200, "Queues", "Jobs", "shop.json", "From Grafana", "broken.json", "Line 3: there is no field \"titel\"", "cannot be read")
		place := dashHref(w.ws, "app.jobs.queues")
		b.Get(place).Is(200, "Queues", "Duplicate", "web-1").Lacks(place + "/edit")
		b.Get(place + "/edit").Is(403)
		b.Post(place+"/change", "version", "0", "op", "row-add").Is(403)
		b.Post(place + "/delete").Is(403)
		b.Get(place+"/export").Is(200, `"title": "Queues"`)
		a := b.Post(place+"/duplicate", "title", "My queues")
		b.Get(a.Header.Get("Location")).Is(200, "My queues", "Requests")
		mentions, err := w.m.Mentions(t.Context(), w.ws)
		if err != nil {
			t.Fatal(err)
		}
		var named []string
		for _, x := range mentions {
			if strings.Contains(strings.Join(x.Text, "\n"), "requests_total") {
				named = append(named, x.By)
			}
		}
		if want := []string{"Dashboard Queues", "Dashboard Shop", "Dashboard My queues"}; !slices.Equal(named, want) {
			t.Errorf("requests_total is used by %q, want %q", named, want)
		}

		put("late.json", strings.Replace(string(example().Encode()), `"Shop"`, `"Came later"`, 1))
		w.Clock.Add(pollEvery)
		b.Get(w.base).Is(200, "Came later")
		if err := os.Remove(filepath.Join(dir, "late.json")); err != nil {
			t.Fatal(err)
		}
	})
}

// TestTheAPI: make, read, list, save with a version, refuse a stale one, name faults, delete.
func TestTheAPI(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		w := newWorld(t, s)
		id := w.make(t, example())
		rec, out := w.api(t, "GET", apiList, nil)
		if rec.Code != 200 || len(out["dashboards"].([]any)) != 1 {
			t.Fatal(rec.Code, rec.Body)
		}
		d := example()
		d.Title = "Shop 2"
		if rec, out = w.api(t, "PUT", apiList+"/"+id+"?version=1", d); rec.Code != 200 || out["version"] != 2.0 {
			t.Fatal(rec.Code, rec.Body)
		}
		if rec, _ = w.api(t, "PUT", apiList+"/"+id+"?version=1", example()); rec.Code != 409 {
			t.Fatal(rec.Code, rec.Body)
		}
		if rec, _ = w.api(t, "PUT", apiList+"/"+id, strings.Replace(string(d.Encode()), `"kind": "stat"`, `"kind": "pie"`, 1)); rec.Code != 422 || !strings.Contains(rec.Body.String(), `rows[0].panels[2].kind`) {
			t.Fatal(rec.Code, rec.Body)
		}
		if rec, out = w.api(t, "GET", apiList+"/"+id, nil); rec.Code != 200 || out["dashboard"].(map[string]any)["title"] != "Shop 2" {
			t.Fatal(rec.Code, rec.Body)
		}
		_, _, foreign := s.Owner(t, stranger, "E")
		if rec, _ = w.api(t, "GET", apiList+"/"+id, nil, "Authorization", "Bearer "+foreign); rec.Code != 404 {
			t.Fatal(rec.Code)
		}
		if rec, _ = w.api(t, "DELETE", apiList+"/"+id, nil, "Authorization", "Bearer "+foreign); rec.Code != 404 {
			t.Fatal(rec.Code)
		}
		if rec, _ = w.api(t, "DELETE", apiList+"/"+id, nil); rec.Code != http.StatusNoContent {
			t.Fatal(rec.Code)
		}
		if rec, _ = w.api(t, "GET", apiList+"/"+id, nil); rec.Code != 404 {
			t.Fatal(rec.Code)
		}
	})
}

// TestTheJSONEditor: faults are named by line and the text is kept; a conflict says so and the next save wins.
func TestTheJSONEditor(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w := newWorld(t, s)
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	place := dashHref(w.ws, w.make(t, example()))
	text := string(example().Encode())
	b.Post(place+"/json", "version", "1", "json", strings.Replace(text, `"kind": "stat"`, `"kind": "pie"`, 1)).Is(422, `"pie" is none of`, "Line ", `"kind": "pie"`)
	b.Post(place+"/json", "version", "1", "json", "{\n\n\"a\" 1}").Is(422, "Line 3")
	b.Post(place+"/json", "version", "1", "json", strings.Replace(text, `count(up{`, `count(up{{`, 1)).Is(422, "rows[0].panels[2].targets[0].expr", "parse error")
	b.Post(place+"/json", "version", "1", "json", strings.Replace(text, `"Shop"`, `"Shop 2"`, 1)).To(place + "?done=saved")
	b.Post(place+"/json", "version", "1", "json", strings.Replace(text, `"Shop"`, `"Shop 3"`, 1)).Is(422, "Somebody saved this dashboard meanwhile", "Shop 3", `name="version" value="2"`)
	b.Post(place+"/json", "version", "2", "json", strings.Replace(text, `"Shop"`, `"Shop 3"`, 1)).To(place + "?done=saved")
}

// TestDeletedDashboardsGo: 30 days after it was deleted a dashboard is removed with its versions, and not before.
func TestDeletedDashboardsGo(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		w := newWorld(t, s)
		id := w.make(t, example())
		kept := w.make(t, example())
		if err := w.m.remove(t.Context(), w.ws, id, true); err != nil {
			t.Fatal(err)
		}
		c := w.m.dashboardsCollection()
		for _, x := range []struct {
			days int
			want int64
		}{{29, 0}, {31, 1}, {400, 0}} {
			n, err := c.Sweep(t.Context(), w.ws, w.Clock.Now().Add(time.Duration(x.days)*24*time.Hour-keptDeleted))
			if err != nil || n != x.want {
				t.Fatalf("after %d days %d went (%v)", x.days, n, err)
			}
		}
		if _, err := w.m.get(t.Context(), w.ws, kept); err != nil {
			t.Fatal(err)
		}
		if _, err := w.m.get(t.Context(), w.ws, id); kernel.CodeOf(err) != kernel.NotFound {
			t.Fatal(err)
		}
		if n, err := w.m.Collections()[1].Count(t.Context(), w.ws); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	})
}
