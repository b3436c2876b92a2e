package access_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// pair is the tokens of an app, as it gets them.
type pair struct {
	Access    string    `json:"access"`
	AccessEnd time.Time `json:"access_expires_at"`
	Refresh   string    `json:"refresh"`
}

// send posts JSON as an app does: no cookie, no origin.
func send(t *testing.T, s *accesstest.Stack, path, token string, body any) *httptest.ResponseRecorder {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", path, bytes.NewReader(raw))
	r.RemoteAddr = "192.0.2.77:4000"
	r.Host = "kept.example"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Kept/1.0 (iOS)")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.Mux.ServeHTTP(w, r)
	return w
}

func pairOf(t *testing.T, w *httptest.ResponseRecorder) (p pair) {
	t.Helper()
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" || len(w.Result().Cookies()) > 0 {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// phone signs an app in.
func phone(t *testing.T, s *accesstest.Stack, email string) pair {
	t.Helper()
	return pairOf(t, send(t, s, "/api/v1/mobile/sign-in", "", map[string]string{"email": email, "password": accesstest.Password, "device": "Ann's phone"}))
}

func refresh(t *testing.T, s *accesstest.Stack, p pair) pair {
	t.Helper()
	return pairOf(t, send(t, s, "/api/v1/mobile/refresh", "", map[string]string{"refresh": p.Refresh}))
}

func refused(t *testing.T, s *accesstest.Stack, token string) {
	t.Helper()
	if w := send(t, s, "/api/v1/mobile/refresh", "", map[string]string{"refresh": token}); w.Code != http.StatusUnauthorized {
		t.Errorf("refresh: %d %s", w.Code, w.Body)
	}
}

// TestMobileTokensRotate: ten minutes of access; each refresh makes a new pair; the app is a login like others.
func TestMobileTokensRotate(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, ws, _ := s.Owner(t, owner, "W")
		first := phone(t, s, owner)
		if !regexp.MustCompile(`^kepta_[0-9A-Za-z]{43}$`).MatchString(first.Access) || !regexp.MustCompile(`^keptr_[0-9A-Za-z]{43}$`).MatchString(first.Refresh) ||
			!first.AccessEnd.Equal(s.Clock.Now().Add(10*time.Minute)) {
			t.Fatalf("%+v", first)
		}
		mux := api(t, s)
		status, body := call(t, mux, "GET", "/api/v1/things", first.Access, ws)
		if status != 200 || body["workspace"] != string(ws) || body["account"] != string(account) || body["role"] != workspace.RoleOwner {
			t.Fatalf("%d %v", status, body)
		}
		want(t, mux, 400, "GET", "/api/v1/things", first.Access, "")                           // which workspace?
		want(t, mux, 404, "GET", "/api/v1/things", first.Access, "01arz3ndektsv4rrffq69g5fav") // not a member
		want(t, mux, 403, "GET", "/api/v1/provisioning", first.Access, ws)
		if logins, err := s.Identity.Logins(t.Context(), account); err != nil || len(logins) != 1 || logins[0].UserAgent != "Ann's phone" || logins[0].Kind != identity.KindMobile {
			t.Errorf("%+v, %v", logins, err)
		}

		s.Browser(t, "192.0.2.1").SignIn(owner).Get("/account/logins").Is(200, "Ann's phone", "app")
		s.Clock.Add(10*time.Minute - time.Second)
		want(t, mux, 200, "GET", "/api/v1/things", first.Access, ws)
		s.Clock.Add(time.Second)
		want(t, mux, 401, "GET", "/api/v1/things", first.Access, ws)
		second := refresh(t, s, first)
		if second.Access == first.Access || second.Refresh == first.Refresh {
			t.Error("the tokens did not change")
		}
		want(t, mux, 200, "GET", "/api/v1/things", second.Access, ws)
		want(t, mux, 401, "GET", "/api/v1/things", second.Refresh, ws) // a refresh token is no access token
		refused(t, s, second.Access)
		for range 20 { // days of use keep it alive
			s.Clock.Add(3 * 24 * time.Hour)
			second = refresh(t, s, second)
			if err := s.Access.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.FindNowhere(t, first.Access, first.Refresh, second.Access, second.Refresh)
		s.Clock.Add(31 * 24 * time.Hour) // over the login's 90 days
		refused(t, s, second.Refresh)
	})
}

// TestMobileDiesIdle: who does not use the app for two weeks signs in again.
func TestMobileDiesIdle(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, owner, "W")
		p := phone(t, s, owner)
		s.Clock.Add(identity.LoginIdle)
		refused(t, s, p.Refresh)
	})
}

