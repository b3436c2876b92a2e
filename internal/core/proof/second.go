package proof

import (
	"context"
	"fmt"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Second is what a person types as the second factor: a code of the authenticator app or, without it, a recovery code.
type Second struct{ Code, Recovery string }

// FinishSignIn signs a person in whose first factor was right: flow is the token that identity.SignIn returned then. A
// wrong code is Invalid, and counts; a flow that is dead, or was tried too often, is NotFound.
func (m *Module) FinishSignIn(ctx context.Context, flow string, in Second, d identity.Device) (s identity.Session, err error) {
	f, err := m.d.Identity.PeekFlow(ctx, identity.FlowSecond, flow)
	if err != nil {
		return s, err
	}
	ok, err := m.d.Identity.Throttle(ctx, f.Account, "login.create", func(tx *db.Tx) (bool, error) {
		if _, err := m.d.Identity.TryFlow(ctx, tx, identity.FlowSecond, flow); err != nil {
			return false, err
		}
		how, err := m.checkSecond(ctx, tx, f.Account, in)
		if err != nil || how == "" {
			return false, err
		}
		if _, err := m.d.Identity.TakeFlow(ctx, tx, identity.FlowSecond, flow); err != nil {
			return false, err
		}
		s, err = m.d.Identity.Enter(ctx, tx, f.Account, identity.Proof{Method: string(f.Data) + "+" + how, Strong: true}, d)
		return err == nil, err
	})
	switch {
	case err != nil || ok:
		return s, err
	case in.Recovery != "":
		return s, kernel.InvalidField("recovery", "This code does not work. Each recovery code works once.")
	}
	return s, errCode("code")
}

// checkSecond uses a code up and tells which kind it was; empty is a wrong one.
func (m *Module) checkSecond(ctx context.Context, tx *db.Tx, account kernel.AccountID, in Second) (how string, err error) {
	if in.Recovery == "" {
		ok, err := m.useCode(ctx, tx, account, in.Code)
		if ok {
			how = "totp"
		}
		return how, err
	}
	ok, err := useRecoveryCode(ctx, tx, account, in.Recovery)
	if err != nil || !ok {
		return "", err
	}
	var left int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM recovery_codes WHERE account_id = $1 AND used_at = 0`, account).Scan(&left); err != nil {
		return "", err
	}
	return "recovery", m.d.Identity.Notice(ctx, tx, account, "Recovery code used",
		fmt.Sprintf("Somebody signed in to your account with a recovery code. %d are left.", left))
}
