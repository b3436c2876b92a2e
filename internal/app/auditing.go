package app

import (
	"context"
	"net/http"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// auditOutcome records what no service has: that somebody who is signed in, or a key, tried what is not theirs to do, and
// a change whose service wrote no event (it should, in the change's transaction; this is the net below). Strangers are
// left to the request log: they could fill this one.
func (a *App) auditOutcome(r *http.Request, route httpx.Route, o httpx.Outcome) {
	denied := o.Status == http.StatusForbidden && o.Code != kernel.ProofNeeded
	if o.Actor.Anonymous() || o.Recorded || !denied && o.Status >= http.StatusBadRequest {
		return
	}
	event := audit.Event{
		WorkspaceID: o.Actor.WorkspaceID, Actor: audit.ActorOf(o.Actor), Action: route.Audit, Result: audit.OK,
		IP: httpx.ClientIP(r.Context()).String(),
	}
	if denied {
		event.Result = audit.Denied
	}
	ctx := context.WithoutCancel(r.Context()) // the client may be gone, the attempt is not
	err := a.control.Tx(ctx, func(tx *db.Tx) error { return audit.Record(ctx, tx, event) })
	if err != nil {
		a.logger.Error("what somebody did could not be audited", "request_id", httpx.RequestID(ctx), "error", err)
	}
}
