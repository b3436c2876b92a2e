package workspace

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// Which apps a member may open is stored as their keys with spaces between; empty is all of them, later ones too.
func splitApps(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Fields(s)
}

func joinApps(apps []string) string { return strings.Join(apps, " ") }

func (m *Module) appKeys() []string {
	keys := make([]string, len(m.d.Apps))
	for i, a := range m.d.Apps {
		keys[i] = a.Key
	}
	return keys
}

// cleanApps refuses apps that there are not. kept are those of before: one that is off at the moment stays.
func (m *Module) cleanApps(apps, kept []string) ([]string, error) {
	if apps == nil {
		return nil, nil
	}
	known := append(m.appKeys(), kept...)
	var out []string
	for _, a := range apps {
		if !slices.Contains(known, a) {
			return nil, kernel.InvalidField("apps", "There is no such app.")
		}
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, kernel.InvalidField("apps", "Choose at least one app, or all.")
	}
	slices.Sort(out)
	return out, nil
}

// includes tells whether access to the apps of have covers that to the apps of want.
func includes(have, want []string) bool {
	if have == nil {
		return true
	}
	return want != nil && !slices.ContainsFunc(want, func(a string) bool { return !slices.Contains(have, a) })
}

// VisibleNav leaves out of a navigation what the person may not open: entries that need a permission that the role lacks,
// and those of apps that the access does not include.
func (m *Module) VisibleNav(items []ui.NavItem, a httpx.Actor) []ui.NavItem {
	keys := m.appKeys()
	out := make([]ui.NavItem, 0, len(items))
	for _, it := range items {
		app := cmp.Or(it.With, it.App)
		if it.Needs != "" && !Allows(a.Role, httpx.Permission(it.Needs)) || slices.Contains(keys, app) && !a.HasApp(app) {
			continue
		}
		out = append(out, it)
	}
	return out
}
