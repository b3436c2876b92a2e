package dashboard

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/ui"
)

// events finds what happened, and makes the switches for its kinds.
func (v *viewView) events(ctx context.Context, m *Module, hidden map[string]bool) []ui.Mark {
	all, problems := m.happenings(ctx, v.scope, v.env, v.subject, hidden)
	v.Problems = problems
	counts := map[string]int{}
	for _, x := range all {
		if x.At.IsZero() {
			counts[x.Kind] += 0
			continue
		}
		if !v.env.concerns(x.Labels) {
			continue
		}
		counts[x.Kind]++
		if x.Kind == "alert" && x.Until.IsZero() {
			v.Firing = append(v.Firing, x)
		}
		if !hidden[x.Kind] && len(v.Events) < maxAnnotations {
			v.Events = append(v.Events, x)
		}
	}
	for kind, n := range counts {
		v.Kinds = append(v.Kinds, kindView{Kind: kind, Count: n, On: !hidden[kind], Href: v.toggled(kind, hidden)})
	}
	slices.SortFunc(v.Kinds, func(a, b kindView) int { return strings.Compare(a.Kind, b.Kind) })
	return marksOf(v.Events, v.Range.To)
}

// concerns tells whether something with labels belongs to what was chosen: it does unless a label of a variable's name has a
// value that was not chosen.
func (e env) concerns(labels map[string]string) bool {
	for name, value := range labels {
		c, ok := e.choices[name]
		if ok && !c.IsAll && c.Kind != VarText && len(c.Values) > 0 && !slices.Contains(c.Values, value) {
			return false
		}
	}
	return true
}

type kindView struct {
	Kind, Href string
	Count      int
	On         bool
}

// toggled is the address in which a kind is shown or hidden.
func (f frame) toggled(kind string, hidden map[string]bool) string {
	q := f.URL.Query()
	q.Del("hide")
	q.Del("done")
	for k := range hidden {
		if k != kind {
			q.Add("hide", k)
		}
	}
	slices.Sort(q["hide"])
	if !hidden[kind] {
		q.Add("hide", kind)
	}
	return (&url.URL{Path: f.URL.Path, RawQuery: q.Encode()}).String()
}

// marksOf draws what happened; an alert that still fires lasts until the end of what is shown.
func marksOf(events []happened, end time.Time) []ui.Mark {
	out := make([]ui.Mark, 0, len(events))
	for _, x := range events {
		tone := ui.Tone("")
		switch x.Kind {
		case "alert":
			if tone = ui.ToneBad; x.Until.IsZero() {
				x.Until = end
			}
		case "deploy":
			tone = ui.ToneActive
		case "reboot":
			tone = ui.ToneWarn
		}
		m := ui.Mark{At: x.At, Until: x.Until, Label: clip(x.Text, 80), Tone: tone}
		if safeHref(x.Href) && strings.HasPrefix(x.Href, "/") {
			m.Href = x.Href
		}
		out = append(out, m)
	}
	return out
}
