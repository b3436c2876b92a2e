package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Retention is how long the delivery log is kept.
const Retention = 30 * 24 * time.Hour

// The states of a delivery, and the outcomes of an attempt.
const (
	stateSent     = "sent"
	stateQueued   = "queued"   // taken over by the mail queue
	stateRetrying = "retrying" // it will be tried again
	stateFailed   = "failed"   // refused for good
)

// states are those that a filter offers.
var states = []string{stateSent, stateQueued, stateRetrying, stateFailed}

// Delivery is one notification of one channel.
type Delivery struct {
	ID        kernel.ID
	ChannelID kernel.ID
	Channel   string // its name
	Kind      string
	Reason    string // alert, test, resend
	State     string
	Firing    int
	Resolved  int
	Tries     int
	CreatedAt time.Time
	UpdatedAt time.Time
	Title     string // what the message was headed with
	Attempts  []Attempt

	ws     kernel.WorkspaceID
	sealed []byte
	body   deliveryBody
}

// Attempt is one try.
type Attempt struct {
	N      int
	At     time.Time
	Took   time.Duration
	Status int // HTTP; 0: there was no answer, or it is no HTTP
	State  string
	Text   string // why it did not work, or what the provider said
}

// deliveryBody is what of a delivery is sealed.
type deliveryBody struct {
	Notice notice `json:"notice"`
	Title  string `json:"title"`
	Alerts []kept `json:"alerts"`
	Over   []bool `json:"over"` // which of them were
}

func deliveryAAD(id kernel.ID) []byte { return []byte("notify/delivery/" + id) }

func attemptAAD(id kernel.ID) []byte { return []byte("notify/attempt/" + id) }

// outcome is how an attempt ended, for the log.
func outcome(s *shot, f *failure) (state, text string) {
	switch {
	case f == nil && s.handed:
		return stateQueued, s.partial
	case f == nil:
		return stateSent, firstOf(s.partial, s.answer)
	case f.retry:
		return stateRetrying, f.text
	}
	return stateFailed, f.text
}

// record notes an attempt: in the log, and at the channel, which is turned off when it was refused too often.
func (m *Module) record(ctx context.Context, s *shot, n notice, f *failure, took time.Duration) (id kernel.ID, err error) {
	id, err = m.deliveryOf(ctx, s.c.ID, n.ID)
	if err != nil {
		return "", err
	}
	body := deliveryBody{Notice: n, Title: s.msg.Title, Alerts: keep(s.alerts)}
	for i := range body.Alerts {
		body.Over = append(body.Over, s.alerts[i].ResolvedAt(s.now))
	}
	sealed, err := m.seal(ctx, s.c.ws, body, deliveryAAD(id))
	if err != nil {
		return "", err
	}
	state, text := outcome(s, f)
	said, err := m.seal(ctx, s.c.ws, text, attemptAAD(id))
	if err != nil {
		return "", err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		var attempts int
		if err := tx.QueryRow(ctx, `INSERT INTO notify_deliveries (id, workspace_id, channel_id, notice, reason, state, firing, resolved, attempts, created_at, updated_at, sealed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9, $10)
			ON CONFLICT (channel_id, notice) DO UPDATE SET state = excluded.state, attempts = notify_deliveries.attempts + 1, updated_at = excluded.updated_at
			RETURNING id, attempts`, id, s.c.ws, s.c.ID, n.ID, n.Reason, state, s.msg.Firing, s.msg.Over, kernel.Micros(s.now), sealed).Scan(&id, &attempts); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO notify_attempts (delivery_id, n, workspace_id, at, duration_us, status, outcome, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			id, attempts, s.c.ws, kernel.Micros(s.now), took.Microseconds(), s.status, state, said); err != nil {
			return err
		}
		return m.judge(ctx, tx, s, n, f)
	})
	return id, err
}

