package privacy

import (
	"context"
	"fmt"
	"strings"
)

// Promise is one published statement that Kept must live up to.
type Promise struct {
	ID      string   // "COL-1"; pages link to it
	Section Section  // where it stands on the page
	By      Services // who made it
	Text    string   // as published

	// Check tells whether it is kept. Nil: nothing can tell yet, and NotYet says why.
	Check Check
	// Looks says what Check looks at, for people.
	Looks string
	// NotYet is what no check looks at yet: the whole promise when Check is nil, else the part that Check leaves out.
	NotYet NotYet
}

// NotYet says what is not checked, and which area of the product brings the check.
type NotYet struct {
	Reason string `json:"reason"`
	Area   string `json:"area"`
}

// Section groups promises.
type Section string

// The sections, in the order of the page.
const (
	Collecting Section = "Collection"
	Use        Section = "Use and disclosure"
	Retention  Section = "Retention"
	Security   Section = "Security"
	Rights     Section = "Rights"
)

// Sections lists the sections in the order of the page.
func Sections() []Section { return []Section{Collecting, Use, Retention, Security, Rights} }

// Services names the services that made a promise, one letter each.
type Services string

// serviceNames is ordered as the letters are written.
var serviceNames = []struct{ letter, name string }{
	{"J", "Jobviz"}, {"C", "Clairvio"}, {"U", "Unimoni"}, {"P", "Jobplanr"}, {"T", "JobTrax"},
}

// Names spells the services out.
func (s Services) Names() []string {
	var names []string
	for _, service := range serviceNames {
		if strings.Contains(string(s), service.letter) {
			names = append(names, service.name)
		}
	}
	return names
}

// Outcome is what is known about a promise.
type Outcome string

// The outcomes. Only Kept says that a promise holds.
const (
	Kept          Outcome = "kept"
	Broken        Outcome = "broken"
	NotApplicable Outcome = "not_applicable" // this server has nothing that the promise is about
	NoCheck       Outcome = "no_check"       // nothing can tell yet
	Failed        Outcome = "check_failed"   // the check could not be run, so nothing is known
)

// Outcomes lists the outcomes, the most urgent first.
func Outcomes() []Outcome { return []Outcome{Broken, Failed, NoCheck, NotApplicable, Kept} }

// Label is the outcome for people.
func (o Outcome) Label() string {
	switch o {
	case NotApplicable:
		return "not applicable"
	case NoCheck:
		return "no check yet"
	case Failed:
		return "check failed"
	}
	return string(o)
}

// Result is what a check found.
type Result struct {
	Outcome  Outcome  `json:"outcome"`
	Reason   string   `json:"reason,omitempty"` // one sentence; says what is wrong, or why it does not apply
	Evidence Evidence `json:"evidence,omitzero"`
}

// Evidence is what a result rests on. Counts are numbers by type, so that content cannot get in; Notes are names of
// tables, columns, routes and settings, for the operator only.
type Evidence struct {
	Counts map[string]int64 `json:"counts,omitempty"`
	Notes  []string         `json:"notes,omitempty"`
}

// IsZero tells whether there is no evidence; encoding/json asks it.
func (e Evidence) IsZero() bool { return len(e.Counts) == 0 && len(e.Notes) == 0 }

// maxNotes bounds a result: a hundred undeclared columns are as telling as a thousand.
const maxNotes = 50

// Check looks at the real schema, configuration and data. An error means that it could not look, never that a promise
// is broken.
type Check func(ctx context.Context, in *Inspection) (Result, error)

// finding collects a result while a check looks around.
type finding struct {
	counts map[string]int64
	notes  []string
	wrong  int
}

// count adds n to a number of the evidence; a name that was never added to is not shown.
func (f *finding) count(name string, n int64) {
	if f.counts == nil {
		f.counts = map[string]int64{}
	}
	f.counts[name] += n
}

// bad records something that breaks the promise. The text holds names, never contents.
func (f *finding) bad(format string, args ...any) {
	f.wrong++
	f.note(format, args...)
}

func (f *finding) note(format string, args ...any) {
	if len(f.notes) < maxNotes {
		f.notes = append(f.notes, fmt.Sprintf(format, args...))
	}
}

// result is Broken with the given sentence if anything was bad, else Kept.
func (f *finding) result(whenBroken string) Result {
	r := Result{Outcome: Kept, Evidence: Evidence{Counts: f.counts, Notes: f.notes}}
	if f.wrong > 0 {
		r.Outcome, r.Reason = Broken, whenBroken
	}
	return r
}

// notApplicable is the result of a check that finds nothing the promise is about.
func notApplicable(reason string) Result { return Result{Outcome: NotApplicable, Reason: reason} }

// errNoSource is the error of a check that was not given what it looks at.
func errNoSource(what string) error { return fmt.Errorf("privacy: no %s was given to look at", what) }
