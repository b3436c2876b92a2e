package alert

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	amcommon "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Matcher chooses alerts by a label, as Alertmanager's do.
type Matcher struct {
	Name  string `json:"name"`
	Op    string `json:"op"` // =, !=, =~, !~
	Value string `json:"value"`
}

func (m Matcher) String() string { return m.Name + m.Op + `"` + m.Value + `"` }

var ops = map[string]labels.MatchType{"=": labels.MatchEqual, "!=": labels.MatchNotEqual, "=~": labels.MatchRegexp, "!~": labels.MatchNotRegexp}

// ReadMatchers reads what a person typed: one matcher per line or between commas, severity="critical".
func ReadMatchers(text string) ([]Matcher, error) {
	var out []Matcher
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		list, err := labels.ParseMatchers(line)
		if err != nil {
			return nil, kernel.InvalidField("matchers", fmt.Sprintf("%q is not like severity=\"critical\" or host=~\"web.*\".", line))
		}
		for _, l := range list {
			out = append(out, Matcher{l.Name, l.Type.String(), l.Value})
		}
	}
	if len(out) > maxPairs {
		return nil, kernel.InvalidField("matchers", "There may be up to 30 matchers.")
	}
	_, err := compileMatchers(out)
	return out, err
}

// escaped is what Alertmanager's parser of matchers takes back, and nothing else.
var escaped = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// WriteMatchers is the text that ReadMatchers reads.
func WriteMatchers(list []Matcher) string {
	var lines []string
	for _, m := range list {
		lines = append(lines, m.Name+m.Op+`"`+escaped.Replace(m.Value)+`"`)
	}
	return strings.Join(lines, "\n")
}

func compileMatchers(list []Matcher) (labels.Matchers, error) {
	var out labels.Matchers
	for _, m := range list {
		kind, ok := ops[m.Op]
		if !ok || !model.UTF8Validation.IsValidLabelName(m.Name) || len(m.Value) > maxText {
			return nil, kernel.InvalidField("matchers", fmt.Sprintf("%s is not a matcher.", m))
		}
		l, err := labels.NewMatcher(kind, m.Name, m.Value)
		if err != nil {
			return nil, kernel.InvalidField("matchers", fmt.Sprintf("%s: the expression is wrong.", m))
		}
		out = append(out, l)
	}
	return out, nil
}

// matches tells whether all matchers fit a set of labels. None fit nothing: a silence of everything must be said.
func matches(list []Matcher, ls map[string]string) bool {
	compiled, err := compileMatchers(list)
	if err != nil || len(compiled) == 0 {
		return false
	}
	for _, l := range compiled {
		if !l.Matches(ls[l.Name]) {
			return false
		}
	}
	return true
}

// Routing says who is told of what: the first route that fits, and with Continue the ones after it; else the default.
type Routing struct {
	Default  Route     `json:"default"`
	Routes   []Route   `json:"routes,omitempty"`
	Inhibits []Inhibit `json:"inhibits"`
	Rev      int64     `json:"-"` // of the workspace; a change that was made on another one is a Conflict
}

// Route is one way to be told.
type Route struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Severities []string       `json:"severities,omitempty"` // one of these; none: any
	Matchers   []Matcher      `json:"matchers,omitempty"`   // and all of these
	Channels   []kernel.ID    `json:"channels"`             // in turn, until one takes it; none: nobody is told
	Continue   bool           `json:"continue,omitempty"`
	GroupBy    []string       `json:"group_by,omitempty"`
	Wait       model.Duration `json:"wait"`     // before the first message, for others of the same group
	Interval   model.Duration `json:"interval"` // between messages about a group that changes
	Repeat     model.Duration `json:"repeat"`   // of what still fires
	Hours      *Hours         `json:"hours,omitempty"`
}

// Hours are when a route is open. Alerts of other hours wait until it opens, if they still fire then.
type Hours struct {
	Days []int  `json:"days"` // 0 is Sunday
	From string `json:"from"` // 09:00
	To   string `json:"to"`   // 18:00; 24:00 is the end of the day
	Zone string `json:"zone"` // Europe/Berlin
}

// Inhibit mutes targets while a source fires that agrees in some labels.
type Inhibit struct {
	Source []Matcher `json:"source"`
	Target []Matcher `json:"target"`
	Equal  []string  `json:"equal"`
}

// The defaults of a route. Alertmanager waits 30 s before the first message, and 5 min between messages of a group; here
// the message leaves within two seconds, and what is found in the same round still comes in one.
const (
	defaultWait     = time.Second
	defaultInterval = time.Minute
	defaultRepeat   = 4 * time.Hour
)

