// Package workspace knows workspaces, the unit of isolation, billing, sealing and erasure, and who is a member of which.
// What a workspace holds is the apps' business.
package workspace

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

const (
	maxName       = 60 // characters
	maxWorkspaces = 50 // that one person may be a member of
)

// Mailer puts mail into the outbox; *mail.Module is one.
type Mailer interface {
	Send(ctx context.Context, tx *db.Tx, m mail.Mail) error
}

// SignUps lets the owner of a proved address open an account; *identity.Module does.
type SignUps interface {
	SignUpFor(ctx context.Context, tx *db.Tx, email, next string) (path string, err error)
}

// SecondFactor tells who has a second factor; package proof does.
type SecondFactor interface {
	Enrolled(ctx context.Context, a kernel.AccountID) (bool, error)   // an authenticator app: every sign-in asks for it
	HasPasskey(ctx context.Context, a kernel.AccountID) (bool, error) // which counts when the person signs in with it
}

// App is an app that a member's access may include or not.
type App struct{ Key, Label string }

// Deps is what the module needs.
type Deps struct {
	DB      *db.DB
	UI      *ui.UI  // nil: no pages
	Mail    Mailer  // nil: nobody is written to
	SignUps SignUps // nil: who has no account cannot open one behind an invitation
	BaseURL string  // where mailed links lead, "https://kept.example"
	Apps    []App   // that are on
	Home    string  // where a workspace begins, below /w/{ws}/: the key of an app; empty is its settings
	NoMail  bool    // mail does not arrive: people with an account find their invitations on the page of workspaces
	Clock   kernel.Clock
}

// Module is workspaces and memberships.
type Module struct {
	d     Deps
	db    *db.DB
	pages *ui.Pages

	mu      sync.Mutex
	changed []func(kernel.WorkspaceID)
	left    []LeftFunc
	joined  []JoinedFunc
	factor  SecondFactor
}

// JoinedFunc is called in the transaction in which somebody becomes a member.
type JoinedFunc func(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, account kernel.AccountID) error

// LeftFunc is called in the transaction in which somebody stops being a member.
type LeftFunc func(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, account kernel.AccountID) error

// New builds the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil {
		return nil, errors.New("workspace: DB is needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Home == "" {
		d.Home = homeSettings
	}
	d.BaseURL = strings.TrimSuffix(d.BaseURL, "/")
	m := &Module{d: d, db: d.DB}
	if d.UI != nil {
		var err error
		if m.pages, err = d.UI.Pages(templates, "templates/*.html"); err != nil {
			return nil, fmt.Errorf("workspace: %w", err)
		}
	}
	return m, nil
}

// homeSettings is the home of a workspace without apps.
const homeSettings = "settings"

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "workspace" }

// OnChanged registers a function that is called after a workspace was renamed or erased, or its members changed.
// Whoever remembers memberships must forget those of the workspace before it returns.
func (m *Module) OnChanged(f func(kernel.WorkspaceID)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed = append(m.changed, f)
}

// OnJoined registers a function that is called in the transaction in which a person accepts an invitation.
func (m *Module) OnJoined(f JoinedFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.joined = append(m.joined, f)
}

// OnLeft registers a function that is called in the transaction in which a person leaves or is removed, so that what
// else lets the person in ends with the membership.
func (m *Module) OnLeft(f LeftFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = append(m.left, f)
}

// UseSecondFactor says who knows about second factors. Without it no workspace can demand one.
func (m *Module) UseSecondFactor(f SecondFactor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.factor = f
}

func (m *Module) secondFactor() SecondFactor {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.factor
}

func (m *Module) tellChanged(tx *db.Tx, ws kernel.WorkspaceID) {
	tx.AfterCommit(func() {
		m.mu.Lock()
		listeners := m.changed
		m.mu.Unlock()
		for _, f := range listeners {
			f(ws)
		}
	})
}

// Workspace is a workspace as one of its members sees it.
type Workspace struct {
	ID           kernel.WorkspaceID
	Name         string
	Role         string   // of the member
	Apps         []string // that the member's access includes; nil is all
	DemandFactor bool     // only members with a second factor may enter
	CreatedAt    time.Time
}

func cleanName(s string) (string, error) {
	s, err := kernel.CleanName("name", s, maxName)
	switch {
	case err != nil:
		return "", err
	case s == "":
		return "", kernel.InvalidField("name", "Give the workspace a name, such as that of your team.")
	case strings.Contains(s, "://") || strings.Contains(strings.ToLower(s), "www."): // it stands in mails to strangers
		return "", kernel.InvalidField("name", "A name is not the address of a page.")
	}
	return s, nil
}

