package alert

import (
	"cmp"
	"context"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// taker is what channels are that show who has taken an alert over; notify.Module is one.
type taker interface {
	Acknowledged(ws kernel.WorkspaceID, labels map[string]string, by string)
}

// tellTaken lets the channels show that the person in ctx has taken an alert over, or gave it back.
func (m *Module) tellTaken(ctx context.Context, ws kernel.WorkspaceID, a Alert, taken bool) {
	t, ok := m.d.Channels.(taker)
	if !ok || a.State != Firing {
		return
	}
	by := ""
	if taken {
		by = cmp.Or(httpx.ActorOf(ctx).Email, "an API key")
	}
	t.Acknowledged(ws, a.Labels, by)
}
