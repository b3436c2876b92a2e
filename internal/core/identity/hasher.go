package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/kept-dev/kept/internal/kernel"
)

// Cost is what one argon2id hash takes.
type Cost struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// defaultCost is above what OWASP's password storage cheat sheet asks for (19 MiB, 2 passes) and some 50 ms of one core
// of a small machine. More memory would cost an attacker more, but the server keeps the promise to stay small.
var defaultCost = Cost{Memory: 32 << 10, Passes: 2, Threads: 1}

const (
	saltLen = 16
	hashLen = 32

	maxWaiting = 64 // for the gate; beyond, people are asked to come back
)

// hasher makes and checks password hashes, a few at a time: each takes a core and memory, and sign-in must not be a way
// to take the server's whole strength.
type hasher struct {
	cost    Cost
	dummy   string        // what the password of an unknown address is compared with
	gate    chan struct{} // holds a token per running hash
	waiting atomic.Int32
	runs    atomic.Int64 // how many hashes were made or checked
}

func newHasher(c Cost, atOnce int) *hasher {
	random := make([]byte, saltLen+hashLen) // that no password is known for
	rand.Read(random)
	return &hasher{cost: c, gate: make(chan struct{}, atOnce), dummy: formatPHC(c, random[:saltLen], random[saltLen:])}
}

// enter waits for a place at the gate. The returned function leaves it.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	busy := &kernel.Error{Code: kernel.Unavailable, Safe: "Too many people sign in at this moment. Try again in a few seconds.",
		RetryAfter: 2 * time.Second}
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return nil, busy
	}
	defer h.waiting.Add(-1)
	select {
	case h.gate <- struct{}{}:
		return func() { <-h.gate }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hash makes the PHC form of a password: $argon2id$v=19$m=32768,t=2,p=1$salt$hash.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	h.runs.Add(1)
	salt := make([]byte, saltLen)
	rand.Read(salt)
	c := h.cost
	return formatPHC(c, salt, argon2.IDKey(canonical(password), salt, c.Passes, c.Memory, c.Threads, hashLen)), nil
}

func formatPHC(c Cost, salt, sum []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, c.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// check compares a password with a stored hash; an empty one is compared with the dummy and never matches. stale says
// that the hash was made with another cost and should be made anew. The caller is at the gate.
func (h *hasher) check(password, stored string) (match, stale bool, err error) {
	h.runs.Add(1)
	known := stored != ""
	if !known {
		stored = h.dummy
	}
	p, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	sum := argon2.IDKey(canonical(password), p.salt, p.Passes, p.Memory, p.Threads, uint32(len(p.sum)))
	return subtle.ConstantTimeCompare(sum, p.sum) == 1 && known, p.Cost != h.cost, nil
}

// canonical is the one byte form of a password, however a keyboard composes its characters.
func canonical(password string) []byte { return []byte(norm.NFKC.String(password)) }

type phc struct {
	Cost
	salt, sum []byte
}

var errPHC = errors.New("identity: the stored password hash cannot be read")

// parsePHC reads a hash in PHC form. Its limits keep a row that somebody planted from taking all memory.
func parsePHC(s string) (p phc, err error) {
	parts := strings.Split(s, "$")
	if len(s) > 512 || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return p, errPHC
	}
	if p.Cost, err = parseCost(parts[3]); err != nil {
		return p, err
	}
	b64 := base64.RawStdEncoding.Strict()
	var errSalt, errSum error
	p.salt, errSalt = b64.DecodeString(parts[4])
	p.sum, errSum = b64.DecodeString(parts[5])
	if errSalt != nil || errSum != nil || len(p.salt) < 8 || len(p.salt) > 64 || len(p.sum) < 16 || len(p.sum) > 64 {
		return p, errPHC
	}
	return p, nil
}

func parseCost(s string) (c Cost, err error) {
	var values [3]uint64
	parts := strings.Split(s, ",")
	if len(parts) != len(values) {
		return c, errPHC
	}
	for i, name := range []string{"m=", "t=", "p="} {
		text, ok := strings.CutPrefix(parts[i], name)
		if values[i], err = strconv.ParseUint(text, 10, 32); !ok || err != nil {
			return c, errPHC
		}
	}
	memory, passes, threads := values[0], values[1], values[2]
	if memory < 8*threads || memory > 1<<20 || passes < 1 || passes > 64 || threads < 1 || threads > 16 {
		return c, errPHC
	}
	return Cost{uint32(memory), uint32(passes), uint8(threads)}, nil
}
