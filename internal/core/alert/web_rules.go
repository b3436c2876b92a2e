package alert

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

var kindWords = map[string]struct{ Title, About string }{
	KindThreshold:  {"Threshold", "A value goes beyond a limit: load above 5, free space below 10 %."},
	KindAbsence:    {"Absence", "Something that should report no longer does."},
	KindAnomaly:    {"Anomaly", "A value is unlike the same time in past weeks."},
	KindForecast:   {"Forecast", "A value will go beyond a limit if it goes on like this: a disk that fills up."},
	KindExpression: {"PromQL", "An expression that finds what is wrong by itself, as in a Prometheus rule file."},
	KindRecording:  {"Recording", "The result of an expression is stored as a series of its own."},
}

type ruleRow struct {
	Rule
	Href     string
	KindWord string
	Tone     ui.Tone
	Word     string
	State    string // firing, pending, ok, error, unknown, disabled
	Last     time.Time
	Took     time.Duration
	Problem  string
	Active   int
}

type ruleGroup struct {
	Name  string
	Every string
	Rows  []ruleRow
}

type rulesView struct {
	Filters ui.Filters
	Groups  []ruleGroup
	Deleted []ruleRow
	Empty   *ui.Empty
	NoMatch bool
	May     bool
	Undo    string // where the rule that was just deleted can be brought back
	Name    string // of that rule
}

func newRuleRow(ws kernel.WorkspaceID, r Rule, states map[kernel.ID]promRule) ruleRow {
	row := ruleRow{Rule: r, Href: ruleHref(ws, r.ID), KindWord: kindWords[r.Kind].Title, Tone: severityTone(r.Severity), Word: severityWord(r.Severity), State: "waiting"}
	s, known := states[r.ID]
	switch {
	case !r.Enabled:
		row.State = "disabled"
		return row
	case !known || s.LastEvaluation.IsZero():
		return row
	case s.Health == "err":
		row.State, row.Problem = "error", s.LastError
	case s.State == Firing || s.State == Pending:
		row.State = s.State
	default:
		row.State = "ok"
	}
	row.Last, row.Took, row.Active = s.LastEvaluation, time.Duration(s.EvaluationTime*float64(time.Second)), len(s.Alerts)
	return row
}

// ruleStates are what the rules do, by id.
func (m *Module) ruleStates(ctx context.Context, ws kernel.WorkspaceID) (map[kernel.ID]promRule, error) {
	groups, err := m.status(ctx, ws)
	out := map[kernel.ID]promRule{}
	for _, g := range groups {
		for _, r := range g.Rules {
			out[r.ID] = r
		}
	}
	return out, err
}

func (m *Module) rulesPage(w http.ResponseWriter, r *http.Request) error {
	ctx, ws := r.Context(), wsOf(r)
	list, err := m.Rules(ctx, ws)
	if err != nil {
		return err
	}
	settings, err := m.Groups(ctx, ws)
	if err != nil {
		return err
	}
	states, err := m.ruleStates(ctx, ws)
	if err != nil {
		return err
	}
	deleted, err := m.DeletedRules(ctx, ws)
	if err != nil {
		return err
	}
	v := rulesView{May: mayChange(r), Filters: ui.NewFilters(r.URL, "rules",
		ui.Filter{Name: "q", Label: "Search", Placeholder: "Name or expression", Wide: true},
		ui.Filter{Name: "state", Label: "State", Kind: "select", Options: []ui.Option{{Value: "firing", Label: "Firing"}, {Value: "pending", Label: "Pending"}, {Value: "ok", Label: "Fine"}, {Value: "error", Label: "Error"}, {Value: "disabled", Label: "Disabled"}}})}
	q, state := strings.ToLower(r.URL.Query().Get("q")), r.URL.Query().Get("state")
	for _, rule := range list {
		row := newRuleRow(ws, rule, states)
		if q != "" && !strings.Contains(strings.ToLower(rule.Name+" "+rule.Expr+" "+rule.Group), q) || state != "" && row.State != state {
			continue
		}
		if n := len(v.Groups); n == 0 || v.Groups[n-1].Name != rule.Group {
			v.Groups = append(v.Groups, ruleGroup{Name: rule.Group, Every: span(settings[rule.Group].Every())})
		}
		last := &v.Groups[len(v.Groups)-1]
		last.Rows = append(last.Rows, row)
	}
	for _, rule := range deleted {
		v.Deleted = append(v.Deleted, newRuleRow(ws, rule, nil))
		if string(rule.ID) == r.URL.Query().Get("deleted") && v.May {
			v.Undo, v.Name = ruleHref(ws, rule.ID)+"/restore", rule.Name
		}
	}
	v.NoMatch = len(list) > 0 && len(v.Groups) == 0
	page := ui.Page{Title: "Rules", App: appKey, Section: home(ws) + "/rules", Body: v, Lead: "What is watched, how often, and what it found last.",
		Toasts: toast(r, map[string]string{"restored": "The rule is back.", "imported": "The rules are imported."})}
	if len(list) == 0 {
		v.Empty = &ui.Empty{Icon: "list", Title: "No rules yet", Text: "Turn on a pack of ready-made rules, write one, or import the rule files of a Prometheus.",
			Action: &ui.Action{Label: "See the rule packs", Href: home(ws) + "/packs", Primary: true}}
		page.Body = v
	}
	if v.May {
		page.Actions = []ui.Action{{Label: "Import", Href: home(ws) + "/rules/import"}, {Label: "New rule", Href: home(ws) + "/rules/new", Icon: "plus", Primary: true}}
	}
	if len(list) > 0 {
		page.Actions = append([]ui.Action{{Label: "Export", Href: home(ws) + "/rules/export", Icon: "download"}}, page.Actions...)
	}
	return m.pages.Render(w, r, http.StatusOK, "rules", page)
}

