package notify

import (
	"net/http"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type channelsView struct {
	Rows    []channelRow
	Deleted []channelRow
	Kinds   []kindCard // what one may set up; empty for who may not
	Hosts   []string   // that messages go to
	Undo    string     // where the channel that was just deleted can be brought back
	Name    string     // of that channel
	Empty   bool
	Log     string
	Manages bool
}

type channelRow struct {
	Channel
	Href  string
	Title string // of the kind
	Where string // "hooks.slack.com/…abcd"
	Last  *Delivery
	Log   string
}

type kindCard struct {
	Title, About, Href string
}

func (m *Module) channelsPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	list, err := m.list(r.Context(), ws)
	if err != nil {
		return err
	}
	last, err := m.lastDeliveries(r.Context(), ws)
	if err != nil {
		return err
	}
	owners, err := m.ownersSeen(r.Context(), ws)
	if err != nil {
		return err
	}
	v := channelsView{Empty: len(list) == 0, Log: deliveriesHref(ws), Manages: m.manages(r)}
	for _, c := range append(list, owners) {
		v.Rows = append(v.Rows, rowOf(c, last))
	}
	deleted, err := m.deleted(r.Context(), ws)
	if err != nil {
		return err
	}
	for _, c := range deleted {
		v.Deleted = append(v.Deleted, rowOf(c, nil))
		if string(c.ID) == r.URL.Query().Get("deleted") && v.Manages {
			v.Undo, v.Name = c.href()+"/restore", c.Name
		}
	}
	if v.Manages {
		v.Hosts, _ = recipients(list)
		for _, k := range kinds() {
			v.Kinds = append(v.Kinds, kindCard{k.Title, k.About, channelsHref(ws) + "/new?kind=" + k.Key})
		}
	}
	return m.pages.Render(w, r, http.StatusOK, "channels", ui.Page{Title: "Channels", App: "alerts", Body: v, Toasts: toasts(r),
		Lead: "Where alerts go. Which alert goes where is decided by the alert rules' routes."})
}

func rowOf(c Channel, last map[kernel.ID]Delivery) channelRow {
	k, _ := kindNamed(c.Kind)
	row := channelRow{Channel: c, Href: c.href(), Title: firstOf(k.Title, c.Kind), Where: c.where(), Log: deliveriesHref(c.ws) + "?channel=" + string(c.ID)}
	if d, ok := last[c.ID]; ok {
		row.Last = &d
	}
	return row
}

// where is the one line by which people know a channel's target.
func (c Channel) where() string {
	shown := c.shown()
	switch c.Kind {
	case "email":
		list, _ := parseAddresses(c.set["addresses"])
		names := make([]string, 0, len(list))
		for _, a := range list {
			names = append(names, a.Typed)
		}
		return clip(strings.Join(names, ", "), 60)
	case kindOwners:
		return "every owner and admin"
	case "webpush":
		return "browsers of members"
	case "matrix":
		return shown["room"]
	case "ntfy":
		return shown["server"]
	}
	return firstOf(shown["url"], shown["channel"], shown["chat"], shown["key"], shown["user"])
}

// formOf is the form of a kind. old is the channel that is edited; nil: a new one.
func formOf(ws kernel.WorkspaceID, k kind, in Edit, old *Channel) ui.Form {
	form := ui.Form{Action: channelsHref(ws), Narrow: true, Submit: "Make the channel", Cancel: channelsHref(ws), Hidden: []ui.Param{{Name: "kind", Value: k.Key}}}
	if old != nil {
		form.Action, form.Submit, form.Cancel, form.Hidden = old.href(), "Save", old.href(), nil
	}
	form.Fields = append(form.Fields, ui.Field{Name: "name", Label: "Name", Value: in.Name, Required: true, MaxLength: maxName, Placeholder: "On-call", Autocomplete: "off",
		Hint: "By which rules and people know it."})
	for _, f := range k.Fields {
		field := f.Field
		if v, given := in.Set[f.Name]; given {
			field.Value = v
		}
		if old != nil && f.Secret && old.set[f.Name] != "" {
			field.Required = false
			field.Hint = "Leave it empty to keep the one that is set (" + f.masked(old.set[f.Name]) + ")."
		}
		if f.Secret {
			field.Value = ""
		}
		form.Fields = append(form.Fields, field)
	}
	form.Fields = append(form.Fields, ui.Field{Name: "resolved", Label: "Also say when it is over", Kind: "checkbox", Checked: in.Resolved})
	return form
}

