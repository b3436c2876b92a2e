package alert

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// versionRow is one version of a rule, with what it changed.
type versionRow struct {
	Version
	Current bool
	First   bool
	Open    bool
	Changes []ui.DiffLine
	Restore string // empty: it is the current one, or the person may not
}

type versionsView struct {
	Rows []versionRow
	Href string // of the rule
}

func versionsHref(ws kernel.WorkspaceID, id kernel.ID) string { return ruleHref(ws, id) + "/versions" }

// versionText is a rule as Prometheus's YAML. One that this program no longer compiles is shown as far as it goes.
func (m *Module) versionText(r Rule) string {
	c, err := m.compile(r)
	if err != nil {
		c = rulefmt.Rule{Alert: r.Name, Expr: r.Expr, For: r.For, Labels: r.Labels, Annotations: r.Annotations}
	}
	var out strings.Builder
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return r.Expr
	}
	return out.String()
}

func (m *Module) versionsPage(w http.ResponseWriter, r *http.Request) error {
	ws := wsOf(r)
	id, err := pathID(r)
	if err != nil {
		return err
	}
	rule, err := m.FindRule(r.Context(), ws, id)
	if err != nil {
		return err
	}
	list, err := m.Versions(r.Context(), ws, id)
	if err != nil {
		return err
	}
	v := versionsView{Href: ruleHref(ws, id)}
	for i, x := range list {
		row := versionRow{Version: x, Current: x.Version == rule.Version, First: x.Version == 1, Open: i < 3}
		before := ""
		if i+1 < len(list) {
			before = m.versionText(list[i+1].Rule)
		}
		row.Changes = ui.Diff(before, m.versionText(x.Rule))
		if !row.Current && mayChange(r) && rule.DeletedAt.IsZero() {
			row.Restore = versionsHref(ws, id) + "/" + strconv.Itoa(x.Version)
		}
		v.Rows = append(v.Rows, row)
	}
	return m.pages.Render(w, r, http.StatusOK, "versions", ui.Page{Title: "Versions of " + rule.Name, App: appKey, Section: home(ws) + "/rules", Body: v,
		Lead:   "Every save is kept, the last 50 are shown. Each is compared with the one before, as Prometheus's YAML.",
		Crumbs: []ui.Crumb{{Label: "Rules", Href: home(ws) + "/rules"}, {Label: rule.Name, Href: v.Href}}})
}

// restoreVersion saves a version of the past as the newest one, so that this can be undone as well. Whether the rule is on,
// and its group, stay as they are.
func (m *Module) restoreVersion(w http.ResponseWriter, r *http.Request) error {
	ws := wsOf(r)
	id, err := pathID(r)
	if err != nil {
		return err
	}
	rule, err := m.FindRule(r.Context(), ws, id)
	if err != nil {
		return err
	}
	list, err := m.Versions(r.Context(), ws, id)
	if err != nil {
		return err
	}
	n := r.PathValue("version")
	for _, x := range list {
		if strconv.Itoa(x.Version) != n {
			continue
		}
		back := x.Rule
		back.ID, back.Group, back.Enabled, back.Pack = rule.ID, rule.Group, rule.Enabled, rule.Pack
		if _, err := m.SaveRule(r.Context(), ws, back, 0, rule.Version); err != nil {
			return err
		}
		if err := m.d.Audit(r.Context(), "alert_rule.revert", "alert_rule:"+string(id), rule.Name+": back to version "+n); err != nil {
			return err
		}
		return respond.SeeOther(w, r, ruleHref(ws, id)+"?done=reverted")
	}
	return kernel.Errorf(kernel.NotFound, "There is no such version.")
}
