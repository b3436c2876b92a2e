package proof

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"math/big"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const (
	flowMail   = "prove_mail" // a code that was mailed
	mailTTL    = 10 * time.Minute
	mailDigits = 8
	actProve   = "identity.prove"
)

// means is how a person can prove anew who he is.
type means struct {
	Password, Passkey, Code bool
}

// Mail tells whether a mailed code is the way: only for somebody who has nothing stronger.
func (v means) Mail() bool { return !v.Password && !v.Passkey && !v.Code }

func (m *Module) meansOf(ctx context.Context, account kernel.AccountID) (v means, err error) {
	a, err := m.d.Identity.Account(ctx, account)
	if err != nil {
		return v, err
	}
	v.Password = a.HasPassword()
	if v.Code, err = m.Enrolled(ctx, account); err != nil {
		return v, err
	}
	if m.PasskeysAvailable() {
		var n int
		err = m.db.QueryRow(ctx, `SELECT count(*) FROM passkeys WHERE account_id = $1`, account).Scan(&n)
		v.Passkey = n > 0
	}
	return v, err
}

// ProveByPassword notes a fresh proof of the person who asks. Where there is an authenticator app its code is asked as well:
// a password that somebody has found out must not be enough to take the app off.
func (m *Module) ProveByPassword(ctx context.Context, by httpx.Actor, password, code string) (s identity.Session, err error) {
	enrolled, err := m.Enrolled(ctx, by.AccountID)
	if err != nil {
		return s, err
	}
	if err := m.d.Identity.CheckPassword(ctx, by, "password", password); err != nil {
		return s, err
	}
	if enrolled {
		return m.proveByCode(ctx, by, code, "password+totp")
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		// An app that was added since then is asked for.
		enrolled, err := enrolledIn(ctx, tx, by.AccountID)
		if err == nil && enrolled {
			err = errCode("code")
		}
		if err != nil {
			return err
		}
		s, err = m.d.Identity.Renew(ctx, tx, by.LoginID, identity.Proof{Method: "password"})
		return err
	})
	return s, err
}

// ProveByCode notes a fresh proof by a code of the authenticator app, of somebody who has no password.
func (m *Module) ProveByCode(ctx context.Context, by httpx.Actor, code string) (s identity.Session, err error) {
	a, err := m.d.Identity.Account(ctx, by.AccountID)
	if err != nil {
		return s, err
	}
	if a.HasPassword() {
		return s, kernel.Errorf(kernel.Conflict, "Enter your password and the code.")
	}
	return m.proveByCode(ctx, by, code, "totp")
}

// proveByCode uses a code up and notes the proof: with whatever began the login these are two factors.
func (m *Module) proveByCode(ctx context.Context, by httpx.Actor, code, method string) (s identity.Session, err error) {
	ok, err := m.d.Identity.Throttle(ctx, by.AccountID, actProve, func(tx *db.Tx) (bool, error) {
		ok, err := m.useCode(ctx, tx, by.AccountID, code)
		if err != nil || !ok {
			return false, err
		}
		s, err = m.d.Identity.Renew(ctx, tx, by.LoginID, identity.Proof{Method: method, Strong: true})
		return err == nil, err
	})
	if err == nil && !ok {
		err = errCode("code")
	}
	return s, err
}

// SendProofCode mails the person who asks a code, when there is no stronger way. The returned token goes along with it.
func (m *Module) SendProofCode(ctx context.Context, by httpx.Actor) (flow string, err error) {
	v, err := m.meansOf(ctx, by.AccountID)
	if err != nil {
		return "", err
	}
	if !v.Mail() {
		return "", kernel.Errorf(kernel.Conflict, "Use your password, a passkey or your authenticator app: they prove more than a mailed code.")
	}
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return "", err
	}
	code := fmt.Sprintf("%0*d", mailDigits, n)
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if flow, err = m.d.Identity.StartFlow(ctx, tx, identity.Flow{Kind: flowMail, Account: by.AccountID, Login: by.LoginID, Data: []byte(code)}, mailTTL); err != nil {
			return err
		}
		if err := m.d.Identity.SendCode(ctx, tx, by.AccountID, code, mailTTL); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "identity.prove_mail", Target: "account:" + string(by.AccountID)})
	})
	return flow, err
}

// ProveByMail notes a fresh proof by a mailed code.
func (m *Module) ProveByMail(ctx context.Context, by httpx.Actor, flow, code string) (s identity.Session, err error) {
	ok, err := m.d.Identity.Throttle(ctx, by.AccountID, actProve, func(tx *db.Tx) (bool, error) {
		f, err := m.d.Identity.TryFlow(ctx, tx, flowMail, flow)
		if err != nil {
			return false, err
		}
		if f.Account != by.AccountID || f.Login != by.LoginID {
			return false, errFlowGone()
		}
		if subtle.ConstantTimeCompare(f.Data, []byte(cleanDigits(code, mailDigits))) != 1 {
			return false, nil
		}
		if _, err := m.d.Identity.TakeFlow(ctx, tx, flowMail, flow); err != nil {
			return false, err
		}
		s, err = m.d.Identity.Renew(ctx, tx, by.LoginID, identity.Proof{Method: "mail"})
		return err == nil, err
	})
	if err == nil && !ok {
		err = kernel.InvalidField("code", "This is not the code of the mail.")
	}
	return s, err
}
