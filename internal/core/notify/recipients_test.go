package notify

import (
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

// TestRecipients: each kind says where it sends, owners see it, the check counts it, and a request to another host is
// refused before it is made.
func TestRecipients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	for _, k := range kinds() {
		if !k.sends() && !slices.Contains([]string{"email", "webpush", kindOwners}, k.Key) {
			t.Errorf("%s does not say where it sends", k.Key)
		}
	}
	c := w.make(t, "slack", map[string]string{"url": "https://hooks.slack.com/services/T0/B0/abcdefgh"})
	w.make(t, "telegram", map[string]string{"token": telegramToken, "chat": "-100"})
	if s, err := w.RecipientState(t.Context()); err != nil || s != (privacy.RecipientState{Workspaces: 1, Hosts: 2}) {
		t.Errorf("%+v %v", s, err)
	}
	b := w.Browser(t, "192.0.2.1").SignIn(owner)
	b.Get("/w/"+string(w.ws)+"/channels").Is(200, "2 hosts", "api.telegram.org", "hooks.slack.com")

	s := w.aim(t.Context(), c, notice{}, nil)
	if _, err := s.post(t.Context(), "http://127.0.0.1:1/collect", nil, "x"); err == nil || !strings.Contains(err.Error(), "does not name") {
		t.Errorf("sent to a host that the channel does not name: %v", err)
	}
	if s, err := w.RecipientState(t.Context()); err != nil || s.Refused != 1 {
		t.Errorf("%+v %v", s, err)
	}
	if err := w.Delete(t.Context(), w.ws, c.ID); err != nil {
		t.Fatal(err)
	}
	if s, err := w.RecipientState(t.Context()); err != nil || s.Hosts != 1 {
		t.Errorf("after one was deleted: %+v %v", s, err)
	}
}
