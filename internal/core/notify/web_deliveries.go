package notify

import (
	"net/http"
	"slices"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type deliveriesView struct {
	Filters ui.Filters
	Rows    []Delivery
	Pager   ui.Pager
	Empty   *ui.Empty
	Href    string
}

var reasons = []ui.Option{{Value: reasonAlert, Label: "alerts"}, {Value: reasonTest, Label: "tests"}, {Value: reasonResend, Label: "sent again"}}

func (m *Module) deliveriesPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	f, err := readDeliveryFilter(r)
	if err != nil {
		return err
	}
	list, next, err := m.Deliveries(r.Context(), ws, f)
	if err != nil {
		return err
	}
	channels, err := m.list(r.Context(), ws)
	if err != nil {
		return err
	}
	owners, err := m.ownersSeen(r.Context(), ws)
	if err != nil {
		return err
	}
	var names, words []ui.Option
	for _, c := range append(channels, owners) {
		if c.ID == Owners {
			continue // nothing was sent over it yet
		}
		names = append(names, ui.Option{Value: string(c.ID), Label: c.Name})
	}
	for _, s := range states {
		words = append(words, ui.Option{Value: s, Label: s})
	}
	v := deliveriesView{Rows: list, Href: deliveriesHref(ws), Pager: ui.NewPager(r.URL, "deliveries", next, ""), Filters: ui.NewFilters(r.URL, "deliveries",
		ui.Filter{Name: "channel", Label: "Channel", Kind: "select", Options: names},
		ui.Filter{Name: "state", Label: "State", Kind: "select", Options: words},
		ui.Filter{Name: "reason", Label: "Why", Kind: "select", Options: reasons},
		ui.Filter{Name: "from", Label: "From (UTC)", Kind: "datetime-local"},
		ui.Filter{Name: "to", Label: "Until (UTC)", Kind: "datetime-local"})}
	if len(list) == 0 {
		v.Empty = emptyDeliveries(ws, v.Filters)
	}
	return m.pages.Render(w, r, http.StatusOK, "deliveries", ui.Page{Title: "Deliveries", App: "alerts", Body: v,
		Lead: "What was sent over which channel, and what the other side said. The log is kept for 30 days."})
}

func emptyDeliveries(ws kernel.WorkspaceID, f ui.Filters) *ui.Empty {
	if f.Active > 0 {
		return &ui.Empty{Icon: "search", Title: "No delivery matches", Text: "Clear a filter, or widen the time.", Action: &ui.Action{Label: "Clear filters", Href: f.Clear}}
	}
	return &ui.Empty{Icon: "list", Title: "Nothing has been sent yet", Text: "As soon as an alert fires, or you test a channel, it stands here.",
		Action: &ui.Action{Label: "Channels", Href: channelsHref(ws)}}
}

func readDeliveryFilter(r *http.Request) (f DeliveryFilter, err error) {
	q := r.URL.Query()
	f.Cursor = q.Get("cursor")
	if id := q.Get("channel"); id != "" {
		if !kernel.ValidID(id) {
			return f, kernel.Errorf(kernel.Malformed, "The channel in the address is none.")
		}
		f.Channel = kernel.ID(id)
	}
	if f.State = q.Get("state"); f.State != "" && !slices.Contains(states, f.State) {
		return f, kernel.Errorf(kernel.Malformed, "The state in the address is none of ours.")
	}
	if f.Reason = q.Get("reason"); f.Reason != "" && !slices.ContainsFunc(reasons, func(o ui.Option) bool { return o.Value == f.Reason }) {
		return f, kernel.Errorf(kernel.Malformed, "The reason in the address is none of ours.")
	}
	if f.From, err = httpx.ReadTime(q.Get("from")); err != nil {
		return f, err
	}
	f.To, err = httpx.ReadTime(q.Get("to"))
	return f, err
}

// Href is where a delivery's page is.
func (d Delivery) Href() string { return deliveriesHref(d.ws) + "/" + string(d.ID) }

// Alerts is how many a delivery was about.
func (d Delivery) Alerts() int { return d.Firing + d.Resolved }

type deliveryView struct {
	Delivery
	Href    string // of the channel
	Group   string
	Alerts  []alertRow
	More    int
	Manages bool
	Resend  string
}

type alertRow struct {
	Name, Labels, Summary string
	Over                  bool
}

func (m *Module) pathDelivery(r *http.Request) (Delivery, error) {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return Delivery{}, kernel.Errorf(kernel.NotFound, "There is no such delivery.")
	}
	return m.Delivery(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, kernel.ID(id))
}

func (m *Module) deliveryPage(w http.ResponseWriter, r *http.Request) error {
	d, err := m.pathDelivery(r)
	if err != nil {
		return err
	}
	v := deliveryView{Delivery: d, Href: channelsHref(d.ws) + "/" + string(d.ChannelID), Manages: m.manages(r), Resend: deliveriesHref(d.ws) + "/" + string(d.ID) + "/resend",
		More: max(0, d.Firing+d.Resolved-len(d.body.Alerts))}
	for i, a := range d.body.Alerts {
		it := m.itemOf(r.Context(), d.ws, d.CreatedAt, a.alert(d.CreatedAt), nil, true)
		v.Alerts = append(v.Alerts, alertRow{it.Name, it.labels(12), firstOf(it.Summary, it.Description), d.body.Over[i]})
	}
	page := ui.Page{Title: d.Title, App: "alerts", Section: deliveriesHref(d.ws), Body: v, Crumbs: []ui.Crumb{{Label: "Deliveries", Href: deliveriesHref(d.ws)}}}
	if v.Manages {
		page.Actions = []ui.Action{{Label: "Send it again", Href: v.Resend, Icon: "refresh", Post: true}}
	}
	return m.pages.Render(w, r, http.StatusOK, "delivery", page)
}

func (m *Module) resend(w http.ResponseWriter, r *http.Request) error {
	d, err := m.pathDelivery(r)
	if err != nil {
		return err
	}
	id, err := m.Resend(r.Context(), d.ws, d.ID)
	if err != nil {
		return err
	}
	if err := m.audit(r, "delivery.resend", "delivery:"+string(d.ID), d.Channel); err != nil {
		return err
	}
	return respond.SeeOther(w, r, deliveriesHref(d.ws)+"/"+string(id))
}
