package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

// secretPrefixes are how keys and people's tokens begin, so that one that was put into a URL by mistake does not end up
// in the log: API keys, personal tokens, mobile access and mobile refresh.
var secretPrefixes = []string{"kept_", "keptp_", "kepta_", "keptr_"}

// muxConfig is what the edge needs.
func (a *App) muxConfig() (httpx.Config, error) {
	proxies, err := a.cfg.Proxies()
	cfg := httpx.Config{
		Limiter: a.limiter, Auth: a.core.access, AccessLog: countedLog{a}, Metrics: a.metrics, Logger: a.logger, Clock: a.clock,
		TrustedProxies: proxies, Secure: a.cfg.Secure(), SecretPrefixes: secretPrefixes,
		ErrorPage: a.errorPage, Audit: a.auditOutcome, Allows: workspace.Allows,
	}
	if a.cfg.BaseURL != "" {
		cfg.TrustedOrigins = []string{trimSlash(a.cfg.BaseURL)}
	}
	return cfg, err
}

// buildMux makes the edge and registers everybody's routes.
func (a *App) buildMux(context.Context) error {
	cfg, err := a.muxConfig()
	if err != nil {
		return err
	}
	if a.mux, err = httpx.NewMux(cfg); err != nil {
		return err
	}
	for _, m := range a.modules {
		if p, ok := m.Module.(router); ok {
			if err := a.mux.Add(a.routesOf(m.Module, p)...); err != nil {
				return fmt.Errorf("module %s: %w", m.Name(), err)
			}
		}
	}
	if err := a.mux.Add(a.routes()...); err != nil {
		return err
	}
	a.openAPI, err = httpx.OpenAPI(httpx.Info{
		Title: "Kept", Version: "v1", Server: trimSlash(a.cfg.BaseURL),
		Description: "What a workspace's API keys may read and send. Lists are paged: pass next as cursor to go on.",
	}, a.mux.Table())
	return err
}

// routesOf are a module's routes. Those of an app are for members whose access includes it.
func (a *App) routesOf(m Module, p router) []httpx.Route {
	routes := p.Routes()
	app := a.appOf(m)
	for i := range routes {
		if routes[i].Needs != "" {
			routes[i].App = app
		}
	}
	return routes
}

// appOf is the app that a member's access must include for a module's pages; empty: none. What shows series to people goes
// with the app for metrics; without that app it is everybody's.
func (a *App) appOf(m Module) string {
	switch name := m.Name(); {
	case slices.Contains(appNames, name):
		return name
	case slices.Contains(telemetryNames, name) && a.appOn("metrics"):
		return "metrics"
	}
	return ""
}

// routes are the server's own: probes, metrics and the description of the API.
func (a *App) routes() []httpx.Route {
	return []httpx.Route{
		a.assets(),
		{Method: "GET", Path: "/healthz", Handler: a.healthz, Access: httpx.Localhost, Rate: httpx.RateNone},
		{Method: "GET", Path: "/readyz", Handler: a.readyz, Access: httpx.Localhost, Rate: httpx.RateNone},
		{Method: "GET", Path: "/metrics", Handler: a.writeMetrics, Access: httpx.Localhost, Rate: httpx.RatePage},
		{Method: "GET", Path: "/api/v1/openapi.json", Handler: a.describeAPI, Access: httpx.Public, Rate: httpx.RatePage, API: &httpx.Operation{
			Summary: "This document.", Responses: map[int]any{http.StatusOK: map[string]any{}},
		}},
	}
}

func (a *App) describeAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(a.openAPI) // a client that left
	return nil
}

// healthz says that the process lives; it asks nobody, so that a slow database does not get the server killed.
func (a *App) healthz(w http.ResponseWriter, _ *http.Request) error {
	return respond.Text(w, http.StatusOK, "ok\n")
}

// readyTimeout bounds the questions of one readiness probe.
const readyTimeout = 3 * time.Second

// readyz says whether requests should be sent here: not before everything has started, not while it drains, and not
// when a database does not answer. It names what is not ready, without the cause.
func (a *App) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	missing := a.notReady(ctx)
	if len(missing) == 0 {
		return respond.Text(w, http.StatusOK, "ready\n")
	}
	w.Header().Set("Retry-After", "1")
	return respond.Text(w, http.StatusServiceUnavailable, "not ready: "+strings.Join(missing, ", ")+"\n")
}

func (a *App) notReady(ctx context.Context) (missing []string) {
	if !a.ready.Load() {
		missing = append(missing, "server")
	}
	if a.control.Ping(ctx) != nil {
		missing = append(missing, "control database")
	}
	if a.index != a.control && a.index.Ping(ctx) != nil {
		missing = append(missing, "job index database")
	}
	if a.jobs != a.control && a.jobs.Ping(ctx) != nil {
		missing = append(missing, "jobs database")
	}
	for _, m := range a.modules {
		if p, ok := m.Module.(readier); ok && p.Ready(ctx) != nil {
			missing = append(missing, m.Name())
		}
	}
	return missing
}
