package ui

import (
	"cmp"
	"math"
	"regexp"
	"strconv"
)

// Word is a text in place of values: "up" for 1. One of Value, From or To,
// Match and None says which values.
type Word struct {
	Value *float64 `json:"value,omitempty"`
	From  *float64 `json:"from,omitempty"`
	To    *float64 `json:"to,omitempty"`
	Match string   `json:"match,omitempty"` // a regular expression for the digits
	None  bool     `json:"none,omitempty"`  // where there is no value
	Text  string   `json:"text,omitempty"`  // empty: the value stays
	Tone  Tone     `json:"tone,omitempty"`
}

// Of tells whether the word is for a value.
func (w Word) Of(v float64) bool {
	switch {
	case w.None:
		return math.IsNaN(v)
	case math.IsNaN(v):
		return false
	case w.Value != nil:
		return v == *w.Value
	case w.Match != "":
		met, err := regexp.MatchString(w.Match, strconv.FormatFloat(v, 'f', -1, 64))
		return err == nil && met
	}
	return (w.From == nil || v >= *w.From) && (w.To == nil || v <= *w.To)
}

// wordFor is what stands in place of a value of a series.
func (c Chart) wordFor(s Series, v float64) (w Word, found bool) {
	words := s.Words
	if len(words) == 0 {
		words = c.Words
	}
	for _, w := range words {
		if w.Of(v) {
			return w, true
		}
	}
	return Word{}, false
}

// Text is a value of a series as people read it.
func (c Chart) Text(s Series, v float64) string {
	if w, ok := c.wordFor(s, v); ok && w.Text != "" {
		return w.Text
	}
	if s.Below { // downwards is where it is drawn, not what it is
		v = -v
	}
	return Value(v, c.unitOf(s))
}

func (c Chart) unitOf(s Series) string { return cmp.Or(s.Unit, c.Unit) }

// Nothing is what is said where there is no series at all.
func (c Chart) Nothing() string {
	if w, ok := c.wordFor(Series{}, math.NaN()); ok && w.Text != "" {
		return w.Text
	}
	return cmp.Or(c.Empty, "No data in this time.")
}

// ColorNames are the colours that a series may be given; chart-model.ts has the
// custom property of each.
func ColorNames() []string {
	return []string{"blue", "orange", "teal", "pink", "yellow", "sky", "purple", "brown", "green", "grey", "red"}
}
