package app

import (
	"net/http"

	"github.com/kept-dev/kept/internal/apps/metrics"
	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// Access makes keys and tokens for tests.
func (a *App) Access() *access.Module { return a.core.access }

// Workspaces invites for tests.
func (a *App) Workspaces() *workspace.Module { return a.core.workspaces }

// MetricsApp enrols hosts for tests.
func (a *App) MetricsApp() *metrics.Module { return a.metricsApp }

// Mail sends what is due.
func (a *App) Mail() *mail.Module { return a.core.mail }

// WithDemoPages adds the pages that only a demo has.
func WithDemoPages() Option {
	return func(a *App) { a.extra = append(a.extra, demoModule{a}) }
}

// Reached is what HollowMux answers when a request has come through to the handler.
const Reached = 299

// HollowMux is the real edge with the real route table over handlers that do nothing but say that they were reached: who
// may do what can be tried without doing it. Routes whose handlers check by themselves keep them.
func (a *App) HollowMux() (*httpx.Mux, error) {
	cfg, err := a.muxConfig()
	if err != nil {
		return nil, err
	}
	m, err := httpx.NewMux(cfg)
	if err != nil {
		return nil, err
	}
	for _, r := range a.mux.Table() {
		if r.Access != httpx.Handled {
			r.Handler = func(w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(Reached)
				return nil
			}
		}
		if err := m.Add(r); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// CheckPages parses the pages of all modules.
func (a *App) CheckPages() error { return a.ui.Check() }
