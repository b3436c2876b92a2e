package app

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/kept-dev/kept/internal/agent"
	"github.com/kept-dev/kept/internal/agent/probe"
	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/core/status"
	"github.com/kept-dev/kept/internal/kernel"
)

var (
	//go:embed demo/rules.yaml
	demoRules []byte
	//go:embed demo/shop.json
	demoDashboard []byte
)

// demoInterval is how often the demo's agent measures: more often than a real one, because somebody waits for it.
const demoInterval = 5 * time.Second

// Dashboards are what the demo shows of its shop.
func (demoModule) Dashboards() []dashboard.File {
	return []dashboard.File{{Key: "demo/shop", JSON: demoDashboard}}
}

// startDemoMetrics runs this machine's own agent, which also scrapes the shop and the server, and turns rules on that fire
// and resolve by themselves. The returned function ends the agent.
func (a *App) startDemoMetrics(ctx context.Context, made access.SetupResult, shopURL string) (stop func(context.Context) error, err error) {
	if _, err := a.core.alert.ImportYAML(ctx, made.WorkspaceID, demoRules, false, false); err != nil {
		return nil, fmt.Errorf("demo rules: %w", err)
	}
	if err := errors.Join(a.enablePacks(ctx, made.WorkspaceID), a.makeDemoStatus(ctx, made.WorkspaceID)); err != nil {
		return nil, err
	}
	one, err := agent.New(agent.Config{
		Server: a.URL(), Key: made.APIKey, StateDir: filepath.Join(a.cfg.Data, "agent"), Interval: demoInterval, Version: Version(), Log: a.logger,
		Targets: []agent.Target{{Job: "shop", URL: shopURL}, {Job: "kept", URL: a.URL() + "/metrics"}},
		Probes:  []probe.Probe{{Name: "kept", URL: a.URL() + "/healthz", Every: 3 * demoInterval}},
	})
	if err != nil {
		return nil, fmt.Errorf("demo agent: %w", err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- one.Run(running) }()
	return func(ctx context.Context) error {
		cancel()
		select {
		case err := <-ended:
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil
}

// enablePacks turns on the rules that apps bring.
func (a *App) enablePacks(ctx context.Context, ws kernel.WorkspaceID) error {
	for _, pack := range a.rulePacks() {
		if err := a.core.alert.EnablePack(ctx, ws, pack.Key); err != nil {
			return fmt.Errorf("rule pack %s: %w", pack.Key, err)
		}
	}
	return nil
}

// makeDemoStatus makes a status page for the shop's customers. What stands on it is for people to publish: from the alert
// about the exchange rates, say.
func (a *App) makeDemoStatus(ctx context.Context, ws kernel.WorkspaceID) error {
	err := a.core.status.SavePage(ctx, status.Page{WorkspaceID: ws, Slug: "shop", Title: "Demo shop", Public: true,
		About: "How the shop is. Tell its customers of an outage from the page of an alert."})
	for _, part := range []string{"Orders", "Exchange rates", "Mail"} {
		if err != nil {
			break
		}
		_, err = a.core.status.AddComponent(ctx, ws, part)
	}
	if err != nil {
		return fmt.Errorf("demo status page: %w", err)
	}
	return nil
}
