package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	amnotify "github.com/prometheus/alertmanager/notify"

	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/kernel"
)

// hook is a channel that posts to an address.
type hook struct{ url string }

func (h hook) Channels(context.Context, kernel.WorkspaceID) ([]notify.Channel, error) {
	return nil, nil
}

func (h hook) Notifier(context.Context, kernel.WorkspaceID, kernel.ID) (amnotify.Notifier, error) {
	return h, nil
}

func (h hook) Forward(context.Context, kernel.WorkspaceID, []*amalert.Alert, bool) error { return nil }

// posted is what the receiver gets.
type posted struct {
	Firing   []string  `json:"firing"`
	Resolved []string  `json:"resolved"`
	At       time.Time `json:"-"`
}

func (h hook) Notify(ctx context.Context, alerts ...*amalert.Alert) (bool, error) {
	var p posted
	for _, a := range alerts {
		if a.Resolved() {
			p.Resolved = append(p.Resolved, string(a.Labels["alertname"]))
		} else {
			p.Firing = append(p.Firing, string(a.Labels["alertname"]))
		}
	}
	body, err := json.Marshal(p)
	if err != nil {
		return false, err
	}
	r, err := http.NewRequestWithContext(ctx, "POST", h.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return true, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return true, fmt.Errorf("status %d", res.StatusCode)
	}
	return false, nil
}

// receiver is a real HTTP server that remembers.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	got  []posted
	fail bool
	came chan struct{}
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{came: make(chan struct{}, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		p := posted{At: time.Now()}
		_ = json.Unmarshal(body, &p)
		r.mu.Lock()
		fail := r.fail
		if !fail {
			r.got = append(r.got, p)
		}
		r.mu.Unlock()
		if fail {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		r.came <- struct{}{}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) setFail(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = on
}

func (r *receiver) wait(t *testing.T) {
	t.Helper()
	select {
	case <-r.came:
	case <-time.After(time.Minute):
		t.Fatal("no message came within a minute")
	}
}

// until waits until so many messages were taken.
func (r *receiver) until(t *testing.T, n int) {
	t.Helper()
	for len(r.all()) < n {
		r.wait(t)
	}
}

func (r *receiver) all() []posted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]posted{}, r.got...)
}
