package notify

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// The mail types of this module.
const (
	mailAlert    = "alert"
	mailConfirm  = "alert_confirm"
	mailDisabled = "channel_disabled"
)

const (
	confirmTTL   = 7 * 24 * time.Hour
	maxAddresses = 20 // of one channel
	maxAsked     = 3  // mails that ask one address within a day, whoever wants it asked
	maxAskedBy   = 40 // mails by which one workspace asks within a day
)

// kindOwners is the kind of the channel Owners.
const kindOwners = "owners"

func emailKind() kind {
	addresses := text("addresses", "Addresses", "One on each line. Members of the workspace get mail at once; anybody else gets a link first, and confirms it.", "")
	addresses.Kind, addresses.Rows, addresses.Check = "textarea", 4, checkAddresses
	return kind{
		Key: "email", Title: "E-mail", About: "One mail for each group of alerts; what belongs together stands in one thread.",
		Steps:  []string{"Enter the addresses. Everybody can refuse these mails with one click, and a mailbox that does not exist is left alone."},
		Fields: []field{addresses}, send: sendEmail,
	}
}

func ownersKind() kind {
	return kind{Key: kindOwners, Title: "E-mail to owners and admins", About: "Whoever owns or manages the workspace at that time.", send: sendOwners}
}

// MailTypes are the mails that the module sends.
func MailTypes() []mail.Type {
	sample := Links{Page: "https://kept.example/w/01jexample/alerts"}
	it := item{Name: "HostDown", Severity: critical, Summary: "web-1 has not reported for 5 minutes.", Labels: []pair{{"host", "web-1"}},
		Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Links: sample}
	msg := &message{Title: "Firing: HostDown on web-1", Severity: critical, Firing: 1, Items: []item{it}, Link: sample.Page, At: it.Since.Add(5 * time.Minute)}
	return []mail.Type{
		{ID: mailAlert, Kind: mail.Transactional, Title: "Alerts of a workspace", Optional: true, MaxAge: 6 * time.Hour, Sample: alertContent(msg, "On-call")},
		{ID: mailConfirm, Kind: mail.Transactional, Title: "Confirm that you want alerts", MaxAge: confirmTTL, Optional: true,
			Sample: confirmContent("Acme", "On-call", "https://kept.example/notify/confirm?token=EXAMPLE")},
		{ID: mailDisabled, Kind: mail.Transactional, Title: "Notice: a channel was turned off", Sample: disabledContent("On-call Slack", 5, "https://kept.example/w/01jexample/channels")},
	}
}

func checkAddresses(v string) string {
	list, err := parseAddresses(v)
	switch {
	case err != nil:
		return err.Error() + "."
	case len(list) == 0:
		return "Enter an address."
	case len(list) > maxAddresses:
		return fmt.Sprintf("Enter %d addresses at most; a mailing list reaches more people.", maxAddresses)
	}
	return ""
}

// parseAddresses reads addresses on lines, or with commas between.
func parseAddresses(v string) (out []identity.Address, err error) {
	for _, word := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(",;\r\n\t ", r) }) {
		a, err := identity.ParseAddress(word)
		if err != nil {
			return nil, fmt.Errorf("“%s” is not an address such as name@example.org", clean(word, 60))
		}
		if !slices.ContainsFunc(out, func(b identity.Address) bool { return a.Key == b.Key }) {
			out = append(out, a)
		}
	}
	return out, nil
}

// Recipient is an address of a channel of kind email.
type Recipient struct {
	Address   string
	Member    bool
	Confirmed bool // or a member
	AskedAt   time.Time

	account kernel.AccountID
}

