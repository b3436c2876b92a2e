package mail

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

// Reports says whose reports about delivered mail are believed.
type Reports struct {
	MailgunKey string       // the HTTP webhook signing key; empty: no reports from Mailgun
	SESTopic   string       // the ARN of the SNS topic that SES reports to; empty: none from SES
	HTTP       *http.Client // fetches SNS's certificates; nil: one that reaches nothing but them
}

func (r *Reports) fill() {
	if r.HTTP == nil {
		r.HTTP = newHTTPClient()
	}
}

// A report is believed for a day after it was made, because those who send it try again for hours when we are away, and
// only once: what was seen is remembered for longer than that.
const (
	reportLife   = 24 * time.Hour
	reportMemory = 48 * time.Hour
	maxReport    = 256 << 10 // bytes
)

// report is what a provider says about one mail.
type report struct {
	id         string // of the report itself; the same one may come twice
	at         time.Time
	providerID string // of the mail
	addresses  []string
	reason     Reason // Bounce or Complaint; empty: of no interest
}

var (
	errForged = kernel.Errorf(kernel.Forbidden, "The signature of this report is wrong, or it is too old.")
	errNoHook = kernel.Errorf(kernel.NotFound, "There is nothing at this address.")
)

// hook answers a provider's webhook: read says what it reports, or why it is not believed.
func (m *Module) hook(provider string, read func(ctx context.Context, body []byte) (report, error)) httpx.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		rep, err := read(r.Context(), body)
		if err == nil && rep.id != "" {
			err = m.take(r.Context(), provider, rep)
		}
		m.counted.WithLabelValues(provider, outcome(rep, err)).Inc()
		if err != nil {
			return err
		}
		return respond.NoContent(w)
	}
}

func outcome(rep report, err error) string {
	switch {
	case errors.Is(err, errForged), kernel.CodeOf(err) == kernel.Malformed:
		return "refused"
	case err != nil:
		return "failed"
	case rep.reason == "":
		return "ignored"
	}
	return string(rep.reason)
}

// take notes a report, once: marks the addresses, and what became of the mail.
func (m *Module) take(ctx context.Context, provider string, rep report) error {
	now := m.d.Clock()
	if age := now.Sub(rep.at); age > reportLife || age < -5*time.Minute {
		return errForged
	}
	hash := sha256.Sum256([]byte(provider + "\n" + rep.id))
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `INSERT INTO mail_reports (id_hash, at) VALUES ($1, $2) ON CONFLICT (id_hash) DO NOTHING`, hash[:], kernel.Micros(tx.Now()))
		if err != nil || n == 0 || rep.reason == "" {
			return err
		}
		target, err := m.markSent(ctx, tx, rep)
		if err != nil {
			return err
		}
		for _, address := range rep.addresses {
			if err := m.mark(ctx, tx, address, rep.reason, target); err != nil {
				return err
			}
		}
		m.d.Logger.Info("mail came back", slog.String("provider", provider), slog.String("reason", string(rep.reason)), slog.String("mail", target))
		return nil
	})
}

// markSent finds the mail that a report is about, if it is still known, and notes on it that it came back.
func (m *Module) markSent(ctx context.Context, tx *db.Tx, rep report) (target string, err error) {
	if rep.providerID == "" {
		return "", nil
	}
	var id kernel.ID
	err = tx.QueryRow(ctx, `UPDATE mail_outbox SET state = $2, error = $3 WHERE provider_id = $1 RETURNING id`,
		rep.providerID, stateBounce, string(rep.reason)).Scan(&id)
	if errors.Is(err, db.ErrNoRows) {
		return "", nil
	}
	return "mail:" + string(id), err
}

func newReportCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kept_mail_reports_total", Help: "Reports of mail providers about mail that was sent, by what they say.",
	}, []string{"provider", "result"})
}

// Metrics are the module's own measurements.
func (m *Module) Metrics() []prometheus.Collector { return []prometheus.Collector{m.counted} }