func readEdit(r *http.Request, k kind) (Edit, error) {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return Edit{}, err
	}
	in := Edit{Name: form.Get("name"), Resolved: form.Has("resolved"), Set: map[string]string{}}
	for _, f := range k.Fields {
		in.Set[f.Name] = form.Get(f.Name)
	}
	return in, nil
}

type formView struct {
	Kind kind
	Form ui.Form
}

func (m *Module) renderForm(w http.ResponseWriter, r *http.Request, status int, title string, crumbs []ui.Crumb, v formView) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	return m.pages.Render(w, r, status, "form", ui.Page{Title: title, App: "alerts", Section: channelsHref(ws), Lead: v.Kind.About,
		Crumbs: append([]ui.Crumb{{Label: "Channels", Href: channelsHref(ws)}}, crumbs...), Body: v})
}

func (m *Module) newPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	key := r.URL.Query().Get("kind")
	k, ok := kindNamed(key)
	if !ok || key == kindOwners {
		return respond.SeeOther(w, r, channelsHref(ws))
	}
	return m.renderForm(w, r, http.StatusOK, "New channel: "+k.Title, nil, formView{k, formOf(ws, k, Edit{Resolved: true}, nil)})
}

func (m *Module) create(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	k, ok := kindNamed(form.Get("kind"))
	if !ok || k.Key == kindOwners {
		return kernel.Errorf(kernel.NotFound, "There is no such kind of channel.")
	}
	in, err := readEdit(r, k)
	if err != nil {
		return err
	}
	c, err := m.Create(r.Context(), a.WorkspaceID, k.Key, in)
	if err != nil {
		again, status, err := refused(formOf(a.WorkspaceID, k, in, nil), err)
		if err != nil {
			return err
		}
		return m.renderForm(w, r, status, "New channel: "+k.Title, nil, formView{k, again})
	}
	if err := m.audit(r, "channel.create", c.target(), c.Name+" ("+k.Title+")"); err != nil {
		return err
	}
	if c.Kind == "email" {
		if err := m.settle(r.Context(), c, a.Workspace, false); err != nil {
			return err
		}
	}
	if c.Kind == "webhook" {
		return m.renderSecret(w, r, c, "The channel is ready", c.set["secret"])
	}
	return respond.SeeOther(w, r, c.href()+"?done=saved")
}

func editOf(c Channel) Edit { return Edit{Name: c.Name, Resolved: c.Resolved, Set: c.set} }

func (m *Module) editPage(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	k, _ := kindNamed(c.Kind)
	return m.renderForm(w, r, http.StatusOK, "Edit "+c.Name, []ui.Crumb{{Label: c.Name, Href: c.href()}}, formView{k, formOf(c.ws, k, editOf(c), &c)})
}

func (m *Module) update(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	k, _ := kindNamed(c.Kind)
	in, err := readEdit(r, k)
	if err != nil {
		return err
	}
	after, err := m.Update(r.Context(), c.ws, c.ID, in)
	if err != nil {
		again, status, err := refused(formOf(c.ws, k, in, &c), err)
		if err != nil {
			return err
		}
		return m.renderForm(w, r, status, "Edit "+c.Name, []ui.Crumb{{Label: c.Name, Href: c.href()}}, formView{k, again})
	}
	if err := m.audit(r, "channel.update", c.target(), changed(c, after)); err != nil {
		return err
	}
	if c.Kind == "email" {
		if err := m.settle(r.Context(), after, httpx.ActorOf(r.Context()).Workspace, false); err != nil {
			return err
		}
	}
	return respond.SeeOther(w, r, c.href()+"?done=saved")
}

