package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"

	kept "github.com/kept-dev/kept/sdk/go"
	"github.com/kept-dev/kept/sdk/go/keptriver"
)

// FlakyPath is where FlakyHandler must be served under Config.SelfURL.
const FlakyPath = "/demo/flaky"

const (
	patience = 1500 * time.Millisecond // of the client
	tooSlow  = 5 * time.Second         // of the service, when it has a bad moment
)

// Outage is when the service for exchange rates refuses everything: for a
// while, again and again. The zero Outage never comes.
type Outage struct{ After, For, Every time.Duration }

// on tells whether there is an outage so long after the start.
func (o Outage) on(since time.Duration) bool {
	since -= o.After
	return o.Every > 0 && since >= 0 && since%o.Every < o.For
}

// FlakyHandler is a service for exchange rates with a bad day: of every ten
// calls one is refused as overloaded, one fails, and one takes too long. Now
// and then it has an outage.
func FlakyHandler(outage Outage) http.Handler {
	var calls atomic.Int64
	began := time.Now()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if outage.on(time.Since(began)) {
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
			return
		}
		switch calls.Add(1) % 10 {
		case 3:
			w.Header().Set("Retry-After", "2")
			http.Error(w, "overloaded", http.StatusServiceUnavailable)
			return
		case 6:
			http.Error(w, "upstream bank did not answer", http.StatusBadGateway)
			return
		case 9:
			select {
			case <-time.After(tooSlow):
			case <-r.Context().Done():
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"base": "EUR", "rates": map[string]float64{"USD": 1.0841, "JPY": 161.37, "CHF": 0.9418}})
	})
}

type fetchRates struct {
	Base       string   `json:"base"`
	Currencies []string `json:"currencies"`
}

func (fetchRates) Kind() string { return "fetch-exchange-rates" }

func (fetchRates) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: "billing", MaxAttempts: 4}
}

func (d *Demo) fetchRates(ctx context.Context, job *river.Job[fetchRates]) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.cfg.SelfURL+FlakyPath, nil)
	if err != nil {
		return err
	}
	keptriver.Log(ctx, "asking the rate service", map[string]any{"base": job.Args.Base, "timeout_ms": patience.Milliseconds()})
	began := time.Now()
	res, err := d.http.Do(req)
	if err != nil {
		d.exporter.called("rates", 0, began)
		return fmt.Errorf("fetch rates: %w", kept.WithStack(err))
	}
	defer res.Body.Close()
	d.exporter.called("rates", res.StatusCode, began)
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch rates: %w", kept.WithStack(&serviceError{res.StatusCode}))
	}
	var body struct {
		Rates map[string]json.Number `json:"rates"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, res.Body, 1<<16)).Decode(&body); err != nil {
		return fmt.Errorf("fetch rates: read answer: %w", err)
	}
	return river.RecordOutput(ctx, body)
}

type serviceError struct{ status int }

func (e *serviceError) Error() string {
	return fmt.Sprintf("rate service answered %d %s", e.status, http.StatusText(e.status))
}
