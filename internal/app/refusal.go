package app

import (
	"context"
	"net/http"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// auditRefusal records that somebody who is signed in, or a key, tried what is not theirs to do. What succeeds is
// recorded by the service that does it, in the same transaction. Strangers are left to the request log: they could fill
// this one.
func (a *App) auditRefusal(r *http.Request, route httpx.Route, o httpx.Outcome) {
	if o.Status != http.StatusForbidden || o.Actor.Anonymous() {
		return
	}
	event := audit.Event{
		WorkspaceID: o.Actor.WorkspaceID, Actor: audit.ActorOf(o.Actor), Action: route.Audit, Result: audit.Denied,
		IP: httpx.ClientIP(r.Context()).String(),
	}
	ctx := context.WithoutCancel(r.Context()) // the client may be gone, the attempt is not
	err := a.control.Tx(ctx, func(tx *db.Tx) error { return audit.Record(ctx, tx, event) })
	if err != nil {
		a.logger.Error("a refusal could not be audited", "request_id", httpx.RequestID(ctx), "error", err)
	}
}
