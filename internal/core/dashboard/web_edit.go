package dashboard

import "github.com/kept-dev/kept/internal/platform/httpx"
import "github.com/kept-dev/kept/internal/ui"

func (m *Module) editRoutes() []httpx.Route  { return nil }
func (m *Module) embedRoutes() []httpx.Route { return nil }
func (m *Module) apiRoutes() []httpx.Route   { return nil }
func (f frame) noteForm() *ui.Form           { return nil }
