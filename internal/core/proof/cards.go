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
	cards, err := m.passkeyCards(ctx, account)
	if err != nil {
		return nil, err
	}
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

func (m *Module) passkeyCards(ctx context.Context, account kernel.AccountID) ([]identity.SecurityCard, error) {
	if !m.PasskeysAvailable() {
		return nil, nil
	}
	all, err := m.Passkeys(ctx, account)
	card := identity.SecurityCard{Title: "Passkeys", Text: "Sign in with your finger, face or PIN instead of a password.", Href: pathPasskeys, State: "none"}
	switch n := len(all); {
	case n == 1:
		card.State, card.Good = "1 passkey", true
	case n > 1:
		card.State, card.Good = fmt.Sprintf("%d passkeys", n), true
	}
	return []identity.SecurityCard{card}, err
}
