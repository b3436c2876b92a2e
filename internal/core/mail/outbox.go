package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// The states of an outbox row. Only a queued one has content.
const (
	stateQueued = "queued"
	stateSent   = "sent"
	stateFailed = "failed"  // the server refuses it for good, or it took too long
	stateVoid   = "dropped" // it was never meant to be sent, or the address is not to be mailed
	stateBounce = "bounced" // it was sent, and came back
)

// lease is how long one attempt may take before another instance may try.
const lease = 5 * time.Minute

func (m *Module) insert(ctx context.Context, tx *db.Tx, mail Mail) error {
	unsubscribe, err := m.unsubscribeURL(mail.To, mail.Type)
	if err != nil {
		return err
	}
	msg, err := m.render.message(mail.To, unsubscribe, mail.Content)
	if err != nil {
		return err
	}
	msg.Thread = mail.Thread
	plain, err := json.Marshal(msg)
	if err != nil {
		return err
	}
	id := kernel.NewID(tx.Now())
	sealed, err := m.d.Seal.Seal(plain, aad(id))
	if err != nil {
		return err
	}
	void := 0
	if mail.Void {
		void = 1
	}
	_, err = tx.Exec(ctx, `INSERT INTO mail_outbox (id, type, account_id, void, state, sealed, attempts, created_at, due_at, done_at, error)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $7, 0, '')`,
		id, mail.Type, mail.AccountID, void, stateQueued, sealed, kernel.Micros(tx.Now()))
	return err
}

func aad(id kernel.ID) []byte { return []byte("mail/outbox/" + id) }

// outboxRow is a mail that this instance may send until its lease ends.
type outboxRow struct {
	id        kernel.ID
	mailType  string
	void      bool
	sealed    []byte
	attempts  int
	createdAt time.Time
}

// claim takes the mail that is due longest. Nothing due is db.ErrNoRows. Two instances cannot take the same one: the
// second finds the due time moved.
func (m *Module) claim(ctx context.Context) (row outboxRow, err error) {
	now := m.d.Clock()
	var waiting int
	if err := m.db.QueryRow(ctx, `SELECT 1 FROM mail_outbox WHERE state = $1 AND due_at <= $2 LIMIT 1`,
		stateQueued, kernel.Micros(now)).Scan(&waiting); err != nil {
		return row, err // nearly always ErrNoRows, without having asked for the writer
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		var created int64
		var void int
		err := tx.QueryRow(ctx, `UPDATE mail_outbox SET attempts = attempts + 1, due_at = $3
			WHERE state = $1 AND due_at <= $2 AND id =
				(SELECT id FROM mail_outbox WHERE state = $1 AND due_at <= $2 ORDER BY due_at, id LIMIT 1)
			RETURNING id, type, void, sealed, attempts, created_at`,
			stateQueued, kernel.Micros(now), kernel.Micros(now.Add(lease))).
			Scan(&row.id, &row.mailType, &void, &row.sealed, &row.attempts, &created)
		row.void, row.createdAt = void != 0, kernel.FromMicros(created)
		return err
	})
	return row, err
}

// Drain sends everything that is due now and returns how many mails were dealt with. The background loop calls it; so
// does a test, or a command that ends before the loop would run.
func (m *Module) Drain(ctx context.Context) (n int, err error) {
	for ctx.Err() == nil {
		row, err := m.claim(ctx)
		if errors.Is(err, db.ErrNoRows) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("mail: outbox: %w", err)
		}
		if err := m.deliver(ctx, row); err != nil {
			return n, fmt.Errorf("mail: outbox: %w", err)
		}
		n++
	}
	return n, ctx.Err()
}

// deliver makes one attempt and notes how it ended. An error is the database's; what the mail server said is in the row.
func (m *Module) deliver(ctx context.Context, row outboxRow) error {
	if row.void {
		return m.finish(ctx, row.id, ending{state: stateVoid})
	}
	msg, err := m.open(row)
	if err != nil {
		return m.finish(ctx, row.id, ending{state: stateFailed, class: faultOf(err).Class})
	}
	if reason, err := m.refuses(ctx, msg.To, row.mailType); err != nil || reason != "" {
		return errors.Join(err, m.finish(ctx, row.id, ending{state: stateVoid, class: string(reason)}))
	}
	id, err := m.attempt(ctx, msg)
	switch {
	case err == nil:
		return m.finish(ctx, row.id, ending{state: stateSent, providerID: id})
	case ctx.Err() != nil: // we are stopping, which says nothing about the mail
		return ctx.Err()
	}
	return m.failed(ctx, row, msg, faultOf(err))
}

// failed notes an attempt that did not work: for another try, or for good.
func (m *Module) failed(ctx context.Context, row outboxRow, msg Message, fault *Fault) error {
	next := m.d.Clock().Add(backoff(row.attempts))
	if fault.Permanent || next.Sub(row.createdAt) > m.maxAge(row.mailType) {
		m.d.Logger.Warn("mail given up", slog.String("mail", string(row.id)), slog.String("type", row.mailType),
			slog.Int("attempts", row.attempts), slog.String("class", fault.Class))
		end := ending{state: stateFailed, class: fault.Class}
		if fault.Bounce {
			end.bounced = msg.To
		}
		return m.finish(ctx, row.id, end)
	}
	m.d.Logger.Info("mail will be tried again", slog.String("mail", string(row.id)), slog.String("type", row.mailType),
		slog.Int("attempts", row.attempts), slog.String("class", fault.Class))
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE mail_outbox SET due_at = $2, error = $3 WHERE id = $1 AND state = $4`,
			row.id, kernel.Micros(next), fault.Class, stateQueued)
		return err
	})
}

func (m *Module) open(row outboxRow) (msg Message, err error) {
	plain, err := m.d.Seal.Open(row.sealed, aad(row.id))
	if err != nil {
		return msg, &Fault{Class: "content cannot be opened", Permanent: true, Cause: err}
	}
	if err := json.Unmarshal(plain, &msg); err != nil {
		return msg, &Fault{Class: "content cannot be read", Permanent: true, Cause: err}
	}
	msg.ID, msg.Type, msg.From = string(row.id), row.mailType, m.d.From
	return msg, nil
}

func (m *Module) attempt(ctx context.Context, msg Message) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lease/2)
	defer cancel()
	return m.d.Sender.Send(ctx, msg)
}

func (m *Module) maxAge(mailType string) time.Duration {
	if t, ok := m.types[mailType]; ok {
		return t.MaxAge
	}
	return DefaultMaxAge // declared by an older version
}

// ending is how a mail ended.
type ending struct {
	state, class string
	providerID   string // how whoever took it calls it
	bounced      string // the address that nobody has
}

// finish notes the end of a mail and removes its content.
func (m *Module) finish(ctx context.Context, id kernel.ID, end ending) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE mail_outbox SET state = $2, sealed = NULL, done_at = $3, error = $4, provider_id = $5 WHERE id = $1`,
			id, end.state, kernel.Micros(tx.Now()), end.class, end.providerID)
		if err != nil || end.bounced == "" {
			return err
		}
		return m.mark(ctx, tx, end.bounced, Bounce, "mail:"+string(id))
	})
}

// backoff is the wait after the given number of attempts: 30 s, doubling to an hour.
func backoff(attempts int) time.Duration {
	return min(time.Hour, 30*time.Second<<min(max(attempts-1, 0), 10))
}

// Forget removes the rows of an account.
func Forget(ctx context.Context, tx *db.Tx, account kernel.AccountID) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM mail_outbox WHERE account_id = $1`, account)
}
