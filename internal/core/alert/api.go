package alert

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

// AlertJSON is an alert in the API.
type AlertJSON struct {
	ID          kernel.ID         `json:"id"`
	Fingerprint string            `json:"fingerprint" doc:"The same for the same rule and labels."`
	RuleID      kernel.ID         `json:"rule_id"`
	Name        string            `json:"name"`
	Severity    string            `json:"severity"`
	State       string            `json:"state" doc:"pending, firing or resolved."`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Value       string            `json:"value" doc:"A number, NaN, +Inf or -Inf."`
	StartedAt   *time.Time        `json:"started_at"`
	FiredAt     *time.Time        `json:"fired_at"`
	ResolvedAt  *time.Time        `json:"resolved_at"`
	AckedAt     *time.Time        `json:"acked_at"`
	AckedBy     string            `json:"acked_by,omitempty"`
	AckNote     string            `json:"ack_note,omitempty"`
	Facts       []Fact            `json:"explanation,omitempty"`
	Flapping    bool              `json:"flapping"`
	Href        string            `json:"href" doc:"The path of its page."`
}

// AlertListJSON is a page of alerts, newest first.
type AlertListJSON struct {
	Alerts []AlertJSON `json:"alerts"`
	Next   *string     `json:"next" doc:"Pass it as cursor to go on; null at the end."`
}

// AckJSON acknowledges an alert.
type AckJSON struct {
	Note string `json:"note,omitempty"`
}

// MatcherJSON is a matcher as Alertmanager's API has it.
type MatcherJSON struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual,omitempty" doc:"true if absent."`
}

// SilenceJSON is a silence as Alertmanager's API has it.
type SilenceJSON struct {
	ID        string        `json:"id,omitempty"`
	Matchers  []MatcherJSON `json:"matchers"`
	StartsAt  time.Time     `json:"startsAt"`
	EndsAt    time.Time     `json:"endsAt"`
	CreatedBy string        `json:"createdBy,omitempty" doc:"Who is known to have made it; what is sent is not believed."`
	Comment   string        `json:"comment"`
	Status    *StatusJSON   `json:"status,omitempty"`
}

// StatusJSON is the state of a silence.
type StatusJSON struct {
	State string `json:"state" doc:"pending, active or expired."`
}

// SilenceIDJSON names a silence.
type SilenceIDJSON struct {
	SilenceID string `json:"silenceID"`
}

// RuleResultJSON is what became of one rule of a file.
type RuleResultJSON struct {
	Group   string `json:"group"`
	Name    string `json:"name"`
	Kind    string `json:"kind" doc:"alert or record."`
	Problem string `json:"problem,omitempty" doc:"Why it was not taken."`
}

// RuleResultsJSON is what became of a file of rules.
type RuleResultsJSON struct {
	Imported int              `json:"imported"`
	Rules    []RuleResultJSON `json:"rules"`
}

func orNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func alertJSON(ws kernel.WorkspaceID, a Alert) AlertJSON {
	return AlertJSON{ID: a.ID, Fingerprint: a.Fingerprint, RuleID: a.RuleID, Name: a.Name, Severity: severityWord(a.Severity), State: a.State, Labels: a.Labels,
		Annotations: a.Annotations, Value: number(a.Value), StartedAt: orNone(a.StartedAt), FiredAt: orNone(a.FiredAt), ResolvedAt: orNone(a.ResolvedAt),
		AckedAt: orNone(a.AckedAt), AckedBy: a.AckedBy, AckNote: a.AckNote, Facts: a.Facts, Flapping: a.Flaps(), Href: alertHref(ws, a.ID)}
}

func silenceJSON(s Silence, now time.Time) SilenceJSON {
	out := SilenceJSON{ID: string(s.ID), StartsAt: s.From, EndsAt: s.Until, CreatedBy: s.CreatedBy, Comment: s.Comment, Matchers: []MatcherJSON{}, Status: &StatusJSON{s.State(now)}}
	for _, m := range s.Matchers {
		equal := !strings.HasPrefix(m.Op, "!")
		out.Matchers = append(out.Matchers, MatcherJSON{Name: m.Name, Value: m.Value, IsRegex: strings.HasSuffix(m.Op, "~"), IsEqual: &equal})
	}
	return out
}

