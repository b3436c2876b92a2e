package dashboard

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type importView struct {
	Action string
	Text   string
	Errors []string
	Report *Report
	Made   *Dashboard
	Groups []NoteGroup
}

func (m *Module) importPage(w http.ResponseWriter, r *http.Request) error {
	return m.renderImport(w, r, http.StatusOK, importView{})
}

func (m *Module) renderImport(w http.ResponseWriter, r *http.Request, status int, v importView) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	v.Action = homeHref(ws) + "/import"
	return m.pages.Render(w, r, status, "import", ui.Page{Title: "Import a dashboard", App: appKey, Section: homeHref(ws), Body: v,
		Lead: "Paste the JSON of a dashboard: our own, or Grafana's classic one. Nothing is left out without being listed.", Crumbs: []ui.Crumb{{Label: "Dashboards", Href: homeHref(ws)}}})
}

// importDashboard shows what an import would make and what it does not understand; the second time it makes it. Where there
// is nothing to tell, once is enough.
func (m *Module) importDashboard(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	text := form.Get("json")
	d, report, err := Import([]byte(text))
	if err != nil {
		e := kernel.AsError(err)
		if e.Code != kernel.Invalid {
			return err
		}
		return m.renderImport(w, r, http.StatusUnprocessableEntity, importView{Text: text, Errors: strings.Split(e.Safe, "\n")})
	}
	if form.Get("op") != "make" && len(report.Notes) > 0 {
		return m.renderImport(w, r, http.StatusOK, importView{Text: text, Report: &report, Made: d, Groups: report.Groups()})
	}
	a := httpx.ActorOf(r.Context())
	note := "imported"
	if n := len(report.Notes); n > 0 {
		note = fmt.Sprintf("imported from Grafana's JSON; %d things not taken over", n)
	}
	s, err := m.create(r.Context(), a.WorkspaceID, a.AccountID, d, note)
	if err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), "dashboard.create", string(s.ID), s.Title); err != nil {
		return err
	}
	return respond.SeeOther(w, r, dashHref(a.WorkspaceID, string(s.ID))+"?done=imported")
}
