package privacy

import (
	"cmp"
	"embed"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

// pageView is what the privacy page shows. It is the same for everybody: it says nothing that is not public.
type pageView struct {
	Summary    string
	CheckedAt  *time.Time
	Sections   []sectionView
	Modules    []moduleView
	Processors []Processor
}

type sectionView struct {
	ID       string
	Title    Section
	Promises []lineView
}

type lineView struct {
	Line
	Label    string // the outcome for people
	Services string
}

// Explains tells whether the reason adds something to the outcome.
func (l lineView) Explains() bool { return l.Reason != "" && l.Outcome != Kept }

// Part is what no check looks at although there is a check; empty when there is none.
func (l lineView) Part() string {
	if l.NotYet == nil || l.Looks == "" {
		return ""
	}
	return l.NotYet.Reason
}

type moduleView struct {
	ID          string
	Title       string
	Collections []collectionView
}

type collectionView struct {
	Collection
	ID string
}

func (m *Module) privacyPage(w http.ResponseWriter, r *http.Request) error {
	report, err := m.Latest(r.Context())
	if err != nil {
		return err
	}
	return m.pages.Render(w, r, http.StatusOK, "privacy", ui.Page{
		Title: "Privacy",
		Lead:  "What this server promises, whether it keeps to it, and everything that it stores.",
		Shape: ui.ShapePlain,
		Body:  newPageView(report.public(), m.dataMap(), m.sources.Facts.Processors),
	})
}

func newPageView(report Report, dataMap *Map, processors []Processor) pageView {
	v := pageView{Summary: report.Summary(), CheckedAt: report.CheckedAt, Processors: processors}
	for _, title := range Sections() {
		section := sectionView{ID: "section-" + slug(string(title)), Title: title}
		for _, l := range report.Promises {
			if l.Section == title {
				section.Promises = append(section.Promises, lineView{l, l.Outcome.Label(), strings.Join(l.By, ", ")})
			}
		}
		v.Sections = append(v.Sections, section)
	}
	v.Modules = moduleViews(dataMap)
	return v
}

// moduleViews groups the data map by module, by name; within a module what is about people comes first.
func moduleViews(dataMap *Map) []moduleView {
	byModule := map[string]*moduleView{}
	var order []*moduleView
	for _, c := range dataMap.Collections() {
		v := byModule[c.Module]
		if v == nil {
			v = &moduleView{ID: "module-" + slug(c.Module), Title: capital(c.Module)}
			byModule[c.Module] = v
			order = append(order, v)
		}
		v.Collections = append(v.Collections, collectionView{c, "data-" + slug(c.Where) + "-" + slug(c.Name)})
	}
	var out []moduleView
	for _, v := range order {
		slices.SortStableFunc(v.Collections, func(a, b collectionView) int { return rank(a) - rank(b) })
		out = append(out, *v)
	}
	slices.SortStableFunc(out, func(a, b moduleView) int { return cmp.Compare(a.Title, b.Title) })
	return out
}

func rank(c collectionView) int {
	if c.Personal() {
		return 0
	}
	return 1
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// slug makes a name fit for an id in HTML.
func slug(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '-'
	}, s)
}

// promisesJSON answers with the public part of the newest report.
func (m *Module) promisesJSON(w http.ResponseWriter, r *http.Request) error {
	report, err := m.Latest(r.Context())
	if err != nil {
		return err
	}
	body, err := json.MarshalIndent(report.public(), "", "  ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(body, '\n'))
	return err
}
