package status

import (
	"context"
	"crypto/hmac"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/seal"
)

// The kinds of subscribers.
const (
	byMail    = "mail"
	byWebhook = "webhook"
)

const (
	confirmWithin = 7 * 24 * time.Hour
	askAgain      = 24 * time.Hour // an address is asked no more often
	maxMails      = 1000           // subscribers of a page by mail, so that an update goes out in one transaction
	maxWebhooks   = 100            // subscribers of a page by webhook
	maxAsksOfHost = 20             // webhooks of one host that have not confirmed, of all pages within a day
)

// Subscriber is somebody who gets the updates of a page.
type Subscriber struct {
	ID          kernel.ID
	Kind        string // byMail or byWebhook
	Address     string // e-mail address, or the webhook's URL
	CreatedAt   time.Time
	ConfirmedAt time.Time // zero: not yet
	FailingAt   time.Time // since when a webhook does not take anything; zero: it does
	DisabledAt  time.Time // when a webhook was turned off for that; zero: it is on

	secret string // that a webhook's messages are signed with
}

// Host is where a webhook is. The rest of its address is nobody's business: it may hold a token.
func (s Subscriber) Host() string {
	u, err := url.Parse(s.Address)
	if err != nil {
		return ""
	}
	return u.Host
}

// On tells whether a subscriber gets updates.
func (s Subscriber) On() bool { return !s.ConfirmedAt.IsZero() && s.DisabledAt.IsZero() }

// sealedSubscriber is what of a subscriber is sealed.
type sealedSubscriber struct {
	Address string `json:"address"`
	Secret  string `json:"secret,omitempty"`
}

func subscriberAAD(id kernel.ID) []byte { return []byte("status/subscriber/" + id) }

// querier is a database or a transaction.
type querier interface {
	Query(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

func (m *Module) subscribersBy(ctx context.Context, q querier, box *seal.Box, where string, args ...any) (out []Subscriber, err error) {
	rows, err := q.Query(ctx, `SELECT id, kind, sealed, created_at, confirmed_at, failing_at, disabled_at FROM status_subscribers WHERE `+where+` ORDER BY created_at, id`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s Subscriber
		var sealed []byte
		var created, confirmed, failing, disabled int64
		if err := rows.Scan(&s.ID, &s.Kind, &sealed, &created, &confirmed, &failing, &disabled); err != nil {
			return nil, err
		}
		plain, err := box.Open(sealed, subscriberAAD(s.ID))
		if err != nil {
			return nil, err
		}
		var in sealedSubscriber
		if err := json.Unmarshal(plain, &in); err != nil {
			return nil, err
		}
		s.Address, s.secret = in.Address, in.Secret
		s.CreatedAt, s.ConfirmedAt, s.FailingAt, s.DisabledAt = kernel.FromMicros(created), kernel.FromMicros(confirmed), kernel.FromMicros(failing), kernel.FromMicros(disabled)
		out = append(out, s)
	}
	return out, rows.Err()
}

// subscribers lists all of a workspace's page, those that have not confirmed too.
func (m *Module) subscribers(ctx context.Context, ws kernel.WorkspaceID) ([]Subscriber, error) {
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return nil, err
	}
	return m.subscribersBy(ctx, m.d.DB, box, `workspace_id = $1`, string(ws))
}

// Webhooks lists the webhooks that a page's updates go to, those that were turned off too.
func (m *Module) Webhooks(ctx context.Context, ws kernel.WorkspaceID) ([]Subscriber, error) {
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return nil, err
	}
	return m.subscribersBy(ctx, m.d.DB, box, `workspace_id = $1 AND kind = $2 AND confirmed_at > 0`, string(ws), byWebhook)
}

// Mails counts those who get updates by mail.
func (m *Module) Mails(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = m.d.DB.QueryRow(ctx, `SELECT count(*) FROM status_subscribers WHERE workspace_id = $1 AND kind = $2 AND confirmed_at > 0`, string(ws), byMail).Scan(&n)
	return n, err
}

// token is what a subscriber is known by in links: his id, and a proof that this server wrote it. Nothing is stored. The
// box is taken before a transaction begins, because it may have to be made, in one of its own.
func token(box *seal.Box, id kernel.ID) string {
	tag := box.Tag("status/subscriber", []byte(id))
	return string(id) + base64.RawURLEncoding.EncodeToString(tag[:16])
}

// subscriberOf finds whose link it is.
func (m *Module) subscriberOf(ctx context.Context, p Page, text string) (s Subscriber, err error) {
	dead := kernel.Errorf(kernel.NotFound, "This link works no more.")
	if len(text) < 26 || !kernel.ValidID(text[:26]) {
		return s, dead
	}
	box, err := m.d.Keys.Box(ctx, p.WorkspaceID)
	if err != nil {
		return s, err
	}
	if !hmac.Equal([]byte(token(box, kernel.ID(text[:26]))), []byte(text)) {
		return s, dead
	}
	return m.subscriber(ctx, p.WorkspaceID, kernel.ID(text[:26]), dead)
}

