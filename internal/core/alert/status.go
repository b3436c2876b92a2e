package alert

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// The shapes below are those of Prometheus's API, which clients such as Grafana read.

type promAlert struct {
	Labels          labels.Labels `json:"labels"`
	Annotations     labels.Labels `json:"annotations"`
	State           string        `json:"state"`
	ActiveAt        *time.Time    `json:"activeAt,omitempty"`
	KeepFiringSince *time.Time    `json:"keepFiringSince,omitempty"`
	Value           string        `json:"value"`
}

type promGroup struct {
	Name           string     `json:"name"`
	File           string     `json:"file"`
	Rules          []promRule `json:"rules"`
	Interval       float64    `json:"interval"`
	Limit          int        `json:"limit"`
	EvaluationTime float64    `json:"evaluationTime"`
	LastEvaluation time.Time  `json:"lastEvaluation"`
}

// promRule is a rule of either kind. Written for a client it has the fields of its kind only; see MarshalJSON.
type promRule struct {
	State          string        `json:"state,omitempty"`
	Name           string        `json:"name"`
	Query          string        `json:"query"`
	Duration       float64       `json:"duration,omitempty"`
	KeepFiringFor  float64       `json:"keepFiringFor,omitempty"`
	Labels         labels.Labels `json:"labels"`
	Annotations    labels.Labels `json:"annotations,omitempty"`
	Alerts         []promAlert   `json:"alerts,omitempty"`
	Health         string        `json:"health"`
	LastError      string        `json:"lastError,omitempty"`
	EvaluationTime float64       `json:"evaluationTime"`
	LastEvaluation time.Time     `json:"lastEvaluation"`
	Type           string        `json:"type"`

	ID kernel.ID `json:"kept_id,omitempty"` // for our own pages
}

// client is the rule as clients of Prometheus know it. The order of the fields is Prometheus's.
func (r promRule) client() any {
	if r.Type == "recording" {
		return struct {
			Name           string        `json:"name"`
			Query          string        `json:"query"`
			Labels         labels.Labels `json:"labels"`
			Health         string        `json:"health"`
			LastError      string        `json:"lastError,omitempty"`
			EvaluationTime float64       `json:"evaluationTime"`
			LastEvaluation time.Time     `json:"lastEvaluation"`
			Type           string        `json:"type"`
		}{r.Name, r.Query, r.Labels, r.Health, r.LastError, r.EvaluationTime, r.LastEvaluation, r.Type}
	}
	return struct {
		State          string        `json:"state"`
		Name           string        `json:"name"`
		Query          string        `json:"query"`
		Duration       float64       `json:"duration"`
		KeepFiringFor  float64       `json:"keepFiringFor"`
		Labels         labels.Labels `json:"labels"`
		Annotations    labels.Labels `json:"annotations"`
		Alerts         []promAlert   `json:"alerts"`
		Health         string        `json:"health"`
		LastError      string        `json:"lastError,omitempty"`
		EvaluationTime float64       `json:"evaluationTime"`
		LastEvaluation time.Time     `json:"lastEvaluation"`
		Type           string        `json:"type"`
	}{r.State, r.Name, r.Query, r.Duration, r.KeepFiringFor, r.Labels, r.Annotations, r.Alerts, r.Health, r.LastError, r.EvaluationTime, r.LastEvaluation, r.Type}
}

// status is what the rules of the workspace do now.
func (e *engine) status() []promGroup {
	out := []promGroup{}
	for _, g := range e.mgr.RuleGroups() {
		group := promGroup{Name: g.Name(), File: g.File(), Rules: []promRule{}, Interval: g.Interval().Seconds(), Limit: g.Limit(),
			EvaluationTime: g.GetEvaluationTime().Seconds(), LastEvaluation: g.GetLastEvaluation()}
		for _, r := range g.Rules() {
			rule := promRule{ID: e.ruleID(r), Name: r.Name(), Query: r.Query().String(), Labels: r.Labels(), Health: string(r.Health()),
				EvaluationTime: r.GetEvaluationDuration().Seconds(), LastEvaluation: r.GetEvaluationTimestamp(), Type: "recording"}
			if err := r.LastError(); err != nil {
				rule.LastError = err.Error()
			}
			if a, ok := r.(*rules.AlertingRule); ok {
				rule.Type, rule.State, rule.Duration, rule.KeepFiringFor = "alerting", a.State().String(), a.HoldDuration().Seconds(), a.KeepFiringFor().Seconds()
				rule.Annotations, rule.Alerts = a.Annotations(), promAlerts(a.ActiveAlerts())
			}
			group.Rules = append(group.Rules, rule)
		}
		out = append(out, group)
	}
	return out
}

func promAlerts(list []*rules.Alert) []promAlert {
	out := make([]promAlert, len(list))
	for i, a := range list {
		out[i] = promAlert{Labels: a.Labels, Annotations: a.Annotations, State: a.State.String(), ActiveAt: &a.ActiveAt,
			Value: strconv.FormatFloat(a.Value, 'e', -1, 64)}
		if !a.KeepFiringSince.IsZero() {
			out[i].KeepFiringSince = &a.KeepFiringSince
		}
	}
	return out
}

// status is what a workspace's rules do: from memory where they are evaluated, else what that instance last stored.
func (m *Module) status(ctx context.Context, ws kernel.WorkspaceID) ([]promGroup, error) {
	if e := m.engineOf(ws); e != nil {
		return e.status(), nil
	}
	var sealed []byte
	err := m.d.DB.QueryRow(ctx, `SELECT status FROM alert_workspaces WHERE workspace_id = $1 AND rules > 0`, string(ws)).Scan(&sealed)
	if errors.Is(err, db.ErrNoRows) || err == nil && len(sealed) == 0 {
		return []promGroup{}, nil
	}
	if err != nil {
		return nil, err
	}
	var out []promGroup
	return out, m.open(ctx, ws, statusAAD(ws), sealed, &out)
}
