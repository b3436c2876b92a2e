package dashboard

import (
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

const (
	apiList = "/api/v1/dashboards"
	apiOne  = apiList + "/{id}"
)

func (m *Module) apiRoutes() []httpx.Route {
	read := func(path string, h httpx.Handler, op *httpx.Operation) httpx.Route {
		return httpx.Route{Method: "GET", Path: path, Handler: h, Access: httpx.APIKey, Scope: "read", Needs: httpx.MayView, Rate: httpx.RatePage, API: op}
	}
	write := func(method, path string, h httpx.Handler, audit string, op *httpx.Operation) httpx.Route {
		return httpx.Route{Method: method, Path: path, Handler: h, Access: httpx.APIKey, Scope: "write", Needs: httpx.MayChange, Rate: httpx.RateWrite, Audit: audit, MaxBody: MaxSize + 1, API: op}
	}
	version := httpx.Param{Name: "version", Description: "The version that the change was made from; when somebody saved since, the answer is 409.", Schema: "integer", Example: "7"}
	return []httpx.Route{
		read(apiList, m.apiListAll, &httpx.Operation{Summary: "List the dashboards.", Description: "Those made here, those that apps bring, and files of the operator.", Responses: map[int]any{http.StatusOK: apiDashboards{}}}),
		read(apiOne, m.apiGet, &httpx.Operation{Summary: "Read a dashboard.", Responses: map[int]any{http.StatusOK: apiDashboard{}, http.StatusNotFound: nil}}),
		write("POST", apiList, m.apiCreate, "dashboard.create", &httpx.Operation{Summary: "Make a dashboard.", Description: "The body is the dashboard. Faults are named by line and field.",
			Request: Dashboard{}, Responses: map[int]any{http.StatusCreated: apiDashboard{}, http.StatusUnprocessableEntity: nil}}),
		write("PUT", apiOne, m.apiPut, "dashboard.change", &httpx.Operation{Summary: "Save a dashboard.", Description: "The body is the whole dashboard. Each save that changes something is a new version.",
			Query: []httpx.Param{version}, Request: Dashboard{}, Responses: map[int]any{http.StatusOK: apiDashboard{}, http.StatusConflict: nil, http.StatusNotFound: nil, http.StatusUnprocessableEntity: nil}}),
		write("DELETE", apiOne, m.apiDelete, "dashboard.delete", &httpx.Operation{Summary: "Delete a dashboard.", Description: "It can be brought back on the page of dashboards for 30 days.",
			Responses: map[int]any{http.StatusNoContent: nil, http.StatusNotFound: nil}}),
	}
}

type apiDashboards struct {
	Dashboards []apiEntry `json:"dashboards"`
}

type apiEntry struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	Tags      []string  `json:"tags"`
	Panels    int       `json:"panels"`
	Version   int64     `json:"version,omitempty"`
	ChangedAt time.Time `json:"changed_at,omitzero"`
	Origin    string    `json:"origin,omitempty"` // of one that comes with the server
	ReadOnly  bool      `json:"read_only,omitempty"`
}

type apiDashboard struct {
	apiEntry
	Dashboard *Dashboard `json:"dashboard"`
}

func entryOf(s Stored) apiEntry {
	return apiEntry{ID: string(s.ID), Title: s.Title, Tags: s.Tags, Panels: s.Panels, Version: s.Version, ChangedAt: s.ChangedAt}
}

func (m *Module) apiListAll(w http.ResponseWriter, r *http.Request) error {
	own, err := m.list(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, false)
	if err != nil {
		return err
	}
	out := apiDashboards{Dashboards: []apiEntry{}}
	for _, s := range own {
		out.Dashboards = append(out.Dashboards, entryOf(s))
	}
	for _, f := range m.brought() {
		if f.Dashboard != nil {
			out.Dashboards = append(out.Dashboards, broughtEntry(f.ID, f.Origin, f.Dashboard))
		}
	}
	return respond.JSON(w, http.StatusOK, out)
}

func broughtEntry(id, origin string, d *Dashboard) apiEntry {
	tags := d.Tags
	if tags == nil {
		tags = []string{}
	}
	return apiEntry{ID: id, Title: d.Title, Tags: tags, Panels: d.panelCount(), Origin: origin, ReadOnly: true}
}

func (m *Module) apiGet(w http.ResponseWriter, r *http.Request) error {
	s, err := m.subjectOf(r)
	if err != nil {
		return err
	}
	out := apiDashboard{Dashboard: s.D}
	if s.Stored != nil {
		out.apiEntry = entryOf(*s.Stored)
	} else {
		out.apiEntry = broughtEntry(s.ID, s.Origin, s.D)
	}
	return respond.JSON(w, http.StatusOK, out)
}

// readBody reads the dashboard of a request.
func readBody(r *http.Request) (*Dashboard, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, kernel.Errorf(kernel.Malformed, "Send JSON, with Content-Type: application/json.")
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return Decode(text)
}

func (m *Module) apiCreate(w http.ResponseWriter, r *http.Request) error {
	d, err := readBody(r)
	if err == nil {
		err = d.newQueries(nil)
	}
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	s, err := m.create(r.Context(), a.WorkspaceID, a.AccountID, d, "made by the API")
	if err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), "dashboard.create", string(s.ID), s.Title); err != nil {
		return err
	}
	return respond.JSON(w, http.StatusCreated, apiDashboard{entryOf(s), d})
}

func (m *Module) apiPut(w http.ResponseWriter, r *http.Request) error {
	s, err := m.subjectOf(r)
	if err != nil {
		return err
	}
	if s.Stored == nil {
		return errReadOnly
	}
	d, err := readBody(r)
	if err != nil {
		return err
	}
	from := s.Version()
	if text := r.URL.Query().Get("version"); text != "" {
		if from, err = strconv.ParseInt(text, 10, 64); err != nil {
			return kernel.Errorf(kernel.Malformed, "The version in the address is no number.")
		}
	}
	saved, err := m.commit(r, frame{subject: s, WS: httpx.ActorOf(r.Context()).WorkspaceID}, from, d, "saved by the API")
	if err != nil {
		return err
	}
	return respond.JSON(w, http.StatusOK, apiDashboard{entryOf(saved), d})
}

func (m *Module) apiDelete(w http.ResponseWriter, r *http.Request) error {
	s, err := m.subjectOf(r)
	if err != nil {
		return err
	}
	if s.Stored == nil {
		return errReadOnly
	}
	if err := m.remove(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, s.ID, true); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), "dashboard.delete", s.ID, s.D.Title); err != nil {
		return err
	}
	return respond.NoContent(w)
}