// TestReuseRevokesTheFamily: a refresh token that comes twice ends everything that grew from the sign-in, tells the
// person, and leaves other logins alone.
func TestReuseRevokesTheFamily(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, owner, "W")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		first, elsewhere := phone(t, s, owner), phone(t, s, owner)
		second := refresh(t, s, first)
		third := refresh(t, s, second)
		for _, p := range []pair{first, second, third, elsewhere} {
			if !works(t, s, p.Access) {
				t.Fatal("an access token does not work")
			}
		}
		refused(t, s, first.Refresh) // two steps back
		for i, p := range []pair{first, second, third} {
			if works(t, s, p.Access) {
				t.Errorf("access token %d works on", i)
			}
			refused(t, s, p.Refresh)
		}
		if !works(t, s, elsewhere.Access) || refresh(t, s, elsewhere).Access == "" {
			t.Error("the other app was signed out")
		}
		b.Get("/account").Is(200)
		if logins, err := s.Identity.Logins(t.Context(), account); err != nil || len(logins) != 2 {
			t.Errorf("%d logins, %v", len(logins), err)
		}
		reused := 0
		for _, e := range auditOf(t, s, "") {
			if e.Action == "mobile.reuse" {
				reused++
				if e.Result != "denied" || e.ActorID != string(account) || strings.Contains(e.Detail+e.Target, "kept") {
					t.Errorf("%+v", e)
				}
			}
		}
		if _, err := s.Mail.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		told := slices.ContainsFunc(s.Mailbox.To(owner), func(m mail.Received) bool { return strings.Contains(m.Subject+m.Text, "An app was signed out") })
		if reused != 1 || !told {
			t.Errorf("%d audit events, told %v", reused, told)
		}
	})
}

// TestConcurrentRefreshHasOneWinner: of two requests with one token at most one gets a pair, and the family is over.
func TestConcurrentRefreshHasOneWinner(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, owner, "W")
		p := phone(t, s, owner)
		var wg sync.WaitGroup
		pairs, errs := make([]access.Pair, 4), make([]error, 4)
		for i := range pairs {
			wg.Go(func() { pairs[i], errs[i] = s.Access.RefreshMobile(t.Context(), p.Refresh) })
		}
		wg.Wait()
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
				refused(t, s, pairs[i].Refresh)
			} else if kernel.CodeOf(err) != kernel.Unauthenticated || pairs[i].Access != "" {
				t.Error(err)
			}
		}
		if won > 1 || s.Rows(t, "mobile_tokens") != 0 {
			t.Errorf("%d winners, %d rows", won, s.Rows(t, "mobile_tokens"))
		}
	})
}

// TestMobileEndsWithItsLogin: whatever ends logins ends apps, at once.
func TestMobileEndsWithItsLogin(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, owner, "W")
		p, out := phone(t, s, owner), phone(t, s, owner)
		if !works(t, s, p.Access) || !works(t, s, out.Access) {
			t.Fatal("an access token does not work")
		}
		if w := send(t, s, "/api/v1/mobile/sign-out", out.Access, map[string]string{}); w.Code != http.StatusNoContent {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if works(t, s, out.Access) || !works(t, s, p.Access) {
			t.Error("signing out ended the wrong one")
		}
		refused(t, s, out.Refresh)
		logins, err := s.Identity.Logins(t.Context(), account)
		if err != nil || len(logins) != 1 || logins[0].Kind != identity.KindMobile {
			t.Fatalf("%+v, %v", logins, err)
		}
		s.Browser(t, "192.0.2.1").SignIn(owner).Post("/account/logins/" + string(logins[0].ID) + "/end")
		if works(t, s, p.Access) {
			t.Error("the app works on")
		}
		refused(t, s, p.Refresh)
	})
}

// TestMobileSignInIsNoBrowserLogin: what an app gets is no cookie, and a cookie is no bearer.
func TestMobileSignInIsNoBrowserLogin(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, owner, "W")
		p := phone(t, s, owner)
		b := s.Browser(t, "192.0.2.1")
		for _, text := range []string{p.Access, p.Refresh} {
			b.Token = text
			b.Get("/account").To("/sign-in?next=%2Faccount")
		}
		b.Token = ""
		b.SignIn(owner)
		if works(t, s, b.Token) {
			t.Error("a cookie works as a bearer token")
		}
	})
}

