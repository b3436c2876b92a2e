package proof

import (
	"context"
	"errors"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const (
	flowEnrol = "totp_enrol" // a secret that is shown and not yet confirmed
	enrolTTL  = 15 * time.Minute
)

func errNoApp() error {
	return kernel.Errorf(kernel.Conflict, "There is no authenticator app on this account. Add one first.")
}

func errCode(field string) error {
	return kernel.InvalidField(field, "This code does not work. Codes change every 30 seconds and work once: enter the one that is shown now.")
}

// Enrolment is an authenticator app that is being added.
type Enrolment struct {
	Flow   string // goes along with the first code
	Secret []byte
	URI    string // what the QR code says
}

// StartApp makes a secret for the authenticator app of the person who asks. It counts for nothing before ConfirmApp.
func (m *Module) StartApp(ctx context.Context, by httpx.Actor) (e Enrolment, err error) {
	e.Secret = newTOTPSecret()
	e.URI = totpURI(m.issuer, by.Email, e.Secret)
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		enrolled, err := enrolledIn(ctx, tx, by.AccountID)
		if err != nil {
			return err
		}
		if enrolled {
			return errAppExists()
		}
		e.Flow, err = m.d.Identity.StartFlow(ctx, tx, identity.Flow{Kind: flowEnrol, Account: by.AccountID, Login: by.LoginID, Data: e.Secret}, enrolTTL)
		return err
	})
	return e, err
}

func errAppExists() error {
	return kernel.Errorf(kernel.Conflict, "There is an authenticator app on this account already. Remove it first to add another.")
}

// ConfirmApp adds the authenticator app once it has shown a right code. All other browsers are signed out, this one gets
// a new session, and the recovery codes are returned this once. After a wrong code e is what to show again.
func (m *Module) ConfirmApp(ctx context.Context, by httpx.Actor, flow, code string) (e Enrolment, codes []string, s identity.Session, err error) {
	wrong := false
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		f, err := m.d.Identity.TryFlow(ctx, tx, flowEnrol, flow)
		if err != nil {
			return err
		}
		if f.Account != by.AccountID || f.Login != by.LoginID {
			return errFlowGone()
		}
		e = Enrolment{Flow: flow, Secret: f.Data, URI: totpURI(m.issuer, by.Email, f.Data)}
		step, ok := matchTOTP(f.Data, tx.Now(), cleanDigits(code, totpDigits))
		if !ok {
			wrong = true
			return nil // the try counts
		}
		if _, err := m.d.Identity.TakeFlow(ctx, tx, flowEnrol, flow); err != nil {
			return err
		}
		codes, s, err = m.addApp(ctx, tx, by, f.Data, step)
		return err
	})
	if err == nil && wrong {
		err = errCode("code")
	}
	return e, codes, s, err
}

// errFlowGone is the answer to a step whose beginning is too old, used up, or somebody else's.
func errFlowGone() error {
	return kernel.Errorf(kernel.NotFound, "This took too long or was tried too often. Start again.")
}

func (m *Module) addApp(ctx context.Context, tx *db.Tx, by httpx.Actor, secret []byte, step int64) (codes []string, s identity.Session, err error) {
	sealed, err := m.d.Seal.Seal(secret, totpAAD(by.AccountID))
	if err != nil {
		return nil, s, err
	}
	n, err := tx.Exec(ctx, `INSERT INTO totp (account_id, sealed, last_step, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id) DO NOTHING`, by.AccountID, sealed, step, kernel.Micros(tx.Now()))
	if err != nil {
		return nil, s, err
	}
	if n == 0 {
		return nil, s, errAppExists()
	}
	if codes, err = replaceRecoveryCodes(ctx, tx, by.AccountID); err != nil {
		return nil, s, err
	}
	if s, err = m.securityChanged(ctx, tx, by, identity.Proof{Method: "totp", Strong: true}); err != nil {
		return nil, s, err
	}
	err = m.d.Identity.Notice(ctx, tx, by.AccountID, "Authenticator app added",
		"An authenticator app was added to your account. Signing in now asks for its code.")
	if err != nil {
		return nil, s, err
	}
	return codes, s, audit.Record(ctx, tx, audit.Event{Action: "totp.create", Target: "account:" + string(by.AccountID)})
}

// securityChanged signs out all other browsers and gives this one a new session, because what a login is worth has
// changed.
func (m *Module) securityChanged(ctx context.Context, tx *db.Tx, by httpx.Actor, p identity.Proof) (identity.Session, error) {
	if err := m.d.Identity.EndLogins(ctx, tx, by.AccountID, by.LoginID); err != nil {
		return identity.Session{}, err
	}
	return m.d.Identity.Renew(ctx, tx, by.LoginID, p)
}

func totpAAD(account kernel.AccountID) []byte { return []byte("totp/" + string(account)) }

// RemoveApp takes the authenticator app off the account of the person who asks, and the recovery codes with it.
func (m *Module) RemoveApp(ctx context.Context, by httpx.Actor) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM totp WHERE account_id = $1`, by.AccountID)
		if err != nil {
			return err
		}
		if n == 0 {
			return errNoApp()
		}
		if _, err := tx.Exec(ctx, `DELETE FROM recovery_codes WHERE account_id = $1`, by.AccountID); err != nil {
			return err
		}
		if err := m.d.Identity.EndLogins(ctx, tx, by.AccountID, by.LoginID); err != nil {
			return err
		}
		err = m.d.Identity.Notice(ctx, tx, by.AccountID, "Authenticator app removed",
			"The authenticator app was removed from your account. Signing in no longer asks for a code.")
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "totp.remove", Target: "account:" + string(by.AccountID)})
	})
}

// AppSince is when an account got its authenticator app; zero when it has none.
func (m *Module) AppSince(ctx context.Context, account kernel.AccountID) (time.Time, error) {
	var us int64
	err := m.db.QueryRow(ctx, `SELECT created_at FROM totp WHERE account_id = $1`, account).Scan(&us)
	if errors.Is(err, db.ErrNoRows) {
		return time.Time{}, nil
	}
	return kernel.FromMicros(us), err
}

// Enrolled tells whether signing in to an account asks for a code.
func (m *Module) Enrolled(ctx context.Context, account kernel.AccountID) (bool, error) {
	at, err := m.AppSince(ctx, account)
	return !at.IsZero(), err
}

func enrolledIn(ctx context.Context, tx *db.Tx, account kernel.AccountID) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM totp WHERE account_id = $1`, account).Scan(&n)
	return n > 0, err
}

// useCode checks a code of an account's authenticator app and uses its time step up: of two requests with one code, one
// gets it, and somebody who has looked over a shoulder gets nothing.
func (m *Module) useCode(ctx context.Context, tx *db.Tx, account kernel.AccountID, typed string) (bool, error) {
	code := cleanDigits(typed, totpDigits)
	var sealed []byte
	err := tx.QueryRow(ctx, `SELECT sealed FROM totp WHERE account_id = $1`, account).Scan(&sealed)
	if errors.Is(err, db.ErrNoRows) || err == nil && code == "" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	secret, err := m.d.Seal.Open(sealed, totpAAD(account))
	if err != nil {
		return false, err
	}
	step, ok := matchTOTP(secret, tx.Now(), code)
	if !ok {
		return false, nil
	}
	n, err := tx.Exec(ctx, `UPDATE totp SET last_step = $2 WHERE account_id = $1 AND last_step < $2`, account, step)
	return n == 1, err
}
