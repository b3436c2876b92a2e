package alert

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type routeRow struct {
	Route
	Href     string
	Channels []string
	First    bool
	Last     bool
	Fixed    bool // the default: it has no place and cannot go
}

type inhibitRow struct {
	Inhibit
	Index int
}

type routingView struct {
	Rows     []routeRow
	Inhibits []inhibitRow
	Form     ui.Form // of another inhibition
	May      bool
	Href     string
	Channels string // page of the channels
}

// channelNames are the names of a workspace's channels by id.
func (m *Module) channelNames(r *http.Request, ws kernel.WorkspaceID) (map[kernel.ID]string, []ui.Option, error) {
	list, err := m.d.Channels.Channels(r.Context(), ws)
	if err != nil {
		return nil, nil, err
	}
	names := map[kernel.ID]string{notify.Owners: "Mail to owners and admins"}
	options := []ui.Option{{Value: string(notify.Owners), Label: names[notify.Owners]}}
	for _, c := range list {
		if _, ok := names[c.ID]; !ok && c.Kind != notify.KindAlertmanager {
			options = append(options, ui.Option{Value: string(c.ID), Label: c.Name + " (" + c.Kind + ")"})
		}
		names[c.ID] = c.Name
	}
	return names, options, nil
}

func (m *Module) routingPage(w http.ResponseWriter, r *http.Request) error {
	return m.renderRouting(w, r, nil, nil)
}

func (m *Module) renderRouting(w http.ResponseWriter, r *http.Request, form map[string][]string, wrong error) error {
	status, e, err := formStatus(wrong)
	if err != nil {
		return err
	}
	ws := wsOf(r)
	routing, err := m.ReadRouting(r.Context(), ws)
	if err != nil {
		return err
	}
	names, _, err := m.channelNames(r, ws)
	if err != nil {
		return err
	}
	v := routingView{May: mayChange(r), Href: home(ws) + "/routing", Channels: "/w/" + string(ws) + "/channels"}
	add := func(route Route, i int) {
		row := routeRow{Route: route, Href: v.Href + "/" + route.ID, First: i == 0, Last: i == len(routing.Routes)-1, Fixed: i < 0}
		for _, id := range route.Channels {
			name := names[id]
			if name == "" {
				name = "a deleted channel"
			}
			row.Channels = append(row.Channels, name)
		}
		v.Rows = append(v.Rows, row)
	}
	for i, route := range routing.Routes {
		add(route, i)
	}
	add(routing.Default, -1)
	for i, x := range routing.Inhibits {
		v.Inhibits = append(v.Inhibits, inhibitRow{x, i})
	}
	get := func(name string) string {
		if len(form[name]) > 0 {
			return form[name][0]
		}
		return ""
	}
	fields, note := withNotes([]ui.Field{
		{Name: "source", Label: "While an alert fires with", Kind: "textarea", Rows: 2, Mono: true, Required: true, Value: get("source"), Placeholder: "alertname=\"HostDown\""},
		{Name: "target", Label: "stay quiet about alerts with", Kind: "textarea", Rows: 2, Mono: true, Required: true, Value: get("target"), Placeholder: "severity=~\"warning|info\""},
		{Name: "equal", Label: "that agree in the labels", Value: get("equal"), Placeholder: "instance", Hint: "Names, separated by commas."},
	}, e)
	v.Form = ui.Form{Action: v.Href + "/inhibit/add", Fields: fields, Error: note, Submit: "Add"}
	page := ui.Page{Title: "Routing", App: appKey, Section: v.Href, Body: v, Lead: "Who is told of what. The first route that fits an alert takes it.",
		Toasts: toast(r, map[string]string{"saved": "The routing is saved and in force."})}
	if v.May {
		page.Actions = []ui.Action{{Label: "New route", Href: v.Href + "/new", Icon: "plus", Primary: true}}
	}
	return m.pages.Render(w, r, status, "routing", page)
}

// maxChain is how many channels the form of a route has.
const maxChain = 4

type routeForm struct {
	Action, Cancel, Delete string
	Error                  string
	Who, What, When        []ui.Field
	Severities             []ui.Field
}

