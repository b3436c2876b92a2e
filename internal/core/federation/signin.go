package federation

import (
	"context"
	"encoding/json"
	"time"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// The kinds of flows that this module begins.
const (
	flowSignIn = "provider_sign_in" // on the way to a provider; bound to the browser by the session cookie
	flowLink   = "provider_link"    // the same by somebody who is signed in; bound to the login
	flowNew    = "provider_new"     // back, and without an account; bound to the browser
	flowProve  = "provider_prove"   // back, and the address has an account; bound to that account
)

// How long the flows live: a provider may ask for a password and a second factor.
const (
	awayTTL   = 10 * time.Minute
	finishTTL = 30 * time.Minute
)

// away is the data of a flow on its way to a provider.
type away struct {
	Provider string  `json:"provider"`
	Attempt  attempt `json:"attempt"`
	Next     string  `json:"next"`
}

func (m *Module) startFlow(ctx context.Context, f identity.Flow, data any, ttl time.Duration) (token string, err error) {
	if f.Data, err = json.Marshal(data); err != nil {
		return "", err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		token, err = m.d.Identity.StartFlow(ctx, tx, f, ttl)
		return err
	})
	return token, err
}

// takeFlow uses a flow up and reads its data.
func (m *Module) takeFlow(ctx context.Context, kind, token string, data any) (f identity.Flow, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		f, err = m.d.Identity.TakeFlow(ctx, tx, kind, token)
		return err
	})
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(f.Data, data)
}

// beginSignIn begins a sign-in of somebody unknown: where the browser goes, and what its session cookie must be until it
// comes back.
func (m *Module) beginSignIn(ctx context.Context, p *provider, next string) (to, cookie string, err error) {
	out := away{Provider: p.Key, Attempt: newAttempt(), Next: next}
	if to, err = p.source.start(ctx, out.Attempt); err != nil {
		return "", "", err
	}
	cookie, err = m.startFlow(ctx, identity.Flow{Kind: flowSignIn}, out, awayTTL)
	return to, cookie, err
}

// beginLink begins a link by somebody who is signed in. The state is the token of the flow, which works in this login only.
func (m *Module) beginLink(ctx context.Context, p *provider, by httpx.Actor) (to string, err error) {
	out := away{Provider: p.Key, Attempt: newAttempt()}
	token, err := m.startFlow(ctx, identity.Flow{Kind: flowLink, Account: by.AccountID, Login: by.LoginID}, out, awayTTL)
	if err != nil {
		return "", err
	}
	out.Attempt.State = token
	return p.source.start(ctx, out.Attempt)
}

// errNotOurs is the answer to somebody who comes back without having left from here: another browser, a used or old
// address, or one that somebody else made.
func errNotOurs() error {
	return kernel.Errorf(kernel.Malformed, "This sign-in was not begun in this browser, it took too long, or it is over already. Start again.")
}

// comeBack uses up the flow of somebody who comes back from a provider, if it is this browser's. cookie is the browser's
// session cookie.
func (m *Module) comeBack(ctx context.Context, p *provider, by httpx.Actor, cookie, state string) (away, error) {
	kind, token := flowSignIn, cookie
	if !by.Anonymous() {
		kind, token = flowLink, state
	}
	var out away
	f, err := m.takeFlow(ctx, kind, token, &out)
	if kernel.CodeOf(err) == kernel.NotFound {
		return out, errNotOurs()
	}
	if err != nil {
		return out, err
	}
	switch {
	case out.Provider != p.Key:
		return out, errNotOurs()
	case kind == flowSignIn && !same(out.Attempt.State, state):
		return out, errNotOurs()
	case kind == flowLink && (f.Login != by.LoginID || f.Account != by.AccountID):
		return out, errNotOurs()
	}
	return out, nil
}

// outcome is what became of somebody who came back. One of the fields is set.
type outcome struct {
	step   *identity.Step // known: signed in, or asked for the second factor
	linked bool           // linked to the account that is signed in
	prove  string         // the address has an account: the token with which its owner links them
	finish string         // nobody has an account yet: the token with which the browser opens one
	mailed bool           // the provider does not vouch for the address: it got a mail
	nobody bool           // the provider told no address
}