// recipients are a channel's addresses, and which of them may be written to today.
func (m *Module) recipients(ctx context.Context, c Channel) (out []Recipient, err error) {
	list, err := parseAddresses(c.set["addresses"])
	if err != nil {
		return nil, nil // it was checked when it was typed
	}
	members, err := m.members(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		r := Recipient{Address: a.Typed}
		if i := slices.IndexFunc(members, func(p member) bool { return p.key == a.Key }); i >= 0 {
			r.Member, r.Confirmed, r.account = true, true, members[i].account
		} else if r.Confirmed, r.AskedAt, err = m.confirmed(ctx, c, a); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

type member struct {
	account    kernel.AccountID
	email, key string
	role       string
}

func (m *Module) members(ctx context.Context, ws kernel.WorkspaceID) (out []member, err error) {
	rows, err := m.db.Query(ctx, `SELECT a.id, a.email, a.email_key, s.role FROM memberships s JOIN accounts a ON a.id = s.account_id
		WHERE s.workspace_id = $1 AND a.verified_at > 0 ORDER BY a.email_key`, ws)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var p member
		if err := rows.Scan(&p.account, &p.email, &p.key, &p.role); err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// addressTag is the same for all workspaces, so that all of them together cannot flood an address.
func (m *Module) addressTag(a identity.Address) []byte {
	t := m.d.Keys.Instance().Tag("notify address", []byte(a.Key))
	return t[:]
}

func (m *Module) confirmed(ctx context.Context, c Channel, a identity.Address) (yes bool, asked time.Time, err error) {
	var at, confirmed int64
	err = m.db.QueryRow(ctx, `SELECT coalesce(max(asked_at), 0), coalesce(max(confirmed_at), 0) FROM notify_addresses
		WHERE workspace_id = $1 AND channel_id = $2 AND address_tag = $3`, c.ws, c.ID, m.addressTag(a)).Scan(&at, &confirmed)
	return confirmed > 0, kernel.FromMicros(at), err
}

// settle mails a link to the addresses of a channel that are neither members' nor confirmed nor asked already (again: asked
// once more), and ends what those agreed to that the channel has no more.
func (m *Module) settle(ctx context.Context, c Channel, workspaceName string, again bool) error {
	list, err := parseAddresses(c.set["addresses"])
	if err != nil {
		return nil
	}
	rs, err := m.recipients(ctx, c)
	if err != nil {
		return err
	}
	var keep [][]byte
	for i, r := range rs {
		keep = append(keep, m.addressTag(list[i]))
		if r.Confirmed || !again && m.d.Clock().Sub(r.AskedAt) < confirmTTL {
			continue
		}
		if err := m.ask(ctx, c, list[i], workspaceName); err != nil {
			return err
		}
	}
	return m.forgetOthers(ctx, c, keep)
}

func addressAAD(id kernel.ID) []byte { return []byte("notify/address/" + id) }

func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// ask mails a link by which an address's owner agrees. An address that was asked too often lately is left alone.
func (m *Module) ask(ctx context.Context, c Channel, a identity.Address, workspaceName string) error {
	token, now := newToken(), m.d.Clock()
	id := kernel.NewID(now)
	sealed, err := m.seal(ctx, c.ws, a.Typed, addressAAD(id))
	if err != nil {
		return err
	}
	href := strings.TrimSuffix(m.d.BaseURL(), "/") + pathConfirm + "?token=" + token
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		var asked, by int
		if err := tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(CASE WHEN address_tag = $1 THEN 1 ELSE 0 END), 0) FROM notify_addresses
			WHERE asked_at > $2 AND (address_tag = $1 OR workspace_id = $3)`, m.addressTag(a), kernel.Micros(now.Add(-24*time.Hour)), c.ws).Scan(&by, &asked); err != nil {
			return err
		}
		if asked >= maxAsked || by >= maxAskedBy {
			return nil
		}
		if _, err := tx.Exec(ctx, `INSERT INTO notify_addresses (id, workspace_id, channel_id, address_tag, sealed, token_hash, asked_at, confirmed_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`, id, c.ws, c.ID, m.addressTag(a), sealed, hashToken(token), kernel.Micros(now)); err != nil {
			return err
		}
		if m.d.Mail == nil {
			return nil
		}
		return m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailConfirm, To: a.Typed, Content: confirmContent(workspaceName, c.Name, href)})
	})
}

func newToken() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// forgetOthers ends the consent of addresses that a channel has no more, and their links. The rows go later.
func (m *Module) forgetOthers(ctx context.Context, c Channel, keep [][]byte) error {
	rows, err := m.db.Query(ctx, `SELECT id, address_tag FROM notify_addresses WHERE workspace_id = $1 AND channel_id = $2`, c.ws, c.ID)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	defer rows.Close()
	var gone []kernel.ID
	for rows.Next() {
		var id kernel.ID
		var tag []byte
		if err := rows.Scan(&id, &tag); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
		if !slices.ContainsFunc(keep, func(k []byte) bool { return string(k) == string(tag) }) {
			gone = append(gone, id)
		}
	}
	if err := rows.Err(); err != nil || len(gone) == 0 {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		for _, id := range gone {
			if _, err := tx.Exec(ctx, `UPDATE notify_addresses SET confirmed_at = 0, token_hash = $2 WHERE id = $1`, id, hashToken(newToken())); err != nil {
				return err
			}
		}
		return nil
	})
}

// pending is an address that was asked and has not answered.
type pending struct {
	id      kernel.ID
	ws      kernel.WorkspaceID
	channel kernel.ID
	Channel string
	Address string
	Space   string // name of the workspace
	Done    bool
}

func errDeadLink() error {
	return kernel.Errorf(kernel.NotFound, "This link works no more. Whoever set up the channel can send a new one.")
}

// asked finds what a mailed link is about.
func (m *Module) asked(ctx context.Context, token string) (p pending, err error) {
	if len(token) != 43 {
		return p, errDeadLink()
	}
	var sealed []byte
	var at, confirmed int64
	err = m.db.QueryRow(ctx, `SELECT a.id, a.workspace_id, c.id, c.name, w.name, a.sealed, a.asked_at, a.confirmed_at FROM notify_addresses a
		JOIN notify_channels c ON c.id = a.channel_id AND c.workspace_id = a.workspace_id AND c.deleted_at = 0 JOIN workspaces w ON w.id = a.workspace_id WHERE a.token_hash = $1`, hashToken(token)).
		Scan(&p.id, &p.ws, &p.channel, &p.Channel, &p.Space, &sealed, &at, &confirmed)
	if errors.Is(err, db.ErrNoRows) {
		return p, errDeadLink()
	}
	if err != nil {
		return p, fmt.Errorf("notify: %w", err)
	}
	p.Done = confirmed > 0
	if !p.Done && m.d.Clock().Sub(kernel.FromMicros(at)) > confirmTTL {
		return p, errDeadLink()
	}
	return p, m.open(ctx, p.ws, sealed, addressAAD(p.id), &p.Address)
}

// confirm notes that an address's owner agrees. Twice is no error.
func (m *Module) confirm(ctx context.Context, token string) (p pending, err error) {
	if p, err = m.asked(ctx, token); err != nil || p.Done {
		return p, err
	}
	return p, m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE notify_addresses SET confirmed_at = $2 WHERE id = $1 AND confirmed_at = 0`, p.id, kernel.Micros(tx.Now())); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: p.ws, Actor: audit.Actor{Kind: "anonymous"}, Action: "channel.confirm", Target: "channel:" + string(p.channel), Detail: p.Channel})
	})
}

