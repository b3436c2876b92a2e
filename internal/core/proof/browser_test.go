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

// onlyTheButton keeps pages from offering passkeys in the address field, until stop: a virtual device answers such an offer
// at once, and then nobody knows whether that or the button signed in, or both.
func (w *world) onlyTheButton() (stop func()) {
	w.t.Helper()
	return w.p.Before(w.t, `PublicKeyCredential.isConditionalMediationAvailable = async () => false`)
}

const problem = `document.querySelector("kept-passkey [role=alert]")?.checkVisibility()`

// TestPasskeyRegistersAndSignsIn: a passkey is added, signs in without a password, and proves the person anew.
func TestPasskeyRegistersAndSignsIn(t *testing.T) {
	w := newWorld(t)
	w.p.Look(t, "sign-in")
	device := w.p.Authenticator(t, false)
	w.signIn()
	w.wait("Passkeys")
	w.p.Look(t, "passkeys-empty")
	before := w.token()
	w.add("my phone")
	w.p.Look(t, "passkeys")
	if w.token() == before {
		t.Error("the session has its old token")
	}
	held := device.Credentials(t)
	if len(held) != 1 || !held[0].IsResidentCredential || held[0].RpID != "localhost" || len(held[0].UserHandle) != 64 {
		t.Fatalf("%+v", held)
	}
	w.p.Click(t, "kept-passkey button.btn-primary") // the same device once more
	w.p.Wait(t, problem)
	if text := w.p.Text(t, "kept-passkey [role=alert]"); !strings.Contains(text, "has a passkey for your account already") {
		t.Errorf("%q", text)
	}

	suggest := w.onlyTheButton()
	w.signOut()
	w.p.Go(t, w.base+"/sign-in?next=/account/passkeys")
	w.p.Click(t, "kept-passkey button")
	w.wait("Passkeys")
	suggest()

	w.Clock.Add(11 * time.Minute)
	w.p.Click(t, "main table a[href$=remove]")
	w.wait("Confirm that it is you")
	w.p.Look(t, "prove")
	w.p.Click(t, "kept-passkey button")
	w.wait("Remove my phone?")
	w.p.Look(t, "passkey-remove")
	w.p.Click(t, ".btn-danger")
	w.wait("Passkeys")
	w.p.Wait(t, `document.querySelector(".empty")`)

	// A passkey that the server has forgotten gets a sentence, and the page goes on working.
	w.signOut()
	w.p.Wait(t, problem)
	if text := w.p.Text(t, "kept-passkey [role=alert]"); !strings.Contains(text, "does not sign in here") {
		t.Errorf("%q", text)
	}
	device.Clear(t)
	w.signIn()
	w.wait("Passkeys")
}

// TestPasskeyConditionalUI: the address field offers passkeys, and a chosen one signs in without a click on any button.
func TestPasskeyConditionalUI(t *testing.T) {
	w := newWorld(t)
	w.p.Authenticator(t, false)
	w.signIn()
	w.wait("Passkeys")
	w.add("my phone")
	w.p.Run(t, `await fetch("/sign-out", {method: "POST"})`)
	w.p.Go(t, w.base+"/sign-in?next=/account/passkeys") // a virtual device chooses by itself, and at once
	w.wait("Passkeys")
	var method string
	if err := w.DB.QueryRow(t.Context(), `SELECT method FROM logins ORDER BY created_at DESC, id DESC LIMIT 1`).Scan(&method); err != nil || method != "passkey" {
		t.Errorf("signed in by %q, %v", method, err)
	}
	w.p.Run(t, `const page = await fetch("/sign-out", {method: "POST"}).then(r => r.text());
		if (!page.includes('autocomplete="username webauthn"')) throw new Error("the field does not ask for passkeys");`)
}

// TestTwoPasskeysNamedAndRemoved: a person has several, tells them apart, renames one and removes the other.
func TestTwoPasskeysNamedAndRemoved(t *testing.T) {
	w := newWorld(t)
	phone := w.p.Authenticator(t, false)
	w.signIn()
	w.wait("Passkeys")
	w.add("my phone")
	phone.Remove(t)
	stick := w.p.Authenticator(t, true)
	w.Clock.Add(time.Minute) // the list goes by age
	w.add("stick in the safe")
	if len(stick.Credentials(t)) != 1 {
		t.Error("nothing on the stick")
	}
	w.p.Click(t, "main tbody tr:nth-child(2) a[href$=rename]")
	w.wait("Rename the passkey")
	w.p.Look(t, "passkey-rename")
	w.p.Fill(t, "#f-name", "stick at home")
	w.p.Click(t, "main form button.btn-primary")
	w.p.Wait(t, `document.querySelector("main table")?.textContent.includes("stick at home")`)
	w.p.Click(t, "main tbody tr:nth-child(1) a[href$=remove]")
	w.wait("Remove my phone?")
	w.p.Click(t, ".btn-danger")
	w.p.Wait(t, `document.querySelectorAll("main tbody tr").length === 1`)
	if text := w.p.Text(t, "main table"); strings.Contains(text, "my phone") || !strings.Contains(text, "stick at home") {
		t.Errorf("%q", text)
	}
}

