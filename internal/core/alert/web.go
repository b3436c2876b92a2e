package alert

import (
	"context"
	"embed"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/platform/live"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

// appKey names the part of the navigation.
const appKey = "alerts"

const (
	pathAlerts   = "/w/{ws}/alerts"
	pathHistory  = pathAlerts + "/history"
	pathRules    = pathAlerts + "/rules"
	pathPacks    = pathAlerts + "/packs"
	pathSilences = pathAlerts + "/silences"
	pathWindows  = pathAlerts + "/maintenance"
	pathRouting  = pathAlerts + "/routing"
	maxForm      = 256 << 10
	evalTimeout  = 30 * time.Second // of handlers that evaluate
)

func home(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/alerts" }

func alertHref(ws kernel.WorkspaceID, id kernel.ID) string { return home(ws) + "/a/" + string(id) }

func ruleHref(ws kernel.WorkspaceID, id kernel.ID) string { return home(ws) + "/rules/" + string(id) }

func (m *Module) buildPages() (err error) {
	if m.d.UI == nil {
		return nil
	}
	m.pages, err = m.d.UI.Pages(templates, "templates/*.html")
	return err
}

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	view := func(path string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "GET", Path: path, Handler: h, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RatePage, Timeout: evalTimeout}
	}
	change := func(path string, h httpx.Handler) httpx.Route {
		r := view(path, h)
		r.Needs = httpx.MayChange
		return r
	}
	post := func(action, path string, h httpx.Handler) httpx.Route {
		return httpx.Route{Method: "POST", Path: path, Handler: h, Access: httpx.Member, Needs: httpx.MayChange, Rate: httpx.RateWrite, Audit: action, MaxBody: maxForm, Timeout: evalTimeout}
	}
	test := func(path string, h httpx.Handler) httpx.Route {
		r := post("", path, h)
		r.NoAudit = "it only looks: nothing is stored"
		return r
	}
	large := func(r httpx.Route) httpx.Route { r.MaxBody = 4 * maxYAML; return r }
	pages := []httpx.Route{
		view(pathAlerts, m.alertsPage),
		{Method: "GET", Path: pathAlerts + "/live", Handler: m.live, Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RateLive, Timeout: -1},
		view(pathHistory, m.historyPage),
		view(pathAlerts+"/a/{id}", m.alertPage),
		post("alert.ack", pathAlerts+"/a/{id}/ack", m.ack),
		post("alert.unack", pathAlerts+"/a/{id}/unack", m.unack),

		view(pathRules, m.rulesPage),
		change(pathRules+"/new", m.newRulePage),
		post("alert_rule.create", pathRules, m.createRule),
		test(pathRules+"/test", m.testRule),
		view(pathRules+"/export", m.exportRules),
		change(pathRules+"/import", m.importPage),
		large(post("alert_rule.import", pathRules+"/import", m.importRules)),
		view(pathRules+"/{id}", m.rulePage),
		view(pathRules+"/{id}/versions", m.versionsPage),
		post("alert_rule.revert", pathRules+"/{id}/versions/{version}", m.restoreVersion),
		change(pathRules+"/{id}/edit", m.editRulePage),
		post("alert_rule.update", pathRules+"/{id}", m.updateRulePost),
		post("alert_rule.enable", pathRules+"/{id}/enable", m.enableRulePost),
		post("alert_rule.disable", pathRules+"/{id}/disable", m.disableRulePost),
		post("alert_rule.delete", pathRules+"/{id}/delete", m.deleteRulePost),
		post("alert_rule.restore", pathRules+"/{id}/restore", m.restoreRulePost),

		view(pathPacks, m.packsPage),
		post("alert_pack.enable", pathPacks+"/enable", m.enablePackPost),
		post("alert_pack.disable", pathPacks+"/disable", m.disablePackPost),

		view(pathSilences, m.silencesPage),
		change(pathSilences+"/new", m.newSilencePage),
		post("silence.create", pathSilences, m.createSilence),
		test(pathSilences+"/test", m.testSilence),
		change(pathSilences+"/{id}", m.editSilencePage),
		post("silence.update", pathSilences+"/{id}", m.updateSilence),
		post("silence.expire", pathSilences+"/{id}/expire", m.expireSilencePost),

		view(pathWindows, m.windowsPage),
		change(pathWindows+"/new", m.newWindowPage),
		post("maintenance.create", pathWindows, m.createWindow),
		test(pathWindows+"/test", m.testWindow),
		change(pathWindows+"/{id}", m.editWindowPage),
		post("maintenance.update", pathWindows+"/{id}", m.updateWindow),
		post("maintenance.end", pathWindows+"/{id}/end", m.endWindowPost),
		post("maintenance.delete", pathWindows+"/{id}/delete", m.deleteWindowPost),
		post("maintenance.restore", pathWindows+"/{id}/restore", m.restoreWindowPost),

		view(pathRouting, m.routingPage),
		change(pathRouting+"/new", m.newRoutePage),
		change(pathRouting+"/{id}", m.editRoutePage),
		post("alert_route.save", pathRouting+"/{id}", m.saveRoutePost),
		post("alert_route.move", pathRouting+"/{id}/move", m.moveRoutePost),
		post("alert_route.delete", pathRouting+"/{id}/delete", m.deleteRoutePost),
		post("alert_inhibit.create", pathRouting+"/inhibit/add", m.addInhibitPost),
		post("alert_inhibit.delete", pathRouting+"/inhibit/delete", m.deleteInhibitPost),
	}
	return append(pages, m.apiRoutes()...)
}

