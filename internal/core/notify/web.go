package notify

import (
	"embed"
	"errors"
	"net/http"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

const (
	pathChannels   = "/w/{ws}/channels"
	pathDeliveries = "/w/{ws}/deliveries"
	pathConfirm    = "/notify/confirm"
	maxForm        = 64 << 10
)

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	see := func(method, path string, h httpx.Handler) httpx.Route {
		r := httpx.Route{Method: method, Path: path, Handler: h, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RatePage, MaxBody: maxForm}
		if method == "POST" {
			r.Rate = httpx.RateWrite
		}
		return r
	}
	manage := func(method, path string, h httpx.Handler) httpx.Route {
		r := see(method, path, h)
		r.Needs = httpx.MayManage
		return r
	}
	audited := func(action string, r httpx.Route) httpx.Route { r.Audit = action; return r }
	careful := func(r httpx.Route) httpx.Route { r.StepUp = true; return r }
	const one = pathChannels + "/{id}"
	return append([]httpx.Route{
		see("GET", pathChannels, m.channelsPage),
		manage("GET", pathChannels+"/new", m.newPage),
		audited("channel.create", manage("POST", pathChannels, m.create)),
		see("GET", one, m.channelPage),
		manage("GET", one+"/edit", m.editPage),
		audited("channel.update", manage("POST", one, m.update)),
		audited("channel.test", manage("POST", one+"/test", m.test)),
		audited("channel.enable", manage("POST", one+"/on", m.turn(true))),
		audited("channel.disable", manage("POST", one+"/off", m.turn(false))),
		audited("channel.ask", manage("POST", one+"/ask", m.askAgain)),
		careful(manage("GET", one+"/secret", m.secretPage)),
		careful(audited("channel.rotate_secret", manage("POST", one+"/secret", m.rotateSecret))),
		manage("GET", one+"/delete", m.deletePage),
		audited("channel.delete", manage("POST", one+"/delete", m.delete)),
		audited("channel.restore", manage("POST", one+"/restore", m.restore)),
		audited("channel.subscribe", see("POST", one+"/browsers", m.subscribe)),
		audited("channel.unsubscribe", see("POST", one+"/browsers/end", m.unsubscribe)),
		audited("channel.unsubscribe", see("POST", one+"/browsers/{browser}/remove", m.removeBrowser)),
		see("GET", pathDeliveries, m.deliveriesPage),
		see("GET", pathDeliveries+"/{id}", m.deliveryPage),
		audited("delivery.resend", manage("POST", pathDeliveries+"/{id}/resend", m.resend)),
	}, m.outsideRoutes()...)
}

// outsideRoutes are those without a workspace in their path.
func (m *Module) outsideRoutes() []httpx.Route {
	return []httpx.Route{
		{Method: "GET", Path: pathConfirm, Handler: m.confirmPage, Access: httpx.Public, Rate: httpx.RateAuth},
		{Method: "POST", Path: pathConfirm, Handler: m.confirmNow, Access: httpx.Public, Rate: httpx.RateAuth, MaxBody: maxForm, Audit: "channel.confirm"},
		{Method: "GET", Path: pathWorker, Handler: serveScript(workerScript), Access: httpx.Public, Rate: httpx.RateNone},
		{Method: "GET", Path: pathBrowser, Handler: serveScript(browserScript), Access: httpx.Public, Rate: httpx.RateNone},
		{Method: "GET", Path: "/api/v1/channels", Handler: m.apiChannels, Access: httpx.APIKey, Scope: "read", Needs: httpx.MayView, Rate: httpx.RatePage, API: &httpx.Operation{
			Summary: "List channels", Description: "The workspace's channels by name, with their state and the newest delivery. Secret settings are cut to their last characters.",
			Responses: map[int]any{200: apiChannelList{}},
		}},
	}
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{
		{App: "alerts", Group: "Messages", Label: "Channels", Href: pathChannels, Icon: "bell", Order: 55, Needs: string(httpx.MayView)},
		{App: "alerts", Group: "Messages", Label: "Deliveries", Href: pathDeliveries, Icon: "list", Order: 70, Needs: string(httpx.MayView)},
	}
}

func channelsHref(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/channels" }

func deliveriesHref(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/deliveries" }

func (c Channel) href() string { return channelsHref(c.ws) + "/" + string(c.ID) }

// audit writes a change to the workspace's log.
func (m *Module) audit(r *http.Request, action, target, detail string) error {
	if m.d.Audit == nil {
		return nil
	}
	return m.d.Audit(r.Context(), action, target, detail)
}

// pathChannel is the channel in the path, of the workspace in the path.
func (m *Module) pathChannel(r *http.Request) (Channel, error) {
	id := r.PathValue("id")
	if !kernel.ValidID(id) && id != string(Owners) {
		return Channel{}, errNoChannel()
	}
	return m.Channel(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, kernel.ID(id))
}

// refused is the form again with what was wrong, or the error when no form can help.
func refused(form ui.Form, err error) (ui.Form, int, error) {
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code != kernel.Invalid && e.Code != kernel.Conflict {
		return form, 0, err
	}
	form = form.WithErrors(e.Fields)
	if len(form.Invalid()) == 0 {
		form.Error = e.Safe
	}
	return form, respond.Status(e.Code), nil
}

// question asks before something is done.
func (m *Module) question(w http.ResponseWriter, r *http.Request, status int, c Channel, title, text string, form ui.Form) error {
	return m.pages.Render(w, r, status, "question", ui.Page{Title: title, App: "alerts", Section: channelsHref(c.ws),
		Crumbs: []ui.Crumb{{Label: "Channels", Href: channelsHref(c.ws)}, {Label: c.Name, Href: c.href()}}, Body: ui.Dialog{Text: text, Form: form}})
}

// manages tells whether the person may change channels: buttons that would be refused are not drawn.
func (m *Module) manages(r *http.Request) bool {
	switch httpx.ActorOf(r.Context()).Role {
	case "owner", "admin":
		return true
	}
	return false
}

// done are the messages after a form was handled.
var done = map[string]ui.Toast{
	"saved":    {Tone: ui.ToneGood, Text: "The channel is saved."},
	"on":       {Tone: ui.ToneGood, Text: "The channel is on."},
	"off":      {Tone: ui.ToneGood, Text: "The channel is off. Nothing is sent over it."},
	"restored": {Tone: ui.ToneGood, Text: "The channel is back."},
	"asked":    {Tone: ui.ToneGood, Text: "The links are on their way. An address that was asked three times today is left alone."},
	"removed":  {Tone: ui.ToneGood, Text: "The browser gets no notifications any more."},
}

func toasts(r *http.Request) []ui.Toast {
	if t, ok := done[r.URL.Query().Get("done")]; ok {
		return []ui.Toast{t}
	}
	return nil
}
