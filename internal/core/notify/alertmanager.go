package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/kernel"
)

// KindAlertmanager is the kind of a channel that gets every alert of its workspace as a Prometheus would send it, see
// Forward. Routes do not offer it.
const KindAlertmanager = "alertmanager"

// maxForward is how many alerts one request to an Alertmanager has, as Prometheus sends them.
const maxForward = 256

func alertmanagerKind() kind {
	return kind{
		Key: KindAlertmanager, Title: "Alertmanager", About: "Every alert to an Alertmanager of yours, which routes, groups and silences by itself.",
		Docs: "https://prometheus.io/docs/alerting/latest/alertmanager/",
		Steps: []string{
			"Enter the address of your Alertmanager: what it has as --web.external-url. One in your own network needs --allow-private on this server.",
			"It gets all alerts as a Prometheus would send them, whatever routes, silences and maintenance windows there are here.",
			"Make a channel for each member of a cluster.",
		},
		Fields: []field{
			secretURL("url", "Address", "For example https://alertmanager.example.org. Alerts are posted to /api/v2/alerts below it."),
			optional(secret("authorization", "Authorization header", "Sent as it is, for example “Bearer …” or “Basic …”.")),
		},
		Pages: 1, send: sendAlertmanager,
	}
}

// alertmanagerAlert is one alert in Alertmanager's API, version 2.
type alertmanagerAlert struct {
	Labels       model.LabelSet `json:"labels"`
	Annotations  model.LabelSet `json:"annotations"`
	StartsAt     time.Time      `json:"startsAt"`
	EndsAt       time.Time      `json:"endsAt,omitzero"`
	GeneratorURL string         `json:"generatorURL,omitempty"`
}

func sendAlertmanager(ctx context.Context, s *shot) error {
	address, header := strings.TrimRight(s.c.set["url"], "/")+"/api/v2/alerts", map[string]string{}
	if v := s.c.set["authorization"]; v != "" {
		header["Authorization"] = v
	}
	for some := range slices.Chunk(s.alerts, maxForward) {
		body := make([]alertmanagerAlert, len(some))
		for i, a := range some {
			body[i] = alertmanagerAlert{a.Labels, a.Annotations, a.StartsAt, a.EndsAt, a.GeneratorURL}
		}
		if _, err := s.post(ctx, address, header, body); err != nil {
			return err
		}
	}
	return nil
}

// forwarded is what is known about the last request to each Alertmanager: the notice that went wrong, or none.
type forwarded struct {
	mu     sync.Mutex
	failed map[kernel.ID][]byte // by channel; present and nil: it worked
}

// next is the notice of another request: the one before, if that is still to be delivered. routine tells whether there is
// nothing to note about it unless it fails.
func (f *forwarded) next(id kernel.ID, news bool, now time.Time) (notice []byte, routine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, known := f.failed[id]
	if last != nil {
		return last, false
	}
	return freshNotice(now), known && !news
}

func (f *forwarded) done(id kernel.ID, notice []byte, wrong *failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = map[kernel.ID][]byte{}
	}
	if f.failed[id] = nil; wrong != nil && wrong.retry {
		f.failed[id] = notice
	}
}

// Forward hands alerts to the Alertmanagers of a workspace. Whoever calls it hands over what still fires again after a
// while, so nothing is repeated here, and what is not repeated counts there as over. news tells whether one of the alerts
// has begun or ended since the last time: what goes well and is no news is not in the log of deliveries.
func (m *Module) Forward(ctx context.Context, ws kernel.WorkspaceID, alerts []*alert.Alert, news bool) error {
	rows, err := m.db.Query(ctx, `SELECT id FROM notify_channels WHERE workspace_id = $1 AND kind = $2 AND disabled_at = 0 AND deleted_at = 0`, ws, KindAlertmanager)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	defer rows.Close()
	var ids []kernel.ID
	for rows.Next() {
		var id kernel.ID
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			n := notice{Reason: reasonAlert, Receiver: "alertmanager", Group: "alertmanager", Labels: map[string]string{}, At: m.d.Clock()}
			n.ID, n.routine = m.forwarded.next(id, news, n.At)
			_, f := m.attempt(ctx, ws, id, n, alerts)
			m.forwarded.done(id, n.ID, f)
		})
	}
	all.Wait()
	return nil
}
