package httpx

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

func TestCrossSitePostIsRefused(t *testing.T) {
	t.Parallel()
	keyPost := readAPI
	keyPost.Method, keyPost.Scope, keyPost.NoAudit = "POST", "ingest", "counted"
	f := setup(t, func(c *Config) { c.TrustedOrigins = []string{"https://kept.example"} }, page, form, ingest, keyPost)
	tests := []struct {
		method, path, header string
		want                 int
	}{
		{"POST", "/form", "Sec-Fetch-Site: cross-site", http.StatusForbidden},
		{"POST", "/form", "Sec-Fetch-Site: same-site", http.StatusForbidden},
		{"POST", "/form", "Origin: https://evil.example", http.StatusForbidden},
		{"POST", "/nowhere", "Sec-Fetch-Site: cross-site", http.StatusForbidden},
		{"POST", "/form", "Sec-Fetch-Site: same-origin", http.StatusOK},
		{"POST", "/form", "Origin: http://example.com", http.StatusOK}, // httptest's host
		{"POST", "/form", "Origin: https://kept.example", http.StatusOK},
		{"POST", "/form", "Accept: */*", http.StatusOK},
		{"GET", "/page", "Sec-Fetch-Site: cross-site", http.StatusOK},
		{"POST", "/api/v1/events", "Sec-Fetch-Site: cross-site", http.StatusOK},
	}
	for _, test := range tests {
		if w := f.do(test.method, test.path, "", test.header, asOwner); w.Code != test.want {
			t.Errorf("%s %s with %s: %d, want %d", test.method, test.path, test.header, w.Code, test.want)
		}
	}
	wantStatus(t, f.do("POST", "/api/v1/things", "", "Authorization: Bearer sender", "Sec-Fetch-Site: cross-site"), http.StatusOK)
}

func TestAccess(t *testing.T) {
	t.Parallel()
	route := func(access Access, needs Permission, path string) Route {
		return Route{Method: "GET", Path: path, Handler: ok, Access: access, Needs: needs, Rate: RatePage}
	}
	inApp := route(Member, MayView, "/w/{ws}/other")
	inApp.App = "other"
	me := route(Person, "", "/api/v1/me")
	me.Scope, me.API = "read", readAPI.API
	f := setup(t, nil, page, readAPI, me, inApp, route(SignedIn, "", "/me"), route(Member, MayView, "/w/{ws}/jobs"),
		route(Member, MayOwn, "/w/{ws}/keys"))
	const html = "Accept: text/html"
	tests := []struct {
		path, who string
		want      int
	}{
		{"/page", html, 200},
		{"/me", html, 303}, {"/me", asStranger, 200},
		{"/w/" + workspaceA + "/jobs", html, 303},
		{"/w/" + workspaceA + "/jobs", asMember, 200}, {"/w/" + workspaceA + "/jobs", asStranger, 404},
		{"/w/" + workspaceB + "/jobs", asMember, 404}, {"/w/nonsense/jobs", asMember, 404},
		{"/w/" + workspaceA + "/keys", asOwner, 200}, {"/w/" + workspaceA + "/keys", asMember, 403},
		{"/w/" + workspaceA + "/keys", asStranger, 404},
		{"/api/v1/things", asOwner, 401}, {"/api/v1/things", "Authorization: Bearer reader", 200},
		{"/api/v1/things", "Authorization: Bearer sender", 403}, {"/api/v1/things", "Authorization: Bearer wrong", 401},
		{"/w/" + workspaceA + "/other", asMember, 403}, {"/w/" + workspaceA + "/other", asOwner, 200},
		{"/api/v1/me", "Authorization: Bearer reader", 401}, {"/api/v1/me", "Authorization: Bearer member", 200},
		{"/api/v1/me", asOwner, 401}, {"/api/v1/things", "Authorization: Bearer member", 400},
	}
	for _, test := range tests {
		if w := f.do("GET", test.path, "", test.who); w.Code != test.want {
			t.Errorf("%s as %s: %d, want %d", test.path, test.who, w.Code, test.want)
		}
	}
}

