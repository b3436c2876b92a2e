package mail

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Reason is why an address gets no mail.
type Reason string

// The reasons.
const (
	Bounce       Reason = "bounce"      // nobody has the address
	Complaint    Reason = "complaint"   // the person called our mail junk
	Unsubscribed Reason = "unsubscribe" // the person wants no more mail of one type
)

// BounceMemory is how long an address that bounced is left alone: a mailbox can be mended.
const BounceMemory = 90 * 24 * time.Hour

// everyType is the type of a mark that is about all mail.
const everyType = ""

// tag is how an address is known again without being stored.
func (m *Module) tag(address string) []byte {
	address = strings.ToLower(norm.NFC.String(strings.TrimSpace(address)))
	tag := m.d.Seal.Tag("mail address", []byte(address))
	return tag[:]
}

// mark notes that an address is not to be mailed. cause says by which mail or report, for the audit log, which has no
// address in it.
func (m *Module) mark(ctx context.Context, tx *db.Tx, address string, reason Reason, cause string) error {
	if err := m.setMark(ctx, tx, address, everyType, reason); err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Event{Actor: audit.System, Action: "mail." + string(reason), Target: cause})
}

func (m *Module) setMark(ctx context.Context, tx *db.Tx, address, mailType string, reason Reason) error {
	_, err := tx.Exec(ctx, `INSERT INTO mail_suppressions (address_tag, type, reason, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (address_tag, type) DO UPDATE SET at = excluded.at,
		reason = CASE WHEN mail_suppressions.reason = $5 THEN $5 ELSE excluded.reason END`,
		m.tag(address), mailType, string(reason), kernel.Micros(tx.Now()), string(Complaint))
	return err
}

// unmark takes a mark back; without one it does nothing.
func (m *Module) unmark(ctx context.Context, tx *db.Tx, address, mailType string) error {
	_, err := tx.Exec(ctx, `DELETE FROM mail_suppressions WHERE address_tag = $1 AND type = $2`, m.tag(address), mailType)
	return err
}

// refuses says why a mail of a type is not to be sent to an address; empty: it may be sent.
func (m *Module) refuses(ctx context.Context, address, mailType string) (Reason, error) {
	t := m.types[mailType]
	if t.Security {
		return "", nil
	}
	marks, err := m.marks(ctx, address)
	if err != nil {
		return "", err
	}
	if mark, ok := marks[everyType]; ok {
		return mark.Reason, nil
	}
	if t.Optional {
		return marks[mailType].Reason, nil
	}
	return "", nil
}

// Mark says why an address gets no mail, and since when. The zero Mark: it does.
type Mark struct {
	Reason Reason
	At     time.Time
}

// Undeliverable is the mark of an address that all mail but security notices is kept from.
func (m *Module) Undeliverable(ctx context.Context, address string) (Mark, error) {
	marks, err := m.marks(ctx, address)
	return marks[everyType], err
}

// marks lists what is known of an address, by mail type.
func (m *Module) marks(ctx context.Context, address string) (map[string]Mark, error) {
	rows, err := m.db.Query(ctx, `SELECT type, reason, at FROM mail_suppressions WHERE address_tag = $1`, m.tag(address))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]Mark{}
	for rows.Next() {
		var mailType string
		var mark Mark
		var at int64
		if err := rows.Scan(&mailType, &mark.Reason, &at); err != nil {
			return nil, err
		}
		if mark.At = kernel.FromMicros(at); mark.Reason != Bounce || m.d.Clock().Sub(mark.At) < BounceMemory {
			out[mailType] = mark
		}
	}
	return out, rows.Err()
}

// Retry takes back a mark, because the address's owner, who is signed in, wants mail to be tried again.
func (m *Module) Retry(ctx context.Context, address string) error {
	mark, err := m.Undeliverable(ctx, address)
	if err != nil || mark.Reason == "" {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := m.unmark(ctx, tx, address, everyType); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "mail.retry", Detail: string(mark.Reason)})
	})
}

// Choose sets whether an address gets mail of an optional type.
func (m *Module) Choose(ctx context.Context, address, mailType string, want bool) error {
	t, ok := m.types[mailType]
	if !ok || !t.Optional {
		return kernel.Errorf(kernel.NotFound, "There is no mail of this kind that could be refused.")
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		action, err := "mail.subscribe", error(nil)
		if want {
			err = m.unmark(ctx, tx, address, t.ID)
		} else {
			action, err = "mail.unsubscribe", m.setMark(ctx, tx, address, t.ID, Unsubscribed)
		}
		return errors.Join(err, audit.Record(ctx, tx, audit.Event{Action: action, Target: "mail_type:" + t.ID}))
	})
}
