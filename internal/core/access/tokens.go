package access

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const (
	maxTokens    = 50                   // living ones of a person
	maxTokenLife = 366 * 24 * time.Hour // every personal token ends
	endedTokens  = 30 * 24 * time.Hour  // how long one that ended is still listed
)

// Token is a personal access token, without what it is. It may do what its scopes say, in one workspace, and never more
// than the person may do there at that moment. It goes when the person leaves the workspace.
type Token struct {
	ID          kernel.ID
	AccountID   kernel.AccountID
	Owner       string // name or address of the person
	WorkspaceID kernel.WorkspaceID
	Workspace   string // name
	Name        string
	Prefix      string // its first characters: "keptp_x8Fq2Lm"
	Scopes      []string
	CreatedAt   time.Time
	ExpiresAt   time.Time
	LastUsedAt  time.Time // coarse
	RevokedAt   time.Time // zero while it was not
}

// Revoked tells whether somebody ended the token.
func (t Token) Revoked() bool { return !t.RevokedAt.IsZero() }

// Expired tells whether the token's time is over.
func (t Token) Expired(now time.Time) bool { return !now.Before(t.ExpiresAt) }

// Works tells whether the token lets anybody in at a time.
func (t Token) Works(now time.Time) bool { return !t.Revoked() && !t.Expired(now) }

func (t Token) target() string { return "token:" + string(t.ID) }

// NewToken is what a person says of a token to be made.
type NewToken struct {
	Name        string
	WorkspaceID kernel.WorkspaceID
	Scopes      []string
	Lives       time.Duration
}

func (in NewToken) clean() (NewToken, error) {
	var err error
	if in.Name, err = cleanName(in.Name, "Give the token a name that says what it is for."); err != nil {
		return in, err
	}
	if in.Lives <= 0 || in.Lives > maxTokenLife {
		return in, kernel.InvalidField("expires", "Choose when it ends: within a year.")
	}
	in.Scopes, err = cleanScopes(in.Scopes, TokenScopes())
	return in, err
}

// CreateToken makes a token of the person who asks and returns its text, which is stored nowhere. The workspace must be
// one that the person is a member of, and is let in to now.
func (m *Module) CreateToken(ctx context.Context, by httpx.Actor, in NewToken) (t Token, text string, err error) {
	if in, err = in.clean(); err != nil {
		return t, "", err
	}
	w, err := m.d.Workspaces.Membership(ctx, by.AccountID, in.WorkspaceID)
	if kernel.CodeOf(err) == kernel.NotFound {
		return t, "", kernel.InvalidField("workspace", "Choose one of your workspaces.")
	}
	if err == nil { // a token must not lead around a second factor that the workspace demands
		err = m.d.Workspaces.Admit(ctx, by, w)
	}
	if err != nil {
		return t, "", err
	}
	text, hash := newSecret(personalPrefix)
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if err := roomForToken(ctx, tx, by.AccountID); err != nil {
			return err
		}
		t = Token{ID: kernel.NewID(tx.Now()), AccountID: by.AccountID, Owner: by.Email, WorkspaceID: w.ID, Workspace: w.Name, Name: in.Name,
			Prefix: shown(personalPrefix, text), Scopes: in.Scopes, CreatedAt: tx.Now(), ExpiresAt: tx.Now().Add(in.Lives)}
		_, err := tx.Exec(ctx, `INSERT INTO personal_tokens (id, account_id, workspace_id, name, prefix, token_hash, scopes, created_at, expires_at, last_used_at, revoked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0)`, t.ID, t.AccountID, t.WorkspaceID, t.Name, t.Prefix, hash[:],
			strings.Join(t.Scopes, " "), kernel.Micros(t.CreatedAt), kernel.Micros(t.ExpiresAt))
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: w.ID, Actor: audit.ActorOf(by), Action: "token.create", Target: t.target(),
			Detail: t.Name + " (" + strings.Join(t.Scopes, ", ") + "; until " + t.ExpiresAt.Format("2006-01-02") + ")"})
	})
	if err != nil {
		return Token{}, "", err
	}
	return t, text, nil
}

