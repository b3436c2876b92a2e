package notify

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
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
		"POST /webhook" + hookPath: p.webhook, "POST /slack" + hookPath: p.slack, "POST /slack-bot/api/chat.postMessage": p.slackPost, "POST /slack-bot/api/chat.update": p.slackUpdate,
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

// slackBody is what Slack documents of a message.
type slackBody struct {
	Channel     string `json:"channel"`
	TS          string `json:"ts"`
	ThreadTS    string `json:"thread_ts"`
	Text        string `json:"text"`
	Unfurl      bool   `json:"unfurl_links"`
	Attachments []struct {
		Color, Fallback string
		Blocks          []struct {
			Type string
			Text struct{ Type, Text string }
		}
	} `json:"attachments"`
}

func (in slackBody) check() error {
	if len(in.Attachments) != 1 || len(in.Attachments[0].Blocks) == 0 {
		return errors.New("no blocks")
	}
	a := in.Attachments[0]
	text := a.Blocks[0].Text.Text
	bare := regexp.MustCompile(`<https?://[^|<>]+\|[^<>|]*>`).ReplaceAllString(text, "")
	return need("text", runes(in.Text, 1, 3000), "block", a.Blocks[0].Type == "section" && a.Blocks[0].Text.Type == "mrkdwn", "block text", runes(text, 1, 3000),
		"colour", regexp.MustCompile(`^#[0-9a-f]{6}$`).MatchString(a.Color), "mark-up of people", !strings.ContainsAny(bare, "<>"),
		"ampersand", regexp.MustCompile(`&(amp|lt|gt);`).ReplaceAllString(bare, "") == strings.ReplaceAll(regexp.MustCompile(`&(amp|lt|gt);`).ReplaceAllString(bare, ""), "&", ""))
}

func (p *provider) slack(r *http.Request, body []byte) (any, error) {
	var in slackBody
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	p.add(posted{Title: in.Text, Text: string(body)})
	return "ok", errors.Join(in.check(), need("channel", in.Channel+in.TS+in.ThreadTS == ""))
}

func (p *provider) slackBot(r *http.Request, body []byte) (in slackBody, err error) {
	if err := strict(r, body, &in); err != nil {
		return in, err
	}
	return in, errors.Join(in.check(), need("token", r.Header.Get("Authorization") == "Bearer "+slackToken, "channel", in.Channel == "C0123456789"))
}

func (p *provider) slackPost(r *http.Request, body []byte) (any, error) {
	in, err := p.slackBot(r, body)
	if err != nil {
		return nil, err
	}
	if in.ThreadTS != "" && !p.has(in.ThreadTS) || in.TS != "" {
		return nil, errors.New("thread_not_found")
	}
	id := p.add(posted{ID: fmt.Sprintf("17720000%02d.000100", len(p.got)), Thread: in.ThreadTS, Title: in.Text, Text: string(body)})
	return map[string]any{"ok": true, "channel": "C0123456789", "ts": id, "message": map[string]any{"text": in.Text}}, nil
}

func (p *provider) slackUpdate(r *http.Request, body []byte) (any, error) {
	in, err := p.slackBot(r, body)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(p.got, func(m posted) bool { return m.ID == in.TS })
	if i < 0 {
		return map[string]any{"ok": false, "error": "message_not_found"}, nil
	}
	p.got[i].Title = in.Text
	return map[string]any{"ok": true, "channel": "C0123456789", "ts": in.TS}, nil
}

