package dashboard

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type historyView struct {
	frame
	Versions []versionRow
}

type versionRow struct {
	version
	Who     string
	Href    string
	Current bool
}

// stored is the dashboard of a request, which must be one of the workspace's own.
func (m *Module) stored(r *http.Request) (frame, error) {
	s, err := m.subjectOf(r)
	if err != nil {
		return frame{}, err
	}
	if s.Stored == nil {
		return frame{}, errReadOnly
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	return frame{subject: s, WS: ws, Base: dashHref(ws, s.ID), URL: r.URL, MayChange: may(r, httpx.MayChange)}, nil
}

func (m *Module) historyPage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	versions, err := m.versions(r.Context(), f.Stored.ID)
	if err != nil {
		return err
	}
	v := historyView{frame: f}
	for _, x := range versions {
		v.Versions = append(v.Versions, versionRow{version: x, Href: f.Base + "/history/" + strconv.FormatInt(x.Number, 10), Current: x.Number == f.Version()})
	}
	return m.pages.Render(w, r, http.StatusOK, "history", ui.Page{Title: "History", App: appKey, Section: homeHref(f.WS), Crumbs: crumbs(f.WS, f.subject), Body: v,
		Lead: "Every save is kept, the last 200 of them. Each can be looked at and brought back."})
}

type versionView struct {
	frame
	Row     versionRow
	Changes []diffLine
	Older   string
	Newer   string
	Restore string
}

// versionOf finds one version and the one before it.
func (m *Module) versionOf(r *http.Request, f frame) (all []version, at int, err error) {
	n, err := strconv.ParseInt(r.PathValue("version"), 10, 64)
	if err != nil {
		return nil, 0, kernel.Errorf(kernel.NotFound, "There is no such version.")
	}
	if all, err = m.versions(r.Context(), f.Stored.ID); err != nil {
		return nil, 0, err
	}
	for i, v := range all {
		if v.Number == n {
			return all, i, nil
		}
	}
	return nil, 0, kernel.Errorf(kernel.NotFound, "There is no such version.")
}

func (m *Module) versionPage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	all, i, err := m.versionOf(r, f)
	if err != nil {
		return err
	}
	href := func(i int) string { return f.Base + "/history/" + strconv.FormatInt(all[i].Number, 10) }
	v := versionView{frame: f, Row: versionRow{version: all[i], Current: all[i].Number == f.Version()}}
	before := ""
	if i+1 < len(all) {
		before, v.Older = all[i+1].body, href(i+1)
	}
	if i > 0 {
		v.Newer = href(i - 1)
	}
	v.Changes = diff(lines(before), lines(all[i].body))
	if !v.Row.Current && f.MayChange {
		v.Restore = href(i) + "/restore"
	}
	title := "Version " + strconv.FormatInt(all[i].Number, 10)
	return m.pages.Render(w, r, http.StatusOK, "version", ui.Page{Title: title, App: appKey, Section: homeHref(f.WS),
		Crumbs: append(crumbs(f.WS, f.subject), ui.Crumb{Label: "History", Href: f.Base + "/history"}), Body: v})
}

// restoreVersion saves an earlier version as the newest one, so that this can be undone as well.
func (m *Module) restoreVersion(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	all, i, err := m.versionOf(r, f)
	if err != nil {
		return err
	}
	d, err := Decode([]byte(all[i].body))
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	if _, err := m.save(r.Context(), f.WS, a.AccountID, f.ID, f.Version(), d, "back to version "+strconv.FormatInt(all[i].Number, 10)); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), "dashboard.change", f.ID, "back to version "+strconv.FormatInt(all[i].Number, 10)); err != nil {
		return err
	}
	return respond.SeeOther(w, r, f.Base+"?done=restored")
}

// diffLine is a line of a comparison.
type diffLine struct {
	Kind string // "add", "del", "same", "gap"
	Text string
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// contextLines is how many lines that are the same stand around a change.
const contextLines = 3

// diff compares two texts by lines. What is the same at both ends is set aside first; of the rest the longest common
// subsequence is found, or, where that would be too much work, all of it counts as changed.
func diff(a, b []string) []diffLine {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out []diffLine
	add := func(kind string, texts []string) {
		for _, t := range texts {
			out = append(out, diffLine{kind, t})
		}
	}
	add("same", a[:head])
	out = append(out, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	add("same", a[len(a)-tail:])
	return squeeze(out)
}

const maxDiff = 4_000_000 // cells of the table

func middle(a, b []string) (out []diffLine) {
	if len(a)*len(b) > maxDiff {
		for _, t := range a {
			out = append(out, diffLine{"del", t})
		}
		for _, t := range b {
			out = append(out, diffLine{"add", t})
		}
		return out
	}
	width := len(b) + 1
	common := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, diffLine{"same", a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[(i+1)*width+j] >= common[i*width+j+1]:
			out = append(out, diffLine{"del", a[i]})
			i++
		default:
			out = append(out, diffLine{"add", b[j]})
			j++
		}
	}
	return out
}

// squeeze replaces long stretches that are the same by a gap.
func squeeze(in []diffLine) (out []diffLine) {
	near := make([]bool, len(in))
	for i, l := range in {
		if l.Kind == "same" {
			continue
		}
		for j := max(0, i-contextLines); j <= min(len(in)-1, i+contextLines); j++ {
			near[j] = true
		}
	}
	for i, l := range in {
		switch {
		case near[i]:
			out = append(out, l)
		case i == 0 || near[i-1]:
			out = append(out, diffLine{Kind: "gap"})
		}
	}
	return out
}
