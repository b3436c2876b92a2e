package app

import (
	"context"
	"slices"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// leastAges is how old somebody must be to use an app (SEC-9).
var leastAges = map[string]int{"jobs": 16, "metrics": 16, "replay": 16, "career": 18}

// minAge is the greatest least age of the apps that are on.
func (a *App) minAge() (years int) {
	for _, name := range appNames {
		if a.appOn(name) {
			years = max(years, leastAges[name])
		}
	}
	return years
}

// locates tells whether an app is on that has a use for the country of people.
func (a *App) locates() bool { return slices.Contains(appNames, "career") && a.appOn("career") }

// ownersAlarm tells the owners of a workspace when one of those who may change its members and keys signs in from a country
// that is new: the account may be in other hands.
type ownersAlarm struct{ a *App }

var _ identity.Watcher = ownersAlarm{}

// UnusualSignIn mails the owners of the workspaces that the person owns or administers, but not the person.
func (o ownersAlarm) UnusualSignIn(ctx context.Context, tx *db.Tx, u identity.Unusual) error {
	if !u.NewCountry {
		return nil
	}
	c := &o.a.core
	spaces, err := c.workspaces.Of(ctx, u.Account)
	if err != nil {
		return err
	}
	told := map[kernel.AccountID]bool{u.Account: true}
	for _, w := range spaces {
		if w.Role != workspace.RoleOwner && w.Role != workspace.RoleAdmin {
			continue
		}
		owners, err := c.workspaces.OwnersOf(ctx, w.ID)
		if err != nil {
			return err
		}
		for _, owner := range owners {
			if told[owner.AccountID] {
				continue
			}
			told[owner.AccountID] = true
			if err := c.identity.TellOwner(ctx, tx, owner.AccountID, w.Name, u); err != nil {
				return err
			}
		}
	}
	return nil
}
