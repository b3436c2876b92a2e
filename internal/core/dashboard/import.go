package dashboard

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/kept-dev/kept/internal/kernel"
)

// maxImport is how large a text for Import may be: Grafana's own files are several times as long as ours.
const maxImport = 4 << 20

// Report says what an import made and what it did not understand.
type Report struct {
	From   string       `json:"from"` // "kept" or "grafana"
	Panels int          `json:"panels"`
	Notes  []ImportNote `json:"notes"`
}

// ImportNote is one thing that was not taken over as it was.
type ImportNote struct {
	Panel string `json:"panel,omitempty"` // title of the panel; empty: of the dashboard
	Text  string `json:"text"`
}

// NoteGroup is the same note of several panels.
type NoteGroup struct {
	Text   string
	Panels []string
}

// Groups are the notes with the panels that each is about, in order of their first appearance.
func (r Report) Groups() []NoteGroup {
	var out []NoteGroup
	at := map[string]int{}
	for _, n := range r.Notes {
		i, ok := at[n.Text]
		if !ok {
			i = len(out)
			at[n.Text], out = i, append(out, NoteGroup{Text: n.Text})
		}
		if n.Panel != "" && !slices.Contains(out[i].Panels, n.Panel) {
			out[i].Panels = append(out[i].Panels, n.Panel)
		}
	}
	return out
}

func (r *Report) note(panel, format string, args ...any) {
	n := ImportNote{Panel: clip(panel, maxTitle), Text: clip(fmt.Sprintf(format, args...), 500)}
	if !slices.Contains(r.Notes, n) {
		r.Notes = append(r.Notes, n)
	}
}

// Import reads a dashboard in our format or in Grafana's classic one. What it does not understand is in the report.
func Import(text []byte) (*Dashboard, Report, error) {
	if len(text) > maxImport {
		return nil, Report{}, kernel.Errorf(kernel.Invalid, "The dashboard is too large: at most %d MiB are accepted.", maxImport>>20)
	}
	if !utf8.Valid(text) {
		return nil, Report{}, kernel.Errorf(kernel.Invalid, "The text is not UTF-8.")
	}
	if !isGrafana(text) {
		d, err := Decode(text)
		if err != nil {
			return nil, Report{From: "kept"}, err
		}
		r := Report{From: "kept", Panels: d.panelCount()}
		r.queries(d)
		return d, r, nil
	}
	return importGrafana(text)
}

// isGrafana tells whose format it is by the fields that only one of them has.
func isGrafana(text []byte) bool {
	var head map[string]json.RawMessage
	if json.Unmarshal(text, &head) != nil {
		return false
	}
	for _, key := range []string{"schemaVersion", "panels", "templating", "dashboard", "gnetId", "__inputs", "apiVersion", "elements"} {
		if _, ok := head[key]; ok {
			return true
		}
	}
	return false
}

// queries notes which queries are no PromQL.
func (r *Report) queries(d *Dashboard) {
	for _, row := range d.Rows {
		for _, p := range row.Panels {
			for i, t := range p.Targets {
				if err := d.parses(t.Expr); err != nil {
					r.note(p.Title, "Query %s cannot be read: %s", targetName(i), kernel.AsError(err).Safe)
				}
			}
		}
	}
	for _, k := range d.Marks {
		if err := d.parses(k.Expr); err != nil {
			r.note("", "The query of the marks %q cannot be read: %s", k.Name, kernel.AsError(err).Safe)
		}
	}
}

// sample is what stands for a variable while a query is checked: anything that may stand both in and out of quotes.
var sampleValues = []string{"5m", "1", "x"}

// parses checks a query with made-up values for its variables: it is fine when any of them makes it so, because only the
// place of a variable says what its value must be.
func (d *Dashboard) parses(expr string) (err error) {
	for _, sample := range sampleValues {
		e := env{choices: map[string]choice{}, builtin: map[string]string{}}
		for _, v := range d.Variables {
			c := choice{Variable: v, Values: []string{sample}}
			if v.Kind == VarList || v.Kind == VarConstant || v.Kind == VarInterval {
				c.pick(nil)
				if len(v.Options) > 0 && len(c.Values) == 0 {
					c.Values = v.Options[:1]
				}
				if len(c.Values) > 1 || c.IsAll {
					c.IsAll, c.Values = false, append(v.Options, sample)[:1]
				}
			}
			e.choices[v.Name] = c
		}
		e.sampleTimes()
		text, fail := e.query(expr)
		if fail == nil {
			if _, perr := parser.NewParser(parser.Options{}).ParseExpr(text); perr != nil {
				fail = kernel.Errorf(kernel.Invalid, "%v", perr)
			}
		}
		if fail == nil {
			return nil
		}
		if err == nil {
			err = fail
		}
	}
	return err
}

// sampleTimes fills in the built-in variables with something that parses.
func (e env) sampleTimes() {
	for _, name := range []string{"__interval", "__rate_interval", "__range"} {
		e.builtin[name] = "5m"
	}
	for _, name := range []string{"__interval_ms", "__rate_interval_ms", "__range_s", "__range_ms", "__from", "__to"} {
		e.builtin[name] = "300000"
	}
}

// grafanaRegex takes the slashes off "/…/i".
func grafanaRegex(s string) (string, bool) {
	if m := regexp.MustCompile(`(?s)^/(.*)/([gimsuy]*)$`).FindStringSubmatch(s); m != nil {
		s = m[1]
		if strings.Contains(m[2], "i") {
			s = "(?i)" + s
		}
	}
	_, err := regexp.Compile(s)
	return s, err == nil
}
