package dashboard

import (
	"embed"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

// appKey is the entry of the switcher that the pages belong to.
const appKey = "metrics"

const (
	pathList = "/w/{ws}/dashboards"
	pathOne  = pathList + "/{id}"
)

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	return slices.Concat(m.pageRoutes(), m.editRoutes(), m.embedRoutes(), m.apiRoutes(), m.exploreRoutes())
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return append([]ui.NavItem{
		{App: appKey, Label: "Dashboards", Href: pathList, Icon: "chart", Order: 20, Needs: string(httpx.MayView)},
	}, m.exploreNav()...)
}

func viewing(method, path string, h httpx.Handler) httpx.Route {
	return httpx.Route{Method: method, Path: path, Handler: h, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RatePage}
}

func changing(method, path string, h httpx.Handler, audit string) httpx.Route {
	r := httpx.Route{Method: method, Path: path, Handler: h, Access: httpx.Member, Needs: httpx.MayChange, Rate: httpx.RateWrite, Audit: audit}
	if method == http.MethodGet {
		r.Rate, r.Audit = httpx.RatePage, ""
	}
	return r
}

func (m *Module) pageRoutes() []httpx.Route {
	return []httpx.Route{
		viewing("GET", pathList, m.listPage),
		viewing("GET", pathOne, m.viewPage),
		viewing("GET", pathOne+"/panels/{panel}", m.panelPage),
		viewing("GET", pathOne+"/panels/{panel}/part", m.panelPart),
		viewing("GET", pathOne+"/panels/{panel}/data", m.panelData),
		viewing("GET", pathOne+"/export", m.exportJSON),
		viewing("GET", pathOne+"/history", m.historyPage),
		viewing("GET", pathOne+"/history/{version}", m.versionPage),
	}
}

// panelTimeout is how long one panel may take, and pageTimeout how long a page with many.
const (
	panelTimeout = 25 * time.Second
	pageTimeout  = 2500 * time.Millisecond
)

func homeHref(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/dashboards" }

func dashHref(ws kernel.WorkspaceID, id string) string {
	return homeHref(ws) + "/" + url.PathEscape(id)
}

// may tells whether whoever asks has a permission.
func may(r *http.Request, p httpx.Permission) bool {
	return workspace.Allows(httpx.ActorOf(r.Context()).Role, p)
}

// subjectOf is the dashboard that a request is about.
func (m *Module) subjectOf(r *http.Request) (subject, error) {
	return m.find(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, r.PathValue("id"))
}

// crumbs is the way to a page about a dashboard.
func crumbs(ws kernel.WorkspaceID, s subject) []ui.Crumb {
	return []ui.Crumb{{Label: "Dashboards", Href: homeHref(ws)}, {Label: s.D.Title, Href: dashHref(ws, s.ID)}}
}