// TestPeoplesTokens sees that a token may in a workspace what its person may there, and nothing elsewhere.
func TestPeoplesTokens(t *testing.T) {
	t.Parallel()
	owners := readAPI
	owners.Path, owners.Needs = "/api/v1/owners", MayOwn
	f := setup(t, nil, readAPI, owners)
	for _, test := range []struct {
		path, token, ws string
		want            int
	}{
		{"/api/v1/things", "member", workspaceA, 200}, {"/api/v1/things", "member", workspaceB, 404},
		{"/api/v1/things", "member", "nonsense", 404}, {"/api/v1/owners", "member", workspaceA, 403},
		{"/api/v1/things", "stranger", workspaceA, 404},
	} {
		w := f.do("GET", test.path, "", "Authorization: Bearer "+test.token, WorkspaceHeader+": "+test.ws)
		if w.Code != test.want {
			t.Errorf("%s with %s's token in %s: %d, want %d", test.path, test.token, test.ws, w.Code, test.want)
		}
	}
}

func TestStepUpAsksForAProof(t *testing.T) {
	t.Parallel()
	careful := Route{Method: "GET", Path: "/me/delete", Handler: ok, Access: SignedIn, Rate: RatePage, StepUp: true}
	f := setup(t, nil, careful)
	w := f.do("GET", "/me/delete?x=1", "", asOwner)
	if wantStatus(t, w, 303); w.Header().Get("Location") != "/account/prove?next=%2Fme%2Fdelete%3Fx%3D1" {
		t.Errorf("it leads to %q", w.Header().Get("Location"))
	}
	w = f.do("GET", "/me/delete", "", asOwner, "Accept: application/json")
	if wantStatus(t, w, 403); !strings.Contains(w.Body.String(), "proof_needed") {
		t.Errorf("a program is told %s", w.Body)
	}
	if w = f.do("GET", "/me/delete", "", "HX-Request: true", asOwner); w.Header().Get("Hx-Redirect") == "" {
		t.Error("a fragment is not sent to the proof")
	}
	wantStatus(t, f.do("GET", "/me/delete", "", asProved), 200)
	f.now = f.now.Add(DefaultFresh)
	wantStatus(t, f.do("GET", "/me/delete", "", asProved), 303)
}

func TestSignInRedirect(t *testing.T) {
	t.Parallel()
	me := Route{Method: "GET", Path: "/me", Handler: ok, Access: SignedIn, Rate: RatePage}
	save := Route{Method: "POST", Path: "/me", Handler: ok, Access: SignedIn, Rate: RateWrite, Audit: "me.save"}
	f := setup(t, nil, me, save)
	if got := f.do("GET", "/me?tab=2&x=y", "").Header().Get("Location"); got != "/sign-in?next=%2Fme%3Ftab%3D2%26x%3Dy" {
		t.Errorf("a page comes back to %s", got)
	}
	if got := f.do("POST", "/me", "", "Referer: http://example.com/settings").Header().Get("Location"); got != "/sign-in?next=%2Fsettings" {
		t.Errorf("a form comes back to %s", got)
	}
	if got := f.do("POST", "/me", "", "Referer: http://evil.example/settings").Header().Get("Location"); got != "/sign-in?next=%2F" {
		t.Errorf("a form from elsewhere comes back to %s", got)
	}
	w := f.do("GET", "/me", "", "HX-Request: true", "Referer: http://example.com/list")
	if w.Code != 401 || w.Header().Get("HX-Redirect") != "/sign-in?next=%2Flist" {
		t.Errorf("htmx gets %d and %q", w.Code, w.Header().Get("HX-Redirect"))
	}
	wantStatus(t, f.do("GET", "/me", "", "Accept: application/json"), http.StatusUnauthorized)
}

func TestSafeNext(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/jobs?q=1#x": "/jobs?q=1#x", "": "/", "jobs": "/", "//evil": "/", "/\\evil": "/", "https://evil": "/",
		"/\t/evil": "/", "///evil": "/", "javascript:alert(1)": "/", "/ok/../x": "/ok/../x",
	} {
		if got := SafeNext(next); got != want {
			t.Errorf("SafeNext(%q) = %q, want %q", next, got, want)
		}
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	limiter := map[RateClass]Limit{RateWrite: {PerSecond: 0.5, Burst: 2}}
	var f *fixture
	f = setup(t, func(c *Config) {
		c.Limiter = NewLimiter(limiter, func() time.Time { return f.now })
	}, form, page)
	wantStatus(t, f.do("POST", "/form", ""), http.StatusOK)
	wantStatus(t, f.do("POST", "/form", ""), http.StatusOK)
	f.now = f.now.Add(100 * time.Millisecond)
	w := f.do("POST", "/form", "", "Accept: application/json")
	wantStatus(t, w, http.StatusTooManyRequests)
	if got := w.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After: %q, want whole seconds rounded up", got)
	}
	wantStatus(t, f.do("GET", "/page", ""), http.StatusOK) // another class has its own bucket
	f.now = f.now.Add(1950 * time.Millisecond)
	wantStatus(t, f.do("POST", "/form", ""), http.StatusOK)
}

