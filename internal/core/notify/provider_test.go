package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// provider stands in for all of them. It speaks each one's wire format as that one documents it, and refuses what that one
// refuses: fields it does not know, limits, missing credentials.
type provider struct {
	t      testing.TB
	server *httptest.Server
	phone  *phone
	now    func() time.Time

	mu      sync.Mutex
	mode    int    // the status that everything is answered with; 0: it works
	after   string // Retry-After with it
	asked   int
	refused []string
	got     []posted
	txns    map[string]string // of Matrix
	open    map[string]string // incidents by their key: triggered, acknowledged
	secrets []string          // repeated in errors, as some providers do
}

// posted is a message that a provider shows.
type posted struct {
	ID, Thread string
	Title      string
	Text       string
	Priority   string
}

const (
	slackToken    = "xoxb-1234567890-abcdefghijkl"
	telegramToken = "123456789:AAF0123456789abcdefghijklmnopqrstuv"
	routingKey    = "R0123456789abcdefghijklmnopqrstu"
	genieKey      = "11111111-2222-3333-4444-555555555555"
	pushUser      = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"
	pushToken     = "azGDORePK8gMaC0QOYAMyEEuzJnyUi"
	ntfyToken     = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"
	matrixToken   = "syt_Ym90_abcdefghijklmnopqrs_123456"
	hookPath      = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
)