type ruleView struct {
	ruleRow
	About    string
	Compiled string
	Every    time.Duration
	Stats    []ui.Stat
	Alerts   []alertRow
	Versions []Version
	Notes    []ui.Param
	Pairs    []ui.Param
	May      bool
}

func (m *Module) rulePage(w http.ResponseWriter, r *http.Request) error {
	ctx, ws := r.Context(), wsOf(r)
	id, err := pathID(r)
	if err != nil {
		return err
	}
	rule, err := m.FindRule(ctx, ws, id)
	if err != nil {
		return err
	}
	states, err := m.ruleStates(ctx, ws)
	if err != nil {
		return err
	}
	settings, err := m.Groups(ctx, ws)
	if err != nil {
		return err
	}
	v := ruleView{ruleRow: newRuleRow(ws, rule, states), About: kindWords[rule.Kind].About, Every: settings[rule.Group].Every(), May: mayChange(r),
		Notes: pairs(rule.Annotations), Pairs: pairs(rule.Labels)}
	if v.Compiled, err = m.compileExpr(rule); err != nil {
		v.Problem = firstNote(err)
	}
	if v.Versions, err = m.Versions(ctx, ws, id); err != nil {
		return err
	}
	v.Versions = v.Versions[:min(len(v.Versions), 5)]
	list, err := m.Alerts(ctx, ws, Filter{RuleID: id, Limit: 20})
	if err != nil {
		return err
	}
	for _, a := range list {
		v.Alerts = append(v.Alerts, newRow(ws, a, nil))
	}
	took, _ := ui.Duration(v.Took)
	v.Stats = []ui.Stat{{Label: "Evaluated every", Value: span(v.Every), Hint: "group " + rule.Group}, {Label: "Last evaluation took", Value: took}, {Label: "Alerts now", Value: strconv.Itoa(v.Active), Tone: v.alertTone()}}
	page := ui.Page{Title: rule.Name, App: appKey, Section: home(ws) + "/rules", Crumbs: []ui.Crumb{{Label: "Rules", Href: home(ws) + "/rules"}}, Body: v,
		Toasts: toast(r, map[string]string{"saved": "The rule is saved and in force.", "enabled": "The rule is on.", "disabled": "The rule is off. Its alerts are over.",
			"reverted": "The rule is as it was in that version, and in force. This is a new version, so it can be undone, too."})}
	if v.May && rule.DeletedAt.IsZero() {
		page.Actions = []ui.Action{{Label: "Edit", Href: v.Href + "/edit", Icon: "edit", Primary: true}}
		if rule.Enabled {
			page.Actions = append(page.Actions, ui.Action{Label: "Turn off", Href: v.Href + "/disable", Post: true})
		} else {
			page.Actions = append(page.Actions, ui.Action{Label: "Turn on", Href: v.Href + "/enable", Post: true})
		}
		page.Actions = append(page.Actions, ui.Action{Label: "Delete", Href: v.Href + "/delete", Icon: "trash", Danger: true, Post: true})
	} else if v.May {
		page.Actions = []ui.Action{{Label: "Bring it back", Href: v.Href + "/restore", Post: true, Primary: true}}
	}
	return m.pages.Render(w, r, http.StatusOK, "rule", page)
}

func (r ruleRow) alertTone() ui.Tone {
	if r.State == Firing {
		return ui.ToneBad
	}
	return ""
}

func (m *Module) createRule(w http.ResponseWriter, r *http.Request) error {
	return m.saveRulePost(w, r, "", "alert_rule.create")
}

func (m *Module) updateRulePost(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	return m.saveRulePost(w, r, id, "alert_rule.update")
}

func (m *Module) saveRulePost(w http.ResponseWriter, r *http.Request, id kernel.ID, action string) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	ws := wsOf(r)
	rule, in, err := readRule(form)
	rule.ID = id
	if id != "" {
		old, e := m.FindRule(r.Context(), ws, id)
		if e != nil {
			return e
		}
		rule.Enabled, rule.Pack = old.Enabled, old.Pack
	}
	if err == nil {
		var saved Rule
		if saved, err = m.SaveRule(r.Context(), ws, rule, in.every, in.version); err == nil {
			if err := m.d.Audit(r.Context(), action, "alert_rule:"+string(saved.ID), saved.Name); err != nil {
				return err
			}
			return respond.SeeOther(w, r, ruleHref(ws, saved.ID)+"?done=saved")
		}
	}
	return m.renderRuleForm(w, r, ws, rule, in, nil, err)
}

