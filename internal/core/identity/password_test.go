package identity

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/kernel"
)

// cheap is a cost for tests about everything but the cost.
var cheap = Cost{Memory: 64, Passes: 1, Threads: 1}

func newTestHasher(c Cost) *hasher { return newHasher(c, 2) }

func TestHashFormat(t *testing.T) {
	t.Parallel()
	h := newTestHasher(defaultCost)
	first, err := h.hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=32768,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`)
	if !form.MatchString(first) {
		t.Errorf("not in PHC form: %s", first)
	}
	if first == second {
		t.Error("two hashes of one password are equal: no salt")
	}
	for what, stored := range map[string]string{"a password": first, "an unknown address": h.dummy} {
		if p, err := parsePHC(stored); err != nil || p.Cost != defaultCost {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
}

func TestHashMatches(t *testing.T) {
	t.Parallel()
	h := newTestHasher(cheap)
	stored, err := h.hash(t.Context(), "Ünïcode pässword")
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{
		"Ünïcode pässword":              true,
		"U\u0308ni\u0308code pässword":  true, // the same, as another keyboard composes it
		"Ünïcode pässword ":             false,
		"ünïcode pässword":              false,
		"":                              false,
		strings.Repeat("long ", 200000): false,
	} {
		if match, stale, err := h.check(password, stored); err != nil || match != want || stale {
			t.Errorf("%.30q: match %v, stale %v, %v", password, match, stale, err)
		}
	}
	if match, _, err := h.check("anything", ""); err != nil || match {
		t.Errorf("an account without a password: %v, %v", match, err)
	}
	if _, stale, err := newTestHasher(Cost{128, 1, 1}).check("x", stored); err != nil || !stale {
		t.Errorf("an older cost is not noticed: %v", err)
	}
}

func TestGateLetsAFewIn(t *testing.T) {
	t.Parallel()
	h := newTestHasher(cheap)
	var leave []func()
	for range 2 {
		f, err := h.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	for range maxWaiting {
		go func() {
			_, err := h.enter(ctx)
			waiting <- err
		}()
	}
	for h.waiting.Load() < maxWaiting {
		runtime.Gosched()
	}
	if _, err := h.enter(t.Context()); kernel.CodeOf(err) != kernel.Unavailable {
		t.Errorf("one too many: %v", err)
	}
	cancel()
	for range maxWaiting {
		if err := <-waiting; err == nil {
			t.Error("let in while the gate was full")
		}
	}
	for _, f := range leave {
		f()
	}
	if f, err := h.enter(t.Context()); err != nil {
		t.Error(err)
	} else {
		f()
	}
}

// TestBreachedPasswordIsRefused: what leaked elsewhere is refused, alone and decorated as people do when they must change it.
func TestBreachedPasswordIsRefused(t *testing.T) {
	t.Parallel()
	for _, leaked := range []string{"ilovemyfamily", "12345677654321", "Reymysterio", "cegthgfhjkm", "j3qq4h7h2v", "1q2w3e4r5t6y", "masterchief",
		"Masterchief1", "masterchief2026!", "m4sterch1ef", "!!trustno1!!!", "trustno12026"} {
		if !isKnown(strings.ToLower(leaked)) {
			t.Errorf("%q is not refused", leaked)
		}
	}
	for _, own := range []string{"masterchief lantern", "the masterchief of staff", "0000-1111-2222-k-3333"} {
		if isKnown(own) {
			t.Errorf("%q is refused", own)
		}
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	addr := Address{Typed: "Margarete@example.org", Key: "margarete@example.org"}
	good := []string{"correct horse battery", "zwölf kleine Äpfel", "x8#kQ!29vLpw", "the rain in spain", "日本語のパスワードです", "mülleimer-blau-73",
		"password 7 grapefruit lantern", "90210 31337 55512 8"}
	for _, p := range good {
		if err := checkPassword("password", p, addr); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	bad := []string{"", "short", "123456789", "1234567890", "passwordpassword", "Password123!", "p@ssw0rd2024", "qwertyuiop", "QWERTYUIOP1", "iloveyou1234",
		"aaaaaaaaaaaa", "abababababab", "abcdefghijkl", "zyxwvutsrqpo", "margarete1985", "margarete@example.org", "Margarete!!", "letmein!!!!!!",
		"margarete's own secret", "the Margarete way of life", "sunflower1", "Trustno1!2026", "p@$$w0rd-2026", "dragondragon", "1122112211", "qwe123qwe123",
		"elephant-2026", "We kept the secret", "19850312 1985", strings.Repeat("correct horse ", 20), "administrator1", "football1999", "kept12345678"}
	for _, p := range bad {
		err := checkPassword("password", p, addr)
		if kernel.CodeOf(err) != kernel.Invalid || kernel.AsError(err).Fields["password"] == "" {
			t.Errorf("%q was accepted, or without a note: %v", p, err)
		}
	}
}

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for in, key := range map[string]string{
		" Ann.Lee+kept@Example.ORG ": "ann.lee+kept@example.org",
		"o'brien@example.org":        "o'brien@example.org",
		"Jürgen@münchen.example":     "jürgen@münchen.example",
		"demo@localhost":             "demo@localhost",
		"a@b.c":                      "a@b.c",
	} {
		if a, err := ParseAddress(in); err != nil || a.Key != key || a.Typed != strings.TrimSpace(in) {
			t.Errorf("%q: %+v, %v", in, a, err)
		}
	}
	for _, in := range []string{"", "ann", "@example.org", "ann@", "ann@example", "ann@exa mple.org", "ann@example.org\nBcc: eve@example.org",
		"ann@example.org, eve@example.org", "Ann <ann@example.org>", "ann@@example.org", "a@b@example.org", "ann@-example.org", "ann@example-.org",
		"ann@example..org", ".ann@example.org", "ann.@example.org", "an..n@example.org", "ann@example.org\x00", "a\u200bnn@example.org",
		"ann\u202e@example.org", strings.Repeat("a", 65) + "@example.org", "ann@" + strings.Repeat("a", 260) + ".org", "\"ann\"@example.org", "ann@\xff.org"} {
		if a, err := ParseAddress(in); kernel.CodeOf(err) != kernel.Invalid {
			t.Errorf("%q was accepted as %+v", in, a)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"ann@example.org", "a@b.c", " x@localhost", "ä@ö.de", "a@b@c.d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(a.Typed, " \r\n\t,<>\x00") || strings.Count(a.Typed, "@") != 1 || len(a.Typed) > maxAddress {
			t.Errorf("accepted %q", a.Typed)
		}
		again, err := ParseAddress(a.Typed)
		if err != nil || again != a {
			t.Errorf("%q reads as %+v and then as %+v, %v", s, a, again, err)
		}
	})
}

func FuzzParsePHC(f *testing.F) {
	salt, sum := base64.RawStdEncoding.EncodeToString(make([]byte, 16)), base64.RawStdEncoding.EncodeToString(make([]byte, 32))
	f.Add(fmt.Sprintf("$argon2id$v=19$m=32768,t=2,p=1$%s$%s", salt, sum))
	f.Add(fmt.Sprintf("$argon2id$v=19$m=4294967295,t=99,p=255$%s$%s", salt, sum))
	f.Add("$argon2i$v=19$m=1,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err != nil {
			return
		}
		if p.Memory > 1<<20 || p.Passes < 1 || p.Passes > 64 || p.Threads < 1 || p.Threads > 16 || p.Memory < 8*uint32(p.Threads) ||
			len(p.salt) < 8 || len(p.salt) > 64 || len(p.sum) < 16 || len(p.sum) > 64 {
			t.Errorf("accepted %q as %+v", s, p)
		}
	})
}

func TestDescribeAgent(t *testing.T) {
	t.Parallel()
	for ua, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0": "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1":       "Safari on iPhone",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                    "Firefox on Linux",
		"curl/8.5.0": "curl", "": "Unknown browser",
	} {
		if got := describeAgent(ua); got != want {
			t.Errorf("%q: %q", ua, got)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	h := newTestHasher(defaultCost)
	for b.Loop() {
		if _, err := h.hash(b.Context(), "correct horse battery"); err != nil {
			b.Fatal(err)
		}
	}
}
