package dashboard

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/ui"
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
		for _, l := range ui.Diff(string(want), out.String()) {
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
		{`{"type": "stat", "title": "P", "fieldConfig": {"defaults": {"mappings": [{"type": "novel"}]}}}`, "Texts in place of values of the kind"},
		{`{"type": "stat", "title": "P", "fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "a"}, "properties": [{"id": "links", "value": []}]}]}}`, "Settings for single series are not taken over: links"},
		{`{"type": "stat", "title": "P", "fieldConfig": {"overrides": [{"matcher": {"id": "byType", "options": "time"}, "properties": [{"id": "unit", "value": "s"}]}]}}`, "unit (of series chosen byType)"},
		{`{"type": "graph", "title": "P", "seriesOverrides": [{"alias": "a", "legend": false}]}`, "Settings for single series are not taken over: legend"},
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

// TestLooksFromGrafana: what is said of single series, texts in place of values and limits become ours.
func TestLooksFromGrafana(t *testing.T) {
	t.Parallel()
	override := func(matcher, properties string) string {
		return `{"type": "timeseries", "title": "P", "targets": [{"expr": "up", "refId": "X"}, {"expr": "down", "refId": "Y"}], "fieldConfig": {"defaults": {"unit": "bytes"}, "overrides": [{"matcher": {` + matcher + `}, "properties": [` + properties + `]}]}}`
	}
	stat := func(mappings string) string {
		return `{"type": "stat", "title": "P", "targets": [{"expr": "up"}], "fieldConfig": {"defaults": {"mappings": ` + mappings + `}}}`
	}
	old := func(rest string) string {
		return `{"type": "graph", "title": "P", "targets": [{"expr": "up"}], "yaxes": [{"format": "bytes"}, {"format": "percent", "max": "100"}], ` + rest + `}`
	}
	for _, x := range []struct{ panel, want string }{
		{override(`"id": "byName", "options": "a"`, `{"id": "unit", "value": "percent"}, {"id": "custom.axisPlacement", "value": "right"}, {"id": "max", "value": 100}`), `[{"name":"a","unit":"percent","axis":"right","max":100}]`},
		{override(`"id": "byRegexp", "options": "/^Mem.*/i"`, `{"id": "color", "value": {"mode": "fixed", "fixedColor": "dark-red"}}, {"id": "custom.lineStyle", "value": {"fill": "dash"}}`), `[{"match":"(?i)^Mem.*","color":"red","dash":true}]`},
		{override(`"id": "byFrameRefID", "options": "Y"`, `{"id": "unit", "value": "short"}, {"id": "displayName", "value": "${__field.labels.host} left"}`), `"expr":"down","unit":"short","label":"{{host}} left"`},
		{override(`"id": "byNames", "options": {"mode": "exclude", "names": ["a.b", "c"]}`, `{"id": "custom.hideFrom", "value": {"viz": true}}`), `[{"match":"^(a\\.b|c)$","not":true,"hide":true}]`},
		{override(`"id": "byName", "options": "a"`, `{"id": "custom.transform", "value": "negative-Y"}, {"id": "custom.stacking", "value": {"mode": "none"}}, {"id": "decimals", "value": 1}, {"id": "min", "value": 0}`), `[{"name":"a","below":true,"stack":false,"decimals":1,"min":0}]`},
		{override(`"id": "byName", "options": "Total"`, `{"id": "custom.stacking", "value": {"mode": "normal", "group": false}}, {"id": "custom.fillOpacity", "value": 0}`), `[{"name":"Total","stack":false}]`},
		{override(`"id": "byValue", "options": {"op": "gte", "reducer": "allIsZero", "value": 0}`, `{"id": "custom.hideFrom", "value": {"legend": true}}`), `"omit_zero":true`},
		{override(`"id": "byName", "options": "a"`, `{"id": "thresholds", "value": {"mode": "absolute", "steps": [{"color": "green"}, {"color": "red", "value": 80}]}}`), `[{"name":"a","thresholds":[{"tone":"good"},{"at":80,"tone":"bad"}]}]`},
		{stat(`[{"type": "value", "options": {"1": {"text": "Up", "color": "green", "index": 0}, "0": {"text": "Down", "color": "red", "index": 1}}}]`), `"mappings":[{"value":1,"text":"Up","tone":"good"},{"value":0,"text":"Down","tone":"bad"}]`},
		{stat(`[{"type": "range", "options": {"from": 1, "to": 5, "result": {"text": "few"}}}, {"type": "regex", "options": {"pattern": "/^5..$/", "result": {"text": "5xx"}}}]`), `[{"from":1,"to":5,"text":"few"},{"match":"^5..$","text":"5xx"}]`},
		{stat(`[{"type": "special", "options": {"match": "null+nan", "result": {"text": "N/A"}}}, {"type": 1, "value": "2", "text": "two"}, {"type": 2, "from": "3", "to": "4", "text": "more"}]`), `[{"none":true,"text":"N/A"},{"value":2,"text":"two"},{"from":3,"to":4,"text":"more"}]`},
		{`{"type": "timeseries", "title": "P", "targets": [{"expr": "up"}], "fieldConfig": {"defaults": {"custom": {"thresholdsStyle": {"mode": "area"}}, "thresholds": {"mode": "absolute", "steps": [{"color": "green"}, {"color": "#F2495C", "value": 9}]}}}}`,
			`"thresholds":[{"tone":"good"},{"at":9,"tone":"bad"}],"bands":true`},
		{old(`"seriesOverrides": [{"alias": "/tx/", "yaxis": 2, "transform": "negative-Y", "fill": 0}]`), `[{"match":"tx","unit":"percent","axis":"right","below":true,"max":100}]`},
		{old(`"seriesOverrides": [{"alias": "a", "lines": false, "points": true, "color": "#1F78C1", "stack": false}], "aliasColors": {"b": "#508642"}`), `[{"name":"b","color":"green"},{"name":"a","color":"blue","draw":"points","stack":false}]`},
		{`{"type": "table", "title": "P", "targets": [{"expr": "up", "refId": "A"}, {"expr": "down", "refId": "B"}], "transformations": [{"id": "merge"}, {"id": "organize", "options": {"excludeByName": {"job": true, "Time": true}, "renameByName": {"Value #B": "Down", "host": "Machine"}}}],
			"fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "Down"}, "properties": [{"id": "unit", "value": "s"}, {"id": "custom.width", "value": 80}]}]}}`,
			`"targets":[{"expr":"up"},{"expr":"down","unit":"s","label":"Down"}],"overrides":[{"name":"job","hide":true},{"name":"host","label":"Machine"}]`},
	} {
		d, report, err := Import([]byte(`{"title": "D", "panels": [` + x.panel + `]}`))
		if err != nil {
			t.Error(err)
			continue
		}
		if got := string(encode(d.Rows[0].Panels[0])); !strings.Contains(got, x.want) {
			t.Errorf("%s\nis %s\nwant %s", x.panel, got, x.want)
		}
		if len(report.Notes) != 1 { // what is said of every dashboard
			t.Errorf("%s: %v", x.panel, report.Notes)
		}
	}
}