func (m *Module) subscriber(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, none error) (s Subscriber, err error) {
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return s, err
	}
	found, err := m.subscribersBy(ctx, m.d.DB, box, `workspace_id = $1 AND id = $2`, string(ws), string(id))
	if err == nil && len(found) == 0 {
		err = none
	}
	if err != nil {
		return s, err
	}
	return found[0], nil
}

// Subscribe asks an e-mail address to confirm. Whoever asks learns nothing: not whether it is subscribed, nor whether it is
// known.
func (m *Module) Subscribe(ctx context.Context, p Page, address string) error {
	parsed, err := netmail.ParseAddress(strings.TrimSpace(address))
	if err != nil || len(parsed.Address) > 254 || parsed.Name != "" {
		return kernel.InvalidField("address", "Write an e-mail address.")
	}
	s := Subscriber{Kind: byMail, Address: strings.ToLower(parsed.Address)}
	return m.ask(ctx, p, s, func(tx *db.Tx, id kernel.ID, link string) error {
		if m.d.Mail == nil {
			return nil
		}
		return m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailConfirm, To: s.Address, Content: confirmContent(p, link)})
	})
}

// SubscribeWebhook asks a webhook to confirm: it is sent a link, which somebody who sees what arrives there has to open.
// Until then it gets nothing else. As with mail, whoever asks learns nothing.
func (m *Module) SubscribeWebhook(ctx context.Context, p Page, address string) error {
	if m.d.Hooks == nil {
		return kernel.Errorf(kernel.NotFound, "This page does not send to webhooks.")
	}
	hook, err := m.newHook(strings.TrimSpace(address))
	if err != nil {
		return err
	}
	s := Subscriber{Kind: byWebhook, Address: hook.URL, secret: hook.Secret}
	return m.ask(ctx, p, s, func(tx *db.Tx, id kernel.ID, _ string) error {
		_, err := m.deliver.Insert(ctx, tx, delivery{Workspace: p.WorkspaceID, Subscriber: id})
		return err
	})
}

// newHook wants TLS as well: updates carry links by which a subscription is ended.
func (m *Module) newHook(address string) (notify.Hook, error) {
	hook, err := m.d.Hooks.NewHook("url", address)
	if err == nil && !strings.HasPrefix(strings.ToLower(address), "https://") {
		err = kernel.InvalidField("url", "The address must begin with https://.")
	}
	return hook, err
}

// ask notes somebody who wants to subscribe and, unless that was done lately or he is a subscriber, asks him to confirm.
func (m *Module) ask(ctx context.Context, p Page, s Subscriber, ask func(tx *db.Tx, id kernel.ID, link string) error) error {
	box, err := m.d.Keys.Box(ctx, p.WorkspaceID)
	if err != nil {
		return err
	}
	id := kernel.NewID(m.d.Clock())
	plain, err := json.Marshal(sealedSubscriber{s.Address, s.secret})
	if err != nil {
		return err
	}
	sealed, err := box.Seal(plain, subscriberAAD(id))
	if err != nil {
		return err
	}
	tag, host := box.Tag("status/address", []byte(s.Kind+"\n"+s.Address)), m.hostTag(s)
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		if err := m.checkRoom(ctx, tx, p, s, host); err != nil {
			return err
		}
		now := kernel.Micros(tx.Now())
		err := tx.QueryRow(ctx, `INSERT INTO status_subscribers (id, workspace_id, kind, tag, host_tag, sealed, created_at, confirmed_at, failures, failing_at, disabled_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0) ON CONFLICT (workspace_id, tag) DO UPDATE SET created_at = $7
			WHERE (status_subscribers.confirmed_at = 0 OR status_subscribers.disabled_at > 0) AND status_subscribers.created_at < $8 RETURNING id`,
			string(id), string(p.WorkspaceID), s.Kind, tag[:], host, sealed, now, kernel.Micros(tx.Now().Add(-askAgain))).Scan(&id)
		if err == sql.ErrNoRows {
			return nil
		}
		if err != nil {
			return err
		}
		return ask(tx, id, m.link(p, "confirm", token(box, id)))
	})
}

// hostTag is the same for all pages, so that all of them together cannot flood a host; nil for mail.
func (m *Module) hostTag(s Subscriber) []byte {
	if s.Kind != byWebhook {
		return nil
	}
	tag := m.d.Keys.Instance().Tag("status/host", []byte(strings.ToLower(s.Host())))
	return tag[:]
}

