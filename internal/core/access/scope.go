package access

import (
	"slices"

	"github.com/kept-dev/kept/internal/kernel"
)

// The scopes of keys and tokens.
const (
	ScopeIngest  = "ingest"  // report: jobs, metrics, recordings
	ScopeRead    = "read"    // read through the API
	ScopeWrite   = "write"   // change through the API what the apps hold
	ScopeSCIM    = "scim"    // of a key alone: provision members
	ScopeAccount = "account" // of a person's token: the person's own account
)

// Scopes lists the scopes that a key may have together. A key for provisioning has none of them.
func Scopes() []string { return []string{ScopeIngest, ScopeRead, ScopeWrite} }

// TokenScopes lists the scopes that a personal token may have.
func TokenScopes() []string { return []string{ScopeRead, ScopeWrite, ScopeAccount} }

// cleanName makes a name presentable.
func cleanName(s, whenEmpty string) (string, error) {
	s, err := kernel.CleanName("name", s, maxName)
	if err == nil && s == "" {
		err = kernel.InvalidField("name", whenEmpty)
	}
	return s, err
}

// cleanScopes sorts scopes and holds them to those that are allowed.
func cleanScopes(scopes, allowed []string) ([]string, error) {
	if len(scopes) == 0 {
		return nil, kernel.InvalidField("scope-"+allowed[0], "Choose at least one thing that it may do.")
	}
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	for _, s := range scopes {
		if !slices.Contains(allowed, s) {
			return nil, kernel.Errorf(kernel.Malformed, "There is no such scope here.")
		}
	}
	return scopes, nil
}
