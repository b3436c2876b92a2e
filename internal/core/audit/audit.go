// Package audit is the log of who did what: append-only, written in the transaction of the change that it records, and
// chained by hashes, one chain per workspace and one for the instance, so that a line that was changed, removed or put
// in later is found. It knows nothing of what the actions mean.
//
// The chain does not lean on what may have to be erased. Who somebody was (address, IP, free text) enters a line's hash
// only through a salted commitment, so erasing a person empties those columns and the salt, and the chain still holds.
// What a chain without a secret cannot show is a history rewritten from some line to its end by somebody with write
// access to the database: note the head that Verify returns elsewhere to close that gap.
package audit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// Instance is the chain of what concerns no single workspace: accounts, sign-ins, settings of the server.
const Instance = "instance"

// Retention is how long a line is kept (promise RET-4).
const Retention = 365 * 24 * time.Hour

// The results of an action.
const (
	OK     = "ok"
	Denied = "denied" // refused: a wrong password, a missing right
	Failed = "failed" // allowed, but it did not work
)

// Event is one thing that somebody did. Empty actor fields are filled from the request that ctx belongs to.
type Event struct {
	WorkspaceID kernel.WorkspaceID // whose log; empty is the instance's
	Actor       Actor
	Action      string // what was done, "api_key.create"; the name that the route declares
	Target      string // to what, "api_key:01j…"; never personal data
	Detail      string // in words, for people; may be personal, never a secret
	IP          string // of the client
	Result      string // OK when empty
}

// Actor is who did it.
type Actor struct {
	Kind  string // "account", "key", "system" or "anonymous"
	ID    kernel.ID
	Label string // how people know it: an address, a key's name
}

// System is the actor of what Kept does by itself.
var System = Actor{Kind: "system", Label: "Kept"}

// Deps is what the module needs.
type Deps struct {
	DB    *db.DB
	UI    *ui.UI
	Clock kernel.Clock
}

// Module is the audit log's pages, checks and retention. Writing needs none of it: see Record.
type Module struct {
	db    *db.DB
	clock kernel.Clock
	pages *ui.Pages
}

// New builds the module.
func New(d Deps) (*Module, error) {
	m := &Module{db: d.DB, clock: d.Clock}
	if m.clock == nil {
		m.clock = kernel.SystemClock
	}
	if d.UI != nil {
		var err error
		if m.pages, err = d.UI.Pages(templates, "templates/*.html"); err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
	}
	return m, nil
}

// Name names the module in the schema table and the data map.
func (m *Module) Name() string { return "audit" }

// Record appends an event to its chain, in the transaction of the change. Call it last: it holds the chain until the
// transaction ends.
func Record(ctx context.Context, tx *db.Tx, e Event) error {
	l := newLine(ctx, tx.Now(), e)
	head, err := advance(ctx, tx, l.chain)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	l.seq, l.prev = head.seq, head.hash
	l.seal()
	if err := insertLine(ctx, tx, l); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	httpx.Audited(ctx)
	return nil
}

func newLine(ctx context.Context, at time.Time, e Event) *line {
	if e.Actor == (Actor{}) {
		e.Actor = ActorOf(httpx.ActorOf(ctx))
	}
	if e.IP == "" {
		e.IP = clientIP(ctx)
	}
	if e.Result == "" {
		e.Result = OK
	}
	l := &line{
		chain: chainOf(e.WorkspaceID), at: kernel.Micros(at), actorKind: e.Actor.Kind, actorID: string(e.Actor.ID),
		actorLabel: clip(e.Actor.Label, 320), action: e.Action, target: clip(e.Target, 320), detail: clip(e.Detail, 1000),
		ip: clip(e.IP, 64), result: e.Result, salt: make([]byte, 32),
	}
	rand.Read(l.salt)
	return l
}

// ActorOf is the actor that a request's actor stands for in the log.
func ActorOf(a httpx.Actor) Actor {
	switch {
	case a.KeyID != "":
		return Actor{Kind: "key", ID: a.KeyID, Label: "API key"}
	case a.AccountID != "":
		return Actor{Kind: "account", ID: a.AccountID, Label: a.Email}
	}
	return Actor{Kind: "anonymous"}
}

func chainOf(ws kernel.WorkspaceID) string {
	if ws == "" {
		return Instance
	}
	return string(ws)
}

// clip keeps a text below a number of bytes and free of what a database or a terminal would choke on.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s), "\uFFFD")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

type chainHead struct {
	seq  int64
	hash []byte
}

// advance takes the next number of a chain and returns it with the hash to continue from. The row that it changes is
// the chain's lock: another transaction that records in the same chain waits.
func advance(ctx context.Context, tx *db.Tx, chain string) (h chainHead, err error) {
	for try := 0; ; try++ {
		err = tx.QueryRow(ctx, `UPDATE audit_chains SET seq = seq + 1 WHERE chain = $1 RETURNING seq, hash`, chain).Scan(&h.seq, &h.hash)
		if !errors.Is(err, sql.ErrNoRows) || try > 0 {
			return h, err
		}
		if _, err = tx.Exec(ctx, `INSERT INTO audit_chains (chain, seq, hash, base_seq, base_hash, base_at)
			VALUES ($1, 0, $2, 0, $2, 0) ON CONFLICT (chain) DO NOTHING`, chain, genesis(chain)); err != nil {
			return h, err
		}
	}
}

func insertLine(ctx context.Context, tx *db.Tx, l *line) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit_events (chain, seq, at, actor_kind, actor_id, actor_label, action, target,
		detail, ip, result, salt, personal_hash, prev_hash, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		l.chain, l.seq, l.at, l.actorKind, l.actorID, l.actorLabel, l.action, l.target,
		l.detail, l.ip, l.result, l.salt, l.personal, l.prev, l.hash)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE audit_chains SET hash = $2 WHERE chain = $1`, l.chain, l.hash)
	return err
}

// Forget empties what names a person in the lines that an account wrote, and in those about the account, and returns how
// many there were. The chains hold.
func Forget(ctx context.Context, tx *db.Tx, account kernel.AccountID) (int64, error) {
	return tx.Exec(ctx, `UPDATE audit_events SET actor_label = '', detail = '', ip = '', salt = NULL
		WHERE (actor_kind = 'account' AND actor_id = $1 OR target = $2) AND salt IS NOT NULL`, account, "account:"+string(account))
}
