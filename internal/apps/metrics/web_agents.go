package metrics

import (
	"net/http"
	"time"

	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

const (
	pathAgent   = "/agent/{file}"
	pathInstall = "/agent/install.sh"
)

// agentTimeout is how long a download of an agent may take, also over a bad line.
const agentTimeout = 10 * time.Minute

// agentRoutes hand out kept-agent. It is no secret: a host has no key before it has an agent.
func (m *Module) agentRoutes() []httpx.Route {
	return []httpx.Route{
		{Method: "GET", Path: pathInstall, Handler: m.installScript, Access: httpx.Public, Rate: httpx.RatePage},
		{Method: "GET", Path: pathAgent, Handler: m.agents.Serve, Access: httpx.Public, Rate: httpx.RatePage, Timeout: agentTimeout},
	}
}

// installScript is what the command on the page for connecting a host runs.
func (m *Module) installScript(w http.ResponseWriter, _ *http.Request) error {
	text, err := m.agents.Script(m.d.BaseURL())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-cache")
	return respond.Text(w, http.StatusOK, text)
}