// arrive decides what somebody whom a provider vouches for is here. The order matters: an account is found by who the
// person is at the provider and never by an address, since addresses change hands.
func (m *Module) arrive(ctx context.Context, by httpx.Actor, n newcomer, d identity.Device) (outcome, error) {
	if !by.Anonymous() {
		return outcome{linked: true}, m.db.Tx(ctx, func(tx *db.Tx) error { return m.insertLink(ctx, tx, by.AccountID, n) })
	}
	link, found, err := m.linkOf(ctx, n.Person)
	switch {
	case err != nil:
		return outcome{}, err
	case found:
		return m.signIn(ctx, link, n, d)
	case n.Person.Email == "":
		return outcome{nobody: true}, nil
	case !n.Person.Verified:
		// The address gets what it gets at sign-up, whether it has an account or not. The link is made by its owner, later.
		return outcome{mailed: true}, m.d.Identity.RequestSignUp(ctx, n.Person.Email, pathProviders)
	}
	return m.greet(ctx, n)
}

func (m *Module) signIn(ctx context.Context, link Link, n newcomer, d identity.Device) (outcome, error) {
	second, err := m.d.Identity.NeedsSecond(ctx, link.AccountID)
	if err != nil {
		return outcome{}, err
	}
	var step identity.Step
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := m.used(ctx, tx, link.ID, n); err != nil {
			return err
		}
		step, err = m.d.Identity.Proceed(ctx, tx, link.AccountID, link.Provider, d, second)
		return err
	})
	return outcome{step: &step}, err
}

// greet is for somebody with a proved address and without a link: the address's account is linked only once its owner has
// signed in to it in another way, or else whoever gets hold of a forgotten address would get the account with it.
func (m *Module) greet(ctx context.Context, n newcomer) (out outcome, err error) {
	account, err := m.d.Identity.ByEmail(ctx, n.Person.Email)
	switch kernel.CodeOf(err) {
	case "":
		out.prove, err = m.startFlow(ctx, identity.Flow{Kind: flowProve, Account: account.ID}, n, finishTTL)
	case kernel.NotFound:
		if err = m.d.Identity.SignUpOpen(); err == nil {
			out.finish, err = m.startFlow(ctx, identity.Flow{Kind: flowNew}, n, finishTTL)
		}
	}
	return out, err
}

// peek reads the data of a flow to show a page with it.
func (m *Module) peek(ctx context.Context, kind, token string) (f identity.Flow, n newcomer, err error) {
	if f, err = m.d.Identity.PeekFlow(ctx, kind, token); err != nil {
		return f, n, err
	}
	return f, n, json.Unmarshal(f.Data, &n)
}

// adopt links the account of a provider to the account with its address, whose owner has signed in meanwhile.
func (m *Module) adopt(ctx context.Context, by httpx.Actor, token string) (next string, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		f, err := m.d.Identity.TakeFlow(ctx, tx, flowProve, token)
		if err != nil {
			return err
		}
		if f.Account != by.AccountID {
			return errNotFound()
		}
		var n newcomer
		if err := json.Unmarshal(f.Data, &n); err != nil {
			return err
		}
		next = n.Next
		return m.insertLink(ctx, tx, by.AccountID, n)
	})
	return next, err
}

func errNotFound() error { return kernel.Errorf(kernel.NotFound, "There is nothing at this address.") }

// finish opens the account of somebody new, linked, and signs the person in. What is refused leaves the flow as it is, but
// somebody who is too young uses it up.
func (m *Module) finish(ctx context.Context, token string, in identity.Newcomer, d identity.Device) (s identity.Session, next string, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		f, err := m.d.Identity.TakeFlow(ctx, tx, flowNew, token)
		if err != nil {
			return err
		}
		var n newcomer
		if err := json.Unmarshal(f.Data, &n); err != nil {
			return err
		}
		in.Email, next = n.Person.Email, n.Next
		if s, err = m.d.Identity.Admit(ctx, tx, in, identity.Proof{Method: n.Provider}, d); err != nil {
			return err
		}
		return m.insertLink(withAccount(ctx, s), tx, s.AccountID, n)
	})
	if identity.TooYoung(err) {
		if dropped := m.dropFlow(ctx, flowNew, token); dropped != nil {
			err = dropped
		}
	}
	return s, next, err
}

// dropFlow uses a flow up without going on with it.
func (m *Module) dropFlow(ctx context.Context, kind, token string) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := m.d.Identity.TakeFlow(ctx, tx, kind, token)
		return err
	})
}

// withAccount makes the audit log name the account that was just opened.
func withAccount(ctx context.Context, s identity.Session) context.Context {
	return httpx.WithActor(ctx, httpx.Actor{AccountID: s.AccountID, Email: s.Email})
}