func (m *Module) checkRoom(ctx context.Context, tx *db.Tx, p Page, s Subscriber, host []byte) error {
	field, most := "address", int64(maxMails)
	if s.Kind == byWebhook {
		field, most = "url", maxWebhooks
	}
	var n int64
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM status_subscribers WHERE workspace_id = $1 AND kind = $2`, string(p.WorkspaceID), s.Kind).Scan(&n); err != nil {
		return err
	}
	if n >= most {
		return kernel.InvalidField(field, "This page has as many subscribers as it can have. Use the feed.")
	}
	if host == nil {
		return nil
	}
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM status_subscribers WHERE host_tag = $1 AND confirmed_at = 0 AND created_at > $2`, host, kernel.Micros(tx.Now().Add(-askAgain))).Scan(&n); err != nil {
		return err
	}
	if n >= maxAsksOfHost {
		return kernel.InvalidField(field, "This host was asked often today and has not confirmed. Try again tomorrow.")
	}
	return nil
}

func (m *Module) link(p Page, what, token string) string {
	return m.d.BaseURL() + publicHref(p) + "/" + what + "/" + token
}

// Confirm makes whoever has the link a subscriber, or one again whose webhook was turned off. fresh tells whether he was
// none before; secret is what a webhook's messages are signed with, for a fresh one only.
func (m *Module) Confirm(ctx context.Context, p Page, text string) (secret string, fresh bool, err error) {
	s, err := m.subscriberOf(ctx, p, text)
	if err != nil {
		return "", false, err
	}
	n, err := m.exec(ctx, `UPDATE status_subscribers SET confirmed_at = $3, failures = 0, failing_at = 0, disabled_at = 0
		WHERE workspace_id = $1 AND id = $2 AND (confirmed_at = 0 OR disabled_at > 0)`, string(p.WorkspaceID), string(s.ID), kernel.Micros(m.d.Clock()))
	if err != nil || n == 0 {
		return "", false, err
	}
	if s.Kind == byMail && m.d.Mail != nil {
		err = m.d.Mail.Choose(ctx, s.Address, mailUpdate, true) // it may have been refused once
	}
	return s.secret, true, err
}

// Unsubscribe forgets whoever has the link.
func (m *Module) Unsubscribe(ctx context.Context, p Page, text string) error {
	s, err := m.subscriberOf(ctx, p, text)
	if err != nil {
		return err
	}
	_, err = m.exec(ctx, `DELETE FROM status_subscribers WHERE workspace_id = $1 AND id = $2`, string(p.WorkspaceID), string(s.ID))
	return err
}

func errNoWebhook() error { return kernel.Errorf(kernel.NotFound, "There is no such webhook.") }

// RemoveWebhook ends the subscription of a webhook for its page.
func (m *Module) RemoveWebhook(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	n, err := m.exec(ctx, `DELETE FROM status_subscribers WHERE workspace_id = $1 AND id = $2 AND kind = $3`, string(ws), string(id), byWebhook)
	if err == nil && n == 0 {
		err = errNoWebhook()
	}
	return err
}

// EnableWebhook turns a webhook on again that was turned off.
func (m *Module) EnableWebhook(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	n, err := m.exec(ctx, `UPDATE status_subscribers SET failures = 0, failing_at = 0, disabled_at = 0 WHERE workspace_id = $1 AND id = $2 AND kind = $3`, string(ws), string(id), byWebhook)
	if err == nil && n == 0 {
		err = errNoWebhook()
	}
	return err
}

// A webhook is turned off when for so long nothing has arrived, although it was tried so often.
const (
	failingFor  = 3 * 24 * time.Hour
	failedTries = 10
)

// judge notes how an attempt at a webhook ended, and turns it off when it has failed for long.
func (m *Module) judge(ctx context.Context, ws kernel.WorkspaceID, s Subscriber, worked bool) error {
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		if worked {
			_, err := tx.Exec(ctx, `UPDATE status_subscribers SET failures = 0, failing_at = 0 WHERE id = $1 AND failures > 0`, string(s.ID))
			return err
		}
		now := kernel.Micros(tx.Now())
		_, err := tx.Exec(ctx, `UPDATE status_subscribers SET failures = failures + 1, failing_at = CASE WHEN failing_at = 0 THEN $2 ELSE failing_at END WHERE id = $1`, string(s.ID), now)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE status_subscribers SET disabled_at = $2 WHERE id = $1 AND disabled_at = 0 AND confirmed_at > 0 AND failures >= $3 AND failing_at <= $4`,
			string(s.ID), now, failedTries, kernel.Micros(tx.Now().Add(-failingFor)))
		if err != nil || n == 0 {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: audit.System, Action: "status_webhook.disable", Target: webhookTarget(s.ID), Detail: s.Host() + ": nothing arrived for three days"})
	})
}

func webhookTarget(id kernel.ID) string { return "status_webhook:" + string(id) }
