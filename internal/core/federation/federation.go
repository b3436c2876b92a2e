// Package federation lets people sign in with an account that they have elsewhere: any OpenID Connect provider by
// discovery, and presets for those that people use most. It decides when such an account and one of ours are one person.
package federation

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

// Deps is what the module needs.
type Deps struct {
	DB       *db.DB
	UI       *ui.UI // nil: no pages
	Identity *identity.Module
	Seal     *seal.Box    // seals providers' tokens
	BaseURL  string       // where providers send people back to
	HTTP     *http.Client // nil: one with limits
	Clock    kernel.Clock
	Logger   *slog.Logger
}

// Module is sign-in with providers.
type Module struct {
	d  Deps
	db *db.DB
}

// New builds the module.
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
	return &Module{d: d, db: d.DB}, nil
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "federation" }
