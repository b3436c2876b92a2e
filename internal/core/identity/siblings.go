package identity

import (
	"context"
	"net/http"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// SecondFactor knows who has a second factor, which is then asked after a password or a one-time link. One that is also
// a SecondAsker shows its own page for that.
type SecondFactor interface {
	Enrolled(ctx context.Context, a kernel.AccountID) (bool, error)
}

// SecondAsker answers a request whose first factor was right with the page that asks for the second: a form that sends
// the flow's token and next on in hidden fields "flow" and "next".
type SecondAsker interface {
	AskSecond(w http.ResponseWriter, r *http.Request, flow, next string) error
}

// Ways counts a person's ways of signing in that a sibling module keeps. The last one of all cannot be removed.
type Ways interface {
	Ways(ctx context.Context, tx *db.Tx, a kernel.AccountID) (n int, err error)
}

// Eraser removes what a sibling module keeps about an account, in the transaction that removes the account.
type Eraser interface {
	EraseAccount(ctx context.Context, tx *db.Tx, a kernel.AccountID) error
}

// SecurityCard is one line of the security page: a way of signing in, what state it is in, and where to change it.
type SecurityCard struct {
	Title, Text, Href string
	State             string // one word or two, "on", "2 passkeys"; empty: none
	Good              bool   // the state is as it should be
}

// Carder adds to the security page.
type Carder interface {
	SecurityCards(ctx context.Context, a kernel.AccountID) ([]SecurityCard, error)
}

// Use tells the module of its siblings, before the server starts. It adds: modules can be named one after the other, and a
// nil SecondFactor changes nothing. Ways and erasers that are Carders add to the security page.
func (m *Module) Use(second SecondFactor, ways []Ways, erasers []Eraser) {
	if second != nil {
		m.second = second
	}
	m.ways, m.erasers = append(m.ways, ways...), append(m.erasers, erasers...)
	for _, w := range ways {
		m.addCarder(w)
	}
	for _, e := range erasers {
		m.addCarder(e)
	}
}

func (m *Module) addCarder(v any) {
	c, ok := v.(Carder)
	for _, known := range m.carders {
		ok = ok && known != c
	}
	if ok {
		m.carders = append(m.carders, c)
	}
}

// WaysOf is in how many ways a person can sign in without a mailed link: the password and what the siblings know. Who
// removes one asks first, in the same transaction.
func (m *Module) WaysOf(ctx context.Context, tx *db.Tx, account kernel.AccountID) (n int, err error) {
	a, err := accountIn(ctx, tx, account)
	if err != nil {
		return 0, err
	}
	if a.HasPassword() {
		n++
	}
	for _, w := range m.ways {
		more, err := w.Ways(ctx, tx, account)
		if err != nil {
			return 0, err
		}
		n += more
	}
	return n, nil
}

// Proof is how a person showed who he is.
type Proof struct {
	Method string // "password", "passkey", "password+totp", "google", "link"
	Strong bool   // by a passkey, or by two factors
}

// Enter signs a person in who has proved who he is: a new login with a new token, written into the audit log. The person
// is told by mail when the device is new. Where the person's age is not known to be enough, the session is one that asks for
// it. Hand the session to Give once the transaction is committed.
func (m *Module) Enter(ctx context.Context, tx *db.Tx, account kernel.AccountID, p Proof, d Device) (Session, error) {
	a, err := accountIn(ctx, tx, account)
	if err != nil {
		return Session{}, err
	}
	return m.enterAs(ctx, tx, a, p, d)
}

func (m *Module) enterAs(ctx context.Context, tx *db.Tx, a Account, p Proof, d Device) (Session, error) {
	if a.AgeMet < m.d.MinAge {
		return m.askAge(ctx, tx, a, p, d)
	}
	s, err := m.begin(ctx, tx, a, p, d)
	if err != nil {
		return s, err
	}
	news, err := m.noteDevice(ctx, tx, a, s.Login)
	if err != nil {
		return s, err
	}
	if err := m.recordLogin(ctx, tx, a, s); err != nil {
		return s, err
	}
	return s, m.tell(ctx, tx, a, s.Login, news)
}

// Renew notes that a signed-in person has just proved again who he is. The login stays the same one and gets a new token,
// so that a token that was stolen before does not have the new rights; the old one is dead at once.
func (m *Module) Renew(ctx context.Context, tx *db.Tx, login kernel.ID, p Proof) (Session, error) {
	l, err := scanLogin(tx.QueryRow(ctx, `SELECT `+loginColumns+` FROM logins l JOIN accounts a ON a.id = l.account_id WHERE l.id = $1`, login))
	if err != nil {
		return Session{}, err
	}
	l.ProvedAt, l.Strong = tx.Now(), l.Strong || p.Strong
	s, err := m.rotate(ctx, tx, l)
	if err != nil {
		return s, err
	}
	return s, audit.Record(ctx, tx, audit.Event{Actor: audit.Actor{Kind: "account", ID: l.AccountID, Label: l.Email}, Action: "identity.prove",
		Target: "login:" + string(login), Detail: p.Method})
}

// rotate gives a login a new token; the old one is dead at once.
func (m *Module) rotate(ctx context.Context, tx *db.Tx, l Login) (Session, error) {
	token, hash := newSecret()
	_, err := tx.Exec(ctx, `UPDATE logins SET token_hash = $2, proved_at = $3, strong = $4 WHERE id = $1`,
		l.ID, hash, kernel.Micros(l.ProvedAt), db.Flag(l.Strong))
	m.loginsChanged(tx, l.AccountID)
	return Session{Login: l, Token: token}, err
}

// EndLogins ends an account's logins, all but one (empty: all), for instance after a change of how the person signs in.
func (m *Module) EndLogins(ctx context.Context, tx *db.Tx, a kernel.AccountID, but kernel.ID) error {
	n, err := m.endAll(ctx, tx, a, but)
	if err != nil || n == 0 {
		return err
	}
	return audit.Record(ctx, tx, audit.Event{Action: "login.end_others", Target: "account:" + string(a)})
}

// Notice mails a person about something that concerns the security of the account: a title of a few words, and one or
// two sentences.
func (m *Module) Notice(ctx context.Context, tx *db.Tx, account kernel.AccountID, title, text string) error {
	a, err := accountIn(ctx, tx, account)
	if err != nil {
		return err
	}
	return m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailNotice, To: a.Email, AccountID: a.ID, Content: m.noticeContent(title, text)})
}

