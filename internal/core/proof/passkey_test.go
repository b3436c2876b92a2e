package proof_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/proof"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// TestPasskeyOptions: what devices are asked for makes one passkey two factors that name nobody.
func TestPasskeyOptions(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		first := addPasskey(t, s, b, "")
		_, _, c := script(t, s, b, "/account/passkeys/options", struct{}{})
		o := c.PublicKey
		if o.AuthenticatorSelection.ResidentKey != "required" || o.AuthenticatorSelection.UserVerification != "required" {
			t.Errorf("%+v", o.AuthenticatorSelection)
		}
		if handle, err := b64.DecodeString(o.User.ID); err != nil || len(handle) != 64 || !bytes.Equal(handle, first.handle) {
			t.Errorf("the handle %q is not the same 64 bytes, %v", o.User.ID, err)
		}
		if len(o.ExcludeCredentials) != 1 || o.ExcludeCredentials[0].ID != b64.EncodeToString(first.id) {
			t.Errorf("%+v", o.ExcludeCredentials)
		}
		_, _, c = script(t, s, s.Browser(t, "192.0.2.2"), "/sign-in/passkey/options", struct{}{})
		if c.PublicKey.UserVerification != "required" || len(c.PublicKey.AllowCredentials) != 0 {
			t.Errorf("%+v", c.PublicKey)
		}
		b.Get("/account/passkeys").Is(200, "Passkey 1", "on one device", "never")
	})
}

func TestPasskeySignsIn(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		d := addPasskey(t, s, s.Browser(t, "192.0.2.1").SignIn(ann), "phone")
		b := s.Browser(t, "192.0.2.9")
		if status, out := d.use(s, b); status != 200 || out["next"] != "/account" || b.Token == "" {
			t.Fatalf("%d %v", status, out)
		}
		b.Get("/account").Is(200)
		b.Get("/account/passkeys").Is(200, "phone").Lacks("never")
		logins, err := s.Identity.Logins(t.Context(), accountOf(t, s, ann))
		if err != nil || len(logins) != 2 {
			t.Fatal(logins, err)
		}
		strong := 0
		for _, l := range logins {
			if l.Method == "passkey" && l.Strong {
				strong++
			}
		}
		if strong != 1 {
			t.Errorf("%+v", logins)
		}
	})
}

func accountOf(t testing.TB, s *accesstest.Stack, email string) kernel.AccountID {
	t.Helper()
	a, err := s.Identity.ByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

// TestWrongAnswersAreRefused: each is refused in the same words, and none of them begins a login.
func TestWrongAnswersAreRefused(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		s.Owner(t, eve, "V")
		anns := addPasskey(t, s, s.Browser(t, "192.0.2.1").SignIn(ann), "phone")
		eves := addPasskey(t, s, s.Browser(t, "192.0.2.2").SignIn(eve), "phone")
		wrong := map[string]func(d *device){
			"not verified":              func(d *device) { d.flags = present },
			"nobody there":              func(d *device) { d.flags = verified },
			"another origin":            func(d *device) { d.origin = "https://kept.example.evil.example" },
			"another port":              func(d *device) { d.origin = "https://kept.example:8443" },
			"another server":            func(d *device) { d.rpID = "evil.example" },
			"another key":               func(d *device) { d.key = newDevice(t).key },
			"another passkey":           func(d *device) { d.id = newDevice(t).id },
			"another person":            func(d *device) { d.handle = eves.handle },
			"another person's passkey":  func(d *device) { d.id, d.key = eves.id, eves.key },
			"nobody's handle":           func(d *device) { d.handle = bytes.Repeat([]byte{7}, 64) },
			"no handle":                 func(d *device) { d.handle = nil },
			"a backup state it has not": func(d *device) { d.flags |= 16 },
		}
		before := s.Rows(t, "logins")
		for name, change := range wrong {
			d := *anns
			change(&d)
			b := s.Browser(t, "192.0.2.3")
			status, out := d.use(s, b)
			if status != 422 || b.Token != "" || !strings.Contains(out["detail"].(string), "does not sign in here") {
				t.Errorf("%s: %d %v", name, status, out)
			}
		}
		if n := s.Rows(t, "logins"); n != before {
			t.Errorf("%d logins, were %d", n, before)
		}
		if status, out := anns.use(s, s.Browser(t, "192.0.2.3")); status != 200 {
			t.Errorf("the right answer afterwards: %d %v", status, out)
		}
	})
}

