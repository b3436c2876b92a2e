package jobs

import (
	"embed"
	"net/url"
	"strconv"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

// appKey names the app in the navigation.
const appKey = "jobs"

const (
	pathList     = "/w/{ws}/jobs"
	pathQueues   = pathList + "/queues"
	pathSettings = pathList + "/settings"
	pathLive     = pathList + "/live"
	pathJob      = pathList + "/{queue}/{id...}"
)

// buildPages parses the app's page templates. An app that only answers machines has no UI and no pages.
func (m *Module) buildPages() (err error) {
	if m.d.UI == nil {
		return nil
	}
	m.pages, err = m.d.UI.Pages(templates, "templates/*.html")
	return err
}

// pageRoutes are the routes for people.
func (m *Module) pageRoutes() []httpx.Route {
	return []httpx.Route{
		{Method: "GET", Path: pathList, Handler: m.listPage, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RatePage},
		{Method: "GET", Path: pathJob, Handler: m.jobPage, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RatePage},
		{Method: "GET", Path: pathQueues, Handler: m.queuesPage, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RatePage},
		{Method: "GET", Path: pathSettings, Handler: m.settingsPage, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RatePage},
		{Method: "POST", Path: pathSettings, Handler: m.changeSettings, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RateWrite,
			Audit: "job_settings.update", MaxBody: 64 << 10},
		{Method: "GET", Path: pathLive, Handler: m.live, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RateLive, Timeout: -1},
	}
}

// Nav is the app's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{
		{App: appKey, Label: "Jobs", Href: pathList, Icon: "list", Order: 10, Needs: string(httpx.MayView)},
		{App: appKey, Label: "Queues", Href: pathQueues, Icon: "queue", Order: 20, Needs: string(httpx.MayView)},
		{App: appKey, Label: "Settings", Href: pathSettings, Icon: "settings", Order: 30, Needs: string(httpx.MayView)},
	}
}

func listHref(ws kernel.WorkspaceID) string     { return "/w/" + url.PathEscape(string(ws)) + "/jobs" }
func queuesHref(ws kernel.WorkspaceID) string   { return listHref(ws) + "/queues" }
func settingsHref(ws kernel.WorkspaceID) string { return listHref(ws) + "/settings" }

// jobHref is the page of a run of a job; run 0 is whichever is the newest then.
func jobHref(ws kernel.WorkspaceID, queue, id string, run int) string {
	href := listHref(ws) + "/" + url.PathEscape(queue) + "/" + url.PathEscape(id)
	if run > 0 {
		href += "?run=" + strconv.Itoa(run)
	}
	return href
}

// TraceHref is the address of the jobs that belong to a trace; it implements dashboard.Tracer.
func (m *Module) TraceHref(ws kernel.WorkspaceID, trace string) string {
	return listWith(ws, "trace", trace)
}

// listWith is the list filtered by one parameter.
func listWith(ws kernel.WorkspaceID, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return listHref(ws) + "?" + q.Encode()
}

// livePage keeps the element with the given id up to date.
func livePage(ws kernel.WorkspaceID, target string) *ui.Live {
	return &ui.Live{Src: listHref(ws) + "/live", Target: target}
}
