package jobs

import "github.com/kept-dev/kept/internal/platform/httpx"

// buildPages parses the app's page templates.
func (m *Module) buildPages() error { return nil }

func (m *Module) pageRoutes() []httpx.Route { return nil }
