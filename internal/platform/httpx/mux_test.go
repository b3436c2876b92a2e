package httpx

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/kernel"
)

func TestAddRefusesRoutesThatBreakARule(t *testing.T) {
	t.Parallel()
	good := Route{Method: "POST", Path: "/x", Handler: ok, Access: Public, Rate: RateWrite, Audit: "x.do"}
	tests := map[string]struct {
		change func(*Route)
		want   string
	}{
		"no rate class":        {func(r *Route) { r.Rate = "" }, "SEC-5"},
		"unknown rate class":   {func(r *Route) { r.Rate = "fast" }, "SEC-5"},
		"no audit":             {func(r *Route) { r.Audit = "" }, "SEC-6"},
		"audit and no audit":   {func(r *Route) { r.NoAudit = "because" }, "both"},
		"key without scope":    {func(r *Route) { r.Access = APIKey }, "scope"},
		"scope without key":    {func(r *Route) { r.Scope = "read" }, "scope"},
		"no access":            {func(r *Route) { r.Access = "" }, "access"},
		"no handler":           {func(r *Route) { r.Handler = nil }, "handler"},
		"method":               {func(r *Route) { r.Method = "BREW" }, "method"},
		"path":                 {func(r *Route) { r.Path = "x" }, "slash"},
		"pattern":              {func(r *Route) { r.Path = "/{" }, "wildcard"},
		"member without ws":    {func(r *Route) { r.Access, r.Needs = Member, MayView }, "{ws}"},
		"member without needs": {func(r *Route) { r.Access, r.Path = Member, "/w/{ws}" }, "says what it needs"},
		"unknown permission":   {func(r *Route) { r.Access, r.Path, r.Needs = Member, "/w/{ws}", "fly" }, "not a permission"},
		"app of nobody":        {func(r *Route) { r.App = "jobs" }, "belongs to an app"},
		"step up for keys":     {func(r *Route) { r.StepUp, r.Access = true, Handled }, "proof"},
		"secret not in path":   {func(r *Route) { r.Secrets = []string{"token"} }, "token"},
		"wild any prefix":      {func(r *Route) { r.Path, r.AnyPrefix = "/{x}", true }, "wildcards"},
		"API not described":    {func(r *Route) { r.Path = "/api/v1/x" }, "Operation"},
		"operation with holes": {func(r *Route) { r.API = &Operation{Summary: "x"} }, "response"},
	}
	for name, test := range tests {
		r := good
		test.change(&r)
		if err := setup(t, nil).Add(r); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", name, err, test.want)
		}
	}
	f := setup(t, nil, good)
	if err := f.Add(good); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("duplicate: %v", err)
	}
	if len(f.Table()) != 1 {
		t.Errorf("the table has %d routes, want the one that was accepted", len(f.Table()))
	}
}

func TestIngestPathIsServedWithoutRedirect(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, ingest, page)
	for _, path := range []string{
		"/api/v1/events", "//api/v1/events", "/api//v1///events", "/jobviz/api/v1/events", "/a/b//api/v1/events",
		"/api/v1/events/", "///x//api/v1/events//",
	} {
		w := f.do("POST", "http://kept.test"+path, `{"events":[]}`)
		if w.Code != http.StatusOK || w.Body.String() != "{\"bytes\":13}\n" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if e := <-f.log.entries; e.Path != path || e.Route != "/api/v1/events" {
			t.Errorf("%s is logged as %s by route %s", path, e.Path, e.Route)
		}
	}
	wantStatus(t, f.do("GET", "http://kept.test//page", ""), http.StatusOK)
	wantStatus(t, f.do("POST", "/api/v1/eventsx", ""), http.StatusNotFound)
	wantStatus(t, f.do("GET", "/x/api/v1/events", ""), http.StatusNotFound)
}

func TestUnknownPathAndMethod(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, page, form)
	wantStatus(t, f.do("GET", "/nowhere", ""), http.StatusNotFound)
	wantStatus(t, f.do("HEAD", "/page", ""), http.StatusOK)
	w := f.do("DELETE", "/page", "")
	wantStatus(t, w, http.StatusMethodNotAllowed)
	if got := w.Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow: %s", got)
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self'; frame-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	f := setup(t, nil, page, ingest)
	for _, path := range []string{"/page", "/nowhere"} {
		h := f.do("GET", path, "").Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Strict-Transport-Security": "",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if len(h.Get("X-Request-Id")) != 24 {
			t.Errorf("%s: request id %q", path, h.Get("X-Request-Id"))
		}
	}
	secure := setup(t, func(c *Config) { c.Secure = true }, page)
	if secure.do("GET", "/page", "").Header().Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS although the server is reached over TLS")
	}
	// Another value on one answer must not leak into the next one: the header values are shared.
	f.do("GET", "/page", "").Header().Add("Referrer-Policy", "unsafe-url")
	if got := f.do("GET", "/page", "").Header().Values("Referrer-Policy"); len(got) != 1 {
		t.Errorf("a header of one answer is on the next: %v", got)
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	failing := form
	failing.Path, failing.Handler = "/fails", func(http.ResponseWriter, *http.Request) error {
		return kernel.Errorf(kernel.Conflict, "It changed.")
	}
	f := setup(t, nil, page, form, failing)
	f.do("GET", "/page", "")
	f.do("POST", "/form", "", asMember)
	f.do("POST", "/fails", "")
	if len(f.audited) != 2 {
		t.Fatalf("audited %v, want the two forms", f.audited)
	}
	if o := f.audited[0]; o.Status != 200 || o.Code != "" || o.Actor.AccountID != "member" {
		t.Errorf("success is %+v", o)
	}
	if o := f.audited[1]; o.Status != 409 || o.Code != kernel.Conflict {
		t.Errorf("failure is %+v", o)
	}
}
