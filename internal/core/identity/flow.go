package identity

import (
	"context"
	"errors"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// FlowSecond is the kind of the flow between a right password, or a used one-time link, and the second factor. Its Data
// is the method of the first one.
const FlowSecond = "second"

// flowTries is how often a code may be tried at one flow.
const flowTries = 5

// Flow is a proof of identity that somebody has begun and not finished: a challenge that a passkey must sign, a state
// that a provider must bring back, a mailed code. Whoever has its token goes on with it, so it is bound to an account
// or a login where there is one, and the caller compares them with who asks.
type Flow struct {
	Kind    string
	Account kernel.AccountID // empty: nobody is known yet
	Login   kernel.ID        // of the person who began it while signed in; the flow ends with it
	Data    []byte           // sealed at rest
}

// errDeadFlow is the answer to a token that is wrong, used, tried too often or too old, whichever it is.
var errDeadFlow = kernel.Errorf(kernel.NotFound, "This took too long, or it was used already. Start again.")

// StartFlow stores a flow and returns its token, 256 random bits of which only a hash is kept.
func (m *Module) StartFlow(ctx context.Context, tx *db.Tx, f Flow, ttl time.Duration) (token string, err error) {
	token, hash := newSecret()
	id := kernel.NewID(tx.Now())
	sealed, err := m.d.Seal.Seal(f.Data, flowAAD(id, f.Kind))
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `INSERT INTO identity_flows (id, kind, token_hash, account_id, login_id, sealed, tries, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)`, id, f.Kind, hash, orNull(f.Account), orNull(f.Login), sealed,
		kernel.Micros(tx.Now()), kernel.Micros(tx.Now().Add(ttl)))
	return token, err
}

// TakeFlow uses a flow up: of two requests with one token, one gets it. A dead token is NotFound.
func (m *Module) TakeFlow(ctx context.Context, tx *db.Tx, kind, token string) (Flow, error) {
	return m.openFlow(kind, tx.QueryRow(ctx, `DELETE FROM identity_flows WHERE token_hash = $1 AND kind = $2 AND expires_at > $3
		RETURNING id, account_id, login_id, sealed`, hashSecret(token), kind, kernel.Micros(tx.Now())))
}

// TryFlow counts a try and keeps the flow; after five tries it is dead. The transaction must be committed whether the try
// was right or wrong (Throttle does so), or the try is not counted. Use a right one up with TakeFlow.
func (m *Module) TryFlow(ctx context.Context, tx *db.Tx, kind, token string) (Flow, error) {
	return m.openFlow(kind, tx.QueryRow(ctx, `UPDATE identity_flows SET tries = tries + 1
		WHERE token_hash = $1 AND kind = $2 AND expires_at > $3 AND tries < $4 RETURNING id, account_id, login_id, sealed`,
		hashSecret(token), kind, kernel.Micros(tx.Now()), flowTries))
}

// PeekFlow reads a flow for showing a page. It counts nothing, so it must not decide anything.
func (m *Module) PeekFlow(ctx context.Context, kind, token string) (Flow, error) {
	return m.openFlow(kind, m.db.QueryRow(ctx, `SELECT id, account_id, login_id, sealed FROM identity_flows
		WHERE token_hash = $1 AND kind = $2 AND expires_at > $3 AND tries < $4`,
		hashSecret(token), kind, kernel.Micros(m.d.Clock()), flowTries))
}

func (m *Module) openFlow(kind string, row rowScanner) (Flow, error) {
	var id kernel.ID
	var account, login *string
	var sealed []byte
	err := row.Scan(&id, &account, &login, &sealed)
	if errors.Is(err, db.ErrNoRows) {
		return Flow{}, errDeadFlow
	}
	if err != nil {
		return Flow{}, err
	}
	f := Flow{Kind: kind}
	if account != nil {
		f.Account = kernel.AccountID(*account)
	}
	if login != nil {
		f.Login = kernel.ID(*login)
	}
	f.Data, err = m.d.Seal.Open(sealed, flowAAD(id, kind))
	return f, err
}

func flowAAD(id kernel.ID, kind string) []byte {
	return []byte("identity flow/" + kind + "/" + string(id))
}

func orNull[T ~string](id T) any {
	if id == "" {
		return nil
	}
	return string(id)
}
