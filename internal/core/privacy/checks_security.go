package privacy

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/internal/platform/httpx"
)

// argon2id's floor: the weakest parameters that OWASP's Password Storage Cheat Sheet still recommends are 7 MiB with
// five passes; salt and hash lengths are the minima of RFC 9106.
const (
	minArgonMemory = 7168 // KiB
	minArgonSalt   = 8
	minArgonHash   = 16
)

// checkPasswords (SEC-1) wants every stored password to be an argon2id hash with a salt of its own.
func checkPasswords(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	columns, err := in.columns(ctx, func(_ Collection, f Field) bool { return strings.Contains(f.Name, "password") })
	if err != nil {
		return Result{}, err
	}
	if len(columns) == 0 {
		return notApplicable("No password is stored."), nil
	}
	salts := map[string]bool{}
	for _, column := range columns {
		if isTime(column.field) {
			continue
		}
		if column.field.Category != Secret {
			f.bad("%s is not declared as a secret", column)
		}
		err := column.each(ctx, "", func(value []byte) {
			if len(value) == 0 { // an account without a password
				return
			}
			f.count("passwords", 1)
			salt, ok := argon2idSalt(string(value))
			switch {
			case !ok:
				f.count("not_argon2id", 1)
			case salts[salt]:
				f.count("salts_used_twice", 1)
			}
			salts[salt] = true
		})
		if err != nil {
			return Result{}, err
		}
	}
	if f.counts["not_argon2id"]+f.counts["salts_used_twice"] > 0 {
		f.bad("passwords are not all salted argon2id hashes")
	}
	return f.result("A password is stored as something other than a salted argon2id hash."), nil
}

// isTime tells fields such as password_changed_at from the secret itself.
func isTime(f Field) bool { return strings.HasSuffix(f.Name, "_at") }

// argon2idSalt reads the salt of a hash in PHC form: $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
func argon2idSalt(phc string) (salt string, ok bool) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return "", false
	}
	cost := map[string]int{}
	for _, p := range strings.Split(parts[3], ",") {
		name, value, _ := strings.Cut(p, "=")
		cost[name], _ = strconv.Atoi(value)
	}
	rawSalt, errSalt := base64.RawStdEncoding.DecodeString(parts[4])
	hash, errHash := base64.RawStdEncoding.DecodeString(parts[5])
	ok = errSalt == nil && errHash == nil && len(rawSalt) >= minArgonSalt && len(hash) >= minArgonHash &&
		cost["m"] >= minArgonMemory && cost["t"] >= 1 && cost["p"] >= 1
	return parts[4], ok
}

// apiKeyPrefix is how Kept's own API keys begin.
const apiKeyPrefix = "kept_"

// shownKeyLength is how much of a key may stay visible, so that people tell their keys apart.
const shownKeyLength = 20

var hexHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkKeys (SEC-3) wants API keys and people's tokens to be stored as hashes, and no column of their tables to hold a
// whole one.
func checkKeys(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	columns, err := in.columns(ctx, func(c Collection, _ Field) bool {
		return slices.Contains(c.Promises, "SEC-3") || c.Name == "api_keys"
	})
	if err != nil {
		return Result{}, err
	}
	if len(columns) == 0 {
		return notApplicable("No API key is stored."), nil
	}
	hashes := 0
	for _, column := range columns {
		hash := column.field.Category == Secret && named(column.field, "hash")
		if hash {
			hashes++
		}
		err := column.each(ctx, "", func(value []byte) {
			if hash {
				f.count("keys", 1)
				if len(value) != 32 && !hexHash.Match(value) {
					f.count("not_hashed", 1)
				}
			}
			if tokenIn(value) && (hash || len(value) > shownKeyLength) {
				f.count("in_the_clear", 1)
			}
		})
		if err != nil {
			return Result{}, err
		}
	}
	if hashes == 0 {
		f.bad("no column is declared as the hash of the key")
	}
	if f.counts["not_hashed"]+f.counts["in_the_clear"] > 0 {
		f.bad("keys are not all stored as hashes")
	}
	return f.result("An API key is stored as something other than its hash."), nil
}

