package privacy

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// checkFactors (SEC-2) wants the secrets of second factors and the tokens of providers sealed, recovery codes hashed, and
// of passkeys nothing but public keys.
func checkFactors(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	columns, err := in.columns(ctx, func(c Collection, f Field) bool { return slices.Contains(c.Promises, "SEC-2") })
	if err != nil {
		return Result{}, err
	}
	if len(columns) == 0 {
		return notApplicable("No second factor, passkey or provider's token is stored."), nil
	}
	for _, column := range columns {
		switch {
		case column.field.Name == "public_key":
			err = checkPublicKeys(ctx, column, &f)
		case column.field.Category == Secret && named(column.field, "hash"):
			err = checkHashes(ctx, column, "recovery_codes", &f)
		case column.field.Category == Secret, column.field.Name == "sealed":
			var values, plain int64
			values, plain, err = column.plain(ctx)
			f.count("sealed_secrets", values)
			if plain > 0 {
				f.count("in_the_clear", plain)
				f.bad("%s holds values that are not sealed", column)
			}
		}
		if err != nil {
			return Result{}, err
		}
	}
	return f.result("A secret of a second factor or a provider's token is not sealed, a recovery code is not hashed, or a passkey is more than a public key."), nil
}

// checkHashes wants 32 bytes, or the same in hex, in each value.
func checkHashes(ctx context.Context, column column, what string, f *finding) error {
	wrong := int64(0)
	err := column.each(ctx, "", func(value []byte) {
		f.count(what, 1)
		if len(value) != 32 && !hexHash.Match(value) || tokenIn(value) {
			wrong++
		}
	})
	if wrong > 0 {
		f.count("not_hashed", wrong)
		f.bad("%s holds values that are no hashes", column)
	}
	return err
}

func checkPublicKeys(ctx context.Context, column column, f *finding) error {
	wrong := int64(0)
	err := column.each(ctx, "", func(value []byte) {
		f.count("passkeys", 1)
		if !publicKeyOnly(value) {
			wrong++
		}
	})
	if wrong > 0 {
		f.count("not_public_keys", wrong)
		f.bad("%s holds values that are no public keys", column)
	}
	return err
}

// publicKeyOnly tells whether a value is a key as WebAuthn stores it (COSE_Key, RFC 9052), with the labels of a public
// key and no others. A private key has at least one more: -4 for curves, -3 and below for RSA.
func publicKeyOnly(value []byte) bool {
	keys, ok := coseLabels(value)
	if !ok {
		return false
	}
	allowed := map[int64][]int64{1: {1, 3, -1, -2}, 2: {1, 3, -1, -2, -3}, 3: {1, 3, -1, -2}}[keys[1]]
	if allowed == nil {
		return false
	}
	for label := range keys {
		if !slices.Contains(allowed, label) {
			return false
		}
	}
	return len(keys) >= 3
}

// coseLabels reads the labels of a CBOR map of small numbers to numbers or byte strings, and the values that are numbers.
// Anything else is not ok, and neither is a byte behind the map.
func coseLabels(b []byte) (map[int64]int64, bool) {
	major, pairs, b, ok := cborHead(b)
	if !ok || major != 5 || pairs > 16 {
		return nil, false
	}
	out := map[int64]int64{}
	for range pairs {
		var label, value int64
		if label, b, ok = cborItem(b); !ok {
			return nil, false
		}
		if value, b, ok = cborItem(b); !ok {
			return nil, false
		}
		if _, twice := out[label]; twice {
			return nil, false
		}
		out[label] = value
	}
	return out, len(b) == 0
}

// cborItem reads a number, or steps over a byte string.
func cborItem(b []byte) (n int64, rest []byte, ok bool) {
	major, v, b, ok := cborHead(b)
	switch {
	case !ok || v > 1<<20:
		return 0, nil, false
	case major == 0:
		return int64(v), b, true
	case major == 1:
		return -1 - int64(v), b, true
	case major == 2 && v <= uint64(len(b)):
		return 0, b[v:], true
	}
	return 0, nil, false
}

