package proof

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const (
	flowPasskeyNew = "passkey_new"
	ceremonyTTL    = 10 * time.Minute // from a challenge to its answer
)

// BeginPasskey starts adding a passkey to the account of the person who asks.
func (m *Module) BeginPasskey(ctx context.Context, by httpx.Actor) (c Challenge, err error) {
	if m.party == nil {
		return c, m.errNoPasskeys()
	}
	if err := m.ensureHandle(ctx, by.AccountID); err != nil {
		return c, err
	}
	h, err := m.holderOf(ctx, by.AccountID)
	if err != nil {
		return c, err
	}
	if len(h.credentials) >= maxPasskeys {
		return c, kernel.Errorf(kernel.Conflict, "There are %d passkeys on this account already. Remove one first.", maxPasskeys)
	}
	creation, session, err := m.party.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.credentials).CredentialDescriptors()))
	if err != nil {
		return c, detailed(err)
	}
	c.PublicKey = creation.Response
	c.Flow, err = m.startCeremony(ctx, flowPasskeyNew, by, session)
	return c, err
}

// ensureHandle gives an account its handle: it is made with the first passkey and never changes.
func (m *Module) ensureHandle(ctx context.Context, account kernel.AccountID) error {
	handle := make([]byte, 64)
	rand.Read(handle)
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO passkey_users (account_id, handle) VALUES ($1, $2) ON CONFLICT (account_id) DO NOTHING`, account, handle)
		return err
	})
}

// startCeremony keeps what the answer to a challenge is compared with. by is zero where nobody is signed in.
func (m *Module) startCeremony(ctx context.Context, kind string, by httpx.Actor, session *webauthn.SessionData) (flow string, err error) {
	data, err := json.Marshal(session)
	if err != nil {
		return "", err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		flow, err = m.d.Identity.StartFlow(ctx, tx, identity.Flow{Kind: kind, Account: by.AccountID, Login: by.LoginID, Data: data}, ceremonyTTL)
		return err
	})
	return flow, err
}

// takeCeremony uses a challenge up, before its answer is looked at: no challenge is answered twice, not even wrongly.
func (m *Module) takeCeremony(ctx context.Context, kind, flow string, by httpx.Actor) (s webauthn.SessionData, err error) {
	var f identity.Flow
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		f, err = m.d.Identity.TakeFlow(ctx, tx, kind, flow)
		return err
	})
	if err != nil {
		return s, err
	}
	if f.Account != by.AccountID || f.Login != by.LoginID {
		return s, errFlowGone()
	}
	return readSession(f.Data)
}

// FinishPasskey adds the passkey that answered the challenge. The login that it was added in is renewed.
func (m *Module) FinishPasskey(ctx context.Context, by httpx.Actor, flow, name string, answer []byte) (p Passkey, s identity.Session, err error) {
	if m.party == nil {
		return p, s, m.errNoPasskeys()
	}
	if name, err = kernel.CleanName("name", name, maxName); err != nil {
		return p, s, err
	}
	parsed, err := parseAttestation(answer)
	if err != nil {
		return p, s, err
	}
	session, err := m.takeCeremony(ctx, flowPasskeyNew, flow, by)
	if err != nil {
		return p, s, err
	}
	h, err := m.holderOf(ctx, by.AccountID)
	if err != nil {
		return p, s, err
	}
	c, err := m.party.CreateCredential(h, session, parsed)
	if err != nil {
		return p, s, kernel.Wrap(detailed(err), kernel.Invalid, "The passkey did not verify that it is you. Try again, or use another device.")
	}
	if name == "" {
		name = fmt.Sprintf("Passkey %d", len(h.credentials)+1)
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if p, err = m.insertPasskey(ctx, tx, by.AccountID, name, c); err != nil {
			return err
		}
		if s, err = m.d.Identity.Renew(ctx, tx, by.LoginID, identity.Proof{Method: "passkey", Strong: true}); err != nil {
			return err
		}
		if err := m.d.Identity.Notice(ctx, tx, by.AccountID, "Passkey added", "A passkey was added to your account. It can sign in without your password."); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "passkey.create", Target: "passkey:" + string(p.ID)})
	})
	return p, s, err
}

func (m *Module) insertPasskey(ctx context.Context, tx *db.Tx, account kernel.AccountID, name string, c *webauthn.Credential) (Passkey, error) {
	var transports []string
	for _, t := range c.Transport {
		transports = append(transports, string(t))
	}
	p := Passkey{ID: kernel.NewID(tx.Now()), Name: name, Synced: c.Flags.BackupEligible, CreatedAt: tx.Now()}
	n, err := tx.Exec(ctx, `INSERT INTO passkeys (id, account_id, credential_id, public_key, name, aaguid, transports, flags, sign_count, created_at, last_used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0) ON CONFLICT (credential_id) DO NOTHING`, p.ID, account, c.ID, c.PublicKey, p.Name,
		orEmpty(c.Authenticator.AAGUID), clip(strings.Join(transports, " "), 100), int64(c.Flags.ProtocolValue()), int64(c.Authenticator.SignCount), kernel.Micros(p.CreatedAt))
	if err == nil && n == 0 {
		err = kernel.Errorf(kernel.Conflict, "This passkey is known here already.")
	}
	return p, err
}

func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// clip keeps what a browser says about itself to plain words of bounded length.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, s)
	return s[:min(n, len(s))]
}
