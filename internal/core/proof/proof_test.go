package proof_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"html"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/proof"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

const ann, eve = "ann@example.org", "eve@example.org"

// app is an authenticator app: it knows only what the page shows, and RFC 6238.
type app struct {
	t      testing.TB
	secret []byte
	now    func() time.Time
}

func newApp(t testing.TB, shown string, now func() time.Time) app {
	t.Helper()
	secret, err := base32.StdEncoding.DecodeString(strings.ReplaceAll(shown, " ", ""))
	if err != nil || len(secret) != 20 {
		t.Fatalf("the secret %q: %v", shown, err)
	}
	return app{t, secret, now}
}

func (a app) code() string {
	mac := hmac.New(sha1.New, a.secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(a.now().Unix()/30)))
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff)%1000000)
}

// wrong is a code that does not work now.
func (a app) wrong() string {
	n := a.code()
	return string('0'+(n[0]-'0'+1)%10) + n[1:]
}

var (
	shownSecret = regexp.MustCompile(`\b(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}\b`)
	shownCode   = regexp.MustCompile(`\b(?:[0-9a-z]{4}-){5}[0-9a-z]{4}\b`)
	hiddenFlow  = regexp.MustCompile(`name="flow" value="([^"]+)"`)
)

func flowIn(t testing.TB, a accesstest.Answer) string {
	t.Helper()
	found := hiddenFlow.FindStringSubmatch(a.Body)
	if found == nil {
		t.Fatalf("no flow in\n%s", a.Body)
	}
	return html.UnescapeString(found[1])
}

// enrol adds an authenticator app in a browser that is signed in, and returns it with the recovery codes.
func enrol(t testing.TB, s *accesstest.Stack, b *accesstest.Browser) (app, []string) {
	t.Helper()
	a := b.Post("/account/authenticator").Is(200, "Scan this", `role="img"`)
	phone := newApp(t, shownSecret.FindString(a.Body), s.Clock.Now)
	before := b.Token
	a = b.Post("/account/authenticator/confirm", "flow", flowIn(t, a), "code", phone.code()).Is(200, "The authenticator app is on")
	if b.Token == before {
		t.Error("the session has its old token")
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Error("the page with the recovery codes may be stored")
	}
	codes := shownCode.FindAllString(a.Body, -1)
	if len(codes) < 10 {
		t.Fatalf("%d recovery codes in\n%s", len(codes), a.Body)
	}
	s.Clock.Add(time.Minute) // the code that added the app is used up
	return phone, codes[:10]
}

// password gives the right password, and returns the page that asks for the second factor.
func password(t testing.TB, b *accesstest.Browser, email string) accesstest.Answer {
	t.Helper()
	a := b.Post("/sign-in", "email", email, "password", accesstest.Password, "next", "/account").Is(200, "Enter the code")
	if b.Token != "" {
		t.Fatal("a session before the second factor")
	}
	return a
}

func TestTOTPCodeWorksOnce(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		phone, _ := enrol(t, s, s.Browser(t, "192.0.2.1").SignIn(ann))
		b := s.Browser(t, "192.0.2.1")
		flow, code := flowIn(t, password(t, b, ann)), phone.code()
		b.Post("/sign-in/second", "flow", flow, "code", phone.wrong(), "next", "/account").Is(422, "does not work").Lacks(phone.wrong())
		b.Post("/sign-in/second", "flow", flow, "code", code[:3]+" "+code[3:], "next", "/account").To("/account")
		b.Get("/account").Is(200)

		other := s.Browser(t, "192.0.2.1") // who looked over the shoulder, and has the password
		flow = flowIn(t, password(t, other, ann))
		other.Post("/sign-in/second", "flow", flow, "code", code).Is(422, "does not work")
		s.Clock.Add(30 * time.Second)
		other.Post("/sign-in/second", "flow", flow, "code", code).Is(422) // a step later as well
		other.Post("/sign-in/second", "flow", flow, "code", phone.code()).To("/")
		s.Browser(t, "192.0.2.1").Post("/sign-in/second", "flow", flow, "code", phone.code()).Is(404, "Start again")
	})
}

// TestCodeHasOneWinner: the same code in many requests at once signs in one of them.
func TestCodeHasOneWinner(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		phone, _ := enrol(t, s, s.Browser(t, "192.0.2.1").SignIn(ann))
		const n = 4
		var flows [n]string
		for i := range flows {
			flows[i] = flowIn(t, password(t, s.Browser(t, "192.0.2.1"), ann))
		}
		var wg sync.WaitGroup
		won := make(chan bool, n)
		for _, flow := range flows {
			wg.Go(func() {
				_, err := s.Proof.FinishSignIn(t.Context(), flow, proof.Second{Code: phone.code()}, identity.Device{IP: "192.0.2.1"})
				won <- err == nil
			})
		}
		wg.Wait()
		close(won)
		winners := 0
		for ok := range won {
			if ok {
				winners++
			}
		}
		if winners != 1 {
			t.Errorf("%d of %d got in with one code", winners, n)
		}
	})
}