// deliveryOf is the delivery that an attempt belongs to, or a new id.
func (m *Module) deliveryOf(ctx context.Context, channel kernel.ID, notice []byte) (id kernel.ID, err error) {
	err = m.db.QueryRow(ctx, `SELECT id FROM notify_deliveries WHERE channel_id = $1 AND notice = $2`, channel, notice).Scan(&id)
	if errors.Is(err, db.ErrNoRows) {
		return kernel.NewID(m.d.Clock()), nil
	}
	return id, err
}

// judge draws the consequences of an attempt for the channel.
func (m *Module) judge(ctx context.Context, tx *db.Tx, s *shot, n notice, f *failure) error {
	switch {
	case f == nil:
		_, err := tx.Exec(ctx, `UPDATE notify_channels SET failures = 0, not_before = 0 WHERE id = $1 AND (failures > 0 OR not_before > 0)`, s.c.ID)
		return err
	case f.after > 0:
		until := s.now.Add(min(f.after, maxRetryAfter))
		_, err := tx.Exec(ctx, `UPDATE notify_channels SET not_before = $2 WHERE id = $1`, s.c.ID, kernel.Micros(until))
		return err
	case f.retry || n.Reason == reasonTest:
		return nil
	}
	var failures int
	if err := tx.QueryRow(ctx, `UPDATE notify_channels SET failures = failures + 1 WHERE id = $1 RETURNING failures`, s.c.ID).Scan(&failures); err != nil {
		return err
	}
	if failures < disableAfter {
		return nil
	}
	turned, err := tx.Exec(ctx, `UPDATE notify_channels SET disabled_at = $2, disabled_why = 'failures' WHERE id = $1 AND disabled_at = 0`, s.c.ID, kernel.Micros(tx.Now()))
	if err != nil || turned == 0 {
		return err
	}
	if err := m.tellOwners(ctx, tx, s.c, failures); err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Event{WorkspaceID: s.c.ws, Actor: audit.System, Action: "channel.disable", Target: s.c.target(),
		Detail: fmt.Sprintf("%s: refused %d times in a row", s.c.Name, failures)})
}

// DeliveryFilter chooses deliveries. Zero fields choose all.
type DeliveryFilter struct {
	Channel  kernel.ID
	State    string
	Reason   string
	From, To time.Time
	Cursor   string
	Limit    int // 0 is 50
}

// givenUp is how long after its last attempt a delivery that was to be tried again counts as failed: the pipeline has
// turned to the group's next notification by then, or the server was stopped.
const givenUp = 10 * time.Minute

// deliveryState is the state as of now.
func (m *Module) deliveryState() string {
	return fmt.Sprintf(`CASE WHEN d.state = '%s' AND d.updated_at < %d THEN '%s' ELSE d.state END`, stateRetrying, kernel.Micros(m.d.Clock().Add(-givenUp)), stateFailed)
}

func (m *Module) deliveryColumns() string {
	return `d.id, d.workspace_id, d.channel_id, c.name, c.kind, d.reason, ` + m.deliveryState() + `, d.firing, d.resolved, d.attempts, d.created_at, d.updated_at, d.sealed`
}

func scanDelivery(row scanner) (d Delivery, err error) {
	var created, updated int64
	err = row.Scan(&d.ID, &d.ws, &d.ChannelID, &d.Channel, &d.Kind, &d.Reason, &d.State, &d.Firing, &d.Resolved, &d.Tries, &created, &updated, &d.sealed)
	d.CreatedAt, d.UpdatedAt = kernel.FromMicros(created), kernel.FromMicros(updated)
	return d, err
}

type deliveryCursor struct {
	ID kernel.ID `json:"i"`
}

