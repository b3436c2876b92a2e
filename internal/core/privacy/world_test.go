package privacy

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// world is a small product in which every promise that has a check is kept: a database with a few tables, their
// declarations, and settings. Tests break one thing at a time.
type world struct {
	db      *db.DB
	now     time.Time
	sources Sources
	extra   []Collection
	module  *Module

	workspaces []kernel.WorkspaceID
	plans      map[kernel.WorkspaceID]Plan
	routes     []httpx.Route
	mail       []MailType
	payloads   PayloadState
	auditBad   int64
	minAge     int
	underage   int64
	agreements AgreementState
	notices    NoticeState
	recipients RecipientState
	failing    error // what every source answers
	shredded   []kernel.WorkspaceID
}

const (
	wsA = kernel.WorkspaceID("01arz3ndektsv4rrffq69g5faa")
	wsB = kernel.WorkspaceID("01arz3ndektsv4rrffq69g5fab")
)

var worldStart = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

const worldSchema = `
CREATE TABLE accounts (id TEXT_C NOT NULL PRIMARY KEY, email TEXT NOT NULL, password_hash TEXT, password_changed_at INTEGER) END_TABLE;
CREATE TABLE api_keys (id TEXT_C NOT NULL PRIMARY KEY, workspace_id TEXT_C NOT NULL, shown TEXT NOT NULL, key_hash BYTES NOT NULL) END_TABLE;
CREATE TABLE access_log (at INTEGER NOT NULL, path TEXT NOT NULL, ip TEXT NOT NULL) END_TABLE;
CREATE TABLE audit_events (workspace_id TEXT_C NOT NULL, at INTEGER NOT NULL, action TEXT NOT NULL) END_TABLE;
CREATE TABLE job_events (workspace_id TEXT_C NOT NULL, at INTEGER NOT NULL, queue TEXT NOT NULL, payload BYTES) END_TABLE;
CREATE TABLE totp (account_id TEXT_C NOT NULL, sealed BYTES) END_TABLE;
CREATE TABLE recovery_codes (account_id TEXT_C NOT NULL, code_hash BYTES NOT NULL) END_TABLE;
CREATE TABLE passkeys (account_id TEXT_C NOT NULL, public_key BYTES NOT NULL) END_TABLE;
CREATE TABLE mobile_tokens (refresh_hash BYTES NOT NULL, login_id TEXT_C NOT NULL, access_until INTEGER NOT NULL, used_at INTEGER NOT NULL, created_at INTEGER NOT NULL) END_TABLE;
CREATE TABLE memberships (workspace_id TEXT_C NOT NULL, role TEXT NOT NULL) END_TABLE;
CREATE TABLE invoices (workspace_id TEXT_C NOT NULL, at INTEGER NOT NULL, address TEXT NOT NULL) END_TABLE;
`

// newWorld makes a world in an empty database.
func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{db: d, now: worldStart, workspaces: []kernel.WorkspaceID{wsA, wsB}, plans: map[kernel.WorkspaceID]Plan{}}
	w.routes = worldRoutes()
	w.mail = []MailType{{Name: "password_reset"}, {Name: "newsletter", Marketing: true, OptIn: true}, {Name: "status_server"}}
	w.notices = NoticeState{Speaks: true, Told: 3}
	w.minAge = 16
	w.payloads = PayloadState{Full: 1, KeysOnly: 1}
	w.plans[wsA], _ = PlanNamed(PlanFree)
	w.plans[wsB], _ = PlanNamed(PlanPro)
	w.sources = Sources{
		Databases:   []Database{{"control database", d}, {"jobs database", d}},
		Collections: w.collections,
		Workspaces:  w, Plans: w, Routes: w, Audit: w, Mail: w, Payloads: w, Keys: w, Ages: w, Agreements: w, Notices: w, Recipients: w,
		Facts: Facts{
			Cookies:    []http.Cookie{{Name: httpx.SessionCookie, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: true}},
			TLS:        TLSFact{Served: true, Public: true, Minimum: tls.VersionTLS12},
			Processors: []Processor{{Name: "Example Mail", Purpose: "delivers mail", Host: "smtp.example.com"}},
			Outbound:   []Outbound{{Host: "smtp.example.com", Setting: "mail.host"}, {Host: "10.0.0.5", Setting: "database", Own: true}},
		},
	}
	w.build()
	err := d.Migrate(t.Context(), db.Module{Name: "privacy", Migrations: w.module.Migrations()},
		db.Module{Name: "world", Migrations: []db.Migration{{Name: "tables", SQL: worldSchema}}})
	if err != nil {
		t.Fatal(err)
	}
	w.fill(t)
	return w
}

