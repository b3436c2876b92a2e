package ui

import (
	"fmt"
	"html/template"
	"time"
)

// Stat is one figure of a row of tiles.
type Stat struct {
	Label string
	Value string
	Unit  string
	Hint  string // what it is compared with, or what it counts
	Tone  Tone
	Spark template.HTML
	Href  string
}

// Empty is what stands where there is nothing yet: what this place is for and
// what to do next.
type Empty struct {
	Icon    string
	Title   string
	Text    string
	Command string // to copy into a terminal
	Action  *Action
}

// Progress is how far a long piece of work has come. Max 0 means unknown.
type Progress struct {
	Label string
	Value int64
	Max   int64
	Text  string // "3 of 12 files"
}

// Term is one row of a definition list. Value may be HTML made by this
// package's functions, or text.
type Term struct {
	Term  string
	Value any
}

// ErrorView is what an error page says.
type ErrorView struct {
	Status    int
	Title     string
	Text      string
	RequestID string
	Href      string // what to do next
	Link      string
}

// Timeline is a list of steps in time, with a bar for what took long. The
// kept-timeline element adds zooming and a cursor; the list is the content.
type Timeline struct {
	Label string
	Start time.Time
	End   time.Time
	Steps []Step
}

// Step is one thing that happened, or one gap in which nothing was heard.
type Step struct {
	At     time.Time
	Took   time.Duration // 0: a moment
	Label  string
	Detail any // text, or HTML made by this package
	Tone   Tone
	Gap    bool // explains why nothing happened
	Lane   string
}

// Bar is where a step's bar begins and how wide it is, in percent of the
// whole; a bar is never too thin to be seen.
func (t Timeline) Bar(s Step) (bar struct{ X, Width string }) {
	total := t.End.Sub(t.Start).Seconds()
	if total <= 0 {
		bar.X, bar.Width = "0%", "100%"
		return bar
	}
	x := clamp(100*s.At.Sub(t.Start).Seconds()/total, 0, 100)
	w := clamp(100*s.Took.Seconds()/total, 0.8, 100)
	x = min(x, 99.2)
	bar.X = fmt.Sprintf("%.3f%%", x)
	bar.Width = fmt.Sprintf("%.3f%%", min(w, 100-x))
	return bar
}

// Offset is the distance of a step from the start.
func (t Timeline) Offset(s Step) time.Duration { return s.At.Sub(t.Start) }

// Total is the whole length.
func (t Timeline) Total() time.Duration { return t.End.Sub(t.Start) }

func clamp(x, lo, hi float64) float64 { return max(lo, min(hi, x)) }
