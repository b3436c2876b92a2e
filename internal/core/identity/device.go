package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/geo"
)

// country is the ISO 3166 code of an address's network, or empty.
func country(ip string) string { return geo.Country(parseIP(ip)) }

// suspiciousFailures is after how many failed attempts a success is worth a word.
const suspiciousFailures = 5

// Unusual is a sign-in that its owner should hear of.
type Unusual struct {
	Account    kernel.AccountID
	Email      string
	Device     string // "Firefox on Linux"
	Place      string // name of the country, or "an unknown place"
	NewCountry bool   // never seen with this account
	Failures   int64  // failed attempts at the account before; 0: not the reason
	At         time.Time
}

// Watcher hears of unusual sign-ins, in the transaction of the sign-in.
type Watcher interface {
	UnusualSignIn(ctx context.Context, tx *db.Tx, u Unusual) error
}

// Watch registers a watcher, before the server starts.
func (m *Module) Watch(w Watcher) { m.watchers = append(m.watchers, w) }

// deviceHash tells devices of a person apart without saying what they are: the browser's family and the country.
func (m *Module) deviceHash(l Login) []byte {
	tag := m.d.Seal.Tag("known device", []byte(string(l.AccountID)+"\n"+l.Kind+"\n"+l.device()+"\n"+l.Country))
	return tag[:]
}

// news is what there is to tell of a sign-in.
type news struct {
	Unusual
	newDevice bool
}

// noteDevice remembers the device of a new login and says what is new about it. Of the first device of all nothing is.
func (m *Module) noteDevice(ctx context.Context, tx *db.Tx, a Account, l Login) (n news, err error) {
	var devices, same, placed, countries int64
	err = tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(CASE WHEN device_hash = $2 THEN 1 ELSE 0 END), 0),
		coalesce(sum(CASE WHEN country <> '' THEN 1 ELSE 0 END), 0), coalesce(sum(CASE WHEN country = $3 THEN 1 ELSE 0 END), 0) FROM known_devices WHERE account_id = $1`,
		a.ID, m.deviceHash(l), l.Country).Scan(&devices, &same, &placed, &countries)
	if err != nil {
		return n, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO known_devices (account_id, device_hash, country, first_at, last_at) VALUES ($1, $2, $3, $4, $4)
		ON CONFLICT (account_id, device_hash) DO UPDATE SET last_at = $4`, a.ID, m.deviceHash(l), l.Country, kernel.Micros(tx.Now()))
	if err != nil {
		return n, err
	}
	n.Unusual = Unusual{Account: a.ID, Email: a.Email, Device: l.deviceForMail(), Place: placeName(l.Country), At: tx.Now()}
	n.newDevice, n.NewCountry = devices > 0 && same == 0, placed > 0 && countries == 0 && l.Country != ""
	n.Failures, err = m.failuresBefore(ctx, tx, a, l)
	return n, err
}

// tell tells the person, and whoever watches, what is new about a sign-in.
func (m *Module) tell(ctx context.Context, tx *db.Tx, a Account, l Login, n news) error {
	if n.NewCountry || n.Failures > 0 {
		return m.alarm(ctx, tx, a, l, n.Unusual)
	}
	if n.newDevice {
		return m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailNewDevice, To: a.Email, AccountID: a.ID, Content: m.newDeviceContent(n.Unusual)})
	}
	return nil
}

// failuresBefore counts the failed attempts at the account, when there were many and some since the last sign-in.
func (m *Module) failuresBefore(ctx context.Context, tx *db.Tx, a Account, l Login) (int64, error) {
	c, err := m.count(ctx, tx, scopeAccount, attempt{key: a.key}.subjects()[scopeAccount])
	if err != nil || c.failures < suspiciousFailures {
		return 0, err
	}
	var last int64
	err = tx.QueryRow(ctx, `SELECT created_at FROM logins WHERE account_id = $1 AND id <> $2 ORDER BY created_at DESC LIMIT 1`, a.ID, l.ID).Scan(&last)
	if errors.Is(err, db.ErrNoRows) {
		err = nil
	}
	if err != nil || c.last.Before(kernel.FromMicros(last)) {
		return 0, err
	}
	return c.failures, nil
}

// alarm tells of an unusual sign-in: the person by mail, the audit log, and whoever watches.
func (m *Module) alarm(ctx context.Context, tx *db.Tx, a Account, l Login, u Unusual) error {
	err := m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailUnusual, To: a.Email, AccountID: a.ID, Content: m.unusualContent(u)})
	if err != nil {
		return err
	}
	err = audit.Record(ctx, tx, audit.Event{Actor: a.actor(), Action: "login.unusual", Target: "login:" + string(l.ID), Detail: u.reason(), IP: l.IP})
	if err != nil {
		return err
	}
	for _, w := range m.watchers {
		if err := w.UnusualSignIn(ctx, tx, u); err != nil {
			return err
		}
	}
	return nil
}

// TellOwner mails an owner of a workspace about the unusual sign-in of somebody else who administers it.
func (m *Module) TellOwner(ctx context.Context, tx *db.Tx, owner kernel.AccountID, workspace string, u Unusual) error {
	a, err := accountIn(ctx, tx, owner)
	if err != nil {
		return err
	}
	return m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailOwner, To: a.Email, AccountID: a.ID, Content: m.ownerContent(workspace, u)})
}

// reason says in few words what was unusual.
func (u Unusual) reason() string {
	var out []string
	if u.NewCountry {
		out = append(out, "first time from "+u.Place)
	}
	if u.Failures > 0 {
		out = append(out, fmt.Sprintf("after %d failed attempts", u.Failures))
	}
	return strings.Join(out, ", ")
}

func placeName(code string) string {
	if name := geo.Name(code); name != "" {
		return name
	}
	return "an unknown place"
}
