package status

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// day is one bar of a component: what was wrong with it on that day, as it was published here.
type day struct {
	At    time.Time
	Tone  ui.Tone // good, warn, bad; empty: it was not listed yet
	Title string
	X     int // where the bar stands
}

type componentView struct {
	Component
	Tone ui.Tone
	Word string
	Days []day
}

type publicView struct {
	Page                Page
	Tone                ui.Tone
	Headline            string
	Open, Planned, Past []noticeRow
	Components          []componentView
	Subscribe           ui.Form
	Feed                string
	BarDays             int
}

func (m *Module) publicPage(w http.ResponseWriter, r *http.Request) error {
	return m.renderPublic(w, r, "", nil)
}

func (m *Module) renderPublic(w http.ResponseWriter, r *http.Request, address string, wrong error) error {
	p, err := m.public(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	now := m.d.Clock()
	v := publicView{Page: p, Tone: "good", Headline: "Everything works", Feed: "/status/" + p.Slug + "/feed", BarDays: barDays,
		Subscribe: ui.Form{Action: "/status/" + p.Slug + "/subscribe", Submit: "Subscribe", Narrow: true, Fields: []ui.Field{
			{Name: "address", Label: "E-mail address", Kind: "email", Autocomplete: "email", Required: true, Value: address, MaxLength: 254, Hint: "You get a link to confirm. Every mail has one to stop."}}}}
	status, err := formStatus(&v.Subscribe, wrong)
	if err != nil {
		return err
	}
	parts, err := m.Components(r.Context(), p.WorkspaceID)
	if err != nil {
		return err
	}
	all, err := m.Notices(r.Context(), p.WorkspaceID, now.Add(-barDays*24*time.Hour), false)
	if err != nil {
		return err
	}
	for _, n := range all {
		x := row(n, "/status/"+p.Slug+"/incidents/"+string(n.ID), parts)
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
	for _, c := range parts {
		v.Components = append(v.Components, component(c, all, now))
	}
	page := ui.Page{Title: p.Title, Lead: p.About, Shape: ui.ShapePlain, Body: v}
	if r.URL.Query().Get("done") == "asked" {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "If the address is not subscribed yet, a mail with a link to confirm is on its way."}}
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
		case tone == "good":
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
		d := day{At: at, Tone: "good", Title: "no incident", X: 4 * (barDays - 1 - i)}
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
			d.Title = n.Title
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
		case v.Tone == "good":
			v.Tone, v.Word = "active", "in maintenance"
		}
	}
	return v
}