// build makes the module anew after the sources were changed.
func (w *world) build() {
	w.module = New(Deps{DB: w.db, Sources: w.sources, Clock: func() time.Time { return w.now }, Version: "test"})
}

// fill puts rows in that break nothing.
func (w *world) fill(t *testing.T) {
	t.Helper()
	const phc = "$argon2id$v=19$m=19456,t=2,p=1$%s$c29tZWhhc2hzb21laGFzaHNvbWVoYXNo"
	w.exec(t, `INSERT INTO accounts VALUES ('a', 'a@example.com', $1, 1)`, fmt.Sprintf(phc, "c2FsdHNhbHRzYWx0c2Fs"))
	w.exec(t, `INSERT INTO accounts VALUES ('b', 'b@example.com', $1, 1)`, fmt.Sprintf(phc, "b3RoZXJzYWx0c2FsdHNh"))
	w.exec(t, `INSERT INTO accounts VALUES ('c', 'c@example.com', NULL, NULL)`)
	sum := sha256.Sum256([]byte("key"))
	w.exec(t, `INSERT INTO api_keys VALUES ('a', $1, 'kept_abcd1234', $2)`, wsA, sum[:])
	w.exec(t, `INSERT INTO api_keys VALUES ('b', $1, 'kept_efgh5678', $2)`, wsB, []byte(hex.EncodeToString(sum[:])))
	w.exec(t, `INSERT INTO totp VALUES ('a', $1)`, sealed())
	w.exec(t, `INSERT INTO totp VALUES ('b', NULL)`)
	w.exec(t, `INSERT INTO recovery_codes VALUES ('a', $1)`, sum[:])
	w.exec(t, `INSERT INTO passkeys VALUES ('a', $1)`, coseKey())
	w.exec(t, `INSERT INTO mobile_tokens VALUES ($1, 'l', $2, $3, $4)`, sum[:], w.ago(time.Hour), w.ago(time.Hour), w.ago(70*time.Minute))
	next := sha256.Sum256([]byte("next"))
	w.exec(t, `INSERT INTO mobile_tokens VALUES ($1, 'l', $2, 0, $3)`, next[:], w.ago(50*time.Minute), w.ago(time.Hour))
	w.exec(t, `INSERT INTO memberships VALUES ('elsewhere', 'owner')`)
	w.logURL(t, "/jobs?queue=mail&q=keyboard")
	w.logURL(t, "/reset/[redacted]")
	w.logURL(t, "/sign-in?token=[redacted]&code=%5Bredacted%5D&api_key=[reda")
	for _, ws := range w.workspaces {
		w.exec(t, `INSERT INTO audit_events VALUES ($1, $2, 'sign_in')`, ws, w.ago(day))
		w.exec(t, `INSERT INTO invoices VALUES ($1, $2, '1 Main Street, 4111 1111')`, ws, w.ago(day))
		w.event(t, ws, day, sealed())
	}
	w.event(t, wsA, time.Hour, nil)
	w.event(t, wsA, time.Hour, []byte{})
}

// sealed is bytes that look as Tink's do.
func sealed() []byte { return append([]byte{1, 9, 8, 7, 6}, make([]byte, 40)...) }

// coseKey is a public key on P-256 as a passkey has it; more is put behind its coordinates.
func coseKey(more ...byte) []byte {
	key := []byte{0xa5 + byte(len(more)/2), 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}
	key = append(key, make([]byte, 32)...)
	key = append(key, 0x22, 0x58, 0x20)
	return append(append(key, make([]byte, 32)...), more...)
}

func (w *world) ago(d time.Duration) int64 { return kernel.Micros(w.now.Add(-d)) }

func (w *world) event(t *testing.T, ws kernel.WorkspaceID, age time.Duration, payload []byte) {
	t.Helper()
	w.exec(t, `INSERT INTO job_events VALUES ($1, $2, 'mail', $3)`, ws, w.ago(age), payload)
}

func (w *world) logURL(t *testing.T, path string) {
	t.Helper()
	w.exec(t, `INSERT INTO access_log VALUES ($1, $2, '192.0.2.1')`, w.ago(time.Hour), path)
}