// SendCode mails a person a code to type into the page that asked for it.
func (m *Module) SendCode(ctx context.Context, tx *db.Tx, account kernel.AccountID, code string, ttl time.Duration) error {
	a, err := accountIn(ctx, tx, account)
	if err != nil {
		return err
	}
	return m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailCode, To: a.Email, AccountID: a.ID, Content: m.codeContent(code, ttl)})
}

// CheckPassword asks a signed-in person for the password again, throttled like sign-in. A wrong one is Invalid at the
// named field.
func (m *Module) CheckPassword(ctx context.Context, by httpx.Actor, field, password string) error {
	_, err := m.confirmPassword(ctx, by, field, password)
	return err
}

// Throttle looks at something that can be guessed, like a code, under the same counters as passwords. check runs in a
// transaction, in which attempts at one account stand in line, and says whether it was right; the transaction is
// committed in both cases. A wrong one is counted, audited as the denied action and returned as ok == false; too many are
// Limited. An error of check rolls back and counts nothing.
func (m *Module) Throttle(ctx context.Context, account kernel.AccountID, action string, check func(tx *db.Tx) (ok bool, err error)) (ok bool, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE accounts SET updated_at = updated_at WHERE id = $1`, account); err != nil {
			return err
		}
		a, err := accountIn(ctx, tx, account)
		if err != nil {
			return err
		}
		try := attempt{key: a.key, ip: httpx.ClientIP(ctx)}
		if err := m.allow(ctx, tx, try); err != nil {
			return err
		}
		if ok, err = check(tx); err != nil {
			return err
		}
		if ok {
			return succeeded(ctx, tx, try)
		}
		if err := failed(ctx, tx, try); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: action, Target: a.target(), Result: audit.Denied})
	})
	return ok && err == nil, err
}
