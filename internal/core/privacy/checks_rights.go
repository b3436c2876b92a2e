package privacy

import (
	"context"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/platform/httpx"
)

// carefulActions are the audit actions of what nobody may do in another's name: have data exported or erased, make what
// opens the door again later, and change how one signs in. One that ends in a dot is the beginning of several.
var carefulActions = []string{
	"export.", "erasure.", "account.close", "account.erase", "workspace.close", "workspace.erase",
	"api_key.create", "api_key.rotate", "token.create",
	"passkey.create", "passkey.remove", "totp.", "recovery.", "provider.link", "provider.unlink",
	"password.change", "email.change_request", "member.change", "member.remove", "ownership.offer", "ownership.accept",
	"workspace.demand_factor", "billing.",
}

func careful(action string) bool {
	return slices.ContainsFunc(carefulActions, func(a string) bool {
		return a == action || strings.HasSuffix(a, ".") && strings.HasPrefix(action, a)
	})
}

// checkProof (RGT-6) wants the routes on which a person at a browser asks for something grave to ask for a fresh proof of
// identity.
func checkProof(_ context.Context, in *Inspection) (Result, error) {
	var f finding
	routes, err := in.routes()
	if err != nil {
		return Result{}, err
	}
	for _, r := range routes {
		if !changesState(r) || !careful(r.Audit) || r.Access != httpx.SignedIn && r.Access != httpx.Member {
			continue
		}
		f.count("careful_routes", 1)
		if !r.StepUp {
			f.bad("%s (%s) does not ask who it is", routeName(r), r.Audit)
		}
	}
	if len(f.counts) == 0 {
		return notApplicable("Nothing of the kind can be asked for."), nil
	}
	return f.result("Something grave can be asked for without a fresh proof of identity."), nil
}