func (w *world) exec(t *testing.T, text string, args ...any) {
	t.Helper()
	err := w.db.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), text, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func (w *world) count(t *testing.T, table string, ws kernel.WorkspaceID) (n int64) {
	t.Helper()
	if err := w.db.QueryRow(t.Context(), `SELECT count(*) FROM `+table+` WHERE workspace_id = $1`, ws).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func worldRoutes() []httpx.Route {
	return []httpx.Route{
		{Method: "GET", Path: "/healthz", Access: httpx.Localhost, Rate: httpx.RateNone},
		{Method: "GET", Path: "/w/{ws}/jobs", Access: httpx.Member, Needs: httpx.MayView, Rate: httpx.RatePage},
		{Method: "POST", Path: "/w/{ws}/keys", Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RateWrite, Audit: "api_key.create", StepUp: true},
		{Method: "POST", Path: "/sign-in", Access: httpx.Public, Rate: httpx.RateAuth, Audit: "login.create"},
		{Method: "GET", Path: "/reset/{token}", Access: httpx.Public, Rate: httpx.RateAuth, Secrets: []string{"token"}},
		{Method: "POST", Path: "/api/v1/events", Access: httpx.APIKey, Needs: httpx.MayChange, Scope: "ingest", Rate: httpx.RateIngest, NoAudit: "counted"},
		{Method: "GET", Path: "/w/{ws}/settings/agreement", Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RatePage},
		{Method: "GET", Path: "/notices", Access: httpx.SignedIn, Rate: httpx.RatePage},
	}
}

// collections declares the world, the module's own tables included.
func (w *world) collections() []Collection {
	logs := Collection{
		Name: "access_log", Module: "httpx", Title: "Access log", Subjects: "visitors", Where: "control database",
		LegalBasis: "legitimate interest", Promises: []string{"COL-11", "RET-7"},
		Fields:   []Field{{"at", Technical, ""}, {"path", Network, ""}, {"ip", Network, ""}},
		NoExport: "belongs to no workspace", NoErase: "goes by its age",
	}
	out := []Collection{
		{
			Name: "accounts", Module: "identity", Title: "Accounts", Subjects: "account holders", Where: "control database",
			LegalBasis: "contract", Promises: []string{"COL-1", "SEC-1"}, NoExport: "exported by account", NoErase: "erased by account",
			Fields: []Field{{"id", Technical, ""}, {"email", Identity, ""}, {"password_hash", Secret, ""}, {"password_changed_at", Technical, ""}},
		},
		w.owned("api_keys", Collection{
			Module: "identity", Title: "API keys", Subjects: "nobody", Where: "control database", Promises: []string{"SEC-3"},
			Fields: []Field{{"id", Technical, ""}, {"workspace_id", Technical, ""}, {"shown", Technical, ""}, {"key_hash", Secret, ""}},
		}, 0),
		w.aged(logs, 90*day),
		w.secrets("totp", "SEC-2", Field{"account_id", Technical, ""}, Field{"sealed", Secret, ""}),
		w.secrets("recovery_codes", "SEC-2", Field{"account_id", Technical, ""}, Field{"code_hash", Secret, ""}),
		w.secrets("passkeys", "SEC-2", Field{"account_id", Technical, ""}, Field{"public_key", Technical, ""}),
		w.secrets("mobile_tokens", "SEC-7", Field{"refresh_hash", Secret, ""}, Field{"login_id", Technical, ""}, Field{"access_until", Technical, ""},
			Field{"used_at", Technical, ""}, Field{"created_at", Technical, ""}),
		w.secrets("memberships", "SEC-8", Field{"workspace_id", Technical, ""}, Field{"role", Settings, ""}),
		w.owned("audit_events", Collection{
			Module: "audit", Title: "Audit log", Subjects: "account holders", Where: "control database",
			LegalBasis: "legitimate interest", Promises: []string{"RET-4"},
			Fields: []Field{{"workspace_id", Technical, ""}, {"at", Technical, ""}, {"action", Technical, ""}},
		}, 365*day),
		w.owned("invoices", Collection{
			Module: "billing", Title: "Invoices", Subjects: "customers", Where: "control database",
			LegalBasis: "legal obligation", Promises: []string{"RET-5", "COL-14"},
			Fields: []Field{{"workspace_id", Technical, ""}, {"at", Technical, ""}, {"address", Billing, ""}},
		}, 5*365*day),
		w.owned("job_events", Collection{
			Module: "jobs", Title: "Job events", Subjects: "people in payloads", Where: "jobs database", Processor: "Example Mail",
			LegalBasis: "contract", Promises: []string{"COL-2", "COL-8", "RET-1"},
			Fields: []Field{{"workspace_id", Technical, ""}, {"at", Technical, ""}, {"queue", Telemetry, ""}, {"payload", Content, ""}},
		}, -1),
	}
	for i := range out {
		out[i].Purpose, out[i].Retention = "to test", "a while"
	}
	out = append(out, w.extra...)
	if w.module != nil {
		out = append(w.module.Collections(), out...)
	}
	return out
}

// secrets declares a table of how people sign in.
func (w *world) secrets(table, promise string, fields ...Field) Collection {
	return Collection{Name: table, Module: "identity", Title: table, Subjects: "account holders", Where: "control database", LegalBasis: "contract",
		Promises: []string{promise}, Fields: fields, NoExport: "belongs to a person", NoErase: "goes with the account"}
}

// owned completes a collection whose rows belong to workspaces. age 0: no limit of its own; -1: by plan.
func (w *world) owned(table string, c Collection, age time.Duration) Collection {
	c.Name = table
	c.Count = func(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
		err = w.db.QueryRow(ctx, `SELECT count(*) FROM `+table+` WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&n)
		return n, err
	}
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		n, err := c.Count(ctx, ws)
		for i := range n {
			if err == nil {
				err = item(map[string]any{"table": table, "row": i})
			}
		}
		return err
	}
	c.Erase = func(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
		return w.remove(ctx, `DELETE FROM `+table+` WHERE workspace_id = $1`, ws)
	}
	if age == 0 {
		return c
	}
	c.Oldest = func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		var us int64
		err := w.db.QueryRow(ctx, `SELECT coalesce(min(at), 0) FROM `+table+` WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&us)
		return kernel.FromMicros(us), err
	}
	c.Sweep = func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
		return w.remove(ctx, `DELETE FROM `+table+` WHERE ($1 = '' OR workspace_id = $1) AND at < $2`, string(ws), kernel.Micros(before))
	}
	c.MaxAge = Fixed(age)
	if age < 0 {
		c.MaxAge = ByPlan(w, func(p Plan) time.Duration { return p.JobEvents })
	}
	return c
}