func (m MatcherJSON) matcher() Matcher {
	op := "="
	equal := m.IsEqual == nil || *m.IsEqual
	switch {
	case m.IsRegex && equal:
		op = "=~"
	case m.IsRegex:
		op = "!~"
	case !equal:
		op = "!="
	}
	return Matcher{m.Name, op, m.Value}
}

func (m *Module) apiRoutes() []httpx.Route {
	key := func(method, path, scope string, h httpx.Handler, op *httpx.Operation) httpx.Route {
		r := httpx.Route{Method: method, Path: path, Handler: h, Access: httpx.APIKey, Needs: httpx.MayView, Scope: scope, Rate: httpx.RatePage, API: op}
		if method != "GET" {
			r.Needs, r.Rate, r.MaxBody = httpx.MayChange, httpx.RateWrite, maxForm
		}
		return r
	}
	audited := func(action string, r httpx.Route) httpx.Route { r.Audit = action; return r }
	sized := func(n int64, r httpx.Route) httpx.Route { r.MaxBody = n; return r }
	return []httpx.Route{
		m.promRoute("/rules", m.promRules),
		m.promRoute("/alerts", m.promAlerts),
		key("GET", "/api/v1/alerts", "read", m.apiAlerts, &httpx.Operation{Summary: "List alerts, newest first.", Query: []httpx.Param{
			{Name: "state", Description: "One or more of pending, firing, resolved, separated by commas.", Example: "firing", Schema: "string"},
			{Name: "severity", Description: "One or more, separated by commas.", Schema: "string"}, {Name: "name", Schema: "string"}, {Name: "rule", Description: "The id of a rule.", Schema: "string"},
			{Name: "fingerprint", Schema: "string"}, {Name: "q", Description: "Text in names and labels.", Schema: "string"}, {Name: "from", Schema: "string"}, {Name: "to", Schema: "string"},
			{Name: "limit", Description: "1 to 500; 100 if absent.", Schema: "integer"}, {Name: "cursor", Description: "next of the page before.", Schema: "string"}},
			Responses: map[int]any{200: AlertListJSON{}}}),
		key("GET", "/api/v1/alerts/{id}", "read", m.apiAlert, &httpx.Operation{Summary: "Read one alert.", Responses: map[int]any{200: AlertJSON{}}}),
		audited("alert.ack", key("POST", "/api/v1/alerts/{id}/ack", "write", m.apiAck, &httpx.Operation{Summary: "Acknowledge an alert: nobody is reminded of it until it is over.", Request: AckJSON{}, Responses: map[int]any{200: AlertJSON{}}})),
		audited("alert.unack", key("DELETE", "/api/v1/alerts/{id}/ack", "write", m.apiUnack, &httpx.Operation{Summary: "Take an acknowledgement back.", Responses: map[int]any{200: AlertJSON{}}})),
		key("GET", "/api/v1/rules", "read", m.apiRules, &httpx.Operation{Summary: "Export the rules that are on, as YAML that Prometheus reads.", Responses: map[int]any{200: nil}}),
		sized(maxYAML, audited("alert_rule.import", key("PUT", "/api/v1/rules", "write", m.apiPutRules, &httpx.Operation{Summary: "Import rule groups, as YAML that Prometheus reads.",
			Description: "Groups of the same names are replaced. Where a rule is wrong nothing is changed, and the answer says which. Rules that are as they were keep their alerts.",
			Query:       []httpx.Param{{Name: "all", Description: "true deletes the rules that are not in the file; those of packs stay.", Schema: "boolean"}}, Responses: map[int]any{200: RuleResultsJSON{}, 422: RuleResultsJSON{}}}))),
		key("GET", "/api/v1/silences", "read", m.apiSilences, &httpx.Operation{Summary: "List silences, those that end last first.", Responses: map[int]any{200: []SilenceJSON{}}}),
		key("GET", "/api/v1/silences/{id}", "read", m.apiSilence, &httpx.Operation{Summary: "Read one silence.", Responses: map[int]any{200: SilenceJSON{}}}),
		audited("silence.create", key("POST", "/api/v1/silences", "write", m.apiPostSilence, &httpx.Operation{Summary: "Make a silence, or change the one whose id is given.", Request: SilenceJSON{}, Responses: map[int]any{200: SilenceIDJSON{}}})),
		audited("silence.expire", key("DELETE", "/api/v1/silences/{id}", "write", m.apiExpireSilence, &httpx.Operation{Summary: "End a silence now.", Responses: map[int]any{204: nil}})),
	}
}

