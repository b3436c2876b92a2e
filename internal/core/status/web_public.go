package status

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/ui"
)

// day is one bar of a component: what was wrong with it on that day, as it was published here.
type day struct {
	At    time.Time
	Tone  ui.Tone // good, warn, bad; empty: it was not listed yet
	Title string
	X     int // where the bar stands

	titles []string
}

type componentView struct {
	Component
	Tone   ui.Tone
	Word   string
	Days   []day
	Spoken string // the days with incidents, for those who do not see the bars
}

type publicView struct {
	Page                Page
	Tone                ui.Tone
	Icon                string
	Headline            string
	Open, Planned, Past []noticeRow
	Components          []componentView
	Mail, Webhook       ui.Form
	Feed                string
	BarDays             int
}

func (m *Module) publicPage(w http.ResponseWriter, r *http.Request) error {
	s, err := m.public(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	if r.URL.RawQuery == "" {
		cache(w)
	}
	return m.renderPublic(w, r, s, mailForm(s.page, ""), webhookForm(s.page, ""), http.StatusOK)
}

// cache lets browsers and proxies keep a public page as long as we do ourselves: it is the same for everybody.
func cache(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(showFor.Seconds())))
}

func mailForm(p Page, address string) ui.Form {
	return ui.Form{Action: publicHref(p) + "/subscribe", Submit: "Subscribe", Narrow: true, Fields: []ui.Field{
		{Name: "address", Label: "E-mail address", Kind: "email", Autocomplete: "email", Required: true, Value: address, MaxLength: 254, Hint: "You get a link to confirm. Every mail has one to stop."}}}
}

func webhookForm(p Page, address string) ui.Form {
	return ui.Form{Action: publicHref(p) + "/subscribe/webhook", Submit: "Subscribe the webhook", Narrow: true, Fields: []ui.Field{
		{Name: "url", Label: "Webhook", Kind: "url", Autocomplete: "off", Required: true, Value: address, MaxLength: 2000, Mono: true, Placeholder: "https://example.com/hooks/status",
			Hint: "It is sent JSON with a link to confirm. Every message is signed and has a link to stop."}}}
}

func (m *Module) renderPublic(w http.ResponseWriter, r *http.Request, s shown, mail, webhook ui.Form, status int) error {
	p, now := s.page, m.d.Clock()
	v := publicView{Page: p, Feed: publicHref(p) + "/feed", BarDays: barDays, Mail: mail, Webhook: webhook}
	for _, n := range s.notices {
		x := row(n, publicHref(p)+"/incidents/"+string(n.ID), s.components)
		switch {
		case n.Over():
			v.Past = append(v.Past, x)
		case n.Kind == Maintenance && n.StartsAt.After(now) && n.State == states[Maintenance][0]:
			v.Planned = append(v.Planned, x)
		default:
			v.Open = append(v.Open, x)
		}
	}
	v.Tone, v.Headline = headline(v.Open)
	v.Icon = map[ui.Tone]string{ui.ToneGood: "check", ui.ToneActive: "clock"}[v.Tone]
	if v.Icon == "" {
		v.Icon = "alert"
	}
	for _, c := range s.components {
		v.Components = append(v.Components, component(c, s.notices, now))
	}
	page := ui.Page{Title: p.Title, Lead: p.About, Shape: ui.ShapePublic, Feed: v.Feed, Body: v}
	if text := map[string]string{
		"asked":  "If the address is not subscribed yet, a mail with a link to confirm is on its way.",
		"posted": "If the webhook is not subscribed yet, a message with a link to confirm is on its way. Open the link within 7 days.",
		"ended":  "You get nothing more from this page.",
	}[r.URL.Query().Get("done")]; text != "" {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: text}}
	}
	return m.pages.Render(w, r, status, "public", page)
}

// headline says in three words how things are.
func headline(open []noticeRow) (tone ui.Tone, text string) {
	tone, text = "good", "Everything works"
	for _, n := range open {
		switch {
		case n.Tone == "bad":
			return "bad", "Something is broken"
		case n.Kind == Incident:
			tone, text = "warn", "Something does not work well"
		case n.Kind == Maintenance && tone == "good":
			tone, text = "active", "Maintenance is under way"
		}
	}
	return tone, text
}

// component says how a part is now, and how it was on each day since it is listed.
func component(c Component, all []Notice, now time.Time) componentView {
	v := componentView{Component: c, Tone: "good", Word: "works"}
	today := now.UTC().Truncate(24 * time.Hour)
	for i := barDays - 1; i >= 0; i-- {
		at := today.Add(-time.Duration(i) * 24 * time.Hour)
		d := day{At: at, Tone: "good", Title: "no incident", X: 5 * (barDays - 1 - i)}
		if at.Add(24 * time.Hour).Before(c.CreatedAt) {
			d.Tone, d.Title = "", "not listed yet"
		}
		for _, n := range all {
			if n.Kind != Incident || !slices.Contains(n.Components, c.ID) || !n.StartsAt.Before(at.Add(24*time.Hour)) || n.Over() && !n.OverAt.After(at) {
				continue
			}
			if n.Impact != "minor" {
				d.Tone = "bad"
			} else if d.Tone != "bad" {
				d.Tone = "warn"
			}
			d.titles = append(d.titles, n.Title)
		}
		if len(d.titles) > 0 {
			d.Title = strings.Join(d.titles, "; ")
			v.Spoken += at.Format("2 January") + ": " + d.Title + ". "
		}
		v.Days = append(v.Days, d)
	}
	for _, n := range all {
		if n.Over() || !slices.Contains(n.Components, c.ID) || n.StartsAt.After(now) {
			continue
		}
		switch {
		case n.Kind == Incident && n.Impact != "minor":
			v.Tone, v.Word = "bad", "broken"
		case n.Kind == Incident && v.Tone != "bad":
			v.Tone, v.Word = "warn", "does not work well"
		case n.Kind == Maintenance && v.Tone == "good":
			v.Tone, v.Word = "active", "in maintenance"
		}
	}
	return v
}

func (m *Module) publicNotice(w http.ResponseWriter, r *http.Request) error {
	s, err := m.public(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	n, ok := s.find(id)
	if !ok {
		if n, err = m.Notice(r.Context(), s.page.WorkspaceID, id, false); err != nil {
			return err
		}
	}
	cache(w)
	return m.pages.Render(w, r, http.StatusOK, "public_notice", ui.Page{Title: n.Title, Shape: ui.ShapePublic, Crumbs: []ui.Crumb{{Label: s.page.Title, Href: publicHref(s.page)}}, Body: row(n, "", s.components)})
}
