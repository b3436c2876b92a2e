package ui

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// App is one entry of the app switcher or of the account menu.
type App struct {
	Key   string // what NavItem.App and Page.App name
	Label string
	Icon  string
	Order int
	Menu  bool // listed in the account menu, not in the switcher (settings)
}

// NavItem is one entry of an app's sidebar. Href may contain "{ws}"; see
// ExpandNav.
type NavItem struct {
	App   string
	Label string
	Href  string
	Icon  string
	Group string // the heading that it stands under with its neighbours; empty: none
	Order int
	With  string // the app that the viewer's access must include; empty: App
	Needs string // the permission without which the page does not open; empty: none. Whoever builds the Frame looks at it
}

// ExpandNav returns a copy of items with "{ws}" in each Href replaced by the
// workspace, sorted by Order and then by label. With an empty workspace the
// items that need one are left out.
func ExpandNav(items []NavItem, workspace string) []NavItem {
	out := make([]NavItem, 0, len(items))
	for _, it := range items {
		if strings.Contains(it.Href, "{ws}") {
			if workspace == "" {
				continue
			}
			it.Href = strings.ReplaceAll(it.Href, "{ws}", url.PathEscape(workspace))
		}
		out = append(out, it)
	}
	slices.SortStableFunc(out, func(a, b NavItem) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Label, b.Label))
	})
	return out
}

type appLink struct {
	App
	Href    string
	Current bool
}

type navLink struct {
	NavItem
	Head    string // the heading above it, where a group begins
	Current bool
}

// appLinks splits the apps that have at least one navigation entry into those
// of the switcher and those of the account menu. An app opens at its first
// entry.
func appLinks(apps []App, nav []NavItem, current string) (top, menu []appLink) {
	apps = slices.Clone(apps)
	slices.SortStableFunc(apps, func(a, b App) int { return cmp.Compare(a.Order, b.Order) })
	for _, a := range apps {
		i := slices.IndexFunc(nav, func(it NavItem) bool { return it.App == a.Key })
		if i < 0 {
			continue
		}
		link := appLink{App: a, Href: nav[i].Href, Current: a.Key == current}
		if a.Menu {
			menu = append(menu, link)
		} else {
			top = append(top, link)
		}
	}
	return top, menu
}

// navLinks returns the sidebar of one app. Exactly one entry is current: the
// one named by section, else the one whose address is the longest prefix of
// the path.
func navLinks(nav []NavItem, app, section, path string) []navLink {
	var links []navLink
	best, bestLen := -1, 0
	for _, it := range nav {
		if it.App != app {
			continue
		}
		link := navLink{NavItem: it}
		if n := len(links); n == 0 || links[n-1].Group != it.Group {
			link.Head = it.Group
		}
		links = append(links, link)
		n := len(it.Href)
		switch {
		case section != "" && it.Href == section:
			best, bestLen = len(links)-1, 1<<30
		case section == "" && n > bestLen && underPath(path, it.Href):
			best, bestLen = len(links)-1, n
		}
	}
	if best >= 0 {
		links[best].Current = true
	}
	return links
}

func underPath(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
}
