package metrics

import (
	"embed"
	"net/http"
	"net/url"
	"slices"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/live"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/wire/agentapi"
)

//go:embed templates/*.html
var templates embed.FS

// appKey names the app in the navigation.
const appKey = "metrics"

const (
	pathHosts   = "/w/{ws}/hosts"
	pathConnect = pathHosts + "/connect"
	pathLive    = pathHosts + "/live"
	pathHost    = pathHosts + "/{id}"
	pathUsage   = "/w/{ws}/usage"
	pathDrops   = pathUsage + "/drops"
)

func (m *Module) buildPages() (err error) {
	if m.d.UI == nil {
		return nil
	}
	m.pages, err = m.d.UI.Pages(templates, "templates/*.html")
	return err
}

// Routes are the app's addresses.
func (m *Module) Routes() []httpx.Route {
	routes := slices.Concat(m.ingestRoutes(), m.apiRoutes(), m.agentRoutes())
	if m.pages != nil {
		routes = append(routes, m.pageRoutes()...)
	}
	return routes
}

// pageRoutes are the routes for people.
func (m *Module) pageRoutes() []httpx.Route {
	page := func(path string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "GET", Path: path, Handler: h, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RatePage}
	}
	change := func(path string, h httpx.Handler, needs httpx.Permission, action string) httpx.Route {
		return httpx.Route{Method: "POST", Path: path, Handler: h, Access: httpx.Member, Needs: needs, Rate: httpx.RateWrite, Audit: action, MaxBody: 64 << 10}
	}
	careful := func(r httpx.Route) httpx.Route { r.StepUp = true; return r } // as for keys: that is what a token becomes
	asks := func(r httpx.Route, needs httpx.Permission) httpx.Route { r.Needs = needs; return r }
	return []httpx.Route{
		page(pathHosts, m.fleetPage),
		{Method: "GET", Path: pathLive, Handler: m.live, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RateLive, Timeout: -1},
		page(pathConnect, m.connectPage),
		careful(change(pathConnect, m.makeToken, httpx.MayManage, "host_token.create")),
		page(pathHost, m.hostPage),
		asks(page(pathHost+"/remove", m.removePage), httpx.MayChange),
		change(pathHost+"/remove", m.remove, httpx.MayChange, "host.remove"),
		page(pathUsage, m.usagePage),
		asks(page(pathDrops, m.dropPage), httpx.MayManage),
		change(pathDrops, m.makeDrop, httpx.MayManage, "metric_drop.create"),
		change(pathDrops+"/{id}/remove", m.removeDrop, httpx.MayManage, "metric_drop.delete"),
	}
}

