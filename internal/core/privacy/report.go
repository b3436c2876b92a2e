package privacy

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is the state of every promise.
type Report struct {
	Version   string          `json:"version,omitempty"`
	CheckedAt *time.Time      `json:"checked_at"` // of the newest result; null when no check ever ran
	Totals    map[Outcome]int `json:"totals"`     // every outcome is there, also with 0
	Promises  []Line          `json:"promises"`
}

// Line is one promise of a Report.
type Line struct {
	ID        string     `json:"id"`
	Section   Section    `json:"section"`
	By        []string   `json:"by"`
	Text      string     `json:"text"`
	Outcome   Outcome    `json:"outcome"`
	Reason    string     `json:"reason,omitempty"`
	Looks     string     `json:"looks_at,omitempty"`
	NotYet    *NotYet    `json:"not_checked_yet,omitempty"`
	Evidence  Evidence   `json:"evidence,omitzero"`
	CheckedAt *time.Time `json:"checked_at"`
}

// report joins the registry with results. Promises that have a check and no result have not been run yet.
func (m *Module) report(results map[string]stored) Report {
	r := Report{Version: m.version, Totals: map[Outcome]int{}}
	for _, o := range Outcomes() {
		r.Totals[o] = 0
	}
	for _, p := range Promises() {
		line := Line{ID: p.ID, Section: p.Section, By: p.By.Names(), Text: p.Text, Looks: p.Looks}
		if p.NotYet != (NotYet{}) {
			line.NotYet = &p.NotYet
		}
		result, ok := results[p.ID]
		switch {
		case p.Check == nil: // a result from a version that had a check says nothing about this one
			line.Outcome, line.Reason = NoCheck, p.NotYet.Reason
		case !ok:
			line.Outcome, line.Reason = NoCheck, "The check has not been run yet."
		default:
			line.Outcome, line.Reason, line.Evidence = result.Outcome, result.Reason, result.Evidence
			line.CheckedAt = &result.at
			if r.CheckedAt == nil || result.at.After(*r.CheckedAt) {
				r.CheckedAt = &result.at
			}
		}
		r.Totals[line.Outcome]++
		r.Promises = append(r.Promises, line)
	}
	return r
}

// OK tells whether nothing is known to be wrong: no promise is broken and no check failed to run.
func (r Report) OK() bool { return r.Totals[Broken] == 0 && r.Totals[Failed] == 0 }

// Summary counts the outcomes in one line: "2 broken, 25 no check yet, 19 kept".
func (r Report) Summary() string {
	var parts []string
	for _, o := range Outcomes() {
		if n := r.Totals[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, o.Label()))
		}
	}
	return strings.Join(parts, ", ")
}

// public leaves out what only the operator should read: names of tables and routes, and how much there is of anything.
func (r Report) public() Report {
	r.Promises = slices.Clone(r.Promises)
	for i := range r.Promises {
		r.Promises[i].Evidence = Evidence{}
	}
	return r
}

// textWidth is how much of a promise's text a line of the table shows.
const textWidth = 60

// WriteText writes the report as a table for a terminal. What is broken is explained below it.
func (r Report) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tOUTCOME\tPROMISE\tEVIDENCE")
	for _, l := range r.Promises {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", l.ID, l.Outcome.Label(), shorten(l.Text, textWidth), l.Evidence.Text())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, l := range r.Promises {
		if l.Outcome != Broken && l.Outcome != Failed {
			continue
		}
		fmt.Fprintf(w, "\n%s %s: %s\n", l.ID, l.Outcome.Label(), l.Reason)
		for _, note := range l.Evidence.Notes {
			fmt.Fprintf(w, "  - %s\n", note)
		}
	}
	_, err := fmt.Fprintf(w, "\n%d promises: %s\n", len(r.Promises), r.Summary())
	return err
}

// Text writes the counts in a fixed order: "events 12, events_that_do_not_fit 0".
func (e Evidence) Text() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(e.Counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", strings.ReplaceAll(name, "_", " "), e.Counts[name]))
	}
	return strings.Join(parts, ", ")
}

// shorten cuts s at a word so that it has at most width characters.
func shorten(s string, width int) string {
	runes := []rune(s)
	if len(runes) <= width {
		return s
	}
	cut := string(runes[:width-1])
	if i := strings.LastIndexByte(cut, ' '); i > width/2 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " ,;:") + "…"
}