// cborHead reads the kind of the next item and its number or length (RFC 8949, section 3).
func cborHead(b []byte) (major byte, v uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, 0, nil, false
	}
	major, small, b := b[0]>>5, b[0]&31, b[1:]
	switch {
	case small < 24:
		return major, uint64(small), b, true
	case small == 24 && len(b) >= 1:
		return major, uint64(b[0]), b[1:], true
	case small == 25 && len(b) >= 2:
		return major, uint64(binary.BigEndian.Uint16(b)), b[2:], true
	case small == 26 && len(b) >= 4:
		return major, uint64(binary.BigEndian.Uint32(b)), b[4:], true
	}
	return 0, 0, nil, false
}

// maxAccess is how long an app's access token may work.
const maxAccess = 10 * time.Minute

// checkMobile (SEC-7) wants access tokens of apps to be short-lived, all their tokens to be hashed, and no sign-in to have
// two refresh tokens that work.
func checkMobile(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	columns, err := in.columns(ctx, func(c Collection, _ Field) bool { return slices.Contains(c.Promises, "SEC-7") })
	if err != nil {
		return Result{}, err
	}
	if len(columns) == 0 {
		return notApplicable("No token of an app is stored."), nil
	}
	for _, column := range columns {
		switch {
		case column.field.Category == Secret && named(column.field, "hash"):
			err = checkHashes(ctx, column, column.field.Name, &f)
		case column.field.Name == "access_until":
			err = column.rule(ctx, &f, "long_access_tokens", fmt.Sprintf("access_until > created_at + %d", maxAccess.Microseconds()), "gives access for longer than ten minutes")
		case column.field.Name == "used_at":
			err = column.rule(ctx, &f, "families_with_two_tokens",
				`used_at = 0 AND EXISTS (SELECT 1 FROM `+column.from()+` other WHERE other.login_id = `+column.from()+`.login_id AND other.used_at = 0 AND other.refresh_hash > `+column.from()+`.refresh_hash)`,
				"has sign-ins with two refresh tokens that work")
		}
		if err != nil {
			return Result{}, err
		}
	}
	if len(f.counts) == 0 {
		f.bad("no column is declared as the hash of a token, or as its end")
	}
	return f.result("A token of an app works too long, is stored in the clear, or did not rotate."), nil
}

// rule counts the rows that break a rule, which is SQL that both engines read alike.
func (c column) rule(ctx context.Context, f *finding, name, broken, says string) error {
	var n int64
	if err := c.db.QueryRow(ctx, `SELECT count(*) FROM `+c.from()+` WHERE `+broken).Scan(&n); err != nil {
		return fmt.Errorf("privacy: look at %s: %w", c, err)
	}
	f.count(name, n)
	if n > 0 {
		f.bad("%s %s", c.table, says)
	}
	return nil
}

// tokenPrefixes are how keys and people's tokens begin.
var tokenPrefixes = [][]byte{[]byte(apiKeyPrefix), []byte("keptp_"), []byte("kepta_"), []byte("keptr_")}

// tokenIn tells whether a value begins like a key or token.
func tokenIn(value []byte) bool {
	return slices.ContainsFunc(tokenPrefixes, func(p []byte) bool { return bytes.HasPrefix(value, p) })
}

// Ages knows the minimum age of the people that have accounts, and who is let in without it.
type Ages interface {
	MinAge() int // years; 0: none is asked
	// Underage counts the living logins of people whose age is not known to be enough.
	Underage(ctx context.Context) (int64, error)
}

// checkAges (SEC-9) wants everybody who is signed in to have said that he is old enough for the apps that are on.
func checkAges(ctx context.Context, in *Inspection) (Result, error) {
	if in.Ages == nil {
		return Result{}, errNoSource("minimum age")
	}
	if in.Ages.MinAge() == 0 {
		return notApplicable("No app that is on has a minimum age."), nil
	}
	var f finding
	f.count("minimum_age", int64(in.Ages.MinAge()))
	n, err := in.Ages.Underage(ctx)
	if err != nil {
		return Result{}, err
	}
	f.count("logins_without_it", n)
	if n > 0 {
		f.bad("logins exist whose people have not said that they are old enough; they are asked when they sign in next")
	}
	return f.result("Somebody is signed in whose age is not known to be enough."), nil
}