func roomForToken(ctx context.Context, tx *db.Tx, account kernel.AccountID) error {
	var living int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM personal_tokens WHERE account_id = $1 AND revoked_at = 0 AND expires_at > $2`,
		account, kernel.Micros(tx.Now())).Scan(&living)
	if err == nil && living >= maxTokens {
		return kernel.Errorf(kernel.Conflict, "You have %d tokens, which is the most one person may have. Revoke one first.", living)
	}
	return err
}

const tokenColumns = `t.id, t.account_id, coalesce(nullif(a.name, ''), a.email), t.workspace_id, w.name, t.name, t.prefix, t.scopes,
	t.created_at, t.expires_at, t.last_used_at, t.revoked_at`

const tokenTables = `personal_tokens t JOIN accounts a ON a.id = t.account_id JOIN workspaces w ON w.id = t.workspace_id`

func scanToken(row interface{ Scan(...any) error }) (t Token, err error) {
	var scopes string
	var created, expires, used, revoked int64
	err = row.Scan(&t.ID, &t.AccountID, &t.Owner, &t.WorkspaceID, &t.Workspace, &t.Name, &t.Prefix, &scopes, &created, &expires, &used, &revoked)
	t.Scopes = strings.Fields(scopes)
	t.CreatedAt, t.ExpiresAt = kernel.FromMicros(created), kernel.FromMicros(expires)
	t.LastUsedAt, t.RevokedAt = kernel.FromMicros(used), kernel.FromMicros(revoked)
	return t, err
}

// Tokens lists a person's tokens, the newest first, those that work no more last.
func (m *Module) Tokens(ctx context.Context, account kernel.AccountID) ([]Token, error) {
	return m.listTokens(ctx, `t.account_id`, account)
}

// WorkspaceTokens lists the tokens of all people for a workspace.
func (m *Module) WorkspaceTokens(ctx context.Context, ws kernel.WorkspaceID) ([]Token, error) {
	return m.listTokens(ctx, `t.workspace_id`, ws)
}

func (m *Module) listTokens(ctx context.Context, column string, id kernel.ID) ([]Token, error) {
	rows, err := m.db.Query(ctx, `SELECT `+tokenColumns+` FROM `+tokenTables+` WHERE `+column+` = $1
		ORDER BY CASE WHEN t.revoked_at = 0 AND t.expires_at > $2 THEN 0 ELSE 1 END, t.id DESC LIMIT 500`, id, kernel.Micros(m.d.Clock()))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Token
	for rows.Next() {
		t, err := scanToken(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// FindToken finds one token of a person; somebody else's is NotFound.
func (m *Module) FindToken(ctx context.Context, account kernel.AccountID, id kernel.ID) (Token, error) {
	t, err := scanToken(m.db.QueryRow(ctx, `SELECT `+tokenColumns+` FROM `+tokenTables+` WHERE t.account_id = $1 AND t.id = $2`, account, id))
	if errors.Is(err, db.ErrNoRows) {
		return Token{}, kernel.Errorf(kernel.NotFound, "There is no such token.")
	}
	return t, err
}

// RevokeToken ends a token of the person who asks, here at once and in other processes within seconds. Revoking twice is
// no error.
func (m *Module) RevokeToken(ctx context.Context, by httpx.Actor, id kernel.ID) error {
	t, err := m.FindToken(ctx, by.AccountID, id)
	if err != nil || t.Revoked() {
		return err
	}
	return m.revokeToken(ctx, audit.ActorOf(by), t)
}

// RevokeTokenOf ends anybody's token for a workspace; one for another workspace is NotFound.
func (m *Module) RevokeTokenOf(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, id kernel.ID) error {
	t, err := m.workspaceToken(ctx, ws, id)
	if err != nil || t.Revoked() {
		return err
	}
	return m.revokeToken(ctx, by, t)
}

func (m *Module) workspaceToken(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Token, error) {
	t, err := scanToken(m.db.QueryRow(ctx, `SELECT `+tokenColumns+` FROM `+tokenTables+` WHERE t.workspace_id = $1 AND t.id = $2`, ws, id))
	if errors.Is(err, db.ErrNoRows) {
		return Token{}, kernel.Errorf(kernel.NotFound, "There is no such token.")
	}
	return t, err
}

func (m *Module) revokeToken(ctx context.Context, by audit.Actor, t Token) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE personal_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0`, t.ID, kernel.Micros(tx.Now()))
		if err != nil || n == 0 {
			return err
		}
		tx.AfterCommit(func() { m.tokens.forget(func(_ [32]byte, b bearer) bool { return b.id == t.ID }) })
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: t.WorkspaceID, Actor: by, Action: "token.revoke", Target: t.target(), Detail: t.Name})
	})
}

// personalByHash finds a personal token that was not revoked.
func (m *Module) personalByHash(ctx context.Context, hash [32]byte) (b bearer, err error) {
	var scopes string
	var until int64
	err = m.db.QueryRow(ctx, `SELECT t.id, t.account_id, a.email, t.workspace_id, t.scopes, t.expires_at
		FROM personal_tokens t JOIN accounts a ON a.id = t.account_id WHERE t.token_hash = $1 AND t.revoked_at = 0`, hash[:]).
		Scan(&b.id, &b.account, &b.email, &b.ws, &scopes, &until)
	if errors.Is(err, db.ErrNoRows) {
		return b, errWrongBearer()
	}
	b.scopes, b.until = strings.Fields(scopes), kernel.FromMicros(until)
	return b, err
}
