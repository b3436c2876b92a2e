package status

import (
	"context"
	"crypto/hmac"
	"database/sql"
	"encoding/base64"
	"errors"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/seal"
)

// The mail types of this module.
const (
	mailConfirm = "status_confirm"
	mailUpdate  = "status_update"
)

const (
	confirmWithin = 7 * 24 * time.Hour
	askAgain      = 24 * time.Hour // an address is asked no more often
)

// MailTypes are the mails that the module sends.
func MailTypes() []mail.Type {
	page := Page{Title: "Example status", Slug: "example"}
	n := Notice{ID: "01arz3ndektsv4rrffq69g5fav", Kind: Incident, Title: "Payments are slow", Impact: "major", State: "identified"}
	return []mail.Type{
		{ID: mailConfirm, Kind: mail.Transactional, Title: "Confirm the subscription of a status page", Sample: confirmContent(page, "https://kept.example/status/example/confirm/token")},
		{ID: mailUpdate, Kind: mail.Transactional, Title: "Incidents and maintenance of a status page", Optional: true, MaxAge: 12 * time.Hour,
			Sample: updateContent(page, n, "A database has run out of connections. We are adding some.", "https://kept.example", "https://kept.example/status/example/unsubscribe/token")},
	}
}

func confirmContent(p Page, link string) mail.Content {
	return mail.Content{
		Subject: "Confirm: updates of " + p.Title,
		Text:    []string{"Somebody, probably you, asked to get incidents and maintenance of “" + p.Title + "” by mail."},
		Action:  &mail.Action{Label: "Confirm", URL: link},
		After:   []string{"Without that, nothing more is sent, and the address is forgotten after 7 days."},
		Why:     "You get this because this address was entered on a status page.",
	}
}

func updateContent(p Page, n Notice, text, base, unsubscribe string) mail.Content {
	return mail.Content{
		Subject: p.Title + ": " + n.Title + " (" + n.State + ")",
		Text:    append([]string{word(n.Kind) + ", " + n.State + "."}, paragraphs(text)...),
		Action:  &mail.Action{Label: "Status page", URL: base + "/status/" + p.Slug + "/incidents/" + string(n.ID)},
		After:   []string{"To get no more of these: " + unsubscribe},
		Why:     "You get this because you subscribed to this status page and confirmed it.",
	}
}

func paragraphs(text string) (out []string) {
	for p := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// token is what a subscriber is known by in links: his id, and a proof that this server wrote it. Nothing is stored. The
// box is taken before a transaction begins, because it may have to be made, in one of its own.
func token(box *seal.Box, id kernel.ID) string {
	tag := box.Tag("status/subscriber", []byte(id))
	return string(id) + base64.RawURLEncoding.EncodeToString(tag[:16])
}

// subscriberOf finds whose link it is.
func (m *Module) subscriberOf(ctx context.Context, p Page, text string) (id kernel.ID, address string, err error) {
	dead := kernel.Errorf(kernel.NotFound, "This link works no more.")
	if len(text) < 26 || !kernel.ValidID(text[:26]) {
		return "", "", dead
	}
	id = kernel.ID(text[:26])
	box, err := m.d.Keys.Box(ctx, p.WorkspaceID)
	if err != nil {
		return "", "", err
	}
	if !hmac.Equal([]byte(token(box, id)), []byte(text)) {
		return "", "", dead
	}
	err = m.d.DB.QueryRow(ctx, `SELECT address FROM status_subscribers WHERE workspace_id = $1 AND id = $2`, string(p.WorkspaceID), string(id)).Scan(&address)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", dead
	}
	return id, address, err
}