func TestRecoveryCodeWorksOnce(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		_, codes := enrol(t, s, b)
		c := s.Browser(t, "192.0.2.1")
		flow := flowIn(t, password(t, c, ann))
		c.Post("/sign-in/second", "flow", flow, "recovery", codes[1][1:]).Is(422, "works once", "<details", " open>")
		c.Post("/sign-in/second", "flow", flow, "recovery", strings.ToUpper(codes[0])).To("/")
		if _, err := s.Mail.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if mails := s.Mailbox.To(ann); len(mails) == 0 || !strings.Contains(mails[0].Text, "9 are left") {
			t.Error("the person is not told")
		}
		c.Get("/account/recovery-codes").Is(200, "9 of 10 are left")

		d := s.Browser(t, "192.0.2.1")
		flow = flowIn(t, password(t, d, ann))
		d.Post("/sign-in/second", "flow", flow, "recovery", codes[0]).Is(422)
		fresh := shownCode.FindAllString(c.Post("/account/recovery-codes").Is(200, "cannot be shown again").Body, -1)
		d.Post("/sign-in/second", "flow", flow, "recovery", codes[1]).Is(422) // replaced
		d.Post("/sign-in/second", "flow", flow, "recovery", fresh[0]).To("/")
	})
}

// TestGuessingCodesEnds: a flow takes five tries, and the account's counters the rest.
func TestGuessingCodesEnds(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		phone, _ := enrol(t, s, s.Browser(t, "192.0.2.1").SignIn(ann))
		b := s.Browser(t, "198.51.100.1")
		flow := flowIn(t, password(t, b, ann))
		for range 5 {
			b.Post("/sign-in/second", "flow", flow, "code", phone.wrong()).Is(422)
		}
		b.Post("/sign-in/second", "flow", flow, "code", phone.code()).Is(404)
		flow = ""
		limited := 0
		for range 8 {
			a := b.Post("/sign-in", "email", ann, "password", accesstest.Password)
			if a.Status == 429 {
				limited++
			}
		}
		if limited == 0 {
			t.Error("whoever has the password may guess on and on")
		}
		// The person, elsewhere, is not locked out.
		c := s.Browser(t, "192.0.2.1")
		c.Post("/sign-in/second", "flow", flowIn(t, password(t, c, ann)), "code", phone.code()).To("/")
	})
}

// TestSecondFactorIsAskedAfterALink: neither a mailed link nor a new password by mail goes around it.
func TestSecondFactorIsAskedAfterALink(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, ann, "W")
		phone, _ := enrol(t, s, s.Browser(t, "192.0.2.1").SignIn(ann))
		link, err := s.Identity.CreateOneTimeLink(t.Context(), account, "/account", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		b := s.Browser(t, "192.0.2.1")
		a := b.Post("/sign-in/link", "token", accesstest.TokenOf(t, link)).Is(200, "Enter the code")
		if b.Token != "" {
			t.Fatal("a session before the second factor")
		}
		b.Post("/sign-in/second", "flow", flowIn(t, a), "code", phone.code(), "next", "/account").To("/account")
	})
}

// TestSecondStepEndsWithThePassword: who knew the old password and waits with the second factor has to begin again.
func TestSecondStepEndsWithThePassword(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		phone, _ := enrol(t, s, b)
		thief := s.Browser(t, "192.0.2.1")
		flow := flowIn(t, password(t, thief, ann))
		b.Post("/account/password", "current", accesstest.Password, "password", "another horse battery").To("/account/security?done=password")
		thief.Post("/sign-in/second", "flow", flow, "code", phone.code()).Is(404)
	})
}

func TestSecretsAreSealed(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, ann, "W")
		other, _, _ := s.Owner(t, eve, "V")
		phone, codes := enrol(t, s, s.Browser(t, "192.0.2.1").SignIn(ann))
		s.FindNowhere(t, base32.StdEncoding.EncodeToString(phone.secret), codes[0], strings.ReplaceAll(codes[0], "-", ""))
		var sealed, hash []byte
		if err := s.DB.QueryRow(t.Context(), `SELECT sealed FROM totp WHERE account_id = $1`, account).Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(sealed, phone.secret) {
			t.Error("the secret is in clear")
		}
		if plain, err := s.Seal.Open(sealed, []byte("totp/"+string(account))); err != nil || !bytes.Equal(plain, phone.secret) {
			t.Error("the secret cannot be opened", err)
		}
		if _, err := s.Seal.Open(sealed, []byte("totp/"+string(other))); err == nil {
			t.Error("the secret opens at another account")
		}
		if err := s.DB.QueryRow(t.Context(), `SELECT code_hash FROM recovery_codes LIMIT 1`).Scan(&hash); err != nil || len(hash) != 32 {
			t.Errorf("%d bytes, %v", len(hash), err)
		}
	})
}

