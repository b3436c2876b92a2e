package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/ui"
)

// flowAge is the kind of the flow of somebody who has proved who he is, and whose age is not known to be enough. Its token
// stands in the session cookie until the age is told.
const flowAge = "age"

const ageTTL = 10 * time.Minute

// errTooYoung is what somebody under the minimum age is told.
var errTooYoung = errors.New("identity: under the minimum age")

func (m *Module) tooYoung() *kernel.Error {
	return kernel.Wrap(errTooYoung, kernel.Forbidden,
		fmt.Sprintf("You must be at least %d years old to use this server. Nothing that you entered was kept.", m.d.MinAge))
}

// TooYoung tells whether an error is that of somebody under the minimum age.
func TooYoung(err error) bool { return errors.Is(err, errTooYoung) }

// BirthField asks for the date of birth, as "born"; ok is false where no age is asked.
func (m *Module) BirthField(value string) (f ui.Field, ok bool) {
	return ui.Field{Name: "born", Label: "Date of birth", Kind: "date", Value: value, Autocomplete: "bday", Required: true,
		Hint: fmt.Sprintf("You must be %d or older. Only that you are is kept, not the date.", m.d.MinAge)}, m.d.MinAge > 0
}

// birthFields is BirthField for a list of fields.
func (m *Module) birthFields(value string) []ui.Field {
	if f, ok := m.BirthField(value); ok {
		return []ui.Field{f}
	}
	return nil
}

// checkBirth reads a date of birth, "2001-02-03", and says what is wrong with it; a date that is too late is TooYoung.
func (m *Module) checkBirth(born string) error {
	if m.d.MinAge == 0 {
		return nil
	}
	day, err := time.Parse(time.DateOnly, born)
	now := m.d.Clock().UTC()
	if err != nil || day.After(now) || day.Year() < now.Year()-130 {
		return kernel.InvalidField("born", "Enter the day on which you were born.")
	}
	if age(day, now) < m.d.MinAge {
		return m.tooYoung()
	}
	return nil
}

// age is how many birthdays have passed. Who was born on 29 February has a birthday on 1 March in other years.
func age(born, now time.Time) int {
	years := now.Year() - born.Year()
	if now.Month() < born.Month() || now.Month() == born.Month() && now.Day() < born.Day() {
		years--
	}
	return years
}

// asked is what is kept while somebody who has proved who he is tells his age.
type asked struct {
	Method string
	Strong bool
}

// askAge begins the flow instead of a login. An app on a phone has no page for it.
func (m *Module) askAge(ctx context.Context, tx *db.Tx, a Account, p Proof, d Device) (Session, error) {
	if d.Kind == KindMobile {
		return Session{}, kernel.Errorf(kernel.Forbidden, "This server asks for your age first. Sign in once at %s.", m.d.BaseURL+pathSignIn)
	}
	if d.Token != "" {
		if err := m.endByToken(ctx, tx, d.Token); err != nil {
			return Session{}, err
		}
	}
	data, err := json.Marshal(asked(p))
	if err != nil {
		return Session{}, err
	}
	token, err := m.StartFlow(ctx, tx, Flow{Kind: flowAge, Account: a.ID, Data: data}, ageTTL)
	return Session{Login: Login{AccountID: a.ID, ExpiresAt: tx.Now().Add(ageTTL)}, Token: token, AgeAsked: true}, err
}

// TellAge goes on with a sign-in that waits for the age; the token is that of the session cookie. Somebody who is too
// young is not signed in, and the token is used up.
func (m *Module) TellAge(ctx context.Context, token, born string, d Device) (s Session, err error) {
	if err := m.checkBirth(born); err != nil && !TooYoung(err) {
		return s, err
	}
	young := false
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		f, err := m.TakeFlow(ctx, tx, flowAge, token)
		if err != nil {
			return err
		}
		a, err := accountIn(ctx, tx, f.Account)
		if err != nil {
			return err
		}
		if young = m.checkBirth(born) != nil; young {
			return audit.Record(ctx, tx, audit.Event{Actor: a.actor(), Action: "login.create", Target: a.target(), Result: audit.Denied})
		}
		var p asked
		if err := json.Unmarshal(f.Data, &p); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE accounts SET age_met = $2, updated_at = $3 WHERE id = $1`, a.ID, m.d.MinAge, kernel.Micros(tx.Now())); err != nil {
			return err
		}
		a.AgeMet, d.Token = m.d.MinAge, ""
		s, err = m.enterAs(ctx, tx, a, Proof(p), d)
		return err
	})
	if err == nil && young {
		err = m.tooYoung()
	}
	return s, err
}

// waitsForAge tells whether the browser's cookie is that of a sign-in that waits for the age.
func (m *Module) waitsForAge(ctx context.Context, token string) bool {
	if token == "" || m.d.MinAge == 0 {
		return false
	}
	_, err := m.PeekFlow(ctx, flowAge, token)
	return err == nil
}

// Underage counts the living logins of people whose age is not known to be enough (SEC-9).
func (m *Module) Underage(ctx context.Context) (n int64, err error) {
	err = m.db.QueryRow(ctx, `SELECT count(*) FROM logins l JOIN accounts a ON a.id = l.account_id
		WHERE a.age_met < $1 AND l.expires_at > $2 AND l.last_seen_at > $3`,
		m.d.MinAge, kernel.Micros(m.d.Clock()), kernel.Micros(m.d.Clock().Add(-LoginIdle))).Scan(&n)
	return n, err
}

// MinAge is the least age of the people that have accounts here; 0: none is asked.
func (m *Module) MinAge() int { return m.d.MinAge }