// Create makes a workspace that the account owns.
func (m *Module) Create(ctx context.Context, owner audit.Actor, name string) (w Workspace, err error) {
	if name, err = cleanName(name); err != nil {
		return w, err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM memberships WHERE account_id = $1`, owner.ID).Scan(&n); err != nil {
			return err
		}
		if n >= maxWorkspaces {
			return kernel.Errorf(kernel.Conflict, "You are a member of %d workspaces, which is the most that one person may have.", n)
		}
		w = Workspace{ID: kernel.NewID(tx.Now()), Name: name, Role: RoleOwner, CreatedAt: tx.Now()}
		now := kernel.Micros(tx.Now())
		if _, err := tx.Exec(ctx, `INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)`, w.ID, w.Name, now); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO memberships (workspace_id, account_id, role, created_at) VALUES ($1, $2, $3, $4)`,
			w.ID, owner.ID, RoleOwner, now); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: w.ID, Actor: owner, Action: "workspace.create", Target: "workspace:" + string(w.ID), Detail: name})
	})
	return w, err
}

// Rename gives a workspace another name. That the person may do so is the route's check.
func (m *Module) Rename(ctx context.Context, by httpx.Actor, name string) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE workspaces SET name = $2, updated_at = $3 WHERE id = $1`, by.WorkspaceID, name, kernel.Micros(tx.Now()))
		if err != nil {
			return err
		}
		if n == 0 {
			return errNotFound()
		}
		m.tellChanged(tx, by.WorkspaceID)
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: by.WorkspaceID, Action: "workspace.rename",
			Target: "workspace:" + string(by.WorkspaceID), Detail: by.Workspace + " → " + name})
	})
}

func errNotFound() error { return kernel.Errorf(kernel.NotFound, "There is nothing at this address.") }

const (
	workspaceColumns = `w.id, w.name, m.role, m.apps, w.demand_factor, w.created_at`
	fromMemberships  = ` FROM memberships m JOIN workspaces w ON w.id = m.workspace_id `
)

type rowScanner interface{ Scan(dest ...any) error }

func scanWorkspace(row rowScanner) (w Workspace, err error) {
	var created, demand int64
	var apps string
	err = row.Scan(&w.ID, &w.Name, &w.Role, &apps, &demand, &created)
	w.Apps, w.DemandFactor, w.CreatedAt = splitApps(apps), demand != 0, kernel.FromMicros(created)
	return w, err
}

// Of lists the workspaces of an account, the oldest first.
func (m *Module) Of(ctx context.Context, account kernel.AccountID) ([]Workspace, error) {
	rows, err := m.db.Query(ctx, `SELECT `+workspaceColumns+fromMemberships+`WHERE m.account_id = $1 ORDER BY w.id`, account)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scanWorkspace)
}

// scanAll reads and closes rows.
func scanAll[T any](rows *sql.Rows, scan func(rowScanner) (T, error)) ([]T, error) {
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Membership is a workspace as the account sees it. A workspace that does not exist and one of others are the same
// NotFound.
func (m *Module) Membership(ctx context.Context, account kernel.AccountID, ws kernel.WorkspaceID) (Workspace, error) {
	w, err := scanWorkspace(m.db.QueryRow(ctx, `SELECT `+workspaceColumns+fromMemberships+`WHERE m.workspace_id = $1 AND m.account_id = $2`,
		ws, account))
	if errors.Is(err, db.ErrNoRows) {
		return Workspace{}, errNotFound()
	}
	return w, err
}

// Owned finds a workspace that the account owns by its name; ok is false when there is none.
func (m *Module) Owned(ctx context.Context, account kernel.AccountID, name string) (w Workspace, ok bool, err error) {
	if name, err = cleanName(name); err != nil {
		return w, false, err
	}
	all, err := m.Of(ctx, account)
	for _, w := range all {
		if w.Name == name && w.Role == RoleOwner {
			return w, true, nil
		}
	}
	return Workspace{}, false, err
}

// WorkspaceIDs lists all workspaces, for retention and checks.
func (m *Module) WorkspaceIDs(ctx context.Context) ([]kernel.WorkspaceID, error) {
	rows, err := m.db.Query(ctx, `SELECT id FROM workspaces ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, func(row rowScanner) (id kernel.WorkspaceID, err error) { return id, row.Scan(&id) })
}
