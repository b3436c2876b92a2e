package app_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/agent"
	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/testkit"
	"github.com/kept-dev/kept/wire/agentapi"
)

// TestAgentShowsItsCertificate: where TLS ends at the server, an agent is enrolled without a key: its certificate says who it
// is, to hello and to samples, over real handshakes, until its key is revoked. The server names one authority, so that
// browsers do not offer certificates of people.
func TestAgentShowsItsCertificate(t *testing.T) {
	t.Parallel()
	cert, key := app.WriteCertificate(t, t.TempDir(), 1)
	a := testkit.Start(t, testkit.Config(func(c *config.Config) { c.TLSCert, c.TLSKey = cert, key }))
	owner, err := a.Setup(t.Context(), access.Setup{Email: "ada@example.com", Password: testkit.Password, Workspace: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	by := audit.Actor{Kind: "account", ID: kernel.ID(owner.AccountID), Label: "ada@example.com"}
	_, token, err := a.MetricsApp().NewToken(t.Context(), by, owner.WorkspaceID)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := agent.Config{Server: a.URL(), CAFile: cert, StateDir: dir, Interval: time.Second, Instance: "web-1", Only: []string{"loadavg", "uname"}, Log: slog.New(slog.DiscardHandler)}
	answer, err := agent.Enrol(t.Context(), conf, token)
	if err != nil || answer.Key != "" || time.Until(time.Unix(answer.Until, 0)) < access.CertificateLife/2 {
		t.Fatalf("%+v, %v", answer, err)
	}
	host := func() (h struct {
		ID   kernel.ID
		Key  kernel.ID
		Seen bool
	}) {
		hosts, err := a.MetricsApp().Hosts(t.Context(), owner.WorkspaceID)
		if err != nil || len(hosts) != 1 {
			t.Fatalf("%d hosts, %v", len(hosts), err)
		}
		h.ID, h.Key, h.Seen = hosts[0].ID, hosts[0].KeyID, hosts[0].LastSeen.After(hosts[0].FirstSeen)
		return h
	}
	one, err := agent.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- one.Run(ctx) }()
	until(t, func() bool { return host().Seen && samples(t, a, owner.WorkspaceID) > 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "identity.pem"), filepath.Join(dir, "identity.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if code := hello(t, a, pair); code != 422 { // known, and has nothing to say
		t.Errorf("before the revocation: %d", code)
	}
	if err := a.Access().RevokeKey(t.Context(), by, owner.WorkspaceID, host().Key); err != nil {
		t.Fatal(err)
	}
	if code := hello(t, a, pair); code != 401 {
		t.Errorf("after the revocation: %d", code)
	}
	if code := hello(t, a, tls.Certificate{}); code != 401 {
		t.Errorf("without a certificate: %d", code)
	}
	if _, err := os.Stat(filepath.Join(dir, "config")); err == nil {
		t.Error("something else was written")
	}
}

// until waits for a condition.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatal("it did not come about within a minute")
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the test is over")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// samples counts the series of a workspace.
func samples(t *testing.T, a *testkit.App, ws kernel.WorkspaceID) int64 {
	t.Helper()
	for _, c := range a.Collections() {
		if c.Name == "series:samples" {
			n, err := c.Count(t.Context(), ws)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// hello says an empty hello with a client certificate and returns the status.
func hello(t *testing.T, a *testkit.App, pair tls.Certificate) int {
	t.Helper()
	var authorities int
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true,
		GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			authorities = len(r.AcceptableCAs)
			return &pair, nil
		}}}}
	r, err := http.NewRequestWithContext(t.Context(), "POST", a.URL()+agentapi.PathHello, strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if authorities != 1 {
		t.Errorf("the server names %d authorities: browsers would offer certificates of people", authorities)
	}
	return answer.StatusCode
}