// TestMobileSignInRefuses: wrong passwords like those of browsers, with the same words for known and unknown addresses.
func TestMobileSignInRefuses(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		s.Owner(t, owner, "W")
		wrong := send(t, s, "/api/v1/mobile/sign-in", "", map[string]string{"email": owner, "password": "wrong password"})
		nobody := send(t, s, "/api/v1/mobile/sign-in", "", map[string]string{"email": "nobody@example.org", "password": "wrong password"})
		if wrong.Code != 422 || strip(wrong.Body.String()) != strip(nobody.Body.String()) || nobody.Code != 422 {
			t.Errorf("%d %s\n%d %s", wrong.Code, wrong.Body, nobody.Code, nobody.Body)
		}
		for _, body := range []any{map[string]string{"email": owner}, map[string]string{}, map[string]string{"emial": owner}, []int{1}, map[string]string{"flow": "x", "code": "123456"}} {
			if w := send(t, s, "/api/v1/mobile/sign-in", "", body); w.Code < 400 || w.Code >= 500 {
				t.Errorf("%v: %d %s", body, w.Code, w.Body)
			}
		}
		for _, text := range []string{"", "keptr_", "keptr_" + strings.Repeat("0", 43), strings.Repeat("x", 5000)} {
			refused(t, s, text)
		}
		if n := s.Rows(t, "logins") + s.Rows(t, "mobile_tokens"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

// enrol gives a person an authenticator app and returns its secret, and the recovery codes.
func enrol(t *testing.T, s *accesstest.Stack, email string) (secret []byte, recovery []string) {
	t.Helper()
	s.Browser(t, "192.0.2.1").SignIn(email)
	a, err := s.Identity.ByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	logins, err := s.Identity.Logins(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	by := httpx.Actor{AccountID: a.ID, Email: email, LoginID: logins[0].ID}
	e, err := s.Proof.StartApp(t.Context(), by)
	if err != nil {
		t.Fatal(err)
	}
	if _, recovery, _, err = s.Proof.ConfirmApp(t.Context(), by, e.Flow, codeOf(s, e.Secret)); err != nil {
		t.Fatal(err)
	}
	return e.Secret, recovery
}

// codeOf is what an authenticator app shows now (RFC 6238).
func codeOf(s *accesstest.Stack, secret []byte) string {
	mac := hmac.New(sha1.New, secret)
	binary.Write(mac, binary.BigEndian, s.Clock.Now().Unix()/30)
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1000000)
}

// TestMobileAsksSecondFactor: an enrolled person's app gets a flow first, and tokens for flow and code.
func TestMobileAsksSecondFactor(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "W")
		secret, recovery := enrol(t, s, owner)
		s.Clock.Add(time.Minute)
		w := send(t, s, "/api/v1/mobile/sign-in", "", map[string]string{"email": owner, "password": accesstest.Password})
		var asked struct{ Code, Flow, Access, Refresh string }
		if err := json.Unmarshal(w.Body.Bytes(), &asked); err != nil || w.Code != 401 || asked.Code != "second_factor" || asked.Flow == "" || asked.Access+asked.Refresh != "" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if n := s.Rows(t, "mobile_tokens"); n != 0 {
			t.Errorf("%d token rows before the second factor", n)
		}
		second := func(kind, code string) *httptest.ResponseRecorder {
			t.Helper()
			return send(t, s, "/api/v1/mobile/sign-in", "", map[string]string{"flow": asked.Flow, kind: code})
		}
		if w := second("recovery", "0000-0000-0000-0000-0000-0000"); w.Code != 422 {
			t.Errorf("a wrong code: %d %s", w.Code, w.Body)
		}
		p := pairOf(t, second("code", codeOf(s, secret)))
		want(t, api(t, s), 200, "GET", "/api/v1/things", p.Access, ws)
		if w := second("recovery", recovery[0]); w.Code != 404 {
			t.Errorf("the flow works twice: %d %s", w.Code, w.Body)
		}
	})
}

// TestMeAndWorkspaces: a mobile token sees all of the person's workspaces, a personal one its own.
func TestMeAndWorkspaces(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, ws, key := s.Owner(t, owner, "W")
		_, second, _ := s.Owner(t, stranger, "E")
		s.Join(t, second, account, "viewer")
		p := phone(t, s, owner)
		_, personal := token(t, s, account, ws, "read")
		_, about := token(t, s, account, ws, "account")
		list := func(token string) string {
			t.Helper()
			status, body := call(t, s.Mux, "GET", "/api/v1/workspaces", token, "")
			raw, _ := json.Marshal(body)
			if status != 200 {
				t.Fatalf("%d %s", status, raw)
			}
			return string(raw)
		}
		if got := list(p.Access); !strings.Contains(got, string(ws)) || !strings.Contains(got, string(second)) || !strings.Contains(got, "viewer") {
			t.Error(got)
		}
		if got := list(personal); !strings.Contains(got, string(ws)) || strings.Contains(got, string(second)) {
			t.Error(got)
		}
		if status, body := call(t, s.Mux, "GET", "/api/v1/me", p.Access, ""); status != 200 || body["email"] != owner || body["account_id"] != string(account) {
			t.Errorf("%d %v", status, body)
		}
		want(t, s.Mux, 200, "GET", "/api/v1/me", about, "")
		want(t, s.Mux, 403, "GET", "/api/v1/me", personal, "")
		want(t, s.Mux, 401, "GET", "/api/v1/me", key, "") // a key is nobody
		want(t, s.Mux, 403, "POST", "/api/v1/mobile/sign-out", about, "")
	})
}
