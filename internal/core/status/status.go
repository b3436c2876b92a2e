// Package status tells a workspace's customers how its services are: incidents, maintenance and security updates that people
// publish, or make from an alert, on a public page, in a feed, and by mail or to a webhook for those who asked for it and
// confirmed. A page is off until it is turned on; it sets no cookie and asks nobody else for anything.
//
// The page of one workspace may speak for the server itself (Deps.Server): whoever is signed in sees its notices, and the
// owners of all workspaces get them by mail.
package status

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/queue"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

// Deps is what the module needs.
type Deps struct {
	DB      *db.DB
	UI      *ui.UI // nil: no pages
	Keys    *seal.Keys
	Queue   *queue.Queue // delivers to webhooks; New registers its kinds of jobs
	Mail    *mail.Module // nil: no mail
	Hooks   Hooks        // nil: no webhooks
	Alerts  Alerts       // nil: no incident is made from an alert
	BaseURL func() string
	// Server is the workspace whose page speaks for this server; empty: none does. Owners are to be told what it says.
	Server kernel.WorkspaceID
	Owners Owners
	Clock  kernel.Clock
	Logger *slog.Logger
	// Audit writes a change to the audit log of the workspace that the request is in.
	Audit func(ctx context.Context, action, target, detail string) error
}

// Alerts finds the alert that an incident is made from; *alert.Module is one.
type Alerts interface {
	FindAlert(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (alert.Alert, error)
}

// Hooks sends to webhooks; *notify.Module does.
type Hooks interface {
	NewHook(field, address string) (notify.Hook, error)
	SendHook(ctx context.Context, h notify.Hook, delivery string, message any) error
}

// Owners knows whom the server's own notices are mailed to; *workspace.Module does.
type Owners interface {
	WorkspaceIDs(ctx context.Context) ([]kernel.WorkspaceID, error)
	OwnersOf(ctx context.Context, ws kernel.WorkspaceID) ([]workspace.Person, error)
}

// Module is the status pages.
type Module struct {
	d       Deps
	pages   *ui.Pages
	shown   *kernel.Cache[string, shown]
	deliver queue.Kind[delivery]
	tellAll queue.Kind[announcement]
}

// New makes the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Keys == nil || d.BaseURL == nil || d.Queue == nil {
		return nil, errors.New("status: DB, Keys, Queue and BaseURL are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	m := &Module{d: d, shown: kernel.NewCache[string, shown](maxShown)}
	m.deliver = queue.Register(d.Queue, "status.deliver", m.runDelivery, queue.Options{Timeout: time.Minute})
	m.tellAll = queue.Register(d.Queue, "status.owners", m.runAnnouncement, queue.Options{})
	if d.UI == nil {
		return m, nil
	}
	var err error
	m.pages, err = d.UI.Pages(templates, "templates/*.html")
	return m, err
}

// Name implements app.Module.
func (m *Module) Name() string { return "status" }

// Page is a workspace's page.
type Page struct {
	WorkspaceID kernel.WorkspaceID
	Slug        string // of its address; empty: it was never set up
	Title       string
	About       string
	Public      bool
	UpdatedAt   time.Time
}

// Component is a part of the service that something can be wrong with.
type Component struct {
	ID        kernel.ID
	Name      string
	CreatedAt time.Time
}

// The kinds of notices.
const (
	Incident    = "incident"
	Maintenance = "maintenance"
	Security    = "security update"
)

// The impacts of an incident, from the smallest.
var impacts = []string{"minor", "major", "critical"}

// states are those that a notice passes through; the last one ends it.
var states = map[string][]string{
	Incident:    {"investigating", "identified", "monitoring", "resolved"},
	Maintenance: {"planned", "under way", "completed"},
	Security:    {"announced", "installed"},
}

// over is the state in which a notice is over.
func over(kind string) string { return states[kind][len(states[kind])-1] }

// Notice is an incident, planned maintenance or a security update.
type Notice struct {
	ID         kernel.ID
	Kind       string
	Title      string
	Impact     string
	State      string
	Components []kernel.ID
	StartsAt   time.Time
	EndsAt     time.Time // of maintenance, as planned
	OverAt     time.Time // zero while it lasts
	DeletedAt  time.Time
	AlertID    kernel.ID // that it was made from; empty: of none
	Updates    []Update  // the newest first
}

// First is a notice of a kind in the first of its states.
func First(kind string) Notice { return Notice{Kind: kind, State: states[kind][0]} }

// Over tells whether it has ended.
func (n Notice) Over() bool { return !n.OverAt.IsZero() }

// Update is what was told of a notice at one time.
type Update struct {
	ID    kernel.ID
	At    time.Time
	State string
	Text  string
}

// Heading is the state, at the beginning of a line.
func (u Update) Heading() string { return word(u.State) }

const (
	maxTitle      = 120
	maxText       = 4000
	maxComponents = 50
	keepDeleted   = 30 * 24 * time.Hour
	barDays       = 90
)

// word is a state or a kind at the beginning of a sentence.
func word(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func checkSlug(s string) error {
	ok := len(s) >= 2 && len(s) <= 40 && s[0] != '-' && s[len(s)-1] != '-'
	for _, c := range s {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return kernel.InvalidField("slug", "Write 2 to 40 small letters, digits and hyphens.")
	}
	return nil
}

func checkText(field, s string, most int) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", kernel.InvalidField(field, "Write something.")
	}
	if len(s) > most {
		return "", kernel.InvalidField(field, "This is too long.")
	}
	return s, nil
}

func checkState(kind, state string) error {
	if !slices.Contains(states[kind], state) {
		return kernel.InvalidField("state", "The state is one of these: "+strings.Join(states[kind], ", ")+".")
	}
	return nil
}
