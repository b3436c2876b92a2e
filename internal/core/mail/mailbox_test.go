package mail

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

func TestMailboxKeepsTheNewest(t *testing.T) {
	t.Parallel()
	b := NewMailbox(nil)
	for i := range mailboxSize + 5 {
		if _, err := b.Send(t.Context(), Message{ID: string(rune('a' + i%26)), To: "Ann@Example.org"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(b.To("ann@example.org")); got != mailboxSize {
		t.Errorf("kept %d", got)
	}
}

func TestMailboxPages(t *testing.T) {
	t.Parallel()
	u, err := ui.New(ui.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d := dbtest.Open(t, dbtest.SQLite(t), db.Module{Name: "mail", Migrations: Migrations()})
	box := NewMailbox(nil)
	m, err := New(Deps{DB: d, UI: u, Seal: testBox(t), Sender: box, Types: testTypes, From: "kept@kept.example"})
	if err != nil {
		t.Fatal(err)
	}
	mux, err := httpx.NewMux(httpx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := mux.Add(m.Routes()...); err != nil {
		t.Fatal(err)
	}
	get := func(path, from string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	const local, remote = "127.0.0.1:5000", "192.0.2.9:5000"
	if w := get("/mailbox", local); w.Code != 200 || !strings.Contains(w.Body.String(), "No mail yet") {
		t.Fatalf("empty: %d %s", w.Code, w.Body)
	}
	b := bundle{m, nil, nil}
	b.send(t, testMail())
	b.drain(t, 1)
	id := box.All()[0].ID
	for path, want := range map[string]string{"/mailbox": "Reset your password", "/mailbox/" + id: `href="https://kept.example/reset?token=abc&amp;x=1"`,
		"/mailbox/" + id + "/html": "Choose a new password"} {
		if w := get(path, local); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d, no %q in\n%s", path, w.Code, want, w.Body)
		}
		if w := get(path, remote); w.Code != 404 {
			t.Errorf("%s is shown to another machine: %d", path, w.Code)
		}
	}
	w := get("/mailbox/"+id+"/html", local)
	if csp := w.Header().Get("Content-Security-Policy"); csp != mailPolicy {
		t.Errorf("the framed mail has the policy %q", csp)
	}
	if w := get("/mailbox/nope", local); w.Code != 404 {
		t.Errorf("unknown mail: %d", w.Code)
	}
}
