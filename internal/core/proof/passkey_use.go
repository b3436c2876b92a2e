package proof

import (
	"context"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const (
	flowPasskeySignIn = "passkey_sign_in"
	flowPasskeyProve  = "passkey_prove"
)

// errPasskey is the one answer to a passkey that is unknown, removed, or did not verify the person.
func errPasskey(cause error) error {
	return kernel.Wrap(cause, kernel.Invalid, "This passkey does not sign in here. It may have been removed from the account, or it did not verify that it is you.")
}

// BeginPasskeySignIn starts a sign-in with a passkey. Nobody says who he is: the passkey does.
func (m *Module) BeginPasskeySignIn(ctx context.Context) (c Challenge, err error) {
	if m.party == nil {
		return c, m.errNoPasskeys()
	}
	assertion, session, err := m.party.BeginDiscoverableLogin()
	if err != nil {
		return c, detailed(err)
	}
	c.PublicKey = assertion.Response
	c.Flow, err = m.startCeremony(ctx, flowPasskeySignIn, httpx.Actor{}, session)
	return c, err
}

// FinishPasskeySignIn signs in whom the passkey belongs to.
func (m *Module) FinishPasskeySignIn(ctx context.Context, flow string, answer []byte, d identity.Device) (s identity.Session, err error) {
	if m.party == nil {
		return s, m.errNoPasskeys()
	}
	parsed, err := parseAssertion(answer)
	if err != nil {
		return s, err
	}
	session, err := m.takeCeremony(ctx, flowPasskeySignIn, flow, httpx.Actor{})
	if err != nil {
		return s, err
	}
	var h *holder
	find := func(_, handle []byte) (webauthn.User, error) {
		h, err = m.holderByHandle(ctx, handle)
		if err != nil {
			return nil, err
		}
		return h, nil
	}
	_, c, err := m.party.ValidatePasskeyLogin(find, session, parsed)
	if err != nil {
		return s, m.refused(ctx, h, "login.create", err)
	}
	err = m.used(ctx, h, c, func(tx *db.Tx) error {
		s, err = m.d.Identity.Enter(ctx, tx, h.account, identity.Proof{Method: "passkey", Strong: true}, d)
		return err
	})
	return s, err
}

func (m *Module) holderByHandle(ctx context.Context, handle []byte) (*holder, error) {
	var account kernel.AccountID
	err := m.db.QueryRow(ctx, `SELECT account_id FROM passkey_users WHERE handle = $1`, handle).Scan(&account)
	if err != nil {
		return nil, err
	}
	return m.holderOf(ctx, account)
}

// BeginPasskeyProof starts a fresh proof of the person who asks.
func (m *Module) BeginPasskeyProof(ctx context.Context, by httpx.Actor) (c Challenge, err error) {
	if m.party == nil {
		return c, m.errNoPasskeys()
	}
	h, err := m.holderOf(ctx, by.AccountID)
	if err != nil {
		return c, err
	}
	if len(h.credentials) == 0 {
		return c, kernel.Errorf(kernel.Conflict, "There is no passkey on this account.")
	}
	assertion, session, err := m.party.BeginLogin(h)
	if err != nil {
		return c, detailed(err)
	}
	c.PublicKey = assertion.Response
	c.Flow, err = m.startCeremony(ctx, flowPasskeyProve, by, session)
	return c, err
}

// ProveByPasskey notes a fresh proof by a passkey.
func (m *Module) ProveByPasskey(ctx context.Context, by httpx.Actor, flow string, answer []byte) (s identity.Session, err error) {
	if m.party == nil {
		return s, m.errNoPasskeys()
	}
	parsed, err := parseAssertion(answer)
	if err != nil {
		return s, err
	}
	session, err := m.takeCeremony(ctx, flowPasskeyProve, flow, by)
	if err != nil {
		return s, err
	}
	h, err := m.holderOf(ctx, by.AccountID)
	if err != nil {
		return s, err
	}
	c, err := m.party.ValidateLogin(h, session, parsed)
	if err != nil {
		return s, m.refused(ctx, h, actProve, err)
	}
	err = m.used(ctx, h, c, func(tx *db.Tx) error {
		s, err = m.d.Identity.Renew(ctx, tx, by.LoginID, identity.Proof{Method: "passkey", Strong: true})
		return err
	})
	return s, err
}

// refused records that an answer was not right, where it is known whose it should have been. A database that fails is no
// wrong answer.
func (m *Module) refused(ctx context.Context, h *holder, action string, cause error) error {
	var e *protocol.Error
	var unknown *protocol.ErrorUnknownCredential
	if !errors.As(cause, &e) && !errors.As(cause, &unknown) {
		return cause
	}
	if h == nil {
		if e != nil && e.Err != nil && !errors.Is(e.Err, db.ErrNoRows) && kernel.CodeOf(e.Err) == kernel.Internal {
			return e.Err
		}
		return errPasskey(detailed(cause))
	}
	err := m.db.Tx(ctx, func(tx *db.Tx) error {
		return audit.Record(ctx, tx, audit.Event{Actor: h.actor(), Action: action, Target: "account:" + string(h.account), Detail: "passkey", Result: audit.Denied})
	})
	if err != nil {
		return err
	}
	return errPasskey(detailed(cause))
}

func (h *holder) actor() audit.Actor {
	return audit.Actor{Kind: "account", ID: h.account, Label: h.email}
}

// used notes a passkey's use, and does in the same transaction what it is good for. A passkey whose counter does not go
// up has a copy somewhere: it is refused, and the person is told. Synchronised passkeys do not count and stay at zero.
func (m *Module) used(ctx context.Context, h *holder, c *webauthn.Credential, then func(*db.Tx) error) error {
	if c.Authenticator.CloneWarning {
		return m.copied(ctx, h)
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE passkeys SET sign_count = $3, flags = $4, last_used_at = $5
			WHERE credential_id = $1 AND account_id = $2 AND (sign_count < $3 OR sign_count = 0 AND $3 = 0)`,
			c.ID, h.account, int64(c.Authenticator.SignCount), int64(c.Flags.ProtocolValue()), kernel.Micros(tx.Now()))
		if err != nil {
			return err
		}
		if n == 0 { // removed, or used, since it was read
			return errPasskey(nil)
		}
		return then(tx)
	})
}

func (m *Module) copied(ctx context.Context, h *holder) error {
	err := m.db.Tx(ctx, func(tx *db.Tx) error {
		err := m.d.Identity.Notice(ctx, tx, h.account, "A passkey may have been copied",
			"Somebody used one of your passkeys, and its counter shows that there may be a copy of it. We did not let it in. Remove that passkey and add a new one.")
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Actor: h.actor(), Action: "passkey.clone_warning", Target: "account:" + string(h.account), Result: audit.Denied})
	})
	if err != nil {
		return err
	}
	return errPasskey(nil)
}