func defaultRoute() Route {
	return Route{ID: "default", Name: "Everything else", Channels: []kernel.ID{notify.Owners}, GroupBy: []string{"alertname"},
		Wait: model.Duration(defaultWait), Interval: model.Duration(defaultInterval), Repeat: model.Duration(defaultRepeat)}
}

// defaultRouting is that of a workspace that nobody has configured: mail to owners and admins, and a critical alert mutes
// the warning of the same name on the same host.
func defaultRouting() Routing {
	return Routing{Default: defaultRoute(), Inhibits: []Inhibit{{
		Source: []Matcher{{"severity", "=", "critical"}}, Target: []Matcher{{"severity", "=~", "warning|info"}}, Equal: []string{"alertname", "instance"},
	}}}
}

// ReadRouting reads a workspace's routing.
func (m *Module) ReadRouting(ctx context.Context, ws kernel.WorkspaceID) (Routing, error) {
	r := defaultRouting()
	var text string
	err := m.d.DB.QueryRow(ctx, `SELECT routing, rev FROM alert_workspaces WHERE workspace_id = $1`, string(ws)).Scan(&text, &r.Rev)
	if errors.Is(err, db.ErrNoRows) {
		return r, nil
	}
	if err != nil || text == "" {
		return r, err
	}
	r.Inhibits, r.Routes = nil, nil
	return r, json.Unmarshal([]byte(text), &r)
}

// SaveRouting checks and stores a workspace's routing.
func (m *Module) SaveRouting(ctx context.Context, ws kernel.WorkspaceID, r Routing) error {
	if len(r.Routes) > 100 || len(r.Inhibits) > 100 {
		return kernel.Errorf(kernel.Invalid, "There may be up to 100 routes and 100 inhibitions.")
	}
	for _, route := range append(slices.Clone(r.Routes), r.Default) {
		if err := checkRoute(route); err != nil {
			return err
		}
	}
	for _, i := range r.Inhibits {
		if err := checkInhibit(i); err != nil {
			return err
		}
	}
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		if err := m.touch(ctx, tx, ws); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE alert_workspaces SET routing = $2 WHERE workspace_id = $1`, string(ws), encode(r))
		return err
	})
}

func checkRoute(r Route) error {
	if name := strings.TrimSpace(r.Name); name == "" || len(name) > maxName {
		return kernel.InvalidField("name", "Give it a name of up to 200 characters.")
	}
	if _, err := compileMatchers(r.Matchers); err != nil {
		return err
	}
	between := func(field string, d model.Duration, from, to time.Duration) error {
		if time.Duration(d) < from || time.Duration(d) > to {
			return kernel.InvalidField(field, "Choose between "+model.Duration(from).String()+" and "+model.Duration(to).String()+".")
		}
		return nil
	}
	if err := cmp.Or(between("wait", r.Wait, 0, time.Hour), between("interval", r.Interval, 10*time.Second, 24*time.Hour),
		between("repeat", r.Repeat, time.Minute, 30*24*time.Hour)); err != nil {
		return err
	}
	for _, l := range r.GroupBy {
		if l != "..." && !model.UTF8Validation.IsValidLabelName(l) {
			return kernel.InvalidField("group_by", l+" is not the name of a label.")
		}
	}
	if r.Hours != nil {
		_, err := r.Hours.interval()
		return err
	}
	return nil
}

func checkInhibit(i Inhibit) error {
	if len(i.Source) == 0 || len(i.Target) == 0 {
		return kernel.InvalidField("source", "Say which alerts mute which others.")
	}
	if _, err := compileMatchers(i.Source); err != nil {
		return kernel.InvalidField("source", firstNote(err))
	}
	if _, err := compileMatchers(i.Target); err != nil {
		return kernel.InvalidField("target", firstNote(err))
	}
	for _, l := range i.Equal {
		if !model.UTF8Validation.IsValidLabelName(l) {
			return kernel.InvalidField("equal", l+" is not the name of a label.")
		}
	}
	return nil
}

// matchers are those of a route with its severities. An alert without a severity is a warning.
func (r Route) matchers() []Matcher {
	if len(r.Severities) == 0 {
		return r.Matchers
	}
	var words []string
	for _, s := range r.Severities {
		words = append(words, regexp.QuoteMeta(s))
		if s == "warning" {
			words = append(words, "")
		}
	}
	return append([]Matcher{{"severity", "=~", strings.Join(words, "|")}}, r.Matchers...)
}

func (i Inhibit) config() (out amcommon.InhibitRule, err error) {
	source, err := compileMatchers(i.Source)
	if err != nil {
		return out, err
	}
	target, err := compileMatchers(i.Target)
	return amcommon.InhibitRule{SourceMatchers: amcommon.Matchers(source), TargetMatchers: amcommon.Matchers(target), Equal: i.Equal}, err
}