type promAnswer struct {
	Status string `json:"status"`
	Data   any    `json:"data"`
}

// promRules answers as /api/v1/rules of Prometheus does.
func (m *Module) promRules(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	kind := strings.ToLower(q.Get("type"))
	if kind != "" && kind != "alert" && kind != "record" {
		return kernel.Errorf(kernel.Malformed, `invalid parameter "type": not supported value %q`, kind)
	}
	without, err := strconv.ParseBool(cmp.Or(q.Get("exclude_alerts"), "false"))
	if err != nil {
		return kernel.Errorf(kernel.Malformed, `invalid parameter "exclude_alerts": %q`, q.Get("exclude_alerts"))
	}
	most, err := strconv.Atoi(cmp.Or(q.Get("group_limit"), "0"))
	if err != nil || most < 0 {
		return kernel.Errorf(kernel.Malformed, `invalid parameter "group_limit"`)
	}
	matchers, err := m.d.Query.ParseSelectors(q["match[]"]...)
	if err != nil {
		return err
	}
	groups, err := m.status(r.Context(), wsOf(r))
	if err != nil {
		return err
	}
	type clientGroup struct { // the order of the fields is Prometheus's
		Name           string    `json:"name"`
		File           string    `json:"file"`
		Rules          []any     `json:"rules"`
		Interval       float64   `json:"interval"`
		Limit          int       `json:"limit"`
		EvaluationTime float64   `json:"evaluationTime"`
		LastEvaluation time.Time `json:"lastEvaluation"`
	}
	out := struct {
		Groups []clientGroup `json:"groups"`
		Next   string        `json:"groupNextToken,omitempty"`
	}{Groups: []clientGroup{}}
	asked := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	skip := q.Get("group_next_token")
	for _, g := range groups {
		token := g.File + ";" + g.Name
		if skip != "" && token != skip {
			continue
		}
		skip = ""
		if !asked(q["rule_group[]"], g.Name) || !asked(q["file[]"], g.File) {
			continue
		}
		c := clientGroup{g.Name, g.File, []any{}, g.Interval, g.Limit, g.EvaluationTime, g.LastEvaluation}
		for _, rule := range g.Rules {
			if kind == "alert" && rule.Type != "alerting" || kind == "record" && rule.Type != "recording" || !asked(q["rule_name[]"], rule.Name) || !fitsAny(matchers, rule.Labels) {
				continue
			}
			if without {
				rule.Alerts = nil
			}
			c.Rules = append(c.Rules, rule.client())
		}
		if len(c.Rules) == 0 && (kind != "" || len(q["rule_name[]"]) > 0 || len(matchers) > 0) {
			continue
		}
		if most > 0 && len(out.Groups) == most {
			out.Next = token
			break
		}
		out.Groups = append(out.Groups, c)
	}
	return respond.JSON(w, http.StatusOK, promAnswer{"success", out})
}

func fitsAny(sets [][]*labels.Matcher, ls labels.Labels) bool {
	if len(sets) == 0 {
		return true
	}
	return slices.ContainsFunc(sets, func(set []*labels.Matcher) bool {
		return !slices.ContainsFunc(set, func(l *labels.Matcher) bool { return !l.Matches(ls.Get(l.Name)) })
	})
}

// promAlerts answers as /api/v1/alerts of Prometheus does.
func (m *Module) promAlerts(w http.ResponseWriter, r *http.Request) error {
	groups, err := m.status(r.Context(), wsOf(r))
	if err != nil {
		return err
	}
	out := []promAlert{}
	for _, g := range groups {
		for _, rule := range g.Rules {
			out = append(out, rule.Alerts...)
		}
	}
	return respond.JSON(w, http.StatusOK, promAnswer{"success", map[string]any{"alerts": out}})
}

