package identity

import (
	"context"
	"net/netip"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// SignIn is what a person types, and from where.
type SignIn struct {
	Email, Password string
	Device          Device
}

// errNoMatch is the one answer to a wrong password, an unknown address and an account that cannot sign in.
func errNoMatch() error {
	return &kernel.Error{Code: kernel.Invalid, Safe: "Address and password do not match. If you have no password here yet, reset it by mail."}
}

// Step is where a sign-in stands: signed in, or waiting for the second factor.
type Step struct {
	Session *Session // nil: the second factor is asked
	Second  string   // the token of the flow of kind FlowSecond, then
}

// secondTTL is how long a person may look for the second factor.
const secondTTL = 10 * time.Minute

// SignIn checks address and password and begins a login, or, where the person has a second factor, a flow that waits for
// it.
func (m *Module) SignIn(ctx context.Context, in SignIn) (Step, error) {
	addr, err := ParseAddress(in.Email)
	if err != nil {
		return Step{}, err
	}
	if in.Password == "" {
		return Step{}, kernel.InvalidField("password", "Enter your password.")
	}
	if len(in.Password) > 4*MaxPassword { // no account has such a one, and hashing it costs
		return Step{}, errNoMatch()
	}
	failure := audit.Event{Action: "login.create", IP: in.Device.IP}
	p, err := m.prove(ctx, attempt{key: addr.Key, ip: parseIP(in.Device.IP)}, in.Password, failure)
	if err != nil {
		return Step{}, err
	}
	if !p.match {
		return Step{}, errNoMatch()
	}
	return m.welcome(ctx, p, in)
}

func parseIP(s string) netip.Addr {
	ip, _ := netip.ParseAddr(s) // the zero address is a network like any other
	return ip
}

// proof is the outcome of comparing a password.
type proof struct {
	attempt
	account Account // zero when the address is unknown
	match   bool
	stale   bool // the hash should be made anew
}

// prove compares a password with that of an address. It holds its place at the gate from the throttle's question until
// the failure, if it is one, has been counted, so that many guesses at once do not all ask before the first has failed.
// Known and unknown addresses take the same steps. failure is what the audit log gets to read then.
func (m *Module) prove(ctx context.Context, a attempt, password string, failure audit.Event) (p proof, err error) {
	leave, err := m.hasher.enter(ctx)
	if err != nil {
		return p, err
	}
	defer leave()
	if err := m.allow(ctx, m.db, a); err != nil {
		return p, err
	}
	p.attempt = a
	if p.account, _, err = m.byKey(ctx, a.key); err != nil {
		return p, err
	}
	p.match, p.stale, err = m.hasher.check(password, p.account.passwordHash)
	p.match = p.match && !p.account.VerifiedAt.IsZero()
	if err == nil && !p.match {
		err = m.countFailure(ctx, p, failure)
	}
	return p, err
}

func (m *Module) countFailure(ctx context.Context, p proof, e audit.Event) error {
	e.Result = audit.Denied
	if p.account.ID != "" {
		e.Target = p.account.target()
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := failed(ctx, tx, p.attempt); err != nil {
			return err
		}
		return audit.Record(ctx, tx, e)
	})
}

// welcome begins the login, or asks for the second factor. A hash of an older cost is replaced while the password is at
// hand.
func (m *Module) welcome(ctx context.Context, p proof, in SignIn) (step Step, err error) {
	fresh := ""
	if p.stale {
		if fresh, err = m.hasher.hash(ctx, in.Password); err != nil {
			return step, err
		}
	}
	enrolled, err := m.enrolled(ctx, p.account.ID)
	if err != nil {
		return step, err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		// The account is read again: a password that was changed meanwhile must not let the old one in.
		a, err := accountIn(ctx, tx, p.account.ID)
		if err != nil || a.passwordHash != p.account.passwordHash {
			return errNoMatch()
		}
		if fresh != "" {
			if _, err := tx.Exec(ctx, `UPDATE accounts SET password_hash = $2 WHERE id = $1`, a.ID, fresh); err != nil {
				return err
			}
		}
		if !enrolled { // else the failures stand until the second factor is right, or its codes could be guessed for ever
			if err := succeeded(ctx, tx, p.attempt); err != nil {
				return err
			}
		}
		step, err = m.proceed(ctx, tx, a, "password", in.Device, enrolled)
		return err
	})
	return step, err
}

// enrolled tells whether the account has a second factor.
func (m *Module) enrolled(ctx context.Context, a kernel.AccountID) (bool, error) {
	if m.second == nil {
		return false, nil
	}
	return m.second.Enrolled(ctx, a)
}

// proceed goes on after a first factor that was right.
func (m *Module) proceed(ctx context.Context, tx *db.Tx, a Account, method string, d Device, enrolled bool) (step Step, err error) {
	if enrolled {
		step.Second, err = m.StartFlow(ctx, tx, Flow{Kind: FlowSecond, Account: a.ID, Data: []byte(method)}, secondTTL)
		return step, err
	}
	s, err := m.enterAs(ctx, tx, a, Proof{Method: method}, d)
	return Step{Session: &s}, err
}

func (m *Module) recordLogin(ctx context.Context, tx *db.Tx, a Account, s Session) error {
	return audit.Record(ctx, tx, audit.Event{Actor: a.actor(), Action: "login.create", Target: "login:" + string(s.ID), Detail: s.Method, IP: s.IP})
}

// CreateOneTimeLink makes an address at which an account can sign in once, within ttl, without a password. Whoever has
// it is that person: print it to the person's own terminal, or mail it.
func (m *Module) CreateOneTimeLink(ctx context.Context, account kernel.AccountID, next string, ttl time.Duration) (link string, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		a, err := accountIn(ctx, tx, account)
		if err != nil {
			return err
		}
		secret, err := issue(ctx, tx, token{purpose: forLink, account: a.ID, email: a.Email, next: localPath(next)}, ttl)
		if err != nil {
			return err
		}
		link = m.url(pathLink, secret)
		return audit.Record(ctx, tx, audit.Event{Actor: audit.System, Action: "link.create", Target: a.target()})
	})
	return link, err
}

// LinkAddress is whom a one-time link signs in. It does not use the link up.
func (m *Module) LinkAddress(ctx context.Context, secret string) (string, error) {
	t, err := m.peek(ctx, forLink, secret)
	return t.email, err
}

// SignInByLink uses a one-time link up and begins a login, or asks for the second factor. next is where the link leads.
func (m *Module) SignInByLink(ctx context.Context, secret string, d Device) (step Step, next string, err error) {
	t, err := m.peek(ctx, forLink, secret)
	if err != nil {
		return step, "", err
	}
	enrolled, err := m.enrolled(ctx, t.account)
	if err != nil {
		return step, "", err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		t, err := consume(ctx, tx, forLink, secret)
		if err != nil {
			return err
		}
		a, err := accountIn(ctx, tx, t.account)
		if err != nil {
			return err
		}
		next = t.next
		step, err = m.proceed(ctx, tx, a, "link", d, enrolled)
		return err
	})
	return step, next, err
}
