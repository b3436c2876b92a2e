package workspace

import (
	"context"
	"errors"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// transferTTL is how long an offered ownership can be accepted.
const transferTTL = 7 * 24 * time.Hour

// Transfer is an ownership that one member offers to another. It needs both: the new owner takes on duties too.
type Transfer struct {
	WorkspaceID kernel.WorkspaceID `json:"-"`
	Workspace   string             `json:"-"` // its name
	From        kernel.AccountID   `json:"from_account_id"`
	FromEmail   string             `json:"from"`
	To          kernel.AccountID   `json:"to_account_id"`
	ToEmail     string             `json:"to"`
	CreatedAt   time.Time          `json:"created_at"`
	ExpiresAt   time.Time          `json:"expires_at"`
}

const selectTransfer = `SELECT t.workspace_id, w.name, t.from_account, f.email, t.to_account, o.email, t.created_at, t.expires_at
	FROM ownership_transfers t JOIN workspaces w ON w.id = t.workspace_id JOIN accounts f ON f.id = t.from_account JOIN accounts o ON o.id = t.to_account `

func scanTransfer(row rowScanner) (t Transfer, err error) {
	var created, expires int64
	err = row.Scan(&t.WorkspaceID, &t.Workspace, &t.From, &t.FromEmail, &t.To, &t.ToEmail, &created, &expires)
	t.CreatedAt, t.ExpiresAt = kernel.FromMicros(created), kernel.FromMicros(expires)
	return t, err
}

func errNoTransfer() error {
	return kernel.Errorf(kernel.NotFound, "Nobody offers you this workspace (any more).")
}

// TransferOf is the open offer of a workspace; ok is false when there is none.
func (m *Module) TransferOf(ctx context.Context, ws kernel.WorkspaceID) (t Transfer, ok bool, err error) {
	t, err = scanTransfer(m.db.QueryRow(ctx, selectTransfer+`WHERE t.workspace_id = $1 AND t.expires_at > $2`, ws, kernel.Micros(m.d.Clock())))
	if errors.Is(err, db.ErrNoRows) {
		return Transfer{}, false, nil
	}
	return t, err == nil, err
}

// TransfersTo lists the workspaces whose ownership is offered to an account.
func (m *Module) TransfersTo(ctx context.Context, account kernel.AccountID) ([]Transfer, error) {
	rows, err := m.db.Query(ctx, selectTransfer+`WHERE t.to_account = $1 AND t.expires_at > $2 ORDER BY t.created_at`, account, kernel.Micros(m.d.Clock()))
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scanTransfer)
}

// TransferTo is the open offer of a workspace to an account; anything else is NotFound.
func (m *Module) TransferTo(ctx context.Context, ws kernel.WorkspaceID, account kernel.AccountID) (Transfer, error) {
	t, ok, err := m.TransferOf(ctx, ws)
	if err == nil && (!ok || t.To != account) {
		return Transfer{}, errNoTransfer()
	}
	return t, err
}

// OfferOwnership offers a workspace to a member. Until that one accepts, nothing changes.
func (m *Module) OfferOwnership(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, to kernel.AccountID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		name, err := hold(ctx, tx, ws)
		if err != nil {
			return err
		}
		if err := mustOwn(ctx, tx, ws, by); err != nil {
			return err
		}
		p, err := personIn(ctx, tx, ws, to)
		if err != nil {
			return kernel.InvalidField("to", "Choose a member of this workspace.")
		}
		if p.Role == RoleOwner {
			return kernel.InvalidField("to", "This member is an owner already.")
		}
		now := kernel.Micros(tx.Now())
		if _, err := tx.Exec(ctx, `DELETE FROM ownership_transfers WHERE workspace_id = $1 AND expires_at <= $2`, ws, now); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `INSERT INTO ownership_transfers (workspace_id, to_account, from_account, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (workspace_id) DO NOTHING`, ws, to, by.ID, now, kernel.Micros(tx.Now().Add(transferTTL)))
		if err != nil {
			return err
		}
		if n == 0 {
			return kernel.Errorf(kernel.Conflict, "The ownership is offered to somebody already. Withdraw that offer first.")
		}
		if err := m.send(ctx, tx, mailOffered, p, m.offeredContent(ws, name, by.Label)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "ownership.offer", Target: p.target()})
	})
}