// checkSealed (SEC-4) counts what is declared as content and not sealed, and looks at the TLS settings.
func checkSealed(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	columns, err := in.columns(ctx, func(_ Collection, f Field) bool { return f.Category == Content })
	if err != nil {
		return Result{}, err
	}
	f.count("content_columns", int64(len(columns)))
	for _, column := range columns {
		values, plain, err := column.plain(ctx)
		if err != nil {
			return Result{}, err
		}
		f.count("values", values)
		f.count("in_the_clear", plain)
		if plain > 0 {
			f.bad("%s holds values that are not sealed", column)
		}
	}
	if in.Facts.TLS.Served && in.Facts.TLS.Minimum < tls.VersionTLS12 {
		f.bad("the server accepts TLS older than 1.2")
	}
	return f.result("Customer content is stored in the clear, or TLS is older than 1.2."), nil
}

// checkRates (SEC-5) wants a limit class on every route. No limit is for probes and static files only.
func checkRates(_ context.Context, in *Inspection) (Result, error) {
	var f finding
	routes, err := in.routes()
	if err != nil {
		return Result{}, err
	}
	for _, r := range routes {
		f.count("routes", 1)
		switch {
		case r.Rate == "":
			f.bad("%s has no limit class", routeName(r))
		case r.Rate != httpx.RateNone:
			f.count("limited", 1)
		case changesState(r):
			f.bad("%s changes state and is not limited", routeName(r))
		default:
			f.count("probes_and_files", 1)
		}
	}
	return f.result("A route is not limited."), nil
}

// checkAudit (SEC-6) wants every route that changes state to write an audit event, or to say why it does not, and the
// log's hash chain to be whole.
func checkAudit(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	routes, err := in.routes()
	if err != nil {
		return Result{}, err
	}
	for _, r := range routes {
		switch {
		case !changesState(r):
		case r.Audit != "":
			f.count("audited_routes", 1)
		case r.NoAudit != "":
			f.count("excused_routes", 1)
		default:
			f.bad("%s changes state and writes no audit event", routeName(r))
		}
	}
	if in.Audit == nil {
		return Result{}, errNoSource("audit log")
	}
	events, broken, err := in.Audit.VerifyAudit(ctx)
	if err != nil {
		return Result{}, err
	}
	f.count("events", events)
	f.count("events_that_do_not_fit", broken)
	if broken > 0 {
		f.bad("the audit log's chain does not verify")
	}
	return f.result("Something changes without an audit event, or the audit log was tampered with."), nil
}

// roles are what a membership may say.
var roles = []string{"owner", "admin", "member", "viewer", "billing"}

// checkIsolation (SEC-8) wants every route with a workspace in its path to ask for membership, every one that people with
// a role use to say what the role must allow, and every membership to have a role that there is.
func checkIsolation(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	routes, err := in.routes()
	if err != nil {
		return Result{}, err
	}
	for _, r := range routes {
		f.count(fmt.Sprintf("routes_%s", r.Access), 1)
		switch {
		case r.Access == "":
			f.bad("%s does not say who may use it", routeName(r))
		case (r.Access == httpx.Member || r.Access == httpx.APIKey) && r.Needs == "":
			f.bad("%s does not say what a role must allow", routeName(r))
		case !strings.Contains(r.Path, "{ws}"):
		case r.Access == httpx.SignedIn && strings.HasPrefix(r.Path, "/account/"):
			f.count("routes_of_what_was_offered_to_a_person", 1) // who need not be a member yet
		case !slices.Contains([]httpx.Access{httpx.Member, httpx.APIKey, httpx.Handled}, r.Access):
			f.bad("%s is about a workspace and does not ask for membership", routeName(r))
		}
		if r.Access == httpx.Member {
			f.count(fmt.Sprintf("routes_that_need_%s", r.Needs), 1)
		}
	}
	columns, err := in.columns(ctx, func(c Collection, f Field) bool { return c.Name == "memberships" && f.Name == "role" })
	if err != nil {
		return Result{}, err
	}
	for _, column := range columns {
		unknown := int64(0)
		err := column.each(ctx, "", func(value []byte) {
			f.count("memberships", 1)
			if !slices.Contains(roles, string(value)) {
				unknown++
			}
		})
		if err != nil {
			return Result{}, err
		}
		if unknown > 0 {
			f.count("unknown_roles", unknown)
			f.bad("%s holds roles that there are not", column)
		}
	}
	return f.result("A route lets somebody in without asking who it is, or a membership has a role that means nothing."), nil
}
