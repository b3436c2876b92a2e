package status

import (
	"context"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/queue"
	"github.com/kept-dev/kept/internal/ui"
)

// The operator's notices about the server itself are those of one workspace's page, Deps.Server: what is here shows them to
// whoever is signed in and mails them to the owners of all workspaces.

// What of an update is owed to the owners of all workspaces.
const (
	ownersOwed = "owed"
	ownersTold = "told"
)

func errNoServer() error {
	return kernel.Errorf(kernel.Invalid, "No workspace speaks for this server. Set --status-workspace to the id of the operator's workspace: it stands in the address of its pages, behind /w/.")
}

// announcement is the arguments of the job that mails an update to the owners of all workspaces.
type announcement struct {
	Update kernel.ID `json:"update"`
}

// announce notes that the owners are to be told of an update, if its page speaks for the server.
func (m *Module) announce(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, u Update) error {
	if ws != m.d.Server || m.d.Owners == nil {
		return nil
	}
	if _, err := tx.Exec(ctx, `UPDATE status_updates SET owners = $2 WHERE id = $1`, string(u.ID), ownersOwed); err != nil {
		return err
	}
	_, err := m.tellAll.Insert(ctx, tx, announcement{u.ID})
	return err
}

// runAnnouncement mails an update to each owner once. The mails and the end of the job are one transaction.
func (m *Module) runAnnouncement(ctx context.Context, a announcement) error {
	found, err := m.notices(ctx, `workspace_id = $1 AND deleted_at = 0 AND id = (SELECT notice_id FROM status_updates WHERE id = $2 AND workspace_id = $1)`, string(m.d.Server), string(a.Update))
	if err != nil || len(found) == 0 {
		return err
	}
	i := slices.IndexFunc(found[0].Updates, func(u Update) bool { return u.ID == a.Update })
	owners, err := m.owners(ctx)
	if i < 0 || err != nil {
		return err
	}
	n, text := found[0], found[0].Updates[i].Text
	n.State = found[0].Updates[i].State
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		for account, address := range owners {
			if m.d.Mail == nil {
				break
			}
			err := m.d.Mail.Send(ctx, tx, mail.Mail{Type: mailServer, To: address, AccountID: account, Thread: string(n.ID), Content: serverContent(n, text, m.d.BaseURL())})
			if err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE status_updates SET owners = $2 WHERE id = $1`, string(a.Update), ownersTold); err != nil {
			return err
		}
		return queue.Complete(ctx, tx)
	})
}

// owners are the addresses of the owners of all workspaces, each once.
func (m *Module) owners(ctx context.Context) (map[kernel.AccountID]string, error) {
	ids, err := m.d.Owners.WorkspaceIDs(ctx)
	if err != nil {
		return nil, err
	}
	out := map[kernel.AccountID]string{}
	for _, ws := range ids {
		people, err := m.d.Owners.OwnersOf(ctx, ws)
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			out[p.AccountID] = p.Email
		}
	}
	return out, nil
}

// ServerNotices are the notices about the server that last, the worst first, and those that were over within the time of
// the bars; none when no page speaks for the server.
func (m *Module) ServerNotices(ctx context.Context) ([]Notice, error) {
	if m.d.Server == "" {
		return nil, nil
	}
	s, err := m.show(ctx, serverKey, func(ctx context.Context) (s shown, err error) {
		s.notices, err = m.Notices(ctx, m.d.Server, m.d.Clock().Add(-barDays*24*time.Hour), false)
		return s, err
	})
	return s.notices, err
}

// Banner is what somebody who is signed in is shown about the server: the worst of what lasts and has news since he hid
// it. Nil: nothing. back is the page that he is on.
func (m *Module) Banner(ctx context.Context, who kernel.AccountID) (*ui.Notice, error) {
	all, err := m.ServerNotices(ctx)
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(slices.Clone(all), Notice.Over)
	if len(open) == 0 {
		return nil, nil
	}
	read, err := m.read(ctx, who)
	if err != nil {
		return nil, err
	}
	open = slices.DeleteFunc(open, func(n Notice) bool { return len(n.Updates) == 0 || !n.Updates[0].At.After(read[n.ID]) })
	if len(open) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(open, func(a, b Notice) int { return b.weight() - a.weight() })
	n := open[0]
	return &ui.Notice{Tone: toneOf(n), Text: n.Title + ". " + n.when(), Href: pathServer + "#" + string(n.ID), Link: "Read more", Hide: pathServer + "/" + string(n.ID) + "/hide"}, nil
}

// weight orders what lasts by how much it matters.
func (n Notice) weight() int {
	if n.Kind == Incident {
		return 2 + slices.Index(impacts, n.Impact)
	}
	if n.Kind == Security {
		return 1
	}
	return 0
}

// read is when somebody hid each notice.
func (m *Module) read(ctx context.Context, who kernel.AccountID) (map[kernel.ID]time.Time, error) {
	rows, err := m.d.DB.Query(ctx, `SELECT notice_id, read_at FROM status_read WHERE account_id = $1`, string(who))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[kernel.ID]time.Time{}
	for rows.Next() {
		var id kernel.ID
		var at int64
		if err := rows.Scan(&id, &at); err != nil {
			return nil, err
		}
		out[id] = kernel.FromMicros(at)
	}
	return out, rows.Err()
}

// Hide hides a notice about the server from somebody until there is news of it.
func (m *Module) Hide(ctx context.Context, who kernel.AccountID, id kernel.ID) error {
	if m.d.Server == "" {
		return errNone()
	}
	if _, err := m.Notice(ctx, m.d.Server, id, false); err != nil {
		return err
	}
	_, err := m.exec(ctx, `INSERT INTO status_read (account_id, notice_id, read_at) VALUES ($1, $2, $3) ON CONFLICT (account_id, notice_id) DO UPDATE SET read_at = excluded.read_at`,
		string(who), string(id), kernel.Micros(m.d.Clock()))
	return err
}

// operator is who publishes on the command line.
var operator = audit.Actor{Kind: "operator"}

// PublishServer, TellServer and OpenServer are Publish, Tell and the list of what lasts for the operator, on the page that
// speaks for the server.
func (m *Module) PublishServer(ctx context.Context, n Notice, text string) (Notice, error) {
	if err := m.checkServer(ctx); err != nil {
		return n, err
	}
	n, err := m.Publish(ctx, m.d.Server, n, text)
	if err != nil {
		return n, err
	}
	return n, m.auditServer(ctx, "status_notice.create", n.ID, n.Title)
}

// TellServer adds an update to a notice about the server; an empty state ends it.
func (m *Module) TellServer(ctx context.Context, id kernel.ID, state, text string) error {
	if err := m.checkServer(ctx); err != nil {
		return err
	}
	n, err := m.Notice(ctx, m.d.Server, id, false)
	if err != nil {
		return err
	}
	if state == "" {
		state = over(n.Kind)
	}
	if err := m.Tell(ctx, m.d.Server, id, state, text); err != nil {
		return err
	}
	return m.auditServer(ctx, "status_notice.tell", id, state)
}

// OpenServer lists what lasts.
func (m *Module) OpenServer(ctx context.Context) ([]Notice, error) {
	if err := m.checkServer(ctx); err != nil {
		return nil, err
	}
	all, err := m.ServerNotices(ctx)
	return slices.DeleteFunc(slices.Clone(all), Notice.Over), err
}

func (m *Module) auditServer(ctx context.Context, action string, id kernel.ID, detail string) error {
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: m.d.Server, Actor: operator, Action: action, Target: "status_notice:" + string(id), Detail: detail})
	})
}

func (m *Module) checkServer(ctx context.Context) error {
	speaks, err := m.speaks(ctx)
	if err == nil && !speaks {
		err = errNoServer()
	}
	return err
}

// speaks tells whether there is a workspace whose page speaks for the server.
func (m *Module) speaks(ctx context.Context) (bool, error) {
	if m.d.Server == "" {
		return false, nil
	}
	var n int64
	err := m.d.DB.QueryRow(ctx, `SELECT count(*) FROM workspaces WHERE id = $1`, string(m.d.Server)).Scan(&n)
	return n > 0, err
}

// NoticeState implements privacy.Notices.
func (m *Module) NoticeState(ctx context.Context) (s privacy.NoticeState, err error) {
	if s.Speaks, err = m.speaks(ctx); err != nil {
		return s, err
	}
	err = m.d.DB.QueryRow(ctx, `SELECT coalesce(sum(CASE WHEN owners = $1 THEN 1 ELSE 0 END), 0), coalesce(sum(CASE WHEN owners = $2 AND at < $3 THEN 1 ELSE 0 END), 0) FROM status_updates`,
		ownersTold, ownersOwed, kernel.Micros(m.d.Clock().Add(-ownersWithin))).Scan(&s.Told, &s.Untold)
	return s, err
}

// ownersWithin is how soon the mails to owners are to be on their way.
const ownersWithin = time.Hour
