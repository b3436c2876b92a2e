// Package oidc runs a real OpenID Connect provider in Node, for tests, and is
// the browser of somebody who signs in there.
package oidc

import (
	"bufio"
	"context"
	"embed"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/testkit/external"
	"github.com/kept-dev/kept/test/agents/npm"
)

//go:embed package.json package-lock.json .npmrc
var manifest embed.FS

//go:embed provider.mjs
var program []byte

// patience is how long anything may take on a busy machine.
const patience = time.Minute

// Provider is a running provider with one client.
type Provider struct {
	Issuer       string
	ClientID     string
	ClientSecret string

	t testing.TB
}

// Start runs a provider that sends people back to redirect, an absolute URL,
// until the test ends. Address and name of a person are in its userinfo only,
// or with inToken in the ID token too.
func Start(t testing.TB, redirect string, inToken bool) *Provider {
	t.Helper()
	port, err := external.FreePort()
	external.Check(t, err)
	p := &Provider{Issuer: "http://127.0.0.1:" + port, ClientID: "kept", ClientSecret: "secret: 0123456789/abcdef+", t: t}
	claims := "userinfo"
	if inToken {
		claims = "id_token"
	}
	dir := t.TempDir()
	external.Check(t, os.Symlink(npm.Modules(t, "oidc", manifest, ""), filepath.Join(dir, "node_modules")))
	external.Check(t, os.WriteFile(filepath.Join(dir, "provider.mjs"), program, 0o644))
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, external.Require(t, "node", "apt-get install nodejs npm (Node 20 or newer)"), "provider.mjs")
	cmd.Dir, cmd.Stderr = dir, t.Output()
	cmd.Env = append(os.Environ(), "KEPT_PORT="+port, "KEPT_REDIRECT="+redirect, "KEPT_CLIENT_ID="+p.ClientID, "KEPT_CLIENT_SECRET="+p.ClientSecret, "KEPT_CLAIMS="+claims, "NODE_NO_WARNINGS=1")
	stdin, err := cmd.StdinPipe()
	external.Check(t, err)
	stdout, err := cmd.StdoutPipe()
	external.Check(t, err)
	external.Check(t, cmd.Start())
	t.Cleanup(func() { // its input ends, and so does it
		_ = stdin.Close()
		cancelled := time.AfterFunc(patience, cancel)
		defer cancelled.Stop()
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if lines.Text() == "ready" {
			return p
		}
		t.Log(lines.Text())
	}
	t.Fatal("the provider ended before it was ready")
	return nil
}

var (
	formAction = regexp.MustCompile(`action="([^"]+)"`)
	formPrompt = regexp.MustCompile(`name="prompt" value="([^"]+)"`)
)

// maxSteps bounds the pages and redirects of one sign-in.
const maxSteps = 20

// SignIn goes to an address of the provider in a fresh browser, signs in with
// a login name, agrees to everything, and returns the address that the
// provider sends the browser back to.
func (p *Provider) SignIn(address, login string) string {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	external.Check(p.t, err)
	client := &http.Client{Jar: jar, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	res, err := client.Get(address)
	for range maxSteps {
		external.Check(p.t, err)
		body, err := io.ReadAll(res.Body)
		external.Check(p.t, err)
		_ = res.Body.Close()
		if to, err := res.Location(); err == nil {
			if !strings.HasPrefix(to.String(), p.Issuer+"/") {
				return to.String()
			}
			res, err = client.Get(to.String())
			external.Check(p.t, err)
			continue
		}
		res = p.submit(client, res, string(body), login)
	}
	p.t.Fatal("the provider goes round in circles")
	return ""
}

// submit fills in the form of a page of the provider.
func (p *Provider) submit(client *http.Client, res *http.Response, page, login string) *http.Response {
	p.t.Helper()
	action, prompt := formAction.FindStringSubmatch(page), formPrompt.FindStringSubmatch(page)
	if action == nil || prompt == nil {
		p.t.Fatalf("the provider answers %s with\n%s", res.Status, page)
	}
	form := url.Values{"prompt": {prompt[1]}}
	if prompt[1] == "login" {
		form.Set("login", login)
		form.Set("password", "any")
	}
	to, err := res.Request.URL.Parse(html.UnescapeString(action[1]))
	external.Check(p.t, err)
	next, err := client.PostForm(to.String(), form)
	external.Check(p.t, err)
	return next
}

// Fails goes to an address of the provider and returns the page on which it
// says what is wrong, or the address to which it sends the browser back.
func (p *Provider) Fails(address string) string {
	p.t.Helper()
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	res, err := client.Get(address)
	external.Check(p.t, err)
	defer res.Body.Close()
	if to, err := res.Location(); err == nil {
		return to.String()
	}
	body, err := io.ReadAll(res.Body)
	external.Check(p.t, err)
	return fmt.Sprintf("%s\n%s", res.Status, body)
}
