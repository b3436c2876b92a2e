package proof_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// shots is where pictures of the pages go; empty takes none.
const shots = "KEPT_SHOTS"

// look checks a page as it stands: axe in light and dark, at a desk and on a phone, and nothing that scrolls sideways.
func look(t *testing.T, p *uitest.Page, name string) {
	t.Helper()
	for _, v := range []struct {
		width  int64
		dark   bool
		suffix string
	}{{1280, false, "wide"}, {390, true, "phone-dark"}} {
		p.Size(t, v.width, 900)
		p.Dark(t, v.dark)
		p.Axe(t)
		p.FitsWidth(t)
		if dir := os.Getenv(shots); dir != "" {
			p.Screenshot(t, filepath.Join(dir, name+"-"+v.suffix+".png"), v.width, v.dark)
		}
	}
	p.Size(t, 1280, 900)
	p.Dark(t, false)
	if t.Failed() {
		t.Fatalf("on page %s", name)
	}
}

// world is a server on localhost, as passkeys want it, with Ann's account and a browser.
type world struct {
	*accesstest.Stack
	t    *testing.T
	base string
	p    *uitest.Page
}

func newWorld(t *testing.T) *world {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, base: "http://localhost:" + port}
	w.Stack = accesstest.New(t, dbtest.SQLite(t), func(d *identity.Deps) { d.BaseURL = w.base })
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: w.Mux}}
	server.Start()
	t.Cleanup(server.Close)
	w.Owner(t, ann, "Ann's shop")
	w.p = uitest.Start(t).Open(t, w.base+"/sign-in")
	return w
}

// wait waits for the page with a title.
func (w *world) wait(title string) {
	w.t.Helper()
	w.p.Wait(w.t, `document.querySelector("h1")?.textContent.includes(`+"`"+title+"`"+`) && document.readyState === "complete"`)
}

func (w *world) signIn() {
	w.t.Helper()
	w.p.Go(w.t, w.base+"/sign-in?next=/account/passkeys")
	w.p.Fill(w.t, "#f-email", ann)
	w.p.Fill(w.t, "#f-password", accesstest.Password)
	w.p.Click(w.t, "form[action='/sign-in'] button.btn-primary")
}

func (w *world) signOut() {
	w.t.Helper()
	w.p.Run(w.t, `fetch("/sign-out", {method: "POST"}).then(() => location.assign("/sign-in"))`)
	w.wait("Sign in")
}

// add adds a passkey on the page of passkeys.
func (w *world) add(name string) {
	w.t.Helper()
	w.p.Go(w.t, w.base+"/account/passkeys")
	w.p.Fill(w.t, "kept-passkey input", name)
	w.p.Click(w.t, "kept-passkey button.btn-primary")
	w.p.Wait(w.t, `document.querySelector("main table")?.textContent.includes("`+name+`")`)
}

const problem = `document.querySelector("kept-passkey [role=alert]")?.checkVisibility()`

// TestPasskeyRegistersAndSignsIn: a passkey is added, signs in without a password, and proves the person anew.
func TestPasskeyRegistersAndSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	look(t, w.p, "sign-in")
	device := w.p.Authenticator(t, false)
	w.signIn()
	w.wait("Passkeys")
	look(t, w.p, "passkeys-empty")
	before := w.tokens()
	w.add("my phone")
	look(t, w.p, "passkeys")
	if w.tokens() == before {
		t.Error("the session has its old token")
	}
	if got := device.Credentials(t); len(got) != 1 || !got[0].IsResidentCredential || got[0].RpID != "localhost" || len(got[0].UserHandle) != 64 {
		t.Fatalf("%+v", got)
	}
	w.p.Click(t, "kept-passkey button.btn-primary") // the same device once more
	w.p.Wait(t, problem)
	if text := w.p.Text(t, "kept-passkey [role=alert]"); !strings.Contains(text, "has a passkey for your account already") {
		t.Errorf("%q", text)
	}

	// The device answers a conditional request at once, so the suggestions are of no use here: see the next test.
	device.Present(t, false)
	w.signOut()
	device.Present(t, true)
	w.p.Go(t, w.base+"/sign-in?next=/account/passkeys")
	w.wait("Passkeys")
	w.Clock.Add(11 * time.Minute)
	w.p.Click(t, "main table a[href$=remove]")
	w.wait("Confirm that it is you")
	look(t, w.p, "prove")
	w.p.Click(t, "kept-passkey button")
	w.wait("Remove my phone?")
	look(t, w.p, "passkey-remove")
	w.p.Click(t, ".btn-danger")
	w.wait("Passkeys")
	w.p.Wait(t, `document.querySelector(".empty")`)
}

// tokens is the hash of the newest login's token.
func (w *world) tokens() (hash string) {
	w.t.Helper()
	var b []byte
	if err := w.DB.QueryRow(w.t.Context(), `SELECT token_hash FROM logins ORDER BY created_at DESC LIMIT 1`).Scan(&b); err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}