// sendEmail hands one mail for each address to the queue of mails.
func sendEmail(ctx context.Context, s *shot) error {
	rs, err := s.m.recipients(ctx, s.c)
	if err != nil {
		return err
	}
	waiting := len(rs)
	rs = slices.DeleteFunc(rs, func(r Recipient) bool { return !r.Confirmed })
	if waiting -= len(rs); len(rs) == 0 {
		return forGood("no address of the channel is a member's or confirmed")
	}
	if waiting > 0 {
		s.partial = fmt.Sprintf("%d of the addresses did not get it: they are not confirmed", waiting)
	}
	return s.mailTo(ctx, rs)
}

// sendOwners mails those who own or manage the workspace.
func sendOwners(ctx context.Context, s *shot) error {
	rs, err := s.m.managers(ctx, s.c.ws)
	if err != nil {
		return err
	}
	if len(rs) == 0 {
		return forGood("the workspace has no owner whose address is verified")
	}
	return s.mailTo(ctx, rs)
}

func (m *Module) managers(ctx context.Context, ws kernel.WorkspaceID) (out []Recipient, err error) {
	members, err := m.members(ctx, ws)
	for _, p := range members {
		if p.role == workspace.RoleOwner || p.role == workspace.RoleAdmin {
			out = append(out, Recipient{Address: p.email, Member: true, Confirmed: true, account: p.account})
		}
	}
	return out, err
}

