package notify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/kernel"
)

// The severities, the worst first. Another word counts as a warning.
const (
	critical = "critical"
	warning  = "warning"
	info     = "info"
)

// message is what a group of alerts says, before it is written the way that a channel wants it.
type message struct {
	Resolved bool   // all of it is over
	Acked    string // who has acknowledged all that fires; empty: nobody, or not all
	Title    string // "Firing: HostDown on web-1"
	Severity string // the worst that fires, or that has been
	Firing   int
	Over     int
	Items    []item // what fires first, the worst first
	Common   []pair // labels that all have
	Link     string // to the first page there is
	Silence  string
	Ack      string
	At       time.Time
}

// item is one alert.
type item struct {
	Resolved     bool
	Name         string
	Severity     string
	Summary      string
	Description  string
	Why          []string // facts that explain it
	Value        string
	Acked        string
	Labels       []pair // that tell it from the others; of a single one all
	Since, Until time.Time
	Links        Links
}

type pair struct{ Name, Value string }

// compose says what the alerts of a group say.
func (m *Module) compose(ctx context.Context, ws kernel.WorkspaceID, now time.Time, alerts []*alert.Alert) *message {
	msg := &message{At: now, Severity: info}
	common := commonLabels(alerts)
	for _, a := range alerts {
		msg.Items = append(msg.Items, m.itemOf(ctx, ws, now, a, common, len(alerts) == 1))
	}
	slices.SortStableFunc(msg.Items, func(a, b item) int {
		return cmp.Or(cmp.Compare(order(a.Resolved), order(b.Resolved)), cmp.Compare(rank(a.Severity), rank(b.Severity)), a.Since.Compare(b.Since))
	})
	acked := true
	for _, it := range msg.Items {
		if it.Resolved {
			msg.Over++
			continue
		}
		msg.Firing++
		if acked = acked && it.Acked != ""; acked {
			msg.Acked = it.Acked
		}
	}
	msg.Resolved = msg.Firing == 0
	if !acked || msg.Resolved {
		msg.Acked = ""
	}
	if len(msg.Items) > 0 {
		first := msg.Items[0]
		msg.Severity, msg.Link, msg.Silence, msg.Ack = first.Severity, first.Links.Page, first.Links.Silence, first.Links.Ack
	}
	for name, value := range common {
		msg.Common = append(msg.Common, pair{name, value})
	}
	slices.SortFunc(msg.Common, func(a, b pair) int { return cmp.Compare(a.Name, b.Name) })
	msg.Title = msg.title()
	return msg
}

func order(resolved bool) int {
	if resolved {
		return 1
	}
	return 0
}

func rank(severity string) int {
	switch severity {
	case critical:
		return 0
	case info:
		return 2
	}
	return 1
}

func severityOf(a *alert.Alert) string {
	switch s := strings.ToLower(string(a.Labels["severity"])); s {
	case critical, info:
		return s
	case "page", "error", "fatal", "emergency":
		return critical
	case "none", "notice", "debug":
		return info
	}
	return warning
}

func commonLabels(alerts []*alert.Alert) map[string]string {
	common := map[string]string{}
	for i, a := range alerts {
		if i == 0 {
			for n, v := range a.Labels {
				common[string(n)] = string(v)
			}
			continue
		}
		for n, v := range common {
			if string(a.Labels[model.LabelName(n)]) != v {
				delete(common, n)
			}
		}
	}
	return common
}

func (m *Module) itemOf(ctx context.Context, ws kernel.WorkspaceID, now time.Time, a *alert.Alert, common map[string]string, single bool) item {
	it := item{
		Resolved: a.ResolvedAt(now), Name: clean(string(a.Labels[model.AlertNameLabel]), 200), Severity: severityOf(a),
		Summary: clean(string(a.Annotations["summary"]), 1000), Description: clean(string(a.Annotations["description"]), 2000),
		Value: clean(string(a.Annotations[AnnotationValue]), 100), Acked: clean(string(a.Annotations[AnnotationAcked]), 200),
		Since: a.StartsAt.UTC(), Links: m.links(ctx, ws, a),
	}
	if it.Name == "" {
		it.Name = "Alert"
	}
	for line := range strings.SplitSeq(string(a.Annotations[AnnotationWhy]), "\n") {
		if line = clean(line, 200); line != "" && len(it.Why) < 8 && !it.Resolved {
			it.Why = append(it.Why, line)
		}
	}
	if it.Resolved {
		it.Until = a.EndsAt.UTC()
	}
	for n, v := range a.Labels {
		name := string(n)
		if name == model.AlertNameLabel || name == "severity" {
			continue
		}
		if _, everywhere := common[name]; everywhere && !single {
			continue
		}
		it.Labels = append(it.Labels, pair{clean(name, 100), clean(string(v), 200)})
	}
	slices.SortFunc(it.Labels, func(a, b pair) int { return cmp.Compare(a.Name, b.Name) })
	return it
}

// clean keeps a text short and free of what no channel can show.
func clean(s string, n int) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, strings.TrimSpace(s)), "\ufffd")
	return clip(s, n)
}

// clip shortens a text to a number of characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:max(0, n-1)]) + "…"
}

// where names the thing that an alert is about, from the labels that usually say so.
func (it item) where() string {
	for _, name := range []string{"host", "instance", "queue", "job", "service", "device"} {
		for _, p := range it.Labels {
			if p.Name == name {
				return p.Value
			}
		}
	}
	return ""
}

func (msg *message) title() string {
	word, of := "Firing", msg.Items
	switch {
	case msg.Resolved:
		word = "Resolved"
	case msg.Acked != "":
		word = "Acknowledged"
	}
	if !msg.Resolved {
		of = msg.Items[:msg.Firing]
	}
	var names []string
	for _, it := range of {
		if !slices.Contains(names, it.Name) {
			names = append(names, it.Name)
		}
	}
	out := word + ": "
	switch {
	case len(of) == 0:
		return word
	case len(of) == 1:
		out += names[0]
		if where := of[0].where(); where != "" {
			out += " on " + where
		}
	case len(names) == 1:
		out += fmt.Sprintf("%s (%d)", names[0], len(of))
	default:
		out += fmt.Sprintf("%d alerts (%s)", len(of), clip(strings.Join(names, ", "), 120))
	}
	if !msg.Resolved && msg.Over > 0 {
		out += fmt.Sprintf(", %d resolved", msg.Over)
	}
	return clip(out, 240)
}

// span says how long, in the two largest units.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

const stamp = "2006-01-02 15:04 UTC"

// when says since when an alert fires, or for how long it did.
func (it item) when(now time.Time) string {
	if it.Resolved {
		return "Resolved " + it.Until.Format(stamp) + " after " + span(it.Until.Sub(it.Since))
	}
	out := "Since " + it.Since.Format(stamp)
	if d := now.Sub(it.Since); d >= time.Minute {
		out += " (" + span(d) + ")"
	}
	return out
}
