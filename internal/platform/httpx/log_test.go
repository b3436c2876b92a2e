package httpx

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestSecretsAreRedactedInTheAccessLog(t *testing.T) {
	t.Parallel()
	magic := Route{Method: "GET", Path: "/magic/{token}", Handler: ok, Access: Public, Rate: RateAuth, Secrets: []string{"token"}}
	ping := Route{Method: "GET", Path: "/ping/{key}/{slug}", Handler: ok, Access: Handled, Rate: RateIngest, Secrets: []string{"key"}}
	rest := Route{Method: "GET", Path: "/r/{rest...}", Handler: ok, Access: Public, Rate: RatePage, Secrets: []string{"rest"}}
	f := setup(t, func(c *Config) { c.SecretPrefixes = []string{"kept_"} }, page, magic, ping, rest)
	for target, want := range map[string]string{
		"/magic/SECRET":                "/magic/[redacted]",
		"//magic//SECRET":              "/magic/[redacted]",
		"/magic/SEC%2FRET?x=1":         "/magic/[redacted]?x=1",
		"/ping/SECRET/nightly":         "/ping/[redacted]/nightly",
		"/r/a/SECRET/c":                "/r/[redacted]",
		"/page?token=SECRET&q=x":       "/page?token=[redacted]&q=x",
		"/page?q=x&code=SECRET":        "/page?q=x&code=[redacted]",
		"/page?API_KEY=SECRET":         "/page?API_KEY=[redacted]",
		"/page?key=SECRET;link=SECRET": "/page?key=[redacted]&link=[redacted]",
		"/page?%74oken=SECRET":         "/page?%74oken=[redacted]",
		"/page?next=%2Fmagic%2FSECRET": "/page?next=[redacted]",
		"/page?token=SECRET=SECRET":    "/page?token=[redacted]",
		"/nowhere/kept_SECRETSECRETSECR/x?y=kept_SECRET-SECRET_SECRET&z=kept_mails": "/nowhere/[redacted]/x?y=[redacted]&z=kept_mails",
		"/page?q=token": "/page?q=token",
	} {
		f.do("GET", "http://kept.test"+target, "", "User-Agent: curl/8")
		e := <-f.log.entries
		if e.Path != want {
			t.Errorf("%s is logged as %s, want %s", target, e.Path, want)
		}
		if e.UserAgent != "curl/8" || e.IP.String() != "192.0.2.1" || e.RequestID == "" || e.Method != "GET" {
			t.Errorf("entry is %+v", e)
		}
	}
}

func TestLogEntryKnowsWho(t *testing.T) {
	t.Parallel()
	jobs := Route{Method: "GET", Path: "/w/{ws}/jobs", Handler: ok, Access: Member, Needs: MayView, Rate: RatePage}
	f := setup(t, nil, jobs, readAPI)
	f.do("GET", "/w/"+workspaceA+"/jobs", "", asMember)
	if e := <-f.log.entries; e.AccountID != "member" || e.WorkspaceID != workspaceA || e.Bytes != 2 || e.Status != http.StatusOK {
		t.Errorf("a member's entry is %+v", e)
	}
	f.do("GET", "/api/v1/things", "", "Authorization: Bearer reader")
	if e := <-f.log.entries; e.KeyID != "reader" || e.WorkspaceID != workspaceA {
		t.Errorf("a key's entry is %+v", e)
	}
}

var keyShape = regexp.MustCompile(`kept_[A-Za-z0-9_-]{16,}`)

func FuzzRedaction(f *testing.F) {
	f.Add("/magic/x?token=y", "/magic/{token}")
	f.Add("/kept_kept_0123456789abcdefkept_?kept_0123456789abcdef", "/")
	f.Add("//a//b;c?%zz=1&&;", "/{a}/{b...}")
	f.Add("kept_00000000000\x0000000", "/") // a key once the NUL is gone
	f.Add("kept_00000000000\xff00000", "/")
	f.Fuzz(func(t *testing.T, target, pattern string) {
		got := loggedTarget(target, Route{Path: pattern, Secrets: []string{"token", "b"}}, []string{"kept_"})
		if len(got) > maxLoggedPath || keyShape.MatchString(got) || strings.Contains(got, "\x00") {
			t.Errorf("%q becomes %q", target, got)
		}
	})
}