// Invalid lists the fields with an error, for the summary above the form.
func (f routeForm) Invalid() []ui.Field {
	return ui.Form{Fields: slices.Concat(f.What, f.Who, f.When)}.Invalid()
}

func (m *Module) newRoutePage(w http.ResponseWriter, r *http.Request) error {
	fresh := defaultRoute()
	fresh.ID, fresh.Name, fresh.Severities = "", "", []string{"critical"}
	return m.renderRoute(w, r, fresh, nil, nil)
}

// findRoute finds the route in the path, within the routing: who changes the one has changed the other.
func (m *Module) findRoute(r *http.Request) (routing *Routing, route *Route, err error) {
	all, err := m.ReadRouting(r.Context(), wsOf(r))
	if err != nil {
		return nil, nil, err
	}
	routing = &all
	id := r.PathValue("id")
	if id == "default" {
		return routing, &routing.Default, nil
	}
	i := slices.IndexFunc(routing.Routes, func(x Route) bool { return x.ID == id })
	if i < 0 {
		return nil, nil, kernel.Errorf(kernel.NotFound, "There is no such route.")
	}
	return routing, &routing.Routes[i], nil
}

func (m *Module) editRoutePage(w http.ResponseWriter, r *http.Request) error {
	_, route, err := m.findRoute(r)
	if err != nil {
		return err
	}
	return m.renderRoute(w, r, *route, nil, nil)
}

var weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

func (m *Module) renderRoute(w http.ResponseWriter, r *http.Request, route Route, form map[string][]string, wrong error) error {
	status, e, err := formStatus(wrong)
	if err != nil {
		return err
	}
	ws := wsOf(r)
	_, options, err := m.channelNames(r, ws)
	if err != nil {
		return err
	}
	raw := func(name, value string) string {
		if form != nil {
			if len(form[name]) > 0 {
				return form[name][0]
			}
			return ""
		}
		return value
	}
	list := home(ws) + "/routing"
	v := routeForm{Action: list + "/new", Cancel: list}
	title := "New route"
	if route.ID != "" {
		v.Action, title = list+"/"+route.ID, route.Name
		if route.ID != "default" {
			v.Delete = v.Action + "/delete"
		}
	}
	v.What = []ui.Field{{Name: "name", Label: "Name", Required: true, MaxLength: maxName, Value: raw("name", route.Name), Placeholder: "Critical, to on-call"}}
	if route.ID != "default" {
		for _, s := range severityOptions {
			v.Severities = append(v.Severities, ui.Field{Name: "severity-" + s.Value, Label: s.Label, Kind: "checkbox", Checked: slices.Contains(route.Severities, s.Value)})
		}
		v.What = append(v.What, ui.Field{Name: "matchers", Label: "And only alerts with", Kind: "textarea", Rows: 3, Mono: true, Value: raw("matchers", WriteMatchers(route.Matchers)),
			Placeholder: "team=\"shop\"", Hint: "One label per line, as in a silence. Empty: all of these severities."})
	}
	for i := range maxChain {
		f := ui.Field{Name: "channel-" + strconv.Itoa(i), Label: "If that fails, tell", Kind: "select", Placeholder: "nobody else", Options: options}
		if i == 0 {
			f.Label, f.Placeholder, f.Hint = "Tell", "nobody", "If a message cannot be delivered there, the next one gets it."
		}
		if i < len(route.Channels) {
			f.Value = string(route.Channels[i])
		}
		v.Who = append(v.Who, f)
	}
	hours := route.Hours
	if hours == nil {
		hours = &Hours{From: "", To: "", Zone: "UTC"}
	}
	v.When = []ui.Field{
		{Name: "group_by", Label: "One message for alerts that agree in", Value: raw("group_by", strings.Join(route.GroupBy, ", ")), Hint: "Names of labels, separated by commas. Empty: all in one message. … (three dots) : each by itself."},
		{Name: "wait", Label: "Before the first message, wait", Value: raw("wait", route.Wait.String()), Hint: "For more of the same group to come: 0s to 1h."},
		{Name: "interval", Label: "Between messages about a group that changes", Value: raw("interval", route.Interval.String())},
		{Name: "repeat", Label: "Remind of what still fires every", Value: raw("repeat", route.Repeat.String()), Hint: "Unless somebody acknowledged it."},
		{Name: "from", Label: "Only from", Value: raw("from", hours.From), Placeholder: "09:00", Hint: "Outside these hours nothing is sent; what still fires then is told when they begin. Empty: always."},
		{Name: "to", Label: "until", Value: raw("to", hours.To), Placeholder: "18:00"},
		{Name: "days", Label: "on", Value: raw("days", writeDays(hours.Days)), Placeholder: "Mon, Tue, Wed, Thu, Fri", Hint: "Empty: every day."},
		{Name: "zone", Label: "in the time zone", Value: raw("zone", hours.Zone), Placeholder: "Europe/Berlin"},
	}
	v.When[0].Hint = "Names of labels, separated by commas. Empty: everything in one message. Three dots (...): each alert by itself."
	if route.ID != "default" {
		v.When = append(v.When, ui.Field{Name: "continue", Label: "Look at the routes below as well", Kind: "checkbox", Checked: route.Continue, Hint: "Else the first route that fits is the only one."})
	}
	all, note := withNotes(slices.Concat(v.What, v.Who, v.When), e)
	v.What, v.Who, v.When, v.Error = all[:len(v.What)], all[len(v.What):len(v.What)+len(v.Who)], all[len(v.What)+len(v.Who):], note
	return m.pages.Render(w, r, status, "route", ui.Page{Title: title, App: appKey, Section: list, Crumbs: []ui.Crumb{{Label: "Routing", Href: list}}, Body: v})
}