func (m *Module) promRoute(path string, h httpx.Handler) httpx.Route {
	return httpx.Route{Method: "GET", Path: "/prometheus/api/v1" + path, Handler: h, Access: httpx.APIKey, Scope: "read", Needs: httpx.MayView, Rate: httpx.RatePage, Fail: query.Fail}
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	item := func(label, href, icon, group string, order int) ui.NavItem {
		return ui.NavItem{App: appKey, Group: group, Label: label, Href: href, Icon: icon, Order: order, Needs: string(httpx.MayView)}
	}
	return []ui.NavItem{
		item("Alerts", pathAlerts, "bell", "", 10),
		item("History", pathHistory, "clock", "", 20),
		item("Rules", pathRules, "list", "", 30),
		item("Rule packs", pathPacks, "briefcase", "", 35),
		item("Silences", pathSilences, "minus", "Quiet", 40),
		item("Maintenance", pathWindows, "settings", "Quiet", 45),
		item("Routing", pathRouting, "flow", "Messages", 50),
	}
}

// topicChanged tells pages that show a workspace's alerts.
func topicChanged(ws kernel.WorkspaceID) string { return "alert.changed." + string(ws) }

func (m *Module) changed(ws kernel.WorkspaceID) {
	if m.d.Bus != nil {
		_ = m.d.Bus.Publish(context.Background(), topicChanged(ws), nil) // pages that miss it look again soon
	}
}

// live streams a word to a page whenever alerts of the workspace have changed.
func (m *Module) live(w http.ResponseWriter, r *http.Request) error {
	return live.Changes(w, r, m.d.Bus, topicChanged(httpx.ActorOf(r.Context()).WorkspaceID))
}

func livePage(ws kernel.WorkspaceID, target string) *ui.Live {
	return &ui.Live{Src: home(ws) + "/live", Target: target}
}

// pathID is the {id} of the path. What has not even the form of one does not exist.
func pathID(r *http.Request) (kernel.ID, error) {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return "", kernel.Errorf(kernel.NotFound, "There is no such thing.")
	}
	return kernel.ID(id), nil
}

func wsOf(r *http.Request) kernel.WorkspaceID { return httpx.ActorOf(r.Context()).WorkspaceID }

// mayChange tells whether the page may offer changes. The edge refuses them all the same.
func mayChange(r *http.Request) bool {
	switch httpx.ActorOf(r.Context()).Role {
	case "owner", "admin", "member":
		return true
	}
	return false
}

// formStatus is the status of a form that is shown again, and what is wrong with it; another error passes through.
func formStatus(err error) (int, *kernel.Error, error) {
	if err == nil {
		return http.StatusOK, nil, nil
	}
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code != kernel.Invalid && e.Code != kernel.Conflict {
		return 0, nil, err
	}
	return respond.Status(e.Code), e, nil
}

// withNotes sets what is wrong on fields. A note that no field is for becomes the form's.
func withNotes(fields []ui.Field, e *kernel.Error) ([]ui.Field, string) {
	if e == nil {
		return fields, ""
	}
	text := e.Safe
	if len(e.Fields) > 0 {
		text = ""
	}
	for name, note := range e.Fields {
		i := slices.IndexFunc(fields, func(f ui.Field) bool { return f.Name == name })
		if i < 0 {
			text = note
			continue
		}
		fields[i].Error = note
	}
	return fields, text
}

// pairs are labels, or annotations, in order, without those that are named.
func pairs(in map[string]string, without ...string) []ui.Param {
	var out []ui.Param
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if !slices.Contains(without, name) {
			out = append(out, ui.Param{Name: name, Value: in[name]})
		}
	}
	return out
}

// writePairs is the text that readPairs reads.
func writePairs(in map[string]string, without ...string) string {
	var lines []string
	for _, p := range pairs(in, without...) {
		lines = append(lines, p.Name+"="+strings.ReplaceAll(p.Value, "\n", `\n`))
	}
	return strings.Join(lines, "\n")
}

// readPairs reads a name=value per line.
func readPairs(field, text string) (map[string]string, error) {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, kernel.InvalidField(field, "Write one name=value per line.")
		}
		out[name] = strings.ReplaceAll(strings.TrimSpace(value), `\n`, "\n")
	}
	return out, nil
}

func severityTone(s string) ui.Tone {
	switch s {
	case "critical", "page":
		return ui.ToneBad
	case "warning", "":
		return ui.ToneWarn
	}
	return ui.ToneNeutral
}

func severityWord(s string) string {
	if s == "" {
		return "warning"
	}
	return s
}

var severityOptions = []ui.Option{{Value: "critical", Label: "Critical"}, {Value: "warning", Label: "Warning"}, {Value: "info", Label: "Info"}}

// toast is the message after a form.
func toast(r *http.Request, texts map[string]string) []ui.Toast {
	if text := texts[r.URL.Query().Get("done")]; text != "" {
		return []ui.Toast{{Tone: ui.ToneGood, Text: text}}
	}
	return nil
}