func (m *Module) testRule(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	rule, in, err := readRule(form)
	var b *Backtest
	if err == nil {
		back, e := parseSpan(cmp.Or(form.Get("span"), "7d"))
		if e != nil || back < time.Hour || back > 90*24*time.Hour {
			back = 7 * 24 * time.Hour
		}
		b, err = m.Backtest(r.Context(), wsOf(r), rule, in.every, back, true)
	}
	return m.renderRuleForm(w, r, wsOf(r), rule, in, b, err)
}

func (m *Module) flipRule(w http.ResponseWriter, r *http.Request, action string, change func(context.Context, kernel.WorkspaceID, kernel.ID) error, to func(ws kernel.WorkspaceID, id kernel.ID) string) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := change(r.Context(), wsOf(r), id); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), action, strings.SplitN(action, ".", 2)[0]+":"+string(id), ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, to(wsOf(r), id))
}

func (m *Module) enableRulePost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "alert_rule.enable", func(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
		return m.EnableRule(ctx, ws, id, true)
	},
		func(ws kernel.WorkspaceID, id kernel.ID) string { return ruleHref(ws, id) + "?done=enabled" })
}

func (m *Module) disableRulePost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "alert_rule.disable", func(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
		return m.EnableRule(ctx, ws, id, false)
	},
		func(ws kernel.WorkspaceID, id kernel.ID) string { return ruleHref(ws, id) + "?done=disabled" })
}

func (m *Module) deleteRulePost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "alert_rule.delete", m.DeleteRule, func(ws kernel.WorkspaceID, id kernel.ID) string { return home(ws) + "/rules?deleted=" + string(id) })
}

func (m *Module) restoreRulePost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "alert_rule.restore", m.RestoreRule, func(ws kernel.WorkspaceID, id kernel.ID) string { return home(ws) + "/rules?done=restored" })
}

func (m *Module) exportRules(w http.ResponseWriter, r *http.Request) error {
	var buf bytes.Buffer
	if err := m.ExportYAML(r.Context(), wsOf(r), &buf); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Content-Disposition", `attachment; filename="kept-rules.yaml"`)
	_, _ = w.Write(buf.Bytes()) // a client that left
	return nil
}

type importView struct {
	Form     ui.Form
	Results  []Imported
	Bad      int
	Problems string
}

func importForm(ws kernel.WorkspaceID, yaml string, all, skip bool) ui.Form {
	return ui.Form{Action: home(ws) + "/rules/import", Submit: "Import", Cancel: home(ws) + "/rules", Fields: []ui.Field{
		{Name: "yaml", Label: "Rule file", Kind: "textarea", Rows: 16, Mono: true, Required: true, Value: yaml, Placeholder: "groups:\n  - name: hosts\n    rules:\n      - alert: HostDown\n        expr: up == 0\n        for: 5m",
			Hint: "YAML as Prometheus and promtool read it. Groups of the same names are replaced; rules that are as they were keep their alerts."},
		{Name: "all", Label: "Delete rules that are not in the file", Kind: "checkbox", Checked: all, Hint: "Those of rule packs stay. What is deleted can be brought back for 30 days."},
		{Name: "skip", Label: "Leave wrong rules out, and import the others", Kind: "checkbox", Checked: skip},
	}}
}

func (m *Module) importPage(w http.ResponseWriter, r *http.Request) error {
	return m.renderImport(w, r, http.StatusOK, importView{Form: importForm(wsOf(r), "", false, false)})
}

func (m *Module) renderImport(w http.ResponseWriter, r *http.Request, status int, v importView) error {
	for _, i := range v.Results {
		if i.Problem != "" {
			v.Bad++
		}
	}
	ws := wsOf(r)
	return m.pages.Render(w, r, status, "import", ui.Page{Title: "Import rules", App: appKey, Section: home(ws) + "/rules",
		Crumbs: []ui.Crumb{{Label: "Rules", Href: home(ws) + "/rules"}}, Body: v})
}

func (m *Module) importRules(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	yaml, all, skip := form.Get("yaml"), form.Has("all"), form.Has("skip")
	list, err := m.ImportYAML(r.Context(), wsOf(r), []byte(yaml), all, skip)
	status, e, err := formStatus(err)
	if err != nil {
		return err
	}
	v := importView{Form: importForm(wsOf(r), yaml, all, skip), Results: list}
	if e != nil {
		v.Form = v.Form.WithErrors(e.Fields)
		if len(v.Form.Invalid()) == 0 {
			v.Form.Error = e.Safe
		}
		return m.renderImport(w, r, status, v)
	}
	if err := m.d.Audit(r.Context(), "alert_rule.import", "alert_rules", fmt.Sprintf("%d rules", len(list))); err != nil {
		return err
	}
	return respond.SeeOther(w, r, home(wsOf(r))+"/rules?done=imported")
}
