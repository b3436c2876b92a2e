package alert

import (
	"context"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// Teller knows what customers were told of an alert; *status.Module is one.
type Teller interface {
	// ToldOf leads to the incident that was made from an alert; nil: there is none.
	ToldOf(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (*ui.Link, error)
}

// UseTeller says who knows. It must be called before Start; without one an alert leads to no incident.
func (m *Module) UseTeller(t Teller) { m.teller = t }

func (m *Module) toldOf(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (*ui.Link, error) {
	if m.teller == nil {
		return nil, nil
	}
	return m.teller.ToldOf(ctx, ws, id)
}