// apiRoutes are the routes for agents and programs.
func (m *Module) apiRoutes() []httpx.Route {
	return []httpx.Route{
		{Method: "POST", Path: agentapi.PathEnrol, Handler: m.enrol, Access: httpx.Public, Rate: httpx.RateAuth, MaxBody: agentapi.MaxBody, Audit: "host.enrol",
			API: &httpx.Operation{Summary: "Exchange a one-time token for the key of a host.", Description: "What kept-agent enrol does. The token comes from the page for connecting a host.",
				Request: agentapi.EnrolRequest{}, Responses: map[int]any{http.StatusOK: agentapi.EnrolResponse{}}}},
		{Method: "POST", Path: agentapi.PathHello, Handler: m.hello, Access: httpx.APIKey, Scope: "ingest", Needs: httpx.MayChange, Rate: httpx.RateIngest,
			MaxBody: agentapi.MaxBody, NoAudit: "agents say it every few minutes; what changed on the host is kept with it",
			API: &httpx.Operation{Summary: "Tell about a host.", Description: "What kept-agent says about the machine that it runs on.",
				Request: agentapi.Hello{}, Responses: map[int]any{http.StatusOK: agentapi.HelloResponse{}}}},
		{Method: "POST", Path: agentapi.PathRenew, Handler: m.renew, Access: httpx.APIKey, Scope: "ingest", Needs: httpx.MayChange, Rate: httpx.RateIngest,
			MaxBody: agentapi.MaxBody, NoAudit: "agents do it every ten days, with the certificate that they have; enrolment and revocation are audited",
			API: &httpx.Operation{Summary: "Renew the client certificate of a host.", Description: "What kept-agent does every ten days where TLS ends at this server. The request is made with the present certificate.",
				Request: agentapi.RenewRequest{}, Responses: map[int]any{http.StatusOK: agentapi.RenewResponse{}}}},
		{Method: "GET", Path: "/api/v1/hosts", Handler: m.listHosts, Access: httpx.APIKey, Scope: "read", Needs: httpx.MayView, Rate: httpx.RatePage,
			API: &httpx.Operation{Summary: "List the hosts that report.", Responses: map[int]any{http.StatusOK: hostList{}}}},
		{Method: "POST", Path: "/api/v1/deploys", Handler: m.postDeploy, Access: httpx.APIKey, Scope: "write", Needs: httpx.MayChange, Rate: httpx.RateWrite,
			MaxBody: 64 << 10, Audit: "deploy.create",
			API: &httpx.Operation{Summary: "Note a release, which charts then mark.", Request: deployRequest{}, Responses: map[int]any{http.StatusCreated: Deploy{}}}},
		{Method: "GET", Path: "/api/v1/deploys", Handler: m.listDeploys, Access: httpx.APIKey, Scope: "read", Needs: httpx.MayView, Rate: httpx.RatePage,
			API: &httpx.Operation{Summary: "List releases, newest first.", Query: []httpx.Param{
				{Name: "from", Description: "Since when.", Schema: "date-time", Example: "2026-01-31T15:04"}, {Name: "to", Description: "Until when.", Schema: "date-time"}},
				Responses: map[int]any{http.StatusOK: deployList{}}}},
	}
}

// Nav is the app's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{
		{App: appKey, Label: "Hosts", Href: pathHosts, Icon: "server", Order: 10, Needs: string(httpx.MayView)},
		{App: appKey, Label: "Usage", Href: pathUsage, Icon: "database", Order: 80, Needs: string(httpx.MayView)},
	}
}

func hostsHref(ws kernel.WorkspaceID) string   { return "/w/" + url.PathEscape(string(ws)) + "/hosts" }
func connectHref(ws kernel.WorkspaceID) string { return hostsHref(ws) + "/connect" }
func usageHref(ws kernel.WorkspaceID) string   { return "/w/" + url.PathEscape(string(ws)) + "/usage" }
func dropsHref(ws kernel.WorkspaceID) string   { return usageHref(ws) + "/drops" }

// usageDashboard is the dashboard that core/usage brings.
func usageDashboard(ws kernel.WorkspaceID) string {
	return "/w/" + url.PathEscape(string(ws)) + "/dashboards/app.usage.overview"
}

func hostHref(ws kernel.WorkspaceID, id kernel.ID) string {
	return hostsHref(ws) + "/" + url.PathEscape(string(id))
}

func exploreHref(ws kernel.WorkspaceID, expr string) string {
	return "/w/" + url.PathEscape(string(ws)) + "/explore?" + url.Values{"expr": {expr}}.Encode()
}

func alertHref(ws kernel.WorkspaceID, id kernel.ID) string {
	return "/w/" + url.PathEscape(string(ws)) + "/alerts/a/" + url.PathEscape(string(id))
}

// actorOf is who asks, for the audit log.
func actorOf(r *http.Request) (audit.Actor, kernel.WorkspaceID) {
	a := httpx.ActorOf(r.Context())
	return audit.ActorOf(a), a.WorkspaceID
}

func pathID(r *http.Request) (kernel.ID, error) {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return "", kernel.Errorf(kernel.NotFound, "There is nothing at this address.")
	}
	return kernel.ID(id), nil
}

// live streams a word to a page whenever the workspace's hosts have changed.
func (m *Module) live(w http.ResponseWriter, r *http.Request) error {
	return live.Changes(w, r, m.d.Bus, topic(httpx.ActorOf(r.Context()).WorkspaceID))
}