// changed says what of a channel changed, without values.
func changed(a, b Channel) string {
	var names []string
	if a.Name != b.Name {
		names = append(names, "name (was "+a.Name+")")
	}
	if a.Resolved != b.Resolved {
		names = append(names, "also when resolved")
	}
	k, _ := kindNamed(a.Kind)
	for _, f := range k.Fields {
		if a.set[f.Name] != b.set[f.Name] {
			names = append(names, strings.ToLower(f.Label))
		}
	}
	if len(names) == 0 {
		return b.Name + ": nothing"
	}
	return b.Name + ": " + strings.Join(names, ", ")
}

type channelView struct {
	Channel    channelRow
	Kind       kind
	Terms      []ui.Term
	Manages    bool
	Recipients []Recipient
	Waiting    bool // some address has not answered
	Ask        string
	Browsers   []browserRow
	Push       *pushView
	Deliveries []Delivery
	Off        bool
	On         string // where the channel is turned on
	Secret     string // where a webhook's secret is changed; empty: it has none
	Delete     string
}

type browserRow struct {
	Browser
	Remove string // where it is removed; empty: not by this person
}

// pushView is what the script that turns notifications on needs.
type pushView struct {
	Key, Scope, Post, End, Worker, Script string
}

func (m *Module) channelPage(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	k, _ := kindNamed(c.Kind)
	v := channelView{Channel: rowOf(c, nil), Kind: k, Manages: m.manages(r), Off: c.Disabled(), On: c.href() + "/on"}
	for _, f := range k.Fields {
		if value := c.shown()[f.Name]; value != "" && c.Kind != "email" {
			if i := slices.IndexFunc(f.Options, func(o ui.Option) bool { return o.Value == value }); i >= 0 {
				value = f.Options[i].Label
			}
			v.Terms = append(v.Terms, ui.Term{Term: f.Label, Value: value})
		}
	}
	over := "no"
	if c.Resolved {
		over = "yes"
	}
	v.Terms = append(v.Terms, ui.Term{Term: "Says when it is over", Value: over}, ui.Term{Term: "Made", Value: c.CreatedAt.Format(stamp)})
	if err := m.fillChannel(r, c, &v); err != nil {
		return err
	}
	if v.Deliveries, _, err = m.Deliveries(r.Context(), c.ws, DeliveryFilter{Channel: c.ID, Limit: 10}); err != nil {
		return err
	}
	page := ui.Page{Title: c.Name, App: "alerts", Section: channelsHref(c.ws), Lead: k.Title + ". " + k.About, Crumbs: []ui.Crumb{{Label: "Channels", Href: channelsHref(c.ws)}},
		Body: v, Toasts: toasts(r)}
	if v.Manages {
		page.Actions = []ui.Action{{Label: "Send a test", Href: c.href() + "/test", Icon: "play", Primary: true, Post: true}, {Label: "Edit", Href: c.href() + "/edit", Icon: "edit"}}
	}
	return m.pages.Render(w, r, http.StatusOK, "channel", page)
}

// fillChannel adds what only some kinds have.
func (m *Module) fillChannel(r *http.Request, c Channel, v *channelView) (err error) {
	a := httpx.ActorOf(r.Context())
	switch c.Kind {
	case "email":
		v.Ask = c.href() + "/ask"
		if v.Recipients, err = m.recipients(r.Context(), c); err != nil {
			return err
		}
		v.Waiting = slices.ContainsFunc(v.Recipients, func(p Recipient) bool { return !p.Confirmed })
	case kindOwners:
		v.Recipients, err = m.managers(r.Context(), c.ws)
	case "webhook":
		v.Secret = c.href() + "/secret"
	case "webpush":
		browsers, err := m.browsers(r.Context(), c)
		if err != nil {
			return err
		}
		for _, b := range browsers {
			row := browserRow{Browser: b}
			if v.Manages || b.AccountID == a.AccountID {
				row.Remove = c.href() + "/browsers/" + string(b.ID) + "/remove"
			}
			v.Browsers = append(v.Browsers, row)
		}
		v.Push = &pushView{Key: c.set["vapid_public"], Scope: pushScope(c), Post: c.href() + "/browsers", End: c.href() + "/browsers/end", Worker: pathWorker, Script: pathBrowser}
	}
	if c.Kind != kindOwners {
		v.Delete = c.href() + "/delete"
	}
	return err
}