// TestChallengeIsAnsweredOnce: right or wrong, by whoever asked for it, in time.
func TestChallengeIsAnsweredOnce(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		s.Owner(t, eve, "V")
		a, e := s.Browser(t, "192.0.2.1").SignIn(ann), s.Browser(t, "192.0.2.2").SignIn(eve)
		d := addPasskey(t, s, a, "phone")
		b := s.Browser(t, "192.0.2.3")
		_, _, c := script(t, s, b, "/sign-in/passkey/options", struct{}{})
		body := map[string]any{"flow": c.Flow, "credential": d.assert(c)}
		bad := *d
		bad.flags = 0
		if status, out, _ := script(t, s, b, "/sign-in/passkey", map[string]any{"flow": c.Flow, "credential": bad.assert(c)}); status != 422 {
			t.Errorf("%d %v", status, out)
		}
		if status, out, _ := script(t, s, b, "/sign-in/passkey", body); status != 404 || b.Token != "" {
			t.Errorf("a challenge that was answered wrongly works: %d %v", status, out)
		}
		_, _, c = script(t, s, b, "/sign-in/passkey/options", struct{}{})
		s.Clock.Add(11 * time.Minute)
		if status, out, _ := script(t, s, b, "/sign-in/passkey", map[string]any{"flow": c.Flow, "credential": d.assert(c)}); status != 404 {
			t.Errorf("too late: %d %v", status, out)
		}
		a.Post("/account/prove/password", "password", accesstest.Password).To("/")
		e.Post("/account/prove/password", "password", accesstest.Password).To("/")
		_, _, c = script(t, s, a, "/account/passkeys/options", struct{}{})
		evil := newDevice(t)
		if status, out, _ := script(t, s, e, "/account/passkeys", map[string]any{"flow": c.Flow, "credential": evil.register(c)}); status != 404 {
			t.Errorf("somebody else's challenge: %d %v", status, out)
		}
		_, _, c = script(t, s, a, "/account/prove/passkey/options", struct{}{})
		if status, out, _ := script(t, s, b, "/sign-in/passkey", map[string]any{"flow": c.Flow, "credential": d.assert(c)}); status != 404 {
			t.Errorf("a challenge for a proof signs in: %d %v", status, out)
		}
		if n := s.Rows(t, "passkeys"); n != 1 {
			t.Errorf("%d passkeys", n)
		}
	})
}

// TestRegistrationIsVerified: what does not verify the person, or is not for this server, is not added.
func TestRegistrationIsVerified(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		s.Owner(t, eve, "V")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		for name, change := range map[string]func(d *device){
			"not verified":   func(d *device) { d.flags = present },
			"another origin": func(d *device) { d.origin = "https://evil.example" },
			"another server": func(d *device) { d.rpID = "evil.example" },
		} {
			_, _, c := script(t, s, b, "/account/passkeys/options", struct{}{})
			d := newDevice(t)
			change(d)
			if status, out, _ := script(t, s, b, "/account/passkeys", map[string]any{"flow": c.Flow, "credential": d.register(c)}); status != 422 {
				t.Errorf("%s: %d %v", name, status, out)
			}
		}
		d := addPasskey(t, s, b, "mine")
		e := s.Browser(t, "192.0.2.2").SignIn(eve)
		_, _, c := script(t, s, e, "/account/passkeys/options", struct{}{})
		stolen := *d // the id of somebody else's passkey
		if status, out, _ := script(t, s, e, "/account/passkeys", map[string]any{"flow": c.Flow, "credential": stolen.register(c)}); status != 409 {
			t.Errorf("%d %v", status, out)
		}
		if n := s.Rows(t, "passkeys"); n != 1 {
			t.Errorf("%d passkeys", n)
		}
		s.Clock.Add(11 * time.Minute)
		if status, out, _ := script(t, s, b, "/account/passkeys/options", struct{}{}); status != 403 || out["code"] != "proof_needed" {
			t.Errorf("%d %v", status, out)
		}
	})
}

// TestSignCountGoesBack: a passkey whose counter does not go up has a copy; it is refused, and the person is told.
func TestSignCountGoesBack(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		d := addPasskey(t, s, s.Browser(t, "192.0.2.1").SignIn(ann), "stick")
		d.count = 7
		if status, out := d.use(s, s.Browser(t, "192.0.2.1")); status != 200 {
			t.Fatalf("%d %v", status, out)
		}
		for _, count := range []uint32{7, 3, 0} {
			d.count = count
			b := s.Browser(t, "192.0.2.66")
			if status, out := d.use(s, b); status != 422 || b.Token != "" {
				t.Errorf("count %d: %d %v", count, status, out)
			}
		}
		if _, err := s.Mail.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		told := 0
		for _, m := range s.Mailbox.To(ann) {
			if strings.Contains(strings.Join(strings.Fields(m.Text), " "), "there may be a copy of it") {
				told++
			}
		}
		if told != 3 {
			t.Errorf("told %d times", told)
		}
		entries, _, err := s.Audit.List(t.Context(), audit.Filter{Action: "passkey.clone_warning"})
		if err != nil || len(entries) != 3 || entries[0].Result != audit.Denied {
			t.Errorf("%+v %v", entries, err)
		}
		d.count = 8
		if status, out := d.use(s, s.Browser(t, "192.0.2.1")); status != 200 {
			t.Errorf("%d %v", status, out)
		}
	})
}

