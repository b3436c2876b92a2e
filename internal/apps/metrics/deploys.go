package metrics

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

// Deploy is a release that charts mark.
type Deploy struct {
	ID          kernel.ID         `json:"id"`
	At          time.Time         `json:"at"`
	Until       *time.Time        `json:"until,omitempty" doc:"When it was over; absent for a moment."`
	Service     string            `json:"service"`
	Version     string            `json:"version,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Text        string            `json:"text,omitempty"`
	Link        string            `json:"link,omitempty" doc:"To the release, http or https."`
	Labels      map[string]string `json:"labels,omitempty" doc:"What it touches, for example instance."`
}

// deployRequest is what a pipeline sends.
type deployRequest struct {
	At          *time.Time        `json:"at,omitempty" doc:"Default: now."`
	Until       *time.Time        `json:"until,omitempty"`
	Service     string            `json:"service"`
	Version     string            `json:"version,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Text        string            `json:"text,omitempty"`
	Link        string            `json:"link,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// deploy checks a request.
func (in deployRequest) deploy(now time.Time) (Deploy, error) {
	d := Deploy{At: now, Until: in.Until, Service: strings.TrimSpace(in.Service), Version: strings.TrimSpace(in.Version),
		Environment: strings.TrimSpace(in.Environment), Text: strings.TrimSpace(in.Text), Link: in.Link, Labels: in.Labels}
	if in.At != nil {
		d.At = in.At.UTC()
	}
	if d.Service == "" {
		return d, kernel.InvalidField("service", "Say what was released.")
	}
	for field, s := range map[string]string{"service": d.Service, "version": d.Version, "environment": d.Environment, "text": d.Text, "link": d.Link} {
		if utf8.RuneCountInString(s) > 500 || !utf8.ValidString(s) {
			return d, kernel.InvalidField(field, "Use at most 500 characters.")
		}
	}
	if len(d.Labels) > 20 {
		return d, kernel.InvalidField("labels", "There may be 20 labels.")
	}
	for name, value := range d.Labels {
		if len(name) > 200 || len(value) > 500 {
			return d, kernel.InvalidField("labels", "A label is too long.")
		}
	}
	if d.Until != nil && d.Until.Before(d.At) {
		return d, kernel.InvalidField("until", "It ends before it begins.")
	}
	if d.At.After(now.Add(24*time.Hour)) || d.At.Before(now.AddDate(-5, 0, 0)) {
		return d, kernel.InvalidField("at", "The time is too far from now.")
	}
	if u, err := url.Parse(d.Link); d.Link != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return d, kernel.InvalidField("link", "A link begins with https:// or http://.")
	}
	return d, nil
}

// addDeploy notes a release.
func (m *Module) addDeploy(ctx context.Context, ws kernel.WorkspaceID, d Deploy) (Deploy, error) {
	labels, err := json.Marshal(d.Labels)
	if err != nil {
		return d, err
	}
	var until int64
	if d.Until != nil {
		until = kernel.Micros(*d.Until)
	}
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		d.ID = kernel.NewID(tx.Now())
		_, err := tx.Exec(ctx, `INSERT INTO deploys (workspace_id, id, at, until, service, version, environment, text, link, labels, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			ws, d.ID, kernel.Micros(d.At), until, d.Service, d.Version, d.Environment, d.Text, d.Link, string(labels), kernel.Micros(tx.Now()))
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Action: "deploy.create", Target: "deploy:" + string(d.ID), Detail: d.title()})
	})
	return d, err
}

func (d Deploy) title() string {
	out := d.Service
	if d.Version != "" {
		out += " " + d.Version
	}
	if d.Environment != "" {
		out += " (" + d.Environment + ")"
	}
	return out
}

// deploys lists releases in a span, the newest first.
func (m *Module) deploys(ctx context.Context, ws kernel.WorkspaceID, from, to time.Time, limit int) (out []Deploy, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT id, at, until, service, version, environment, text, link, labels FROM deploys
		WHERE workspace_id = $1 AND at <= $3 AND (at >= $2 OR until >= $2) ORDER BY at DESC, id DESC LIMIT $4`, ws, kernel.Micros(from), kernel.Micros(to), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d Deploy
		var at, until int64
		var labels string
		if err := rows.Scan(&d.ID, &at, &until, &d.Service, &d.Version, &d.Environment, &d.Text, &d.Link, &labels); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(labels), &d.Labels); err != nil {
			return nil, err
		}
		d.At = kernel.FromMicros(at)
		if until != 0 {
			t := kernel.FromMicros(until)
			d.Until = &t
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

func (m *Module) postDeploy(w http.ResponseWriter, r *http.Request) error {
	var in deployRequest
	if err := httpx.ReadJSON(r, &in); err != nil {
		return err
	}
	d, err := in.deploy(m.d.Clock())
	if err != nil {
		return err
	}
	if d, err = m.addDeploy(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, d); err != nil {
		return err
	}
	return respond.JSON(w, http.StatusCreated, d)
}

// deployList is a page of releases.
type deployList struct {
	Deploys []Deploy `json:"deploys"`
}

func (m *Module) listDeploys(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	from, err := httpx.ReadTime(q.Get("from"))
	if err != nil {
		return err
	}
	to, err := httpx.ReadTime(q.Get("to"))
	if err != nil {
		return err
	}
	if to.IsZero() {
		to = m.d.Clock().Add(24 * time.Hour)
	}
	list, err := m.deploys(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, from, to, maxShown)
	if err != nil {
		return err
	}
	return respond.JSON(w, http.StatusOK, deployList{append([]Deploy{}, list...)})
}