// TestPasskeyWithoutVerificationIsRefused: a finger that the device does not know signs nobody in, and an answer that
// claims less than a verified person is refused by the server.
func TestPasskeyWithoutVerificationIsRefused(t *testing.T) {
	w := newWorld(t)
	device := w.p.Authenticator(t, false)
	w.signIn()
	w.wait("Passkeys")
	device.Verify(t, false)
	w.p.Fill(t, "kept-passkey input", "nobody's")
	w.p.Click(t, "kept-passkey button.btn-primary")
	w.p.Wait(t, problem)
	if n := w.Rows(t, "passkeys"); n != 0 {
		t.Errorf("%d passkeys", n)
	}
	device.Verify(t, true)
	w.add("my phone")
	w.onlyTheButton()
	w.signOut()
	logins := w.Rows(t, "logins")
	device.Unverified(t, true) // the device answers, and says that it did not verify anybody
	w.p.Click(t, "kept-passkey button")
	w.p.Wait(t, problem)
	w.p.Look(t, "sign-in-passkey-refused")
	if n := w.Rows(t, "logins"); n != logins {
		t.Errorf("%d logins, were %d", n, logins)
	}
}

// TestTOTPInABrowser: an authenticator app is added, the recovery codes are downloaded, and the next sign-in asks.
func TestTOTPInABrowser(t *testing.T) {
	w := newWorld(t)
	w.signIn()
	w.wait("Passkeys")
	w.p.Go(t, w.base+"/account/authenticator")
	w.p.Look(t, "app-empty")
	w.p.Click(t, "main form button")
	w.wait("Add an authenticator app")
	w.p.Look(t, "app-enrol")
	phone := newApp(t, shownSecret.FindString(w.p.Text(t, "main")), w.Clock.Now)
	w.p.Fill(t, "#f-code", phone.wrong())
	w.p.Click(t, "#confirm button")
	w.p.Wait(t, `document.querySelector(".field-error")`)
	w.p.Look(t, "app-enrol-refused")
	w.p.Fill(t, "#f-code", phone.code())
	w.p.Click(t, "#confirm button")
	w.wait("The authenticator app is on")
	w.p.Look(t, "recovery-codes")
	codes := shownCode.FindAllString(w.p.Text(t, "main"), -1)
	if got := w.download("main a[download]"); !strings.Contains(got, codes[0]) || !strings.Contains(got, codes[9]) || !strings.Contains(got, ann) {
		t.Errorf("downloaded %q", got)
	}
	w.p.Go(t, w.base+"/account/recovery-codes")
	w.p.Look(t, "recovery")
	if strings.Contains(w.p.Text(t, "main"), codes[0]) {
		t.Error("the codes are shown twice")
	}
	w.p.Go(t, w.base+"/account/authenticator")
	w.p.Look(t, "app")

	w.Clock.Add(time.Minute)
	w.signOut()
	w.signIn()
	w.wait("Enter the code")
	w.p.Look(t, "second")
	w.p.Fill(t, "#f-code", phone.wrong())
	w.p.Click(t, "#code button")
	w.p.Wait(t, `document.querySelector(".field-error")`)
	w.p.Click(t, "summary")
	w.p.Fill(t, "#f-recovery", "not one")
	w.p.Click(t, "#recovery button")
	w.p.Wait(t, `document.querySelector("details .field-error")`)
	w.p.Look(t, "second-recovery-refused")
	w.p.Fill(t, "#f-recovery", codes[0])
	w.p.Click(t, "#recovery button")
	w.wait("Passkeys")

	// The proof leads back to the page that asked for it. (Without scripts: TestStepUp.)
	w.Clock.Add(11 * time.Minute)
	w.p.Go(t, w.base+"/account/authenticator/remove")
	w.wait("Confirm that it is you")
	w.p.Look(t, "prove-code")
	w.p.Fill(t, "#f-password", accesstest.Password)
	w.p.Fill(t, "#f-code", phone.code())
	w.p.Click(t, "#password .btn-primary")
	w.wait("Remove the authenticator app?")
	w.p.Click(t, ".btn-danger")
	w.wait("Authenticator app")
}

// download clicks a link and returns the file.
func (w *world) download(selector string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	w.p.Downloads(w.t, dir)
	w.p.Click(w.t, selector)
	end := time.Now().Add(10 * time.Second)
	for {
		files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
		if err != nil {
			w.t.Fatal(err)
		}
		if len(files) == 1 {
			body, err := os.ReadFile(files[0])
			if err != nil {
				w.t.Fatal(err)
			}
			if filepath.Base(files[0]) != "kept-recovery-codes.txt" {
				w.t.Errorf("the file is called %s", files[0])
			}
			return string(body)
		}
		if time.Now().After(end) {
			w.t.Fatal("nothing was downloaded")
		}
		w.p.Run(w.t, "await new Promise(done => setTimeout(done, 50))")
	}
}

// token is the hash of the newest login's token.
func (w *world) token() (hash string) {
	w.t.Helper()
	var b []byte
	if err := w.DB.QueryRow(w.t.Context(), `SELECT token_hash FROM logins ORDER BY created_at DESC LIMIT 1`).Scan(&b); err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}
