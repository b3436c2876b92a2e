package status

import (
	"encoding/xml"
	"net/http"
	"slices"
	"time"
)

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
		at      time.Time
	}
)

func (m *Module) feed(w http.ResponseWriter, r *http.Request) error {
	s, err := m.public(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	text, err := xml.MarshalIndent(m.atom(s), "", " ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/atom+xml; charset=utf-8")
	cache(w)
	_, err = w.Write(append([]byte(xml.Header), text...))
	return err
}

// atom is the feed of a page: an entry for each update, the newest first.
func (m *Module) atom(s shown) atomFeed {
	home := m.d.BaseURL() + publicHref(s.page)
	f := atomFeed{Title: s.page.Title, ID: home, Author: s.page.Title, Updated: s.page.UpdatedAt.UTC().Format(time.RFC3339), Links: []atomLink{{"alternate", home}, {"self", home + "/feed"}}}
	for _, n := range s.notices {
		for _, u := range n.Updates {
			href := home + "/incidents/" + string(n.ID) + "#" + string(u.ID)
			f.Entries = append(f.Entries, atomEntry{Title: n.Title + " (" + u.State + ")", ID: href, Updated: u.At.UTC().Format(time.RFC3339), Link: atomLink{"alternate", href}, Content: u.Text, at: u.At})
		}
	}
	slices.SortStableFunc(f.Entries, func(a, b atomEntry) int { return b.at.Compare(a.at) })
	if len(f.Entries) > 0 && f.Entries[0].at.After(s.page.UpdatedAt) {
		f.Updated = f.Entries[0].Updated
	}
	return f
}