func TestPasskeyProves(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		s.Owner(t, eve, "V")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		d := addPasskey(t, s, b, "phone")
		eves := addPasskey(t, s, s.Browser(t, "192.0.2.2").SignIn(eve), "phone")
		s.Clock.Add(11 * time.Minute)
		b.Get("/account/prove?next=/account/tokens").Is(200, "Use a passkey", `next="/account/tokens"`)
		_, _, c := script(t, s, b, "/account/prove/passkey/options", struct{}{})
		if len(c.PublicKey.AllowCredentials) != 1 || c.PublicKey.AllowCredentials[0].ID != b64.EncodeToString(d.id) {
			t.Errorf("%+v", c.PublicKey)
		}
		if status, out, _ := script(t, s, b, "/account/prove/passkey", map[string]any{"flow": c.Flow, "credential": eves.assert(c)}); status != 422 {
			t.Errorf("somebody else's passkey: %d %v", status, out)
		}
		b.Post("/account/authenticator").To("/account/prove?next=%2F")
		old := b.Token
		_, _, c = script(t, s, b, "/account/prove/passkey/options", struct{}{})
		status, out, _ := script(t, s, b, "/account/prove/passkey", map[string]any{"flow": c.Flow, "next": "//evil.example", "credential": d.assert(c)})
		if status != 200 || out["next"] != "/" || b.Token == old {
			t.Errorf("%d %v", status, out)
		}
		b.Post("/account/authenticator").Is(200)
	})
}

// TestLastWayStays: whoever has nothing but passkeys keeps one, even when two are removed at once.
func TestLastWayStays(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, ann, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		addPasskey(t, s, b, "one")
		addPasskey(t, s, b, "two")
		withoutPassword(t, s, account)
		all, err := s.Proof.Passkeys(t.Context(), account)
		if err != nil || len(all) != 2 {
			t.Fatal(all, err)
		}
		logins, err := s.Identity.Logins(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, p := range all {
			wg.Go(func() {
				err := s.Proof.RemovePasskey(t.Context(), httpx.Actor{AccountID: account, LoginID: logins[0].ID}, p.ID)
				if err != nil && kernel.CodeOf(err) != kernel.Conflict {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		left, err := s.Proof.Passkeys(t.Context(), account)
		if err != nil || len(left) != 1 {
			t.Fatalf("%d passkeys are left, %v", len(left), err)
		}
		path := "/account/passkeys/" + string(left[0].ID)
		b.Get(path+"/remove").Is(200, "Remove "+left[0].Name)
		b.Post(path+"/remove").Is(409, "your only way to sign in")
	})
}

func TestPasskeysAreOnesOwn(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, ann, "W")
		s.Owner(t, eve, "V")
		b, e := s.Browser(t, "192.0.2.1").SignIn(ann), s.Browser(t, "192.0.2.2").SignIn(eve)
		addPasskey(t, s, b, "Ann's phone")
		all, err := s.Proof.Passkeys(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		path := "/account/passkeys/" + string(all[0].ID)
		e.Get("/account/passkeys").Is(200, "No passkeys yet").Lacks("Ann's phone")
		for _, what := range []string{"/rename", "/remove"} {
			e.Get(path + what).Is(404)
			e.Post(path+what, "name", "Eve's now").Is(404)
		}
		b.Get(path+"/rename").Is(200, `value="Ann's phone"`)
		b.Post(path+"/rename", "name", strings.Repeat("x", 61)).Is(422, "at most 60")
		b.Post(path+"/rename", "name", " ").Is(422)
		b.Post(path+"/rename", "name", " Work   laptop ", "account_id", "x", "sign_count", "0").To("/account/passkeys?done=passkey-renamed")
		b.Get("/account/passkeys").Is(200, "Work laptop")
		other := s.Browser(t, "192.0.2.3").SignIn(ann)
		b.Post(path + "/remove").To("/account/passkeys?done=passkey-removed")
		other.Get("/account").To("/sign-in?next=%2Faccount") // it may be the one that had the device
		b.Get("/account/passkeys/x/remove").Is(404)
	})
}

// TestPasskeysWantAName: browsers bind them to a host name, over https or on localhost.
func TestPasskeysWantAName(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		for base, want := range map[string]bool{
			"https://kept.example": true, "https://kept.example:8443": true, "http://localhost:8080": true,
			"http://kept.example": false, "https://192.0.2.7": false, "https://[2001:db8::1]:8443": false,
		} {
			m, err := proof.New(proof.Deps{DB: s.DB, Identity: s.Identity, Seal: s.Seal, BaseURL: base, Logger: slog.New(slog.DiscardHandler)})
			if err != nil || m.PasskeysAvailable() != want {
				t.Errorf("%s: %v, %v", base, m.PasskeysAvailable(), err)
			}
			if _, err := m.BeginPasskeySignIn(t.Context()); (err == nil) != want {
				t.Errorf("%s: %v", base, err)
			}
		}
	})
}
