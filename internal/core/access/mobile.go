package access

import (
	"context"
	"errors"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/proof"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// AccessTTL is how long a mobile app's access token works (promise SEC-7).
const AccessTTL = 10 * time.Minute

// mobileScopes are what a mobile app may do: all that the person may.
func mobileScopes() []string { return []string{ScopeRead, ScopeWrite, ScopeAccount} }

// Pair is the tokens of a mobile app. The access token goes with each request; the refresh token buys the next pair, and
// works once.
type Pair struct {
	Access    string
	AccessEnd time.Time
	Refresh   string
}

// SecondStep finishes a sign-in for which the second factor was asked; *proof.Module is one.
type SecondStep interface {
	FinishSignIn(ctx context.Context, flow string, in proof.Second, d identity.Device) (identity.Session, error)
}

// MobileSignIn is what a mobile app sends: address and password, or, after those, the flow with a code.
type MobileSignIn struct {
	Email, Password      string
	Flow, Code, Recovery string
	Device               identity.Device
}

// SignInMobile signs an app in. For a person with a second factor the first call answers with the flow alone, and a
// second one sends it together with the code. All tokens of one sign-in are a family, and the family is a login: it
// stands in the person's list of logins, and whoever ends it there ends the app's access.
func (m *Module) SignInMobile(ctx context.Context, in MobileSignIn) (p Pair, flow string, err error) {
	in.Device.Kind, in.Device.Token = identity.KindMobile, ""
	var s identity.Session
	if in.Flow != "" {
		if m.second == nil {
			return p, "", kernel.Errorf(kernel.NotFound, "This took too long, or it was used already. Start again.")
		}
		s, err = m.second.FinishSignIn(ctx, in.Flow, proof.Second{Code: in.Code, Recovery: in.Recovery}, in.Device)
	} else {
		var step identity.Step
		step, err = m.d.Identity.SignIn(ctx, identity.SignIn{Email: in.Email, Password: in.Password, Device: in.Device})
		if err == nil && step.Session == nil {
			return p, step.Second, nil
		}
		if err == nil {
			s = *step.Session
		}
	}
	if err != nil {
		return p, "", err
	}
	if s.ID == "" { // there is no login before the age is known
		return p, "", kernel.Errorf(kernel.Forbidden, "Sign in once at %s first: your age is asked there.", m.d.BaseURL)
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		p, err = issuePair(ctx, tx, s.ID)
		return err
	})
	return p, "", err
}

// issuePair makes the next tokens of a family.
func issuePair(ctx context.Context, tx *db.Tx, login kernel.ID) (p Pair, err error) {
	access, accessHash := newSecret(accessPrefix)
	refresh, refreshHash := newSecret(refreshPrefix)
	p = Pair{Access: access, AccessEnd: tx.Now().Add(AccessTTL), Refresh: refresh}
	_, err = tx.Exec(ctx, `INSERT INTO mobile_tokens (refresh_hash, login_id, access_hash, access_until, used_at, created_at)
		VALUES ($1, $2, $3, $4, 0, $5)`, refreshHash[:], login, accessHash[:], kernel.Micros(p.AccessEnd), kernel.Micros(tx.Now()))
	return p, err
}

func errDeadRefresh() error {
	return kernel.Errorf(kernel.Unauthenticated, "This refresh token works no more. Sign in again.")
}

// RefreshMobile exchanges a refresh token for the next pair. A token that was used before has two holders, one of whom
// stole it, and nobody can tell which: the whole family ends, and the person is told. There is no time of grace in which
// a used one would still do, for a thief would be just as quick.
func (m *Module) RefreshMobile(ctx context.Context, refresh string) (p Pair, err error) {
	if !looksLike(refreshPrefix, refresh) {
		return p, errDeadRefresh()
	}
	hash := hashOf(refresh)
	login, err := m.familyOf(ctx, hash)
	if err != nil {
		return p, err
	}
	reused := false
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE mobile_tokens SET used_at = $2 WHERE refresh_hash = $1 AND used_at = 0`, hash[:], kernel.Micros(tx.Now()))
		if reused = n == 0; err != nil || reused {
			return err
		}
		p, err = issuePair(ctx, tx, login.ID)
		return err
	})
	if err != nil {
		return Pair{}, err
	}
	if reused {
		return Pair{}, m.endFamily(ctx, login)
	}
	m.seenLogins.note(login.ID, m.d.Clock())
	return p, nil
}

// familyOf is the living login that a refresh token belongs to, used or not.
func (m *Module) familyOf(ctx context.Context, hash [32]byte) (identity.Login, error) {
	var id kernel.ID
	err := m.db.QueryRow(ctx, `SELECT login_id FROM mobile_tokens WHERE refresh_hash = $1`, hash[:]).Scan(&id)
	if errors.Is(err, db.ErrNoRows) {
		return identity.Login{}, errDeadRefresh()
	}
	if err != nil {
		return identity.Login{}, err
	}
	login, ok, err := m.d.Identity.LoginByID(ctx, id)
	if err == nil && !ok {
		err = errDeadRefresh()
	}
	return login, err
}

// endFamily ends the login of which a refresh token came twice. Its tokens go with it, by the schema.
func (m *Module) endFamily(ctx context.Context, login identity.Login) error {
	err := m.d.Identity.EndLogin(ctx, httpx.Actor{AccountID: login.AccountID}, login.ID)
	if kernel.CodeOf(err) == kernel.NotFound { // somebody was quicker
		return errDeadRefresh()
	}
	if err != nil {
		return err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := m.d.Identity.Notice(ctx, tx, login.AccountID, "An app was signed out",
			"Somebody tried to use an old key of one of your apps again. It may have been copied, so the app is signed out. "+
				"If you did not restore it from a backup just now, change your password."); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Actor: audit.Actor{Kind: "account", ID: login.AccountID, Label: login.Email}, Action: "mobile.reuse",
			Target: "login:" + string(login.ID), Result: audit.Denied})
	})
	if err != nil {
		return err
	}
	return errDeadRefresh()
}

// mobileByHash finds whose access token it is. The login's end is the token's end, too.
func (m *Module) mobileByHash(ctx context.Context, hash [32]byte) (b bearer, err error) {
	var until int64
	err = m.db.QueryRow(ctx, `SELECT login_id, access_until FROM mobile_tokens WHERE access_hash = $1`, hash[:]).Scan(&b.login, &until)
	if errors.Is(err, db.ErrNoRows) {
		return b, errWrongBearer()
	}
	if err != nil {
		return b, err
	}
	login, ok, err := m.d.Identity.LoginByID(ctx, b.login)
	if err == nil && !ok {
		err = errWrongBearer()
	}
	if err != nil {
		return b, err
	}
	b.id, b.account, b.email, b.strong, b.scopes = login.ID, login.AccountID, login.Email, login.Strong, mobileScopes()
	if b.until = kernel.FromMicros(until); login.ExpiresAt.Before(b.until) {
		b.until = login.ExpiresAt
	}
	return b, nil
}
