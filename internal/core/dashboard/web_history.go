package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"

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

// whoOf names those who saved: by their names, where they are members still.
func (m *Module) whoOf(ctx context.Context, ws kernel.WorkspaceID) (func(kernel.AccountID) string, error) {
	names, err := m.d.People(ctx, ws)
	if err != nil {
		return nil, err
	}
	return func(id kernel.AccountID) string {
		if id == "" {
			return "API key or server"
		}
		return cmp.Or(names[id], "former member")
	}, nil
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
	who, err := m.whoOf(r.Context(), f.WS)
	if err != nil {
		return err
	}
	v := historyView{frame: f}
	for _, x := range versions {
		v.Versions = append(v.Versions, versionRow{version: x, Who: who(x.SavedBy), Href: f.Base + "/history/" + strconv.FormatInt(x.Number, 10), Current: x.Number == f.Version()})
	}
	return m.pages.Render(w, r, http.StatusOK, "history", ui.Page{Title: "History", App: appKey, Section: homeHref(f.WS), Crumbs: crumbs(f.WS, f.subject), Body: v,
		Lead: "Every save is kept, the last 200 of them. Each can be looked at and brought back."})
}

type versionView struct {
	frame
	Row     versionRow
	With    int64 // the version that it is compared with; 0: there is none
	Others  []ui.Option
	Changes []change
	Lines   []ui.DiffLine
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
	who, err := m.whoOf(r.Context(), f.WS)
	if err != nil {
		return err
	}
	v := versionView{frame: f, Row: versionRow{version: all[i], Who: who(all[i].SavedBy), Current: all[i].Number == f.Version()}}
	if i+1 < len(all) {
		v.Older = href(i + 1)
	}
	if i > 0 {
		v.Newer = href(i - 1)
	}
	if err := v.compare(all, i, r.URL.Query().Get("with")); err != nil {
		return err
	}
	if !v.Row.Current && f.MayChange {
		v.Restore = href(i) + "/restore"
	}
	title := "Version " + strconv.FormatInt(all[i].Number, 10)
	return m.pages.Render(w, r, http.StatusOK, "version", ui.Page{Title: title, App: appKey, Section: homeHref(f.WS),
		Crumbs: append(crumbs(f.WS, f.subject), ui.Crumb{Label: "History", Href: f.Base + "/history"}), Body: v})
}

// compare finds what differs from another version: the one that is asked for, or the one before.
func (v *versionView) compare(all []version, i int, with string) error {
	other := i + 1
	for j, x := range all {
		if j == i {
			continue
		}
		number := strconv.FormatInt(x.Number, 10)
		v.Others = append(v.Others, ui.Option{Value: number, Label: fmt.Sprintf("%s: %s", number, cmp.Or(x.Note, "saved"))})
		if number == with {
			other = j
		}
	}
	before, text := &Dashboard{Version: Format}, ""
	if other < len(all) {
		v.With, text = all[other].Number, all[other].body
		d, err := Decode([]byte(text))
		if err != nil {
			return fmt.Errorf("version %d: %w", v.With, err)
		}
		before = d
	}
	after, err := Decode([]byte(all[i].body))
	if err != nil {
		return fmt.Errorf("version %d: %w", all[i].Number, err)
	}
	v.Changes, v.Lines = changes(before, after), ui.Diff(text, all[i].body)
	return nil
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
	return respond.SeeOther(w, r, fmt.Sprintf("%s?done=back&undo=%d", f.Base, f.Version()))
}