func (m *Module) test(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	id, err := m.Test(r.Context(), c.ws, c.ID)
	if err != nil {
		return err
	}
	if err := m.audit(r, "channel.test", c.target(), c.Name); err != nil {
		return err
	}
	return respond.SeeOther(w, r, deliveriesHref(c.ws)+"/"+string(id))
}

func (m *Module) turn(on bool) httpx.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		c, err := m.pathChannel(r)
		if err != nil {
			return err
		}
		if err := m.Turn(r.Context(), c.ws, c.ID, on); err != nil {
			return err
		}
		action, word := "channel.disable", "off"
		if on {
			action, word = "channel.enable", "on"
		}
		if err := m.audit(r, action, c.target(), c.Name); err != nil {
			return err
		}
		return respond.SeeOther(w, r, c.href()+"?done="+word)
	}
}

func (m *Module) deletePage(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	return m.question(w, r, http.StatusOK, c, "Delete "+c.Name+"?", "Alerts that go to this channel only will reach nobody. It can be brought back for 30 days, with its settings and its deliveries; then it is gone. To pause it, turn it off instead.",
		ui.Form{Action: c.href() + "/delete", Submit: "Delete the channel", Danger: true, Cancel: c.href()})
}

func (m *Module) delete(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	if c.Kind == kindOwners {
		return kernel.Errorf(kernel.Conflict, "Every workspace has this channel. Turn it off instead.")
	}
	if err := m.Delete(r.Context(), c.ws, c.ID); err != nil {
		return err
	}
	if err := m.audit(r, "channel.delete", c.target(), c.Name); err != nil {
		return err
	}
	return respond.SeeOther(w, r, channelsHref(c.ws)+"?deleted="+string(c.ID))
}

func (m *Module) restore(w http.ResponseWriter, r *http.Request) error {
	id, ws := r.PathValue("id"), httpx.ActorOf(r.Context()).WorkspaceID
	if !kernel.ValidID(id) {
		return errNoChannel()
	}
	if err := m.Restore(r.Context(), ws, kernel.ID(id)); err != nil {
		return err
	}
	c, err := m.Channel(r.Context(), ws, kernel.ID(id))
	if err != nil {
		return err
	}
	if err := m.audit(r, "channel.restore", c.target(), c.Name); err != nil {
		return err
	}
	return respond.SeeOther(w, r, channelsHref(ws)+"?done=restored")
}

type secretView struct {
	Text, Href string
}

// renderSecret answers with the one page that shows a webhook's secret: it is in no address and no cookie, and the browser
// may not keep the page.
func (m *Module) renderSecret(w http.ResponseWriter, r *http.Request, c Channel, title, secret string) error {
	w.Header().Set("Cache-Control", "no-store")
	return m.pages.Render(w, r, http.StatusOK, "secret", ui.Page{Title: title, App: "alerts", Section: channelsHref(c.ws), Lead: "Copy the secret now: it cannot be shown again.",
		Crumbs: []ui.Crumb{{Label: "Channels", Href: channelsHref(c.ws)}, {Label: c.Name, Href: c.href()}}, Body: secretView{secret, c.href()}})
}

func (m *Module) secretPage(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err == nil && c.Kind != "webhook" {
		err = errNoChannel()
	}
	if err != nil {
		return err
	}
	return m.question(w, r, http.StatusOK, c, "Change the secret of "+c.Name+"?", "You get a new secret. For a day every request is signed with both, so that you can change over without a gap.",
		ui.Form{Action: c.href() + "/secret", Submit: "Make a new secret", Cancel: c.href()})
}

func (m *Module) rotateSecret(w http.ResponseWriter, r *http.Request) error {
	c, err := m.pathChannel(r)
	if err != nil {
		return err
	}
	fresh, err := m.RotateSecret(r.Context(), c.ws, c.ID)
	if err != nil {
		return err
	}
	if err := m.audit(r, "channel.rotate_secret", c.target(), c.Name); err != nil {
		return err
	}
	return m.renderSecret(w, r, c, "The new secret is ready", fresh)
}