func TestAddingAnAppEndsOtherLogins(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		other := s.Browser(t, "192.0.2.2").SignIn(ann)
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		old := *b
		phone, _ := enrol(t, s, b)
		other.Get("/account").To("/sign-in?next=%2Faccount")
		old.Get("/account").To("/sign-in?next=%2Faccount")
		b.Get("/account/authenticator").Is(200, "Remove the app", "10 left")
		b.Post("/account/authenticator").Is(409, "Remove it first")
		b.Get("/account/authenticator/remove").Is(200, "Remove it")
		b.Post("/account/authenticator/remove").To("/account/authenticator?done=app-removed")
		b.Post("/account/authenticator/remove").Is(409)
		b.Post("/account/recovery-codes").Is(409)
		if n := s.Rows(t, "recovery_codes"); n != 0 {
			t.Errorf("%d recovery codes stay", n)
		}
		s.Browser(t, "192.0.2.3").SignIn(ann) // without a code
		_ = phone
	})
}

// TestEnrolmentIsOnesOwn: somebody else's started enrolment, or one of another login, adds nothing.
func TestEnrolmentIsOnesOwn(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		s.Owner(t, eve, "V")
		e, a := s.Browser(t, "192.0.2.9").SignIn(eve), s.Browser(t, "192.0.2.1").SignIn(ann)
		page := e.Post("/account/authenticator").Is(200)
		phone := newApp(t, shownSecret.FindString(page.Body), s.Clock.Now)
		a.Post("/account/authenticator/confirm", "flow", flowIn(t, page), "code", phone.code()).Is(404, "Start again")
		e.Post("/account/authenticator/confirm", "flow", flowIn(t, page), "code", phone.wrong()).Is(422, "does not work", "Scan this")
		e.Post("/account/authenticator/confirm", "flow", flowIn(t, page), "code", "").Is(422)
		if n := s.Rows(t, "totp"); n != 0 {
			t.Errorf("%d apps", n)
		}
		s.Clock.Add(16 * time.Minute)
		e.Post("/account/prove/password", "password", accesstest.Password).To("/")
		e.Post("/account/authenticator/confirm", "flow", flowIn(t, page), "code", phone.code()).Is(404)
	})
}

// TestStepUp: a careful page sends to the proof and the proof sends back, with a new token, for ten minutes.
func TestStepUp(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		s.Clock.Add(11 * time.Minute)
		b.Post("/account/authenticator").To("/account/prove?next=%2F")
		phone := func() app {
			b.Post("/account/prove/password", "password", accesstest.Password).To("/")
			phone, _ := enrol(t, s, b)
			return phone
		}()
		s.Clock.Add(11 * time.Minute)
		b.Get("/account/authenticator/remove").To("/account/prove?next=%2Faccount%2Fauthenticator%2Fremove")
		b.Get("/account/prove?next=%2Faccount%2Fauthenticator%2Fremove").Is(200, ann, "Password", "Code of your authenticator app").Lacks("Mail me")
		prove := func(password, code string) accesstest.Answer {
			return b.Post("/account/prove/password", "password", password, "code", code, "next", "/account/authenticator/remove")
		}
		prove("wrong password", phone.code()).Is(422, "not your password", `value="/account/authenticator/remove"`)
		prove(accesstest.Password, phone.wrong()).Is(422, "does not work")
		prove(accesstest.Password, "").Is(422, "does not work")
		b.Post("/account/prove/code", "code", phone.code()).To("/account/prove") // without the password
		b.Get("/account/authenticator/remove").To("/account/prove?next=%2Faccount%2Fauthenticator%2Fremove")
		old := *b
		prove(accesstest.Password, phone.code()).To("/account/authenticator/remove")
		b.Get("/account/authenticator/remove").Is(200)
		old.Get("/account").To("/sign-in?next=%2Faccount") // a token from before has nothing of it
		b.Post("/account/prove/mail").Is(409)
		b.Post("/account/prove/mail-code", "flow", "x", "code", "12345678").To("/account/prove")
		s.Browser(t, "192.0.2.7").Get("/account/prove").To("/sign-in?next=%2Faccount%2Fprove")
	})
}