func (m *Module) apiAlerts(w http.ResponseWriter, r *http.Request) error {
	f, err := readFilter(r.URL.Query())
	if err != nil {
		return err
	}
	f.Limit = 100
	if v := r.URL.Query().Get("limit"); v != "" {
		if f.Limit, err = strconv.Atoi(v); err != nil || f.Limit < 1 || f.Limit > 500 {
			return kernel.InvalidField("limit", "The limit is a number from 1 to 500.")
		}
	}
	f.Limit++
	list, err := m.Alerts(r.Context(), wsOf(r), f)
	if err != nil {
		return err
	}
	out := AlertListJSON{Alerts: []AlertJSON{}}
	for i, a := range list {
		if i == f.Limit-1 {
			next := string(list[i-1].ID)
			out.Next = &next
			break
		}
		out.Alerts = append(out.Alerts, alertJSON(wsOf(r), a))
	}
	return respond.JSON(w, http.StatusOK, out)
}

func (m *Module) apiAlert(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	a, err := m.FindAlert(r.Context(), wsOf(r), id)
	if err != nil {
		return err
	}
	return respond.JSON(w, http.StatusOK, alertJSON(wsOf(r), a))
}

func (m *Module) apiAck(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	var in AckJSON
	if r.ContentLength != 0 {
		if err := httpx.ReadJSON(r, &in); err != nil {
			return err
		}
	}
	if err := m.Acknowledge(r.Context(), wsOf(r), id, in.Note); err != nil {
		return err
	}
	return m.apiAlert(w, r)
}

func (m *Module) apiUnack(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := m.Unacknowledge(r.Context(), wsOf(r), id); err != nil {
		return err
	}
	return m.apiAlert(w, r)
}

func (m *Module) apiRules(w http.ResponseWriter, r *http.Request) error {
	var buf bytes.Buffer
	if err := m.ExportYAML(r.Context(), wsOf(r), &buf); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(buf.Bytes()) // a client that left
	return nil
}

func (m *Module) apiPutRules(w http.ResponseWriter, r *http.Request) error {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	all, err := strconv.ParseBool(cmp.Or(r.URL.Query().Get("all"), "false"))
	if err != nil {
		return kernel.InvalidField("all", "Write true or false.")
	}
	list, err := m.ImportYAML(r.Context(), wsOf(r), text, all, false)
	status := http.StatusOK
	if err != nil {
		if len(list) == 0 || kernel.CodeOf(err) != kernel.Invalid {
			return err
		}
		status = http.StatusUnprocessableEntity
	}
	out := RuleResultsJSON{Rules: []RuleResultJSON{}}
	for _, i := range list {
		if status == http.StatusOK {
			out.Imported++
		}
		out.Rules = append(out.Rules, RuleResultJSON(i))
	}
	return respond.JSON(w, status, out)
}

func (m *Module) apiSilences(w http.ResponseWriter, r *http.Request) error {
	now := m.d.Clock()
	list, err := m.Silences(r.Context(), wsOf(r), now.Add(-muteKept))
	if err != nil {
		return err
	}
	out := []SilenceJSON{}
	for _, s := range list {
		out = append(out, silenceJSON(s, now))
	}
	return respond.JSON(w, http.StatusOK, out)
}

func (m *Module) apiSilence(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	s, err := m.FindSilence(r.Context(), wsOf(r), id)
	if err != nil {
		return err
	}
	return respond.JSON(w, http.StatusOK, silenceJSON(s, m.d.Clock()))
}

func (m *Module) apiPostSilence(w http.ResponseWriter, r *http.Request) error {
	var in SilenceJSON
	if err := httpx.ReadJSON(r, &in); err != nil {
		return err
	}
	s := Silence{ID: kernel.ID(in.ID), From: in.StartsAt, Until: in.EndsAt, Comment: in.Comment}
	for _, x := range in.Matchers {
		s.Matchers = append(s.Matchers, x.matcher())
	}
	s, err := m.SaveSilence(r.Context(), wsOf(r), s)
	if err != nil {
		return err
	}
	return respond.JSON(w, http.StatusOK, SilenceIDJSON{string(s.ID)})
}

func (m *Module) apiExpireSilence(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := m.ExpireSilence(r.Context(), wsOf(r), id); err != nil {
		return err
	}
	return respond.NoContent(w)
}
