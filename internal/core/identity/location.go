package identity

import (
	"context"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/geo"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// Where an account's location comes from.
const (
	LocationTyped = "typed"
	LocationByIP  = "ip"
)

const maxLocation = 100 // characters

// Locate sets where the person who asks is; empty removes it.
func (m *Module) Locate(ctx context.Context, by httpx.Actor, location string) error {
	location, err := kernel.CleanName("location", location, maxLocation)
	if err != nil {
		return err
	}
	source := LocationTyped
	if location == "" {
		source = ""
	}
	return m.locate(ctx, by, location, source)
}

// LocateByNetwork sets the location to the country of the network from which the person asks.
func (m *Module) LocateByNetwork(ctx context.Context, by httpx.Actor) error {
	name := geo.Name(geo.Country(httpx.ClientIP(ctx)))
	if name == "" {
		return kernel.InvalidField("location", "The country of your network is not known. Type a place, if you like.")
	}
	return m.locate(ctx, by, name, LocationByIP)
}

func (m *Module) locate(ctx context.Context, by httpx.Actor, location, source string) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE accounts SET location = $2, location_source = $3, updated_at = $4 WHERE id = $1`,
			by.AccountID, location, source, kernel.Micros(tx.Now())); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{Action: "account.locate", Target: "account:" + string(by.AccountID), Detail: source})
	})
}

// inferLocation gives a new account the country of its network, where an app that is on has a use for it.
func (m *Module) inferLocation(ctx context.Context, tx *db.Tx, a Account, ip string) error {
	name := geo.Name(country(ip))
	if !m.d.Locate || name == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE accounts SET location = $2, location_source = $3 WHERE id = $1`, a.ID, name, LocationByIP)
	return err
}