// Subscribe asks an address to confirm. Whoever asks learns nothing: not whether it is subscribed, nor whether it is known.
func (m *Module) Subscribe(ctx context.Context, p Page, address string) error {
	parsed, err := netmail.ParseAddress(strings.TrimSpace(address))
	if err != nil || len(parsed.Address) > 254 || parsed.Name != "" {
		return kernel.InvalidField("address", "Write an e-mail address.")
	}
	address = strings.ToLower(parsed.Address)
	box, err := m.d.Keys.Box(ctx, p.WorkspaceID)
	if err != nil {
		return err
	}
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		var n int64
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM status_subscribers WHERE workspace_id = $1`, string(p.WorkspaceID)).Scan(&n); err != nil {
			return err
		}
		if n >= maxSubscribers {
			return kernel.InvalidField("address", "This page has as many subscribers as it can have. Use the feed.")
		}
		now := kernel.Micros(tx.Now())
		id := kernel.NewID(tx.Now())
		asked, err := tx.Exec(ctx, `INSERT INTO status_subscribers (id, workspace_id, address, created_at, confirmed_at) VALUES ($1, $2, $3, $4, 0)
			ON CONFLICT (workspace_id, address) DO UPDATE SET created_at = $4 WHERE status_subscribers.confirmed_at = 0 AND status_subscribers.created_at < $5`,
			string(id), string(p.WorkspaceID), address, now, kernel.Micros(tx.Now().Add(-askAgain)))
		if err != nil || asked == 0 || m.d.Mail == nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT id FROM status_subscribers WHERE workspace_id = $1 AND address = $2`, string(p.WorkspaceID), address).Scan(&id); err != nil {
			return err
		}
		return m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailConfirm, To: address, Content: confirmContent(p, m.d.BaseURL()+"/status/"+p.Slug+"/confirm/"+token(box, id))})
	})
}

// Confirm makes an address a subscriber.
func (m *Module) Confirm(ctx context.Context, p Page, text string) error {
	id, address, err := m.subscriberOf(ctx, p, text)
	if err != nil {
		return err
	}
	if _, err := m.exec(ctx, `UPDATE status_subscribers SET confirmed_at = $3 WHERE workspace_id = $1 AND id = $2 AND confirmed_at = 0`, string(p.WorkspaceID), string(id), kernel.Micros(m.d.Clock())); err != nil {
		return err
	}
	if m.d.Mail == nil {
		return nil
	}
	return m.d.Mail.Choose(ctx, address, mailUpdate, true) // it may have been refused once
}

// Unsubscribe forgets an address.
func (m *Module) Unsubscribe(ctx context.Context, p Page, text string) error {
	id, _, err := m.subscriberOf(ctx, p, text)
	if err != nil {
		return err
	}
	_, err = m.exec(ctx, `DELETE FROM status_subscribers WHERE workspace_id = $1 AND id = $2`, string(p.WorkspaceID), string(id))
	return err
}

// Subscribers counts those who confirmed.
func (m *Module) Subscribers(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = m.d.DB.QueryRow(ctx, `SELECT count(*) FROM status_subscribers WHERE workspace_id = $1 AND confirmed_at > 0`, string(ws)).Scan(&n)
	return n, err
}

// mailUpdate sends an update to those who confirmed, if the page can be read.
func (m *Module) mailUpdate(ctx context.Context, tx *db.Tx, box *seal.Box, ws kernel.WorkspaceID, n Notice, text string) error {
	var p Page
	err := tx.QueryRow(ctx, `SELECT slug, title FROM status_pages WHERE workspace_id = $1 AND public <> 0`, string(ws)).Scan(&p.Slug, &p.Title)
	if errors.Is(err, sql.ErrNoRows) || m.d.Mail == nil {
		return nil
	}
	if err != nil {
		return err
	}
	type subscriber struct {
		id      kernel.ID
		address string
	}
	var all []subscriber
	rows, err := tx.Query(ctx, `SELECT id, address FROM status_subscribers WHERE workspace_id = $1 AND confirmed_at > 0`, string(ws))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s subscriber
		if err := rows.Scan(&s.id, &s.address); err != nil {
			return err
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := rows.Close(); err != nil {
		return err
	}
	base := m.d.BaseURL()
	for _, s := range all {
		err := m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailUpdate, To: s.address, Thread: string(n.ID), Content: updateContent(p, n, text, base, base+"/status/"+p.Slug+"/unsubscribe/"+token(box, s.id))})
		if err != nil {
			return err
		}
	}
	return nil
}
