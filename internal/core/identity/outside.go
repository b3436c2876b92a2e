package identity

import (
	"context"
	"net/http"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/ui"
)

// Offerer is one of the Ways that has something to offer on the sign-in page: links, each of which begins a sign-in. next
// is where the person wants to go.
type Offerer interface {
	SignInOffers(next string) []ui.Link
}

// offers are what the siblings offer on the sign-in page.
func (m *Module) offers(next string) (out []ui.Link) {
	for _, w := range m.ways {
		if o, ok := w.(Offerer); ok {
			out = append(out, o.SignInOffers(next)...)
		}
	}
	return out
}

// NeedsSecond tells whether a second factor is asked of an account after the first. Ask before the transaction of
// Proceed.
func (m *Module) NeedsSecond(ctx context.Context, account kernel.AccountID) (bool, error) {
	return m.enrolled(ctx, account)
}

// Proceed signs a person in whose first factor was right, or begins the flow that waits for the second, as NeedsSecond
// said. Hand the step to GoOn once the transaction is committed.
func (m *Module) Proceed(ctx context.Context, tx *db.Tx, account kernel.AccountID, method string, d Device, second bool) (Step, error) {
	a, err := accountIn(ctx, tx, account)
	if err != nil {
		return Step{}, err
	}
	return m.proceed(ctx, tx, a, method, d, second)
}

// GoOn answers a first factor that was right: the login, or the page that asks for the second.
func (m *Module) GoOn(w http.ResponseWriter, r *http.Request, step Step, next string) error {
	return m.goOn(w, r, step, next)
}

// Newcomer is somebody without an account whose address a provider vouches for, and what the person filled in.
type Newcomer struct {
	Email string
	Name  string
	Born  string // the date of birth, as BirthField asks for it
}

// Admit makes the account of a newcomer, verified and without a password, and signs the person in. An address that has an
// account is Conflict; somebody who is too young is TooYoung.
func (m *Module) Admit(ctx context.Context, tx *db.Tx, n Newcomer, p Proof, d Device) (Session, error) {
	if err := m.SignUpOpen(); err != nil {
		return Session{}, err
	}
	addr, err := ParseAddress(n.Email)
	if err != nil {
		return Session{}, err
	}
	name, err := kernel.CleanName("name", n.Name, maxName)
	if err != nil {
		return Session{}, err
	}
	if err := m.checkBirth(n.Born); err != nil {
		return Session{}, err
	}
	a, err := m.insertAccount(ctx, tx, addr, name, "")
	if err != nil {
		return Session{}, err
	}
	return m.welcomeNew(ctx, tx, a, p, d)
}

// SignUpOpen is Forbidden where nobody can open an account.
func (m *Module) SignUpOpen() error {
	if m.d.ClosedSignUp {
		return kernel.Errorf(kernel.Forbidden, "Nobody can sign up on this server. Ask the person who runs it for an account.")
	}
	return nil
}
