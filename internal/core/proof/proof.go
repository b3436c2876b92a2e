// Package proof is how a person proves who he is beyond a password: passkeys (WebAuthn), an authenticator app (TOTP, RFC
// 6238) with recovery codes, the second step at sign-in, and the fresh proof that careful pages ask for. What a login is
// and what it is worth is package identity's.
package proof

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/go-webauthn/webauthn/webauthn"

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
	d      Deps
	db     *db.DB
	pages  *ui.Pages
	issuer string // what an authenticator app calls this server
	party  *webauthn.WebAuthn
}

// product is what authenticator apps and passkey dialogs call this server, beside its host.
const product = "Kept"

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
	base, err := url.Parse(d.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("proof: the base URL: %w", err)
	}
	m := &Module{d: d, db: d.DB, issuer: product + " " + base.Hostname()}
	if m.party, err = newRelyingParty(base, m.issuer); err != nil {
		d.Logger.Info("passkeys are not offered", "reason", err)
	}
	if d.UI != nil {
		if m.pages, err = d.UI.Pages(templates, "templates/*.html"); err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
	}
	return m, nil
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "proof" }

var (
	_ identity.SecondFactor = (*Module)(nil)
	_ identity.SecondAsker  = (*Module)(nil)
	_ identity.Ways         = (*Module)(nil)
	_ identity.Eraser       = (*Module)(nil)
	_ identity.Carder       = (*Module)(nil)
)

// Ways is how many passkeys an account has: each is a way of signing in.
func (m *Module) Ways(ctx context.Context, tx *db.Tx, account kernel.AccountID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM passkeys WHERE account_id = $1`, account).Scan(&n)
	return n, err
}

// EraseAccount removes everything that the module keeps about an account.
func (m *Module) EraseAccount(ctx context.Context, tx *db.Tx, account kernel.AccountID) error {
	for _, table := range []string{"recovery_codes", "totp", "passkeys", "passkey_users"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE account_id = $1`, account); err != nil {
			return err
		}
	}
	return nil
}
