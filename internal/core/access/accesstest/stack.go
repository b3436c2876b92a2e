// Package accesstest builds accounts, workspaces, keys, audit log and mail together with the edge in front of them, for
// tests that sign in and click.
package accesstest

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/agreement"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/federation"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/core/proof"
	"github.com/kept-dev/kept/internal/core/scim"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

// BaseURL is where the server under test believes to be.
const BaseURL = "https://kept.example"

// Clock is a clock that a test moves.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// Now is the time that the test set.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Stack is the core modules and the edge.
type Stack struct {
	DB         *db.DB
	Clock      *Clock
	Audit      *audit.Module
	Mail       *mail.Module
	Mailbox    *mail.Mailbox
	Identity   *identity.Module
	Workspaces *workspace.Module
	Access     *access.Module
	Proof      *proof.Module
	Federation *federation.Module
	SCIM       *scim.Module
	Seal       *seal.Box // of the instance
	Mux        *httpx.Mux
}

// Each runs f with a fresh stack on every database engine. The clock stands at a fixed time and each client may send as
// many requests as it likes.
func Each(t *testing.T, f func(t *testing.T, s *Stack)) {
	t.Helper()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) { f(t, New(t, cfg)) })
}

// New builds a stack on a database; change, if any, alters what identity is told.
func New(t testing.TB, cfg db.Config, change ...func(*identity.Deps)) *Stack {
	t.Helper()
	s := &Stack{Clock: &Clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	cfg.Clock = s.Clock.Now
	s.DB = dbtest.Open(t, cfg,
		db.Module{Name: "audit", Migrations: audit.Migrations()},
		db.Module{Name: "mail", Migrations: mail.Migrations()},
		db.Module{Name: "identity", Migrations: identity.Migrations()},
		db.Module{Name: "workspace", Migrations: workspace.Migrations()},
		db.Module{Name: "access", Migrations: access.Migrations()},
		db.Module{Name: "proof", Migrations: proof.Migrations()},
		db.Module{Name: "federation", Migrations: federation.Migrations()},
		db.Module{Name: "scim", Migrations: scim.Migrations()})
	s.build(t, change)
	return s
}

// Beside is another process on the same database.
func (s *Stack) Beside(t testing.TB) *Stack {
	t.Helper()
	other := &Stack{Clock: s.Clock, DB: s.DB, Seal: s.Seal}
	other.build(t, nil)
	return other
}

func (s *Stack) build(t testing.TB, change []func(*identity.Deps)) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	apps := []ui.App{{Key: "settings", Label: "Settings"}}
	u, err := ui.New(ui.Config{Apps: apps, Frame: s.frame})
	must(err)
	now := s.Clock.Now
	s.Mailbox = mail.NewMailbox(now)
	if s.Seal == nil {
		s.Seal = newSealer(t)
	}
	s.Mail, err = mail.New(mail.Deps{DB: s.DB, UI: u, Seal: s.Seal, Sender: s.Mailbox, Types: slices.Concat(identity.MailTypes(), workspace.MailTypes(), agreement.MailTypes()),
		From: "kept@kept.example", BaseURL: BaseURL, Clock: now})
	must(err)
	s.Audit, err = audit.New(audit.Deps{DB: s.DB, UI: u, Clock: now})
	must(err)
	d := identity.Deps{DB: s.DB, UI: u, Mail: s.Mail, Audit: s.Audit, Seal: s.Seal, BaseURL: BaseURL, MailboxHref: "/mailbox", PasswordCost: cheap, Clock: now}
	for _, f := range change {
		f(&d)
	}
	s.Identity, err = identity.New(d)
	must(err)
	s.Workspaces, err = workspace.New(workspace.Deps{DB: s.DB, UI: u, Mail: s.Mail, SignUps: s.Identity, BaseURL: BaseURL, Clock: now,
		Apps: []workspace.App{{Key: "jobs", Label: "Jobs"}, {Key: "career", Label: "Career"}}})
	must(err)
	s.Access, err = access.New(access.Deps{DB: s.DB, UI: u, Identity: s.Identity, Workspaces: s.Workspaces, BaseURL: BaseURL, Clock: now})
	must(err)
	s.Proof, err = proof.New(proof.Deps{DB: s.DB, UI: u, Identity: s.Identity, Seal: s.Seal, BaseURL: d.BaseURL, Clock: now})
	must(err)
	s.Identity.Use(s.Proof, []identity.Ways{s.Proof}, []identity.Eraser{s.Proof, s.Workspaces})
	s.Workspaces.UseSecondFactor(s.Proof)
	s.Access.Use(s.Proof)
	s.Federation, err = federation.New(federation.Deps{DB: s.DB, UI: u, Identity: s.Identity, Seal: s.Seal, BaseURL: BaseURL, Clock: now})
	must(err)
	s.Identity.Use(nil, []identity.Ways{s.Federation}, []identity.Eraser{s.Federation})
	s.SCIM, err = scim.New(scim.Deps{DB: s.DB, UI: u, Identity: s.Identity, Workspaces: s.Workspaces, Access: s.Access, BaseURL: BaseURL, Clock: now})
	must(err)
	s.Mux, err = httpx.NewMux(httpx.Config{Auth: s.Access, Allows: workspace.Allows, Limiter: httpx.NewLimiter(noLimits(), now), Clock: now})
	must(err)
	assets := httpx.Route{Method: "GET", Path: ui.AssetPrefix + "{file...}", Access: httpx.Public, Rate: httpx.RateNone,
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			u.Assets().ServeHTTP(w, r)
			return nil
		}}
	for _, routes := range [][]httpx.Route{{assets}, s.Mail.Routes(), s.Audit.Routes(), s.Identity.Routes(), s.Workspaces.Routes(), s.Access.Routes(), s.Proof.Routes(), s.Federation.Routes(), s.SCIM.Routes()} {
		must(s.Mux.Add(routes...))
	}
}

func newSealer(t testing.TB) *seal.Box {
	t.Helper()
	key, err := seal.NewInstanceKey()
	if err != nil {
		t.Fatal(err)
	}
	return seal.New(nil, key).Instance()
}

// Owner makes an account with a workspace and an API key for everything.
func (s *Stack) Owner(t testing.TB, email, ws string) (account kernel.AccountID, id kernel.WorkspaceID, key string) {
	t.Helper()
	out, err := s.Access.Setup(t.Context(), access.Setup{Email: email, Password: Password, Workspace: ws})
	if err != nil {
		t.Fatal(err)
	}
	return out.AccountID, out.WorkspaceID, out.APIKey
}

// cheap spares tests what makes passwords hard to guess.
var cheap = identity.Cost{Memory: 64, Passes: 1, Threads: 1}

// Password is the password of every account that Owner makes.
const Password = "correct horse battery"

// Join makes an account a member of a workspace.
func (s *Stack) Join(t testing.TB, ws kernel.WorkspaceID, account kernel.AccountID, role string) {
	t.Helper()
	err := s.DB.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO memberships (workspace_id, account_id, role, created_at) VALUES ($1, $2, $3, $4)`,
			ws, account, role, kernel.Micros(tx.Now()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// FindNowhere fails when a text stands in any column of any table as it is.
func (s *Stack) FindNowhere(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		hits, err := privacy.Find(t.Context(), []privacy.Database{{Where: privacy.ControlDB, DB: s.DB}}, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, hit := range hits {
			t.Errorf("%s.%s holds %q", hit.Table, hit.Column, text)
		}
	}
}