// Deliveries lists what was sent, the newest first.
func (m *Module) Deliveries(ctx context.Context, ws kernel.WorkspaceID, f DeliveryFilter) (out []Delivery, next string, err error) {
	var at deliveryCursor
	if f.Cursor != "" {
		if err := kernel.DecodeCursor(f.Cursor, &at); err != nil {
			return nil, "", err
		}
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	to := int64(1) << 62
	if !f.To.IsZero() {
		to = kernel.Micros(f.To)
	}
	rows, err := m.db.Query(ctx, `SELECT `+m.deliveryColumns()+` FROM notify_deliveries d JOIN notify_channels c ON c.id = d.channel_id
		WHERE d.workspace_id = $1 AND ($2 = '' OR d.channel_id = $2) AND ($3 = '' OR `+m.deliveryState()+` = $3) AND ($4 = '' OR d.reason = $4)
		AND d.created_at >= $5 AND d.created_at < $6 AND ($7 = '' OR d.id < $7) ORDER BY d.id DESC LIMIT $8`,
		ws, string(f.Channel), f.State, f.Reason, kernel.Micros(f.From), to, string(at.ID), f.Limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("notify: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return nil, "", fmt.Errorf("notify: %w", err)
		}
		out = append(out, d)
	}
	if err := rows.Err(); err != nil {
		return nil, "", fmt.Errorf("notify: %w", err)
	}
	if len(out) > f.Limit {
		out = out[:f.Limit]
		next = kernel.EncodeCursor(deliveryCursor{out[len(out)-1].ID})
	}
	for i := range out {
		if err := m.openDelivery(ctx, &out[i]); err != nil {
			return nil, "", err
		}
	}
	return out, next, nil
}

func (m *Module) openDelivery(ctx context.Context, d *Delivery) error {
	if err := m.open(ctx, d.ws, d.sealed, deliveryAAD(d.ID), &d.body); err != nil {
		return err
	}
	d.Title, d.sealed = d.body.Title, nil
	return nil
}

// Delivery finds one with all its attempts; another workspace's is NotFound.
func (m *Module) Delivery(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Delivery, error) {
	d, err := scanDelivery(m.db.QueryRow(ctx, `SELECT `+m.deliveryColumns()+` FROM notify_deliveries d JOIN notify_channels c ON c.id = d.channel_id
		WHERE d.workspace_id = $1 AND d.id = $2`, ws, id))
	if errors.Is(err, db.ErrNoRows) {
		return d, kernel.Errorf(kernel.NotFound, "There is no such delivery. The log is kept for 30 days.")
	}
	if err == nil {
		err = m.openDelivery(ctx, &d)
	}
	if err == nil {
		d.Attempts, err = m.attempts(ctx, d)
	}
	return d, err
}

func (m *Module) attempts(ctx context.Context, d Delivery) (out []Attempt, err error) {
	rows, err := m.db.Query(ctx, `SELECT n, at, duration_us, status, outcome, sealed FROM notify_attempts WHERE delivery_id = $1 ORDER BY n DESC LIMIT 100`, d.ID)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	defer rows.Close()
	var boxes [][]byte
	for rows.Next() {
		var a Attempt
		var at, took int64
		var sealed []byte
		if err := rows.Scan(&a.N, &at, &took, &a.Status, &a.State, &sealed); err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
		a.At, a.Took = kernel.FromMicros(at), time.Duration(took)*time.Microsecond
		out, boxes = append(out, a), append(boxes, sealed)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	for i := range out {
		if err := m.open(ctx, d.ws, boxes[i], attemptAAD(d.ID), &out[i].Text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// lastDeliveries are the newest of each channel.
func (m *Module) lastDeliveries(ctx context.Context, ws kernel.WorkspaceID) (map[kernel.ID]Delivery, error) {
	rows, err := m.db.Query(ctx, `SELECT `+m.deliveryColumns()+` FROM notify_deliveries d JOIN notify_channels c ON c.id = d.channel_id
		WHERE c.workspace_id = $1 AND d.id = (SELECT max(id) FROM notify_deliveries WHERE channel_id = c.id)`, ws)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	defer rows.Close()
	out := map[kernel.ID]Delivery{}
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
		out[d.ChannelID] = d
	}
	return out, rows.Err()
}