func (s *shot) mailTo(ctx context.Context, rs []Recipient) error {
	if s.m.d.Mail == nil {
		return forGood("no mail server is configured")
	}
	content := alertContent(s.msg, s.c.Name)
	err := s.m.db.Tx(ctx, func(tx *db.Tx) error {
		for _, r := range rs {
			if err := s.m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailAlert, To: r.Address, AccountID: r.account, Content: content, Thread: s.key[:32]}); err != nil {
				return err
			}
		}
		return nil
	})
	s.handed = err == nil
	return err
}

// alertContent is the mail about a group. Its links stand in the paragraphs, since there is one for each alert.
func alertContent(msg *message, channel string) mail.Content {
	c := mail.Content{Subject: msg.Title, Why: "You get this because the channel “" + channel + "” has your address."}
	for i, it := range msg.Items {
		if i == maxItems {
			c.Text = append(c.Text, more(plain, len(msg.Items)-i))
			break
		}
		links := it.Links
		it.Links = Links{}
		c.Text = append(c.Text, strings.Split(msg.item(plain, it), "\n")...)
		if len(msg.Items) > 1 && links.Page != "" && links.Page != msg.Link {
			c.Text = append(c.Text, "Open: "+links.Page)
		}
	}
	if msg.Link != "" {
		c.Action = &mail.Action{Label: "Open in Kept", URL: msg.Link}
	}
	if !msg.Resolved && msg.Silence != "" {
		c.After = append(c.After, "Silence it: "+msg.Silence)
	}
	if !msg.Resolved && msg.Ack != "" && msg.Acked == "" {
		c.After = append(c.After, "Acknowledge it: "+msg.Ack)
	}
	return c
}

func confirmContent(workspace, channel, href string) mail.Content {
	return mail.Content{
		Subject: "Do you want alerts of " + workspace + "?",
		Text: []string{"Somebody wants to mail you when something goes wrong in the workspace “" + workspace + "”, over the channel “" + channel + "”.",
			"You get nothing unless you agree."},
		Action: &mail.Action{Label: "Yes, send them to me", URL: href},
		After:  []string{"The link works for 7 days. If you do not want these mails, do nothing."},
		Why:    "You get this because your address was entered for a channel.",
	}
}

func disabledContent(channel string, failures int, href string) mail.Content {
	return mail.Content{
		Subject: "The channel “" + channel + "” was turned off",
		Text: []string{fmt.Sprintf("The last %d notifications were refused for good, so nothing more is sent over “%s”. Alerts that go there only reach nobody.", failures, channel),
			"Look at what it answered, mend its settings, send a test, and turn it on again."},
		Action: &mail.Action{Label: "Look at the channel", URL: href},
		Why:    "You get this because you own or manage the workspace.",
	}
}

// tellOwners mails those who can mend a channel that was turned off.
func (m *Module) tellOwners(ctx context.Context, tx *db.Tx, c Channel, failures int) error {
	if m.d.Mail == nil {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT a.id, a.email FROM memberships s JOIN accounts a ON a.id = s.account_id
		WHERE s.workspace_id = $1 AND s.role IN ($2, $3) AND a.verified_at > 0`, c.ws, workspace.RoleOwner, workspace.RoleAdmin)
	if err != nil {
		return err
	}
	var to []Recipient
	for rows.Next() {
		var r Recipient
		if err := rows.Scan(&r.account, &r.Address); err != nil {
			rows.Close()
			return err
		}
		to = append(to, r)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	content := disabledContent(c.Name, failures, m.url(c.ws, "/channels/"+string(c.ID)))
	for _, r := range to {
		if err := m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailDisabled, To: r.Address, AccountID: r.account, Content: content}); err != nil {
			return err
		}
	}
	return nil
}