func mustOwn(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, by audit.Actor) error {
	p, err := personIn(ctx, tx, ws, by.ID)
	if err == nil && p.Role != RoleOwner {
		err = kernel.Errorf(kernel.Forbidden, "Only an owner can do that.")
	}
	return err
}

// WithdrawOffer takes an offer back. Any owner can.
func (m *Module) WithdrawOffer(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := hold(ctx, tx, ws); err != nil {
			return err
		}
		if err := mustOwn(ctx, tx, ws, by); err != nil {
			return err
		}
		return endOffer(ctx, tx, by, ws, "ownership.withdraw")
	})
}

// DeclineOwnership refuses what was offered to whoever calls.
func (m *Module) DeclineOwnership(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := offerTo(ctx, tx, ws, by.ID); err != nil {
			return err
		}
		return endOffer(ctx, tx, by, ws, "ownership.decline")
	})
}

func endOffer(ctx context.Context, tx *db.Tx, by audit.Actor, ws kernel.WorkspaceID, action string) error {
	n, err := tx.Exec(ctx, `DELETE FROM ownership_transfers WHERE workspace_id = $1`, ws)
	if err != nil {
		return err
	}
	if n == 0 {
		return kernel.Errorf(kernel.Conflict, "There is no offer (any more).")
	}
	return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: action, Target: "workspace:" + string(ws)})
}

// offerTo holds the workspace and finds its open offer to an account; anything else is NotFound.
func offerTo(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, account kernel.AccountID) (t Transfer, err error) {
	if _, err := hold(ctx, tx, ws); err != nil {
		return t, errNoTransfer()
	}
	t, err = scanTransfer(tx.QueryRow(ctx, selectTransfer+`WHERE t.workspace_id = $1 AND t.to_account = $2 AND t.expires_at > $3`,
		ws, account, kernel.Micros(tx.Now())))
	if errors.Is(err, db.ErrNoRows) {
		err = errNoTransfer()
	}
	return t, err
}

// AcceptOwnership makes the account to which a workspace was offered its owner, and the one who offered it an admin.
// It is refused to somebody without the second factor that the workspace demands.
func (m *Module) AcceptOwnership(ctx context.Context, who httpx.Actor, ws kernel.WorkspaceID) error {
	by := audit.ActorOf(who)
	w, err := m.Membership(ctx, who.AccountID, ws)
	if err != nil {
		return errNoTransfer()
	}
	if err := m.Admit(ctx, who, w); err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		t, err := offerTo(ctx, tx, ws, by.ID)
		if err != nil {
			return err
		}
		from, err := personIn(ctx, tx, ws, t.From)
		if err != nil {
			return err
		}
		if _, err := personIn(ctx, tx, ws, t.To); err != nil {
			return err
		}
		if from.Role != RoleOwner { // lowered meanwhile, which ends the offer; see dropClaims
			return errNoTransfer()
		}
		for _, set := range []struct {
			account kernel.AccountID
			role    string
		}{{t.To, RoleOwner}, {t.From, RoleAdmin}} {
			if _, err := tx.Exec(ctx, `UPDATE memberships SET role = $3, apps = '' WHERE workspace_id = $1 AND account_id = $2`, ws, set.account, set.role); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM ownership_transfers WHERE workspace_id = $1`, ws); err != nil {
			return err
		}
		m.tellChanged(tx, ws)
		if err := m.send(ctx, tx, mailTaken, from, takenContent(t.Workspace, by.Label)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "ownership.accept", Target: from.target()})
	})
}