func writeDays(days []int) string {
	var out []string
	for _, d := range days {
		out = append(out, weekdays[d%7])
	}
	return strings.Join(out, ", ")
}

func readDays(s string) (out []int, err error) {
	for _, word := range names(s) {
		i := slices.IndexFunc(weekdays, func(d string) bool { return len(word) >= 3 && strings.EqualFold(d, word[:3]) })
		if i < 0 {
			return nil, kernel.InvalidField("days", "Write days such as Mon, Tue.")
		}
		out = append(out, i)
	}
	return out, nil
}

// names splits a list at commas and blanks.
func names(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

// readRoute reads the form of a route into one. It has what could be read even when something is wrong.
func readRoute(form map[string][]string, route Route) (Route, error) {
	get := func(name string) string {
		if len(form[name]) > 0 {
			return strings.TrimSpace(form[name][0])
		}
		return ""
	}
	var err error
	note := func(e error) {
		if err == nil {
			err = e
		}
	}
	route.Name, route.Continue = get("name"), get("continue") != ""
	route.Severities, route.Channels, route.Matchers = nil, nil, nil
	for _, s := range severityOptions {
		if get("severity-"+s.Value) != "" {
			route.Severities = append(route.Severities, s.Value)
		}
	}
	for i := range maxChain {
		if id := kernel.ID(get("channel-" + strconv.Itoa(i))); id != "" && !slices.Contains(route.Channels, id) {
			route.Channels = append(route.Channels, id)
		}
	}
	list, e := ReadMatchers(get("matchers"))
	note(e)
	route.Matchers, route.GroupBy = list, names(get("group_by"))
	for name, into := range map[string]*model.Duration{"wait": &route.Wait, "interval": &route.Interval, "repeat": &route.Repeat} {
		d, e := parseSpan(get(name))
		if e != nil {
			note(kernel.InvalidField(name, "Write a time span such as 30s, 5m or 4h."))
		}
		*into = model.Duration(d)
	}
	route.Hours = nil
	if get("from") != "" || get("to") != "" {
		days, e := readDays(get("days"))
		note(e)
		route.Hours = &Hours{Days: days, From: get("from"), To: get("to"), Zone: get("zone")}
	}
	return route, err
}

// checkChannels refuses channels that the workspace does not have.
func (m *Module) checkChannels(r *http.Request, route Route) error {
	known, _, err := m.channelNames(r, wsOf(r))
	if err != nil {
		return err
	}
	for i, id := range route.Channels {
		if known[id] == "" {
			return kernel.InvalidField("channel-"+strconv.Itoa(i), "There is no such channel.")
		}
	}
	return nil
}

func (m *Module) saveRoutePost(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	var routing *Routing
	var route *Route
	if r.PathValue("id") == "new" {
		all, err := m.ReadRouting(r.Context(), wsOf(r))
		if err != nil {
			return err
		}
		routing = &all
		routing.Routes = append(routing.Routes, Route{})
		route = &routing.Routes[len(routing.Routes)-1]
	} else if routing, route, err = m.findRoute(r); err != nil {
		return err
	}
	next, err := readRoute(form, *route)
	if err == nil {
		err = m.checkChannels(r, next)
	}
	if err == nil {
		err = checkRoute(next)
	}
	if err != nil {
		return m.renderRoute(w, r, next, form, err)
	}
	if next.ID == "" {
		next.ID = string(kernel.NewID(time.Now()))
	}
	*route = next
	return m.saveRouting(w, r, *routing, "alert_route.save", "alert_route:"+next.ID)
}

func (m *Module) saveRouting(w http.ResponseWriter, r *http.Request, routing Routing, action, target string) error {
	if err := m.SaveRouting(r.Context(), wsOf(r), routing); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), action, target, ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, home(wsOf(r))+"/routing?done=saved")
}

