package status

import (
	"context"
	"database/sql"
	"errors"
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
	mailServer  = "status_server"
)

// MailTypes are the mails that the module sends.
func MailTypes() []mail.Type {
	page := Page{Title: "Example status", Slug: "example"}
	n := Notice{ID: "01arz3ndektsv4rrffq69g5fav", Kind: Incident, Title: "Payments are slow", Impact: "major", State: "identified"}
	server := Notice{ID: n.ID, Kind: Maintenance, Title: "New disks", State: "planned", StartsAt: time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC), EndsAt: time.Date(2026, 5, 1, 7, 0, 0, 0, time.UTC)}
	return []mail.Type{
		{ID: mailConfirm, Kind: mail.Transactional, Title: "Confirm the subscription of a status page", Sample: confirmContent(page, "https://kept.example/status/example/confirm/token")},
		{ID: mailUpdate, Kind: mail.Transactional, Title: "Incidents and maintenance of a status page", Optional: true, MaxAge: 12 * time.Hour,
			Sample: updateContent(page, n, "A database has run out of connections. We are adding some.", "https://kept.example", "https://kept.example/status/example/unsubscribe/token")},
		{ID: mailServer, Kind: mail.Transactional, Title: "Incidents, maintenance and security updates of this server", Optional: true, MaxAge: 12 * time.Hour,
			Sample: serverContent(server, "Kept does not answer for some minutes. Agents keep what they measure and send it afterwards.", "https://kept.example")},
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
		Text:    append([]string{n.when()}, paragraphs(text)...),
		Action:  &mail.Action{Label: "Status page", URL: base + publicHref(p) + "/incidents/" + string(n.ID)},
		After:   []string{"To get no more of these: " + unsubscribe},
		Why:     "You get this because you subscribed to this status page and confirmed it.",
	}
}

func serverContent(n Notice, text, base string) mail.Content {
	return mail.Content{
		Subject: word(n.Kind) + ": " + n.Title + " (" + n.State + ")",
		Text:    append([]string{n.when()}, paragraphs(text)...),
		Action:  &mail.Action{Label: "All notices of this server", URL: base + pathServer + "#" + string(n.ID)},
		Why:     "You get this because you own a workspace on this server.",
	}
}

// when says what a notice is, how far, and for maintenance from when to when.
func (n Notice) when() string {
	text := word(n.Kind) + ", " + n.State
	if n.Kind == Maintenance {
		const day, clock = "2 January 2006", "15:04"
		from, to := n.StartsAt.UTC(), n.EndsAt.UTC()
		end := to.Format(clock)
		if from.Format(day) != to.Format(day) {
			end = to.Format(day + ", " + clock)
		}
		text += ", " + from.Format(day+", "+clock) + " to " + end + " UTC"
	}
	return text + "."
}

func paragraphs(text string) (out []string) {
	for p := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// spread hands an update to all who subscribed and confirmed, if the page can be read: the mails and the deliveries to
// webhooks are written in the transaction of the update itself, so that neither goes without the other.
func (m *Module) spread(ctx context.Context, tx *db.Tx, box *seal.Box, ws kernel.WorkspaceID, n Notice, u Update) error {
	p := Page{WorkspaceID: ws, Public: true}
	err := tx.QueryRow(ctx, `SELECT slug, title FROM status_pages WHERE workspace_id = $1 AND public <> 0`, string(ws)).Scan(&p.Slug, &p.Title)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := m.subscribersBy(ctx, tx, box, `workspace_id = $1 AND confirmed_at > 0 AND disabled_at = 0`, string(ws))
	if err != nil {
		return err
	}
	if err := m.mailAll(ctx, tx, box, p, all, n, u); err != nil {
		return err
	}
	return m.queueDeliveries(ctx, tx, ws, all, u.ID)
}

func (m *Module) mailAll(ctx context.Context, tx *db.Tx, box *seal.Box, p Page, all []Subscriber, n Notice, u Update) error {
	for _, s := range all {
		if s.Kind != byMail || m.d.Mail == nil {
			continue
		}
		content := updateContent(p, n, u.Text, m.d.BaseURL(), m.link(p, "unsubscribe", token(box, s.ID)))
		if err := m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailUpdate, To: s.Address, Thread: string(n.ID), Content: content}); err != nil {
			return err
		}
	}
	return nil
}
