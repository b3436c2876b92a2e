// Package proof is how a person proves who he is beyond a password: passkeys (WebAuthn), an authenticator app (TOTP, RFC
// 6238) with recovery codes, and the fresh proof that careful pages ask for.
package proof

import (
	"errors"
	"log/slog"

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
	Seal     *seal.Box // seals TOTP secrets
	BaseURL  string    // whose host passkeys are bound to
	Clock    kernel.Clock
	Logger   *slog.Logger
}

// Module is passkeys, authenticator apps, recovery codes and fresh proofs.
type Module struct {
	d  Deps
	db *db.DB
}

// New builds the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Identity == nil || d.Seal == nil {
		return nil, errors.New("proof: DB, Identity and Seal are needed")
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
func (m *Module) Name() string { return "proof" }