func (m *Module) moveRoutePost(w http.ResponseWriter, r *http.Request) error {
	routing, route, err := m.findRoute(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(routing.Routes, func(x Route) bool { return x.ID == route.ID })
	j := i + 1
	if form.Get("to") == "up" {
		j = i - 1
	}
	if i >= 0 && j >= 0 && j < len(routing.Routes) {
		routing.Routes[i], routing.Routes[j] = routing.Routes[j], routing.Routes[i]
	}
	return m.saveRouting(w, r, *routing, "alert_route.move", "alert_route:"+r.PathValue("id"))
}

func (m *Module) deleteRoutePost(w http.ResponseWriter, r *http.Request) error {
	routing, route, err := m.findRoute(r)
	if err != nil {
		return err
	}
	if route.ID == "default" {
		return kernel.Errorf(kernel.Conflict, "The last route is for everything that no other takes, so it stays. Let it tell nobody instead.")
	}
	id := route.ID
	routing.Routes = slices.DeleteFunc(routing.Routes, func(x Route) bool { return x.ID == id })
	return m.saveRouting(w, r, *routing, "alert_route.delete", "alert_route:"+id)
}

func (m *Module) addInhibitPost(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	routing, err := m.ReadRouting(r.Context(), wsOf(r))
	if err != nil {
		return err
	}
	source, e1 := ReadMatchers(form.Get("source"))
	target, e2 := ReadMatchers(form.Get("target"))
	i := Inhibit{Source: source, Target: target, Equal: names(form.Get("equal"))}
	switch {
	case e1 != nil:
		err = kernel.InvalidField("source", firstNote(e1))
	case e2 != nil:
		err = kernel.InvalidField("target", firstNote(e2))
	default:
		err = checkInhibit(i)
	}
	if err != nil {
		return m.renderRouting(w, r, form, err)
	}
	routing.Inhibits = append(routing.Inhibits, i)
	return m.saveRouting(w, r, routing, "alert_inhibit.create", "alert_inhibit")
}

func (m *Module) deleteInhibitPost(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	routing, err := m.ReadRouting(r.Context(), wsOf(r))
	if err != nil {
		return err
	}
	i, err := strconv.Atoi(form.Get("index"))
	if err != nil || i < 0 || i >= len(routing.Inhibits) {
		return kernel.Errorf(kernel.NotFound, "There is no such inhibition.")
	}
	routing.Inhibits = slices.Delete(routing.Inhibits, i, i+1)
	return m.saveRouting(w, r, routing, "alert_inhibit.delete", "alert_inhibit")
}