func (m *Module) publicNotice(w http.ResponseWriter, r *http.Request) error {
	p, err := m.public(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	n, err := m.Notice(r.Context(), p.WorkspaceID, id, false)
	if err != nil {
		return err
	}
	parts, err := m.Components(r.Context(), p.WorkspaceID)
	if err != nil {
		return err
	}
	return m.pages.Render(w, r, http.StatusOK, "public_notice", ui.Page{Title: n.Title, Shape: ui.ShapePlain, Crumbs: []ui.Crumb{{Label: p.Title, Href: "/status/" + p.Slug}}, Body: row(n, "", parts)})
}

// The feed, as RFC 4287 wants it.
type (
	atomFeed struct {
		XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		Title   string      `xml:"title"`
		ID      string      `xml:"id"`
		Updated string      `xml:"updated"`
		Author  string      `xml:"author>name"`
		Links   []atomLink  `xml:"link"`
		Entries []atomEntry `xml:"entry"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr"`
		Href string `xml:"href,attr"`
	}
	atomEntry struct {
		Title   string   `xml:"title"`
		ID      string   `xml:"id"`
		Updated string   `xml:"updated"`
		Link    atomLink `xml:"link"`
		Content string   `xml:"content"`
	}
)

func (m *Module) feed(w http.ResponseWriter, r *http.Request) error {
	p, err := m.public(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	all, err := m.Notices(r.Context(), p.WorkspaceID, m.d.Clock().Add(-barDays*24*time.Hour), false)
	if err != nil {
		return err
	}
	home := m.d.BaseURL() + "/status/" + p.Slug
	f := atomFeed{Title: p.Title, ID: home, Author: p.Title, Updated: time.Unix(0, 0).UTC().Format(time.RFC3339), Links: []atomLink{{"alternate", home}, {"self", home + "/feed"}}}
	var newest time.Time
	for _, n := range all {
		for _, u := range n.Updates {
			href := home + "/incidents/" + string(n.ID)
			f.Entries = append(f.Entries, atomEntry{Title: n.Title + " (" + u.State + ")", ID: href + "#" + strconv.FormatInt(u.At.UnixMicro(), 36), Updated: u.At.Format(time.RFC3339), Link: atomLink{"alternate", href}, Content: u.Text})
			if u.At.After(newest) {
				newest = u.At
				f.Updated = u.At.Format(time.RFC3339)
			}
		}
	}
	slices.SortStableFunc(f.Entries, func(a, b atomEntry) int { return strings.Compare(b.Updated, a.Updated) })
	text, err := xml.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/atom+xml; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=60")
	_, err = w.Write(append([]byte(xml.Header), text...))
	return err
}

func (m *Module) subscribePost(w http.ResponseWriter, r *http.Request) error {
	p, err := m.public(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	if err := m.Subscribe(r.Context(), p, form.Get("address")); err != nil {
		return m.renderPublic(w, r, form.Get("address"), err)
	}
	return respond.SeeOther(w, r, "/status/"+p.Slug+"?done=asked")
}

func (m *Module) tokenPage(r *http.Request) (p Page, token string, err error) {
	if p, err = m.public(r.Context(), r.PathValue("slug")); err != nil {
		return p, "", err
	}
	token = r.PathValue("token")
	_, _, err = m.subscriberOf(r.Context(), p, token)
	return p, token, err
}

func (m *Module) question(w http.ResponseWriter, r *http.Request, title, text string, form ui.Form) error {
	return m.pages.Render(w, r, http.StatusOK, "question", ui.Page{Title: title, Shape: ui.ShapeCenter, Body: ui.Dialog{Text: text, Form: form}})
}

func (m *Module) confirmPage(w http.ResponseWriter, r *http.Request) error {
	p, token, err := m.tokenPage(r)
	if err != nil {
		return err
	}
	return m.question(w, r, "Get these updates?", "Incidents and maintenance of “"+p.Title+"” are sent to your address.", ui.Form{Action: "/status/" + p.Slug + "/confirm/" + token, Submit: "Yes, send them"})
}

func (m *Module) confirmPost(w http.ResponseWriter, r *http.Request) error {
	p, token, err := m.tokenPage(r)
	if err != nil {
		return err
	}
	if err := m.Confirm(r.Context(), p, token); err != nil {
		return err
	}
	return m.question(w, r, "You are subscribed", "You get the next update of “"+p.Title+"” by mail. If you do not want that any more:", ui.Form{Action: "/status/" + p.Slug + "/unsubscribe/" + token, Submit: "Unsubscribe"})
}

func (m *Module) unsubscribePage(w http.ResponseWriter, r *http.Request) error {
	p, token, err := m.tokenPage(r)
	if err != nil {
		return err
	}
	return m.question(w, r, "No more of these updates?", "Your address is forgotten and gets nothing of “"+p.Title+"” any more.", ui.Form{Action: "/status/" + p.Slug + "/unsubscribe/" + token, Submit: "Unsubscribe"})
}

func (m *Module) unsubscribePost(w http.ResponseWriter, r *http.Request) error {
	p, token, err := m.tokenPage(r)
	if err != nil {
		return err
	}
	if err := m.Unsubscribe(r.Context(), p, token); err != nil {
		return err
	}
	return respond.SeeOther(w, r, "/status/"+p.Slug)
}
