package dashboard

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
)

var update = flag.Bool("update", false, "write the golden files; then read what changed, line by line")

// TestGrafanaImport compares what is made of two dashboards, and what is said not to be understood, with golden files.
func TestGrafanaImport(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"grafana", "grafana-old"} {
		text, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		d, report, err := Import(text)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for _, g := range report.Groups() {
			fmt.Fprintf(&out, "# %s %q\n", g.Text, g.Panels)
		}
		out.Write(d.Encode())
		golden := "testdata/" + name + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range diff(lines(string(want)), lines(out.String())) {
			if l.Kind != "same" && l.Kind != "gap" {
				t.Errorf("%s: %s %s", golden, l.Kind, l.Text)
			}
		}
	}
}

// TestNothingIsDroppedSilently takes each thing out of a dashboard of Grafana's that has no like here: each is said.
func TestNothingIsDroppedSilently(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ panel, want string }{
		{`{"type": "canvas", "title": "P"}`, `There is no panel of the kind "canvas"`},
		{`{"type": "stat", "title": "P", "brandNew": 1}`, "These fields are not understood: brandNew"},
		{`{"type": "stat", "title": "P", "targets": [{"expr": "up", "novel": true}]}`, "Of query A, these fields are not understood: novel"},
		{`{"type": "stat", "title": "P", "targets": [{"expr": "up{", "refId": "A"}]}`, "Query A cannot be read"},
		{`{"type": "stat", "title": "P", "transformations": [{"id": "merge"}]}`, "Transformations are not taken over: merge"},
		{`{"type": "stat", "title": "P", "fieldConfig": {"defaults": {"mappings": [{}]}}}`, "mappings"},
		{`{"type": "stat", "title": "P", "fieldConfig": {"overrides": [{"properties": [{"id": "unit"}]}]}}`, "Settings for single series are not taken over: unit"},
		{`{"type": "stat", "title": "P", "fieldConfig": {"defaults": {"unit": "parsec"}}}`, `The unit "parsec" is not known`},
		{`{"type": "stat", "title": "P", "options": {"reduceOptions": {"calcs": ["stdDev"]}}}`, `"stdDev", which does not exist here`},
		{`{"type": "text", "title": "P", "options": {"mode": "html", "content": "<b>"}}`, "The text is HTML"},
		{`{"type": "stat", "title": "P", "links": [{"title": "L", "url": "javascript:x"}]}`, `The link "L" is not taken over`},
		{`{"type": "stat", "title": "P", "repeat": "gone"}`, `repeated by "gone"`},
		{`{"type": "stat", "title": "P", "interval": "soon"}`, ""},
		{`{"type": "stat", "title": 7}`, "The field title is a number"},
		{`[]`, "A panel cannot be read"},
	} {
		_, report, err := Import([]byte(`{"title": "D", "panels": [` + x.panel + `]}`))
		if err != nil || !strings.Contains(fmt.Sprint(report.Notes), x.want) {
			t.Errorf("%s: %v, want %q (%v)", x.panel, report.Notes, x.want, err)
		}
	}
	for _, text := range []string{`{"apiVersion": "dashboard.grafana.app/v2", "spec": {"elements": {}}}`, `{"elements": {}}`} {
		if _, _, err := Import([]byte(text)); err == nil || !strings.Contains(err.Error(), "schema v2") {
			t.Error(err)
		}
	}
	if _, _, err := Import([]byte(`{"panels": [` + strings.Repeat(" ", maxImport) + `]}`)); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

// TestTheImportPage: what is not understood is shown first, and the dashboard is made when one says so.
func TestTheImportPage(t *testing.T) {
	s := accesstest.New(t, sqliteConfig(t))
	w := newWorld(t, s)
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	text, err := os.ReadFile("testdata/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	b.Get(w.base+"/import").Is(200, "Paste the JSON")
	b.Post(w.base+"/import", "json", "{\n\"panels\": }").Is(422, "Line 2")
	b.Post(w.base+"/import", "json", string(text)).Is(200, "Machines, in full", "Who talks to whom", `There is no panel of the kind "nodeGraph"`, "Import it all the same")
	b.Get(w.base).Lacks("Machines, in full")
	a := b.Post(w.base+"/import", "json", string(text), "op", "make")
	if a.Status != http.StatusSeeOther {
		t.Fatal(a.Status)
	}
	b.Get(a.Header.Get("Location")).Is(200, "Machines, in full", "CPU busy", "could not be drawn", "Machine")
	b.Post(w.base+"/import", "json", string(example().Encode())).Is(303) // ours has nothing to tell
}
