package app

import (
	"fmt"

	"github.com/kept-dev/kept/internal/core/federation"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/privacy"
)

// signInProviders are the providers that the operator named.
func (a *App) signInProviders() ([]federation.Provider, error) {
	entries, err := a.cfg.SignInProviders()
	if err != nil {
		return nil, err
	}
	out := make([]federation.Provider, len(entries))
	for i, e := range entries {
		out[i] = federation.Provider{Key: e.Key, Preset: e.Preset, Label: e.Label, Issuer: e.Issuer, ClientID: e.ClientID,
			ClientSecret: e.ClientSecret.Text(), Scopes: e.Scopes, Hosts: e.Hosts}
	}
	return out, nil
}

// buildFederation makes sign-in with providers, and tells identity of it.
func (a *App) buildFederation() error {
	providers, err := a.signInProviders()
	if err != nil {
		return err
	}
	f, err := federation.New(federation.Deps{
		DB: a.control, UI: a.ui, Identity: a.core.identity, Seal: a.keys.Instance(), Providers: providers,
		BaseURL: a.BaseURL(), Clock: a.clock, Logger: a.logger,
	})
	if err != nil {
		return fmt.Errorf("--oidc-providers: %w", err)
	}
	a.core.federation = f
	a.core.identity.Use(nil, []identity.Ways{f}, []identity.Eraser{f})
	return nil
}

// addSignInProviders lists the hosts that the server connects to when people sign in with a provider.
func (a *App) addSignInProviders(f *privacy.Facts) {
	for _, p := range a.core.federation.Providers() {
		for _, host := range p.ServerHosts() {
			f.Outbound = append(f.Outbound, privacy.Outbound{Host: host, Setting: "oidc-providers"})
			f.Processors = append(f.Processors, privacy.Processor{
				Name: p.Label, Role: federation.ProcessorRole, Purpose: "says who somebody is who chose to sign in with it",
				Data: "that the person signs in here; it tells us the person's number there, name and e-mail address", Host: host,
			})
		}
	}
}
