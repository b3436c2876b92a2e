package dashboard

import (
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// exploreRoutes are the pages for single queries.
func (m *Module) exploreRoutes() []httpx.Route { return nil }

// exploreNav is their part of the navigation.
func (m *Module) exploreNav() []ui.NavItem { return nil }
