package notify

import (
	_ "embed" // the scripts
	"net/http"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

const (
	pathWorker  = "/notify/worker.js"
	pathBrowser = "/notify/browser.js"
)

// workerScript runs in the browser while no page of ours is open.
//
//go:embed static/worker.js
var workerScript []byte

// browserScript turns notifications on and off; only the page of such a channel loads it.
//
//go:embed static/browser.js
var browserScript []byte

func serveScript(text []byte) httpx.Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(text)
		return nil
	}
}

// pushScope is where a channel's service worker is registered. Each channel has keys of its own, and a registration can
// hold one subscription; so each has a registration of its own.
func pushScope(c Channel) string { return "/notify/for/" + string(c.ID) + "/" }

func (m *Module) subscribe(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	var in subscription
	if err := httpx.ReadJSON(r, &in); err != nil {
		return err
	}
	if err := m.Subscribe(r.Context(), c.ws, c.ID, httpx.ActorOf(r.Context()).AccountID, in); err != nil {
		return err
	}
	if err := m.audit(r, "channel.subscribe", c.target(), c.Name); err != nil {
		return err
	}
	return respond.NoContent(w)
}

func (m *Module) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	var in struct {
		Endpoint string `json:"endpoint"`
	}
	if err := httpx.ReadJSON(r, &in); err != nil {
		return err
	}
	if err := m.Unsubscribe(r.Context(), c.ws, c.ID, in.Endpoint); err != nil {
		return err
	}
	if err := m.audit(r, "channel.unsubscribe", c.target(), c.Name); err != nil {
		return err
	}
	return respond.NoContent(w)
}

func (m *Module) removeBrowser(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	id := r.PathValue("browser")
	if !kernel.ValidID(id) {
		return kernel.Errorf(kernel.NotFound, "There is no such browser.")
	}
	if err := m.RemoveBrowser(r.Context(), c.ws, c.ID, kernel.ID(id), httpx.ActorOf(r.Context()).AccountID, m.manages(r)); err != nil {
		return err
	}
	if err := m.audit(r, "channel.unsubscribe", c.target(), c.Name); err != nil {
		return err
	}
	return respond.SeeOther(w, r, c.href()+"?done=removed")
}

// askAgain mails new links to the addresses that have not agreed.
func (m *Module) askAgain(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	if c.Kind != "email" {
		return errNoChannel()
	}
	if err := m.settle(r.Context(), c, httpx.ActorOf(r.Context()).Workspace, true); err != nil {
		return err
	}
	if err := m.audit(r, "channel.ask", c.target(), c.Name); err != nil {
		return err
	}
	return respond.SeeOther(w, r, c.href()+"?done=asked")
}

// confirmPage is where a mailed link leads. Looking at it changes nothing: mail programs look before people do.
func (m *Module) confirmPage(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	token := r.URL.Query().Get("token")
	p, err := m.asked(r.Context(), token)
	if err != nil {
		return err
	}
	if p.Done {
		return m.confirmedPage(w, r, p)
	}
	return m.pages.Render(w, r, http.StatusOK, "question", ui.Page{Title: "Do you want alerts of " + p.Space + "?", Shape: ui.ShapeCenter, Body: ui.Dialog{
		Text: "The channel “" + p.Channel + "” will mail " + p.Address + " when something goes wrong there. Each mail has a link that ends it.",
		Form: ui.Form{Action: pathConfirm, Submit: "Yes, send them to me", Hidden: []ui.Param{{Name: "token", Value: token}}}}})
}

func (m *Module) confirmNow(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	p, err := m.confirm(r.Context(), form.Get("token"))
	if err != nil {
		return err
	}
	return m.confirmedPage(w, r, p)
}

func (m *Module) confirmedPage(w http.ResponseWriter, r *http.Request, p pending) error {
	return m.pages.Render(w, r, http.StatusOK, "said", ui.Page{Title: "Agreed", Shape: ui.ShapeCenter,
		Body: "Alerts of " + p.Space + " that go to the channel “" + p.Channel + "” are mailed to " + p.Address + ". Each mail has a link that ends it."})
}

type apiChannelList struct {
	Channels []apiChannel `json:"channels"`
}

type apiChannel struct {
	exportedChannel
	LastState string     `json:"last_state,omitempty"` // sent, queued, retrying, failed
	LastAt    *time.Time `json:"last_at,omitempty"`
}

func (m *Module) apiChannels(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	list, err := m.list(r.Context(), ws)
	if err != nil {
		return err
	}
	last, err := m.lastDeliveries(r.Context(), ws)
	if err != nil {
		return err
	}
	out := apiChannelList{Channels: []apiChannel{}}
	for _, c := range list {
		row := apiChannel{exportedChannel: exportChannel(c)}
		if d, ok := last[c.ID]; ok {
			row.LastState, row.LastAt = d.State, &d.UpdatedAt
		}
		out.Channels = append(out.Channels, row)
	}
	return respond.JSON(w, http.StatusOK, out)
}
