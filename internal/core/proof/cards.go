package proof

import (
	"context"
	"fmt"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
)

// SecurityCards is what the account's security page says of this module's ways.
func (m *Module) SecurityCards(ctx context.Context, account kernel.AccountID) ([]identity.SecurityCard, error) {
	enrolled, err := m.Enrolled(ctx, account)
	if err != nil {
		return nil, err
	}
	app := identity.SecurityCard{Title: "Authenticator app", Text: "A second factor: a code from your phone at each sign-in.", Href: pathApp, State: "off"}
	cards := []identity.SecurityCard{}
	if enrolled {
		left, err := m.RecoveryCodesLeft(ctx, account)
		if err != nil {
			return nil, err
		}
		app.State, app.Good = "on", true
		cards = append(cards, app, identity.SecurityCard{Title: "Recovery codes", Text: "They let you in when the app is lost.", Href: pathRecovery,
			State: fmt.Sprintf("%d left", left), Good: left > 2})
		return cards, nil
	}
	return append(cards, app), nil
}