func newProvider(t testing.TB) *provider {
	p := &provider{t: t, now: func() time.Time { return testNow }, phone: newPhone(t), txns: map[string]string{}, open: map[string]string{}}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(*http.Request, []byte) (any, error){
		"POST /webhook" + hookPath: p.webhook, "POST /alertmanager" + hookPath + "/api/v2/alerts": p.alertmanager, "POST /slack" + hookPath: p.slack, "POST /slack-bot/api/chat.postMessage": p.slackPost, "POST /slack-bot/api/chat.update": p.slackUpdate,
		"POST /discord" + hookPath: p.discord, "POST /teams" + hookPath: p.teams, "POST /telegram/{bot}/sendMessage": p.telegram, "POST /mattermost" + hookPath: p.mattermost,
		"PUT /_matrix/client/v3/rooms/{room}/send/m.room.message/{txn}": p.matrix, "POST /pagerduty/v2/enqueue": p.pagerduty,
		"POST /opsgenie/v2/alerts": p.opsgenie, "POST /opsgenie/v2/alerts/{alias}/{verb}": p.opsgenieVerb, "POST /pushover/1/messages.json": p.pushover,
		"POST /pushover/1/receipts/cancel_by_tag/{tag}": p.pushoverCancel, "POST /ntfy/{$}": p.ntfy, "POST /push/{id}": p.push,
	} {
		mux.HandleFunc(pattern, p.handle(serve))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.t.Errorf("nobody has asked for %s %s", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	})
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

var statusOf = map[string]int{"discord": 204, "teams": 202, "pagerduty": 202, "opsgenie": 202, "push": 201}

func (p *provider) handle(serve func(*http.Request, []byte) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked++
		if r.UserAgent() != "Kept (+https://github.com/kept-dev/kept)" {
			p.t.Errorf("user agent %q", r.UserAgent())
		}
		if p.mode != 0 {
			if p.after != "" {
				w.Header().Set("Retry-After", p.after)
			}
			w.WriteHeader(p.mode)
			fmt.Fprintf(w, "no: %s %s %s", r.URL.RequestURI(), r.Header.Get("Authorization"), strings.Join(p.secrets, " "))
			return
		}
		answer, err := serve(r, body)
		if err != nil {
			p.refused = append(p.refused, err.Error())
			p.t.Errorf("%s refuses: %v\n%s", r.URL.Path, err, body)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if status := statusOf[kind]; status != 0 {
			w.WriteHeader(status)
		}
		if text, ok := answer.(string); ok {
			io.WriteString(w, text)
		} else if answer != nil {
			json.NewEncoder(w).Encode(answer)
		}
	}
}

// set changes how the provider answers.
func (p *provider) set(mode int, after string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.after, p.asked = mode, after, 0
}

func (p *provider) all() []posted {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

func (p *provider) add(m posted) string {
	m.ID = firstOf(m.ID, fmt.Sprint(1000+len(p.got)))
	p.got = append(p.got, m)
	return m.ID
}

func (p *provider) has(id string) bool {
	return slices.ContainsFunc(p.got, func(m posted) bool { return m.ID == id })
}

// strict reads JSON with no field that v lacks.
func strict(r *http.Request, body []byte, v any) error {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return fmt.Errorf("content type %q", r.Header.Get("Content-Type"))
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// need says what is wrong: texts and whether each holds.
func need(pairs ...any) error {
	var bad []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if ok, _ := pairs[i+1].(bool); !ok {
			bad = append(bad, pairs[i].(string))
		}
	}
	if bad != nil {
		return errors.New(strings.Join(bad, "; "))
	}
	return nil
}

func runes(s string, least, most int) bool {
	n := utf8.RuneCountInString(s)
	return utf8.ValidString(s) && n >= least && n <= most
}

func (p *provider) webhook(r *http.Request, body []byte) (any, error) {
	var in struct {
		Version, GroupKey, Status, Receiver, ExternalURL, Title, Severity, WorkspaceID, DeliveryID string
		TruncatedAlerts                                                                            int
		GroupLabels, CommonLabels, CommonAnnotations                                               map[string]string
		Alerts                                                                                     []struct {
			Status, GeneratorURL, Fingerprint, Value string
			Labels, Annotations                      map[string]string
			StartsAt, EndsAt                         time.Time
			Links                                    struct{ Alert, Silence, Acknowledge string }
		}
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	p.add(posted{Title: in.Title, Text: string(body), Priority: in.Status})
	return "", need("version", in.Version == "4", "status", in.Status == "firing" || in.Status == "resolved", "alerts", len(in.Alerts) > 0, "receiver", in.Receiver != "",
		"group", in.GroupKey != "" && in.GroupLabels != nil, "delivery", in.DeliveryID == r.Header.Get("Kept-Delivery") && len(in.DeliveryID) == 32,
		"fingerprint", len(in.Alerts[0].Fingerprint) == 16, "authorization", r.Header.Get("Authorization") == "Bearer hook-secret-1",
		"signature", strings.HasPrefix(r.Header.Get("Kept-Signature"), "v1="))
}

// alertmanager shows what it gets as its own page would: by name, with how many fire.
func (p *provider) alertmanager(r *http.Request, body []byte) (any, error) {
	var in []struct {
		Labels, Annotations map[string]string
		StartsAt            time.Time
		EndsAt              *time.Time
		GeneratorURL        string
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	err := need("alerts", len(in) > 0 && len(in) <= 256, "authorization", r.Header.Get("Authorization") == "Basic a2VwdDpz")
	fires, hosts := 0, []string{}
	for _, a := range in {
		if a.EndsAt == nil || a.EndsAt.After(p.now()) {
			fires++
		}
		hosts = append(hosts, a.Labels["host"])
		if err == nil {
			err = need("name", a.Labels["alertname"] != "", "begin", !a.StartsAt.IsZero(), "end", a.EndsAt == nil || !a.EndsAt.Before(a.StartsAt), "page", a.GeneratorURL == "" || strings.HasPrefix(a.GeneratorURL, "https://"))
		}
	}
	title := fmt.Sprintf("Firing: %s on %s", in[0].Labels["alertname"], strings.Join(hosts, ", "))
	if fires == 0 {
		title = fmt.Sprintf("Resolved: %s (%d)", in[0].Labels["alertname"], len(in))
	}
	p.add(posted{Title: title, Text: string(body), Priority: fmt.Sprint(fires)})
	return nil, err
}

func (p *provider) pagerduty(r *http.Request, body []byte) (any, error) {
	var in struct {
		Key     string `json:"routing_key"`
		Action  string `json:"event_action"`
		Dedup   string `json:"dedup_key"`
		Client  string `json:"client"`
		URL     string `json:"client_url"`
		Payload *struct {
			Summary, Source, Severity, Timestamp, Class, Component, Group string
			Details                                                       map[string]string `json:"custom_details"`
		} `json:"payload"`
		Links []struct{ Href, Text string } `json:"links"`
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	err := need("key", in.Key == routingKey, "action", slices.Contains([]string{"trigger", "acknowledge", "resolve"}, in.Action), "dedup", runes(in.Dedup, 1, 255),
		"payload", (in.Payload != nil) == (in.Action == "trigger"), "size", len(body) <= 512<<10)
	if pay := in.Payload; err == nil && pay != nil {
		_, stamp := time.Parse(time.RFC3339, pay.Timestamp)
		err = need("summary", runes(pay.Summary, 1, 1024), "source", pay.Source != "", "severity", slices.Contains([]string{"critical", "error", "warning", "info"}, pay.Severity), "time", stamp == nil)
	}
	title := in.Action
	if in.Payload != nil {
		title = in.Payload.Summary
	}
	p.incident(in.Dedup, map[string]string{"trigger": "triggered", "acknowledge": "acknowledged", "resolve": ""}[in.Action])
	p.add(posted{Title: title, Thread: in.Dedup, Priority: in.Action, Text: string(body)})
	return map[string]string{"status": "success", "message": "Event processed", "dedup_key": in.Dedup}, err
}

func (p *provider) incident(key, state string) {
	if state == "" {
		delete(p.open, key)
		return
	}
	p.open[key] = state
}

func (p *provider) opsgenie(r *http.Request, body []byte) (any, error) {
	var in struct {
		Message, Alias, Description, Entity, Source, Priority string
		Tags                                                  []string
		Details                                               map[string]string
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	p.incident(in.Alias, "triggered")
	p.add(posted{Title: in.Message, Thread: in.Alias, Priority: in.Priority, Text: in.Description})
	return map[string]any{"result": "Request will be processed", "took": 0.1, "requestId": "x"}, need("key", r.Header.Get("Authorization") == "GenieKey "+genieKey, "message", runes(in.Message, 1, 130),
		"alias", runes(in.Alias, 1, 512), "description", runes(in.Description, 1, 15000), "entity", runes(in.Entity, 0, 512), "source", runes(in.Source, 0, 100),
		"priority", regexp.MustCompile(`^P[1-5]$`).MatchString(in.Priority), "tags", len(in.Tags) <= 20)
}

func (p *provider) opsgenieVerb(r *http.Request, body []byte) (any, error) {
	var in struct{ Source, Note, User string }
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	alias, verb := r.PathValue("alias"), r.PathValue("verb")
	err := need("key", r.Header.Get("Authorization") == "GenieKey "+genieKey, "type", r.URL.Query().Get("identifierType") == "alias", "verb", verb == "close" || verb == "acknowledge",
		"open", p.open[alias] != "", "note", runes(in.Note, 0, 25000))
	p.incident(alias, map[string]string{"acknowledge": "acknowledged"}[verb])
	p.add(posted{Title: in.Note, Thread: alias, Priority: verb})
	return map[string]any{"result": "Request will be processed"}, err
}

func (p *provider) pushover(r *http.Request, body []byte) (any, error) {
	var in struct {
		Token, User, Title, Message, URL, Tags string
		URLTitle                               string `json:"url_title"`
		Priority, Retry, Expire                int
		Timestamp                              int64
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	if in.Priority == 2 {
		p.incident(in.Tags, "triggered")
	}
	p.add(posted{Title: in.Title, Text: in.Message, Priority: fmt.Sprint(in.Priority)})
	return map[string]any{"status": 1, "request": "x"}, need("token", in.Token == pushToken, "user", in.User == pushUser, "message", runes(in.Message, 1, 1024), "title", runes(in.Title, 0, 250),
		"url", runes(in.URL, 0, 512) && runes(in.URLTitle, 0, 100), "priority", in.Priority >= -2 && in.Priority <= 2,
		"emergency", in.Priority != 2 || in.Retry >= 30 && in.Expire > 0 && in.Expire <= 10800, "tags", in.Priority == 2 || in.Tags == "")
}

func (p *provider) pushoverCancel(r *http.Request, body []byte) (any, error) {
	var in struct{ Token string }
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	p.incident(strings.TrimSuffix(r.PathValue("tag"), ".json"), "")
	return map[string]any{"status": 1}, need("token", in.Token == pushToken)
}

func (p *provider) ntfy(r *http.Request, body []byte) (any, error) {
	var in struct {
		Topic, Title, Message, Click string
		Priority                     int
		Tags                         []string
		Actions                      []struct{ Action, Label, URL string }
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	ok := len(in.Actions) <= 3
	for _, a := range in.Actions {
		ok = ok && a.Action == "view" && a.Label != "" && strings.HasPrefix(a.URL, "https://")
	}
	p.add(posted{Title: in.Title, Text: in.Message, Priority: fmt.Sprint(in.Priority)})
	return map[string]any{"id": "x", "event": "message"}, need("token", r.Header.Get("Authorization") == "Bearer "+ntfyToken, "topic", in.Topic == "kept-alerts-x7Gq", "message", len(in.Message) > 0 && len(in.Message) <= 4096,
		"title", len(in.Title) <= 250, "priority", in.Priority >= 1 && in.Priority <= 5, "actions", ok)
}
