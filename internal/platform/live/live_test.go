package live_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/live"
)

// TestChanges: messages of the topic reach the page, without what they say.
func TestChanges(t *testing.T) {
	t.Parallel()
	b := bus.NewMemory()
	t.Cleanup(func() { b.Close() })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := live.Changes(w, r, b, "mine"); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	go func() { // again and again: what comes before the page listens is for nobody
		for tick := time.NewTicker(5 * time.Millisecond); t.Context().Err() == nil; <-tick.C {
			_ = b.Publish(t.Context(), "other", []byte("secret"))
			_ = b.Publish(t.Context(), "mine", []byte("secret"))
		}
	}()
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := 0
	for lines := bufio.NewScanner(res.Body); events < 2 && lines.Scan(); {
		if strings.Contains(lines.Text(), "secret") {
			t.Fatal("what has changed is said")
		}
		if strings.HasPrefix(lines.Text(), "event:") && strings.HasSuffix(lines.Text(), "changed") {
			events++
		}
	}
	if events != 2 {
		t.Errorf("%d events", events)
	}
}
