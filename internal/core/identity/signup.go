package identity

import (
	"context"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// RequestSignUp mails a link to an address, with which its owner makes an account; or, when the address has one, a mail
// that says so. Both look the same from here.
func (m *Module) RequestSignUp(ctx context.Context, email, next string) error {
	if m.d.ClosedSignUp {
		return kernel.Errorf(kernel.Forbidden, "Nobody can sign up on this server. Ask the person who runs it for an account.")
	}
	addr, err := ParseAddress(email)
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		a, found, err := byKeyIn(ctx, tx, addr.Key)
		if err != nil {
			return err
		}
		allowed, err := mailAllowed(ctx, tx, addr.Key)
		if err != nil {
			return err
		}
		t := token{purpose: forSignUp, email: addr.Typed, next: localPath(next)}
		if found {
			t.purpose, t.email = forNobody, ""
		}
		secret, err := issue(ctx, tx, t, signUpTTL)
		if err != nil {
			return err
		}
		out := mail.Mail{Type: mailSignUp, To: addr.Typed, Content: m.signUpContent(secret), Void: !allowed}
		if found {
			out = mail.Mail{Type: mailSignUpKnown, To: a.Email, AccountID: a.ID, Content: m.signUpKnownContent(), Void: !allowed}
		}
		if err := m.d.Mail.Send(ctx, tx, out); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "account.sign_up"})
	})
}

// SignUpAddress is the address that a mailed sign-up link belongs to. It does not use the link up.
func (m *Module) SignUpAddress(ctx context.Context, secret string) (string, error) {
	t, err := m.peek(ctx, forSignUp, secret)
	return t.email, err
}

// FinishSignUp is what the person fills in behind the link.
type FinishSignUp struct {
	Secret, Name, Password string
	Born                   string // date of birth, "2001-02-03", where there is a minimum age
	Device                 Device
}

// FinishSignUp uses the link up, makes the account, verified, and signs it in. next is where the person wanted to go.
// A password that is refused leaves the link as it is; somebody who is too young uses it up and leaves nothing.
func (m *Module) FinishSignUp(ctx context.Context, in FinishSignUp) (s Session, next string, err error) {
	t, err := m.peek(ctx, forSignUp, in.Secret)
	if err != nil {
		return s, "", err
	}
	addr, err := ParseAddress(t.email)
	if err != nil {
		return s, "", err
	}
	name, err := kernel.CleanName("name", in.Name, maxName)
	if err != nil {
		return s, "", err
	}
	if err := checkPassword("password", in.Password, addr); err != nil {
		return s, "", err
	}
	if err := m.checkBirth(in.Born); err != nil {
		return s, "", m.turnAway(ctx, in.Secret, err)
	}
	hash, err := m.hasher.hash(ctx, in.Password)
	if err != nil {
		return s, "", err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := consume(ctx, tx, forSignUp, in.Secret); err != nil {
			return err
		}
		a, err := m.insertAccount(ctx, tx, addr, name, hash)
		if err != nil {
			return err
		}
		s, err = m.welcomeNew(ctx, tx, a, Proof{Method: "sign-up"}, in.Device)
		return err
	})
	return s, t.next, err
}

// turnAway uses the link of somebody who is too young up. why passes.
func (m *Module) turnAway(ctx context.Context, secret string, why error) error {
	if !TooYoung(why) {
		return why
	}
	err := m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := consume(ctx, tx, forSignUp, secret)
		return err
	})
	if err != nil {
		return err
	}
	return why
}

// welcomeNew signs a new account in for the first time.
func (m *Module) welcomeNew(ctx context.Context, tx *db.Tx, a Account, p Proof, d Device) (Session, error) {
	if err := m.inferLocation(ctx, tx, a, d.IP); err != nil {
		return Session{}, err
	}
	s, err := m.begin(ctx, tx, a, p, d)
	if err != nil {
		return s, err
	}
	if _, err := m.noteDevice(ctx, tx, a, s.Login); err != nil { // of the first one there is nothing to tell
		return s, err
	}
	return s, audit.Record(ctx, tx, audit.Event{Actor: a.actor(), Action: "account.create", Target: a.target(), Detail: p.Method})
}

// localPath is a path on this server to go to afterwards, or empty.
func localPath(next string) string {
	if next = httpx.SafeNext(next); next == "/" || len(next) > 2000 {
		return ""
	}
	return next
}
