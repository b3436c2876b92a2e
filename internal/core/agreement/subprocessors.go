package agreement

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Subprocessor is a third party that was announced or is in use.
type Subprocessor struct {
	Name, Purpose, Data, Country string

	AnnouncedAt time.Time // zero: never
	FromAt      time.Time // the announced first day of use
	UsedAt      time.Time // since when the settings name it; zero: not yet
}

// Announce tells the owners of all workspaces of a subprocessor that will be used from a time on, which must be Notice away.
func (m *Module) Announce(ctx context.Context, p privacy.Processor, from time.Time) error {
	if p.Name == "" || p.Purpose == "" || p.Data == "" {
		return kernel.Errorf(kernel.Invalid, "Say the subprocessor's name, its purpose and the data that it will see.")
	}
	now := m.d.Clock()
	if from.Before(now.Add(Notice)) {
		return kernel.Errorf(kernel.Invalid, "A subprocessor is announced 30 days before it is used: the first day can be %s or later.", now.Add(Notice+24*time.Hour).Format(time.DateOnly))
	}
	ids, err := m.d.Workspaces.WorkspaceIDs(ctx)
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO subprocessors (name, purpose, data, country, announced_at, from_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, 0)
			ON CONFLICT (name) DO UPDATE SET purpose = $2, data = $3, country = $4, announced_at = $5, from_at = $6`,
			p.Name, p.Purpose, p.Data, p.Country, kernel.Micros(tx.Now()), kernel.Micros(from))
		if err != nil {
			return err
		}
		told := map[kernel.AccountID]bool{}
		for _, ws := range ids {
			if err := m.tellOwners(ctx, tx, ws, told, noticeContent(p, from, m.d.BaseURL)); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Event{Actor: audit.Actor{Kind: "operator"}, Action: "subprocessor.announce", Target: p.Name})
	})
}

func (m *Module) tellOwners(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, told map[kernel.AccountID]bool, c mail.Content) error {
	owners, err := m.d.Workspaces.OwnersOf(ctx, ws)
	if err != nil {
		return err
	}
	for _, o := range owners {
		if told[o.AccountID] || m.d.Mail == nil {
			continue
		}
		told[o.AccountID] = true
		if err := m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailNotice, To: o.Email, AccountID: o.AccountID, Content: c}); err != nil {
			return err
		}
	}
	return nil
}

const mailNotice = "new_subprocessor"

// MailTypes are the mails that the module sends.
func MailTypes() []mail.Type {
	sample := privacy.Processor{Name: "Example Mail Ltd", Purpose: "delivers mail", Data: "e-mail addresses and the texts of mail", Country: "Germany"}
	return []mail.Type{{
		ID: mailNotice, Kind: mail.Transactional, Title: "Notice: a new subprocessor", MaxAge: 7 * 24 * time.Hour,
		Sample: noticeContent(sample, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), "https://kept.example"),
	}}
}

func noticeContent(p privacy.Processor, from time.Time, base string) mail.Content {
	country := ""
	if p.Country != "" {
		country = " in " + p.Country
	}
	return mail.Content{
		Subject: "New subprocessor from " + from.Format(time.DateOnly) + ": " + p.Name,
		Text: []string{
			fmt.Sprintf("From %s on, %s%s will process data for this server.", from.Format(time.DateOnly), p.Name, country),
			"Purpose: " + p.Purpose + ". Data: " + p.Data + ".",
			"If you object, answer whoever runs this server before that day.",
		},
		Action: &mail.Action{Label: "All processors", URL: base + "/privacy#processors"},
		Why:    "You get this because you own a workspace, and a new subprocessor is announced 30 days before it is used.",
	}
}

// noteUse remembers since when each processor of the settings is in use.
func (m *Module) noteUse(ctx context.Context) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		for _, p := range m.d.Processors() {
			_, err := tx.Exec(ctx, `INSERT INTO subprocessors (name, purpose, data, country, announced_at, from_at, used_at) VALUES ($1, $2, $3, $4, 0, 0, $5)
				ON CONFLICT (name) DO UPDATE SET used_at = CASE WHEN subprocessors.used_at = 0 THEN $5 ELSE subprocessors.used_at END`,
				p.Name, p.Purpose, p.Data, p.Country, kernel.Micros(tx.Now()))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Subprocessors lists those that were announced or are in use, by name.
func (m *Module) Subprocessors(ctx context.Context) (out []Subprocessor, err error) {
	rows, err := m.db.Query(ctx, `SELECT name, purpose, data, country, announced_at, from_at, used_at FROM subprocessors ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s Subprocessor
		var announced, from, used int64
		if err := rows.Scan(&s.Name, &s.Purpose, &s.Data, &s.Country, &announced, &from, &used); err != nil {
			return nil, err
		}
		s.AnnouncedAt, s.FromAt, s.UsedAt = moment(announced), moment(from), moment(used)
		out = append(out, s)
	}
	return out, rows.Err()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return kernel.FromMicros(us)
}

// AgreementState implements privacy.Agreements: a processor breaks the promise that came into use, without an announcement
// Notice before, after somebody had signed.
func (m *Module) AgreementState(ctx context.Context) (s privacy.AgreementState, err error) {
	var first int64
	if err := m.db.QueryRow(ctx, `SELECT COUNT(*), COALESCE(MIN(signed_at), 0) FROM agreements`).Scan(&s.Signed, &first); err != nil {
		return s, err
	}
	list, err := m.Subprocessors(ctx)
	if err != nil {
		return s, err
	}
	for _, p := range list {
		if p.UsedAt.IsZero() {
			s.Announced++
			continue
		}
		s.InUse++
		owed := s.Signed > 0 && p.UsedAt.After(kernel.FromMicros(first))
		if owed && (p.AnnouncedAt.IsZero() || p.UsedAt.Before(p.AnnouncedAt.Add(Notice))) {
			s.WithoutNotice = append(s.WithoutNotice, p.Name)
		}
	}
	return s, nil
}