func (p *provider) discord(r *http.Request, body []byte) (any, error) {
	var in struct {
		Embeds []struct {
			Title, Description, URL, Timestamp string
			Color                              int
		}
		Mentions *struct{ Parse []string } `json:"allowed_mentions"`
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	if len(in.Embeds) != 1 || in.Mentions == nil {
		return nil, errors.New("embeds, allowed_mentions")
	}
	e := in.Embeds[0]
	_, stamp := time.Parse(time.RFC3339, e.Timestamp)
	p.add(posted{Title: e.Title, Text: e.Description})
	return nil, need("title", runes(e.Title, 1, 256), "description", runes(e.Description, 1, 4096), "url", e.URL == "" || strings.HasPrefix(e.URL, "https://"), "time", stamp == nil,
		"colour", e.Color >= 0 && e.Color <= 0xffffff, "mentions", in.Mentions.Parse != nil && len(in.Mentions.Parse) == 0, "everyone", !strings.Contains(e.Description, "@everyone"))
}

func (p *provider) teams(r *http.Request, body []byte) (any, error) {
	var in struct {
		Type        string `json:"type"`
		Attachments []struct {
			ContentType string  `json:"contentType"`
			ContentURL  *string `json:"contentUrl"`
			Content     struct {
				Schema  string         `json:"$schema"`
				Type    string         `json:"type"`
				Version string         `json:"version"`
				Teams   map[string]any `json:"msteams"`
				Body    []struct {
					Type, Text, Weight, Size, Color string
					Wrap, Separator                 bool
					Facts                           []struct{ Title, Value string }
				} `json:"body"`
				Actions []struct{ Type, Title, URL string } `json:"actions"`
			} `json:"content"`
		} `json:"attachments"`
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	if len(in.Attachments) != 1 || len(in.Attachments[0].Content.Body) < 2 {
		return nil, errors.New("no card")
	}
	card := in.Attachments[0].Content
	ok := true
	for _, b := range card.Body {
		ok = ok && (b.Type == "TextBlock" && b.Text != "" || b.Type == "FactSet" && len(b.Facts) > 0)
	}
	for _, a := range card.Actions {
		ok = ok && a.Type == "Action.OpenUrl" && a.Title != "" && strings.HasPrefix(a.URL, "https://")
	}
	p.add(posted{Title: card.Body[0].Text, Text: string(body)})
	return nil, need("type", in.Type == "message", "card", in.Attachments[0].ContentType == "application/vnd.microsoft.card.adaptive" && card.Type == "AdaptiveCard" && card.Version == "1.4",
		"blocks", ok, "actions", len(card.Actions) <= 6, "size", len(body) <= 28<<10)
}

// wellFormed tells whether a text is the HTML that Telegram knows.
func wellFormed(text string) error {
	dec := xml.NewDecoder(strings.NewReader("<r>" + text + "</r>"))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if start, ok := token.(xml.StartElement); ok && !slices.Contains([]string{"r", "b", "a"}, start.Name.Local) {
			return fmt.Errorf("tag %s", start.Name.Local)
		}
	}
}

func (p *provider) telegram(r *http.Request, body []byte) (any, error) {
	var in struct {
		Chat    string `json:"chat_id"`
		Topic   int64  `json:"message_thread_id"`
		Text    string `json:"text"`
		Mode    string `json:"parse_mode"`
		Silent  bool   `json:"disable_notification"`
		Preview struct {
			Off bool `json:"is_disabled"`
		} `json:"link_preview_options"`
		Reply struct {
			ID     int64 `json:"message_id"`
			Anyway bool  `json:"allow_sending_without_reply"`
		} `json:"reply_parameters"`
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	thread := ""
	if in.Reply.ID != 0 {
		thread = strconv.FormatInt(in.Reply.ID, 10)
	}
	err := errors.Join(wellFormed(in.Text), need("token", r.PathValue("bot") == "bot"+telegramToken, "chat", in.Chat == "-1001234567890", "mode", in.Mode == "HTML",
		"length", len(in.Text) > 0 && utf16Len(in.Text) <= 4096, "reply", thread == "" || p.has(thread), "topic", in.Topic == 7))
	id, _ := strconv.Atoi(p.add(posted{Thread: thread, Title: in.Text, Text: in.Text}))
	return map[string]any{"ok": true, "result": map[string]any{"message_id": id, "date": 1, "chat": map[string]any{"id": -1001234567890}}}, err
}

func (p *provider) mattermost(r *http.Request, body []byte) (any, error) {
	var in struct {
		Text, Channel string
		Attachments   []struct {
			Fallback, Color, Title, Text string
			TitleLink                    string `json:"title_link"`
		}
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	if len(in.Attachments) != 1 {
		return nil, errors.New("no attachment")
	}
	a := in.Attachments[0]
	p.add(posted{Title: a.Fallback, Text: a.Text})
	return "ok", need("text", runes(a.Text, 1, 16383), "title", a.Title != "", "everyone", !strings.Contains(a.Text+a.Title, "@everyone"), "size", len(body) < 100<<10)
}

func (p *provider) matrix(r *http.Request, body []byte) (any, error) {
	var in struct {
		Type   string `json:"msgtype"`
		Body   string `json:"body"`
		Format string `json:"format"`
		HTML   string `json:"formatted_body"`
		Thread *struct {
			Type  string `json:"rel_type"`
			Event string `json:"event_id"`
			Falls bool   `json:"is_falling_back"`
			Reply struct {
				Event string `json:"event_id"`
			} `json:"m.in_reply_to"`
		} `json:"m.relates_to"`
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	if event, again := p.txns[r.PathValue("txn")]; again {
		return map[string]string{"event_id": event}, nil
	}
	m := posted{Title: in.Body, Text: in.HTML}
	if in.Thread != nil {
		m.Thread = in.Thread.Event
	}
	err := errors.Join(wellFormed(strings.ReplaceAll(in.HTML, "<br>", "")), need("type", in.Type == "m.text", "body", in.Body != "", "format", in.Format == "org.matrix.custom.html",
		"token", r.Header.Get("Authorization") == "Bearer "+matrixToken, "room", r.PathValue("room") == "!room:example.org", "size", len(body) < 64<<10,
		"thread", in.Thread == nil || in.Thread.Type == "m.thread" && p.has(in.Thread.Event) && in.Thread.Reply.Event == in.Thread.Event))
	m.ID = fmt.Sprintf("$event%d", len(p.got))
	p.txns[r.PathValue("txn")] = p.add(m)
	return map[string]string{"event_id": m.ID}, err
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

// phone is a browser that gets pushes.
type phone struct {
	key  *ecdh.PrivateKey
	auth []byte
}

func newPhone(t testing.TB) *phone {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &phone{key: key, auth: make([]byte, 16)}
	rand.Read(p.auth)
	return p
}

func (p *phone) subscription(endpoint string) (s subscription) {
	s.Endpoint, s.Browser = endpoint, "Firefox on Linux"
	s.Keys.P256DH, s.Keys.Auth = b64(p.key.PublicKey().Bytes()), b64(p.auth)
	return s
}

// decrypt is the receiver's side of RFC 8291 and RFC 8188.
func (p *phone) decrypt(body []byte) ([]byte, error) {
	if len(body) < 21+65+17 || len(body) > 4096 {
		return nil, fmt.Errorf("%d bytes", len(body))
	}
	salt, size, idlen := body[:16], binary.BigEndian.Uint32(body[16:20]), int(body[20])
	sender, err := ecdh.P256().NewPublicKey(body[21 : 21+idlen])
	if err != nil {
		return nil, err
	}
	record := body[21+idlen:]
	if uint32(len(record)) > size {
		return nil, errors.New("more than one record")
	}
	shared, err := p.key.ECDH(sender)
	if err != nil {
		return nil, err
	}
	prk, err := hkdf.Extract(sha256.New, shared, p.auth)
	if err != nil {
		return nil, err
	}
	info := "WebPush: info\x00" + string(p.key.PublicKey().Bytes()) + string(sender.Bytes())
	ikm, err := hkdf.Expand(sha256.New, prk, info, 32)
	if err != nil {
		return nil, err
	}
	gcm, nonce, err := recordKey(ikm, salt)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, record, nil)
	if err != nil {
		return nil, err
	}
	plain = bytes.TrimRight(plain, "\x00")
	if len(plain) == 0 || plain[len(plain)-1] != 2 {
		return nil, errors.New("no delimiter of a last record")
	}
	return plain[:len(plain)-1], nil
}

// checkVAPID is what a push service does before it takes anything (RFC 8292).
func checkVAPID(header, origin string, now time.Time) error {
	found := regexp.MustCompile(`^vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), k=([\w-]+)$`).FindStringSubmatch(header)
	if found == nil {
		return fmt.Errorf("authorization %q", header)
	}
	key, err := unb64(found[4])
	if err != nil {
		return err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), key)
	if err != nil {
		return err
	}
	signature, _ := unb64(found[3])
	if len(signature) != 64 {
		return errors.New("signature")
	}
	sum := sha256.Sum256([]byte(found[1] + "." + found[2]))
	raw, _ := unb64(found[2])
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		return err
	}
	left := time.Unix(claims.Exp, 0).Sub(now)
	return need("signature", ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])), "aud", claims.Aud == origin,
		"sub", strings.HasPrefix(claims.Sub, "https://") || strings.HasPrefix(claims.Sub, "mailto:"), "exp", left > 0 && left <= 24*time.Hour)
}

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (p *provider) push(r *http.Request, body []byte) (any, error) {
	plain, err := p.phone.decrypt(body)
	if err != nil {
		return nil, err
	}
	var in pushMessage
	if err := json.Unmarshal(plain, &in); err != nil {
		return nil, err
	}
	ttl, ttlErr := strconv.Atoi(r.Header.Get("TTL"))
	origin, _ := url.Parse(p.server.URL)
	p.add(posted{Title: in.Title, Text: in.Body, Thread: in.Tag})
	return nil, errors.Join(checkVAPID(r.Header.Get("Authorization"), origin.Scheme+"://"+origin.Host, p.now()), need("encoding", r.Header.Get("Content-Encoding") == "aes128gcm",
		"ttl", ttlErr == nil && ttl > 0, "urgency", slices.Contains([]string{"very-low", "low", "normal", "high"}, r.Header.Get("Urgency")),
		"topic", regexp.MustCompile(`^[\w-]{1,32}$`).MatchString(r.Header.Get("Topic")), "title", in.Title != "" && in.Body != ""))
}
