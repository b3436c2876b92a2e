// Package federation lets people sign in with an account that they have elsewhere: any OpenID Connect provider by
// discovery, and presets for those that people use most. It decides when such an account and one of ours are one person.
//
// # When two accounts are one person's
//
// An account at a provider is known by its issuer and subject, never by its address: addresses change hands, and not every
// provider knows whose they are. In this order:
//
//   - Issuer and subject are linked to an account: that account is signed in (and asked for a second factor, if it has one).
//   - Somebody is signed in and asked for a link: they are linked.
//   - The provider has verified the address, and it has an account: nobody is signed in. The owner signs in to that account
//     in the way that it has, and then links.
//   - The provider has verified the address, and it has none: the person opens an account, without a password.
//   - The provider has not verified the address: it gets the mail that it gets at sign-up, and the account, if any, is made
//     behind the link.
//
// # Who may bring a person back
//
// Each sign-in has a state, a nonce and a PKCE verifier of its own, sealed in a flow that works once. The flow's token is
// the session cookie of a browser in which nobody is signed in, so an answer that was begun in another browser is worth
// nothing, and there is no second cookie. A link's flow works in the login that began it only.
package federation

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

// Deps is what the module needs.
type Deps struct {
	DB        *db.DB
	UI        *ui.UI // nil: no pages
	Identity  *identity.Module
	Seal      *seal.Box  // seals providers' tokens
	Providers []Provider // in the order in which people are offered them
	BaseURL   string     // where providers send people back to
	HTTP      *http.Client
	Clock     kernel.Clock
	Logger    *slog.Logger
}

// Module is sign-in with providers.
type Module struct {
	d         Deps
	db        *db.DB
	pages     *ui.Pages
	providers map[string]*provider
	order     []*provider
}

// provider is a Provider that is ready to be asked.
type provider struct {
	Provider
	source source
}

// New builds the module. It asks no provider: one that is down must not keep the server from starting.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Identity == nil || d.Seal == nil {
		return nil, errors.New("federation: DB, Identity and Seal are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	d.BaseURL = strings.TrimSuffix(d.BaseURL, "/")
	m := &Module{d: d, db: d.DB, providers: map[string]*provider{}}
	for _, p := range d.Providers {
		if err := m.add(p); err != nil {
			return nil, err
		}
	}
	if d.UI != nil {
		var err error
		if m.pages, err = d.UI.Pages(templates, "templates/*.html"); err != nil {
			return nil, fmt.Errorf("federation: %w", err)
		}
	}
	return m, nil
}

func (m *Module) add(p Provider) error {
	p, known, err := p.complete()
	if err != nil {
		return err
	}
	if m.providers[p.Key] != nil {
		return fmt.Errorf("sign-in provider %q: there are two with this key", p.Key)
	}
	client := newRemote(m.d.HTTP, p.ServerHosts())
	ready := &provider{Provider: p, source: newSource(p, known, client, m.d.BaseURL+callbackPath(p.Key), m.d.Clock)}
	m.providers[p.Key], m.order = ready, append(m.order, ready)
	return nil
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "federation" }

// provider finds a provider by its key.
func (m *Module) provider(key string) (*provider, error) {
	if p := m.providers[key]; p != nil {
		return p, nil
	}
	return nil, errNotFound()
}

// label is a provider's name for people; that of one that is configured no more is its key.
func (m *Module) label(key string) string {
	if p := m.providers[key]; p != nil {
		return p.Label
	}
	return key
}

// Providers are the providers that people are offered, complete.
func (m *Module) Providers() []Provider {
	out := make([]Provider, len(m.order))
	for i, p := range m.order {
		out[i] = p.Provider
	}
	return out
}
