package status

import (
	"net/http"
	"slices"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// serverStatus leads to the public page of the server, if there is one.
func (m *Module) serverStatus(w http.ResponseWriter, r *http.Request) error {
	none := kernel.Errorf(kernel.NotFound, "This server has no public status page.")
	if m.d.Server == "" {
		return none
	}
	p, err := m.Page(r.Context(), m.d.Server)
	if err != nil {
		return err
	}
	if !p.Public {
		return none
	}
	return respond.SeeOther(w, r, publicHref(p))
}

type serverView struct {
	Open, Past []noticeRow
	Public     string // the page for everybody, if there is one
	Empty      *ui.Empty
}

// serverPage is for everybody who is signed in, whether or not the operator's page is public.
func (m *Module) serverPage(w http.ResponseWriter, r *http.Request) error {
	all, err := m.ServerNotices(r.Context())
	if err != nil {
		return err
	}
	var v serverView
	for _, n := range all {
		if n.Over() {
			v.Past = append(v.Past, row(n, "", nil))
		} else {
			v.Open = append(v.Open, row(n, "", nil))
		}
	}
	slices.SortStableFunc(v.Open, func(a, b noticeRow) int { return b.weight() - a.weight() })
	if len(all) == 0 {
		v.Empty = &ui.Empty{Icon: "check", Title: "Nothing to tell", Text: "Incidents, maintenance and security updates of this server are listed here, as its operator publishes them."}
	}
	if m.d.Server != "" {
		p, err := m.Page(r.Context(), m.d.Server)
		if err != nil {
			return err
		}
		if p.Public {
			v.Public = publicHref(p)
		}
	}
	return m.pages.Render(w, r, http.StatusOK, "server", ui.Page{Title: "Notices of this server", Lead: "What its operator says of incidents, maintenance and security updates.", Shape: ui.ShapePlain, Body: v})
}

func (m *Module) hidePost(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	if err := m.Hide(r.Context(), httpx.ActorOf(r.Context()).AccountID, id); err != nil {
		return err
	}
	return respond.SeeOther(w, r, httpx.SafeNext(form.Get("back")))
}
