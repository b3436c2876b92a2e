package proof

import (
	"context"

	"github.com/kept-dev/kept/internal/kernel"
)

// HasPasskey tells whether an account has a passkey.
func (m *Module) HasPasskey(ctx context.Context, account kernel.AccountID) (bool, error) {
	var n int
	err := m.db.QueryRow(ctx, `SELECT count(*) FROM passkeys WHERE account_id = $1`, account).Scan(&n)
	return n > 0, err
}