// aged completes a collection whose rows belong to no workspace.
func (w *world) aged(c Collection, age time.Duration) Collection {
	full := w.owned(c.Name, c, age)
	c.MaxAge = full.MaxAge
	c.Oldest = func(ctx context.Context, _ kernel.WorkspaceID) (time.Time, error) {
		var us int64
		err := w.db.QueryRow(ctx, `SELECT coalesce(min(at), 0) FROM `+c.Name).Scan(&us)
		return kernel.FromMicros(us), err
	}
	c.Sweep = func(ctx context.Context, _ kernel.WorkspaceID, before time.Time) (int64, error) {
		return w.remove(ctx, `DELETE FROM `+c.Name+` WHERE at < $1`, kernel.Micros(before))
	}
	return c
}

func (w *world) remove(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = w.db.Tx(ctx, func(tx *db.Tx) error {
		n, err = tx.Exec(ctx, text, args...)
		return err
	})
	return n, err
}

// The sources of the world.

func (w *world) WorkspaceIDs(context.Context) ([]kernel.WorkspaceID, error) {
	return w.workspaces, w.failing
}
func (w *world) PlanOf(_ context.Context, ws kernel.WorkspaceID) (Plan, error) {
	return w.plans[ws], w.failing
}
func (w *world) Table() []httpx.Route { return w.routes }
func (w *world) MinAge() int          { return w.minAge }
func (w *world) AgreementState(context.Context) (AgreementState, error) {
	return w.agreements, w.failing
}
func (w *world) RecipientState(context.Context) (RecipientState, error) {
	return w.recipients, w.failing
}

func (w *world) NoticeState(context.Context) (NoticeState, error) {
	return w.notices, w.failing
}
func (w *world) Underage(context.Context) (int64, error) { return w.underage, w.failing }
func (w *world) MailTypes() []MailType                   { return w.mail }
func (w *world) VerifyAudit(context.Context) (int64, int64, error) {
	return 2, w.auditBad, w.failing
}
func (w *world) PayloadPolicies(context.Context) (PayloadState, error) { return w.payloads, w.failing }
func (w *world) Shred(_ context.Context, ws kernel.WorkspaceID) error {
	w.shredded = append(w.shredded, ws)
	return w.failing
}

// inspect runs the check of one promise.
func (w *world) inspect(t *testing.T, id string) Result {
	t.Helper()
	i := slices.IndexFunc(Promises(), func(p Promise) bool { return p.ID == id })
	if i < 0 {
		t.Fatalf("there is no promise %s", id)
	}
	in := &Inspection{Sources: w.sources, Map: w.module.dataMap(), Now: w.now}
	return w.module.run(t.Context(), Promises()[i], in)
}

// eachWorld runs f in a new world on both engines.
func eachWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { f(t, newWorld(t, d)) })
}

func has(list []string, part string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, part) })
}