func TestRateLimitOfKeys(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *Config) {
		c.Limiter = NewLimiter(map[RateClass]Limit{RatePage: {PerSecond: 1, Burst: 1}, RateAuth: {PerSecond: 1, Burst: 2}}, c.Clock)
	}, readAPI)
	for range 2 {
		wantStatus(t, f.do("GET", "/api/v1/things", "", "Authorization: Bearer wrong"), http.StatusUnauthorized)
	}
	wantStatus(t, f.do("GET", "/api/v1/things", "", "Authorization: Bearer wrong"), http.StatusTooManyRequests)
	// A good key at the same address is not punished for that, and is limited for itself.
	wantStatus(t, f.do("GET", "/api/v1/things", "", "Authorization: Bearer reader"), http.StatusOK)
	wantStatus(t, f.do("GET", "/api/v1/things", "", "Authorization: Bearer reader"), http.StatusTooManyRequests)
}

func TestLimiterMemoryIsBounded(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(0)
	l := NewLimiter(nil, func() time.Time { return now })
	for i := range 2 * limiterShards * bucketsInShard {
		_ = l.TakeKey(RateAuth, kernel.ID(strconv.Itoa(i)))
	}
	total := 0
	for i := range l.shards {
		total += len(l.shards[i].buckets)
	}
	if total > limiterShards*bucketsInShard {
		t.Errorf("%d buckets, want at most %d", total, limiterShards*bucketsInShard)
	}
}

func TestLimiterCountsIPv6ByNetwork(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(0)
	l := NewLimiter(map[RateClass]Limit{RateAuth: {PerSecond: 1, Burst: 1}}, func() time.Time { return now })
	take := func(addr string) error { return l.TakeAddr(RateAuth, netip.MustParseAddr(addr)) }
	if err := take("2001:db8::1"); err != nil {
		t.Fatal(err)
	}
	if take("2001:db8::2") == nil {
		t.Error("a second address of the same /64 has a bucket of its own")
	}
	if err := take("2001:db8:0:1::1"); err != nil {
		t.Errorf("another /64 is refused: %v", err)
	}
}

func TestOversizedBody(t *testing.T) {
	t.Parallel()
	small := ingest
	small.Path, small.MaxBody = "/api/v1/small", 1024
	f := setup(t, nil, ingest, small)
	w := f.do("POST", "/api/v1/small", strings.Repeat("x", 1025))
	wantStatus(t, w, http.StatusRequestEntityTooLarge)
	if !strings.Contains(w.Body.String(), "1 KiB") {
		t.Errorf("the limit is not named: %s", w.Body)
	}
	wantStatus(t, f.do("POST", "/api/v1/small", strings.Repeat("x", 1024)), http.StatusOK)
	wantStatus(t, f.do("POST", "/api/v1/events", strings.Repeat("x", 16<<20)), http.StatusOK)
	wantStatus(t, f.do("POST", "/api/v1/events", strings.Repeat("x", 16<<20+1)), http.StatusRequestEntityTooLarge)
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	var got netip.Addr
	route := page
	route.Handler = func(w http.ResponseWriter, r *http.Request) error {
		got = ClientIP(r.Context())
		return ok(w, r)
	}
	direct := setup(t, nil, route)
	behind := setup(t, func(c *Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.0.0.0/8")}
	}, route)
	tests := []struct {
		f            *fixture
		header, want string
	}{
		{direct, "X-Forwarded-For: 203.0.113.9", "192.0.2.1"}, // httptest's peer
		{behind, "X-Forwarded-For: 203.0.113.9", "203.0.113.9"},
		{behind, "X-Forwarded-For: 1.1.1.1, 203.0.113.9, 10.0.0.7", "203.0.113.9"},
		{behind, "X-Forwarded-For: nonsense", "192.0.2.1"},
		{behind, "X-Forwarded-For: 1.1.1.1, nonsense, 10.0.0.7", "10.0.0.7"},
		{behind, "X-Other: 1", "192.0.2.1"},
	}
	for _, test := range tests {
		test.f.do("GET", "/page", "", test.header)
		if got.String() != test.want {
			t.Errorf("%s: %s, want %s", test.header, got, test.want)
		}
	}
}