// TestProofLeadsToThisServerOnly: next is a path here, and not the page itself.
func TestProofLeadsToThisServerOnly(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/\t/evil.example", "javascript:alert(1)", "/account/prove", "/account/prove?next=/account/prove"} {
			b.Get("/account/prove?next=" + strings.NewReplacer("\t", "%09", `\`, "%5c").Replace(next)).Is(200).Lacks(`value="` + next)
			b.Post("/account/prove/password", "password", accesstest.Password, "next", next).To("/")
		}
	})
}

// TestCodeProves: the code alone is enough of somebody who has no password.
func TestCodeProves(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, ann, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		phone, _ := enrol(t, s, b)
		withoutPassword(t, s, account)
		s.Clock.Add(11 * time.Minute)
		b.Get("/account/prove").Is(200, "Code of your authenticator app").Lacks("Password</label>", "Mail me")
		b.Post("/account/prove/code", "code", phone.wrong(), "next", "/account").Is(422, "does not work")
		b.Post("/account/prove/code", "code", phone.code(), "next", "/account").To("/account")
		b.Post("/account/prove/code", "code", phone.code(), "next", "/account").Is(422) // once
		b.Get("/account/authenticator/remove").Is(200)
	})
}

// withoutPassword takes the password off an account, like that of somebody who signs in with a provider only.
func withoutPassword(t testing.TB, s *accesstest.Stack, account kernel.AccountID) {
	t.Helper()
	err := s.DB.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE accounts SET password_hash = '' WHERE id = $1`, account)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var mailedCode = regexp.MustCompile(`\b\d{4} ?\d{4}\b`)

// TestMailedProof: who has nothing stronger is mailed a code, which works once, for this login, five tries, ten minutes.
func TestMailedProof(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, ann, "W")
		b, other := s.Browser(t, "192.0.2.1").SignIn(ann), s.Browser(t, "192.0.2.2").SignIn(ann)
		withoutPassword(t, s, account)
		s.Clock.Add(11 * time.Minute)
		b.Get("/account/prove?next=/account").Is(200, "Mail me a code").Lacks("Password</label>", "authenticator app</label>")
		send := func() (flow, code string) {
			flow = flowIn(t, b.Post("/account/prove/mail", "next", "/account").Is(200, "Code of the mail"))
			if _, err := s.Mail.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			return flow, mailedCode.FindString(s.Mailbox.To(ann)[0].Text)
		}
		flow, code := send()
		s.FindNowhere(t, strings.ReplaceAll(code, " ", ""))
		other.Post("/account/prove/mail-code", "flow", flow, "code", code, "next", "/account").Is(404, "Start again")
		b.Post("/account/prove/mail-code", "flow", flow, "code", "00000000", "next", "/account").Is(422, "not the code")
		b.Post("/account/prove/mail-code", "flow", flow, "code", code, "next", "/account").To("/account")
		b.Post("/account/prove/mail-code", "flow", flow, "code", code, "next", "/account").Is(404)
		b.Get("/account/authenticator/remove").To("/account/authenticator") // fresh: on to where there is none to remove
		flow, code = send()
		s.Clock.Add(11 * time.Minute)
		b.Post("/account/prove/mail-code", "flow", flow, "code", code).Is(404)
	})
}

// TestWhatIsProvedIsAudited: each change and each refusal leaves a line, and none a code.
func TestWhatIsProvedIsAudited(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, ann, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(ann)
		phone, codes := enrol(t, s, b)
		b.Post("/account/prove/password", "password", accesstest.Password, "code", phone.wrong()).Is(422)
		b.Post("/account/recovery-codes").Is(200)
		b.Post("/account/authenticator/remove").To("/account/authenticator?done=app-removed")
		entries, _, err := s.Audit.List(t.Context(), audit.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{"totp.create ok": false, "identity.prove ok": false, "identity.prove denied": false, "recovery.create ok": false, "totp.remove ok": false}
		for _, e := range entries {
			if _, ok := want[e.Action+" "+e.Result]; ok {
				want[e.Action+" "+e.Result] = true
			}
			for _, secret := range append(codes, phone.wrong(), base32.StdEncoding.EncodeToString(phone.secret)) {
				if strings.Contains(e.Detail+e.Target, secret) {
					t.Errorf("the log has %q", secret)
				}
			}
		}
		for line, seen := range want {
			if !seen {
				t.Errorf("no line %q", line)
			}
		}
	})
}

// TestErasureTakesAll: nothing of a person's credentials outlives the account.
func TestErasureTakesAll(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, ann, "W")
		enrol(t, s, s.Browser(t, "192.0.2.1").SignIn(ann))
		err := s.DB.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `DELETE FROM memberships WHERE account_id = $1`, account)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Identity.EraseAccount(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"passkeys", "passkey_users", "totp", "recovery_codes"} {
			if n := s.Rows(t, table); n != 0 {
				t.Errorf("%d rows in %s", n, table)
			}
		}
	})
}
